/*
 * A request as it would come to the gateway, made of the words of "ampctl
 * explain"; and what is found out about it.
 */

#ifndef CTL_EXPLAIN_H
#define CTL_EXPLAIN_H


#include "../core/amp_decide.h"
#include "../core/amp_header.h"
#include "command.h"


#define EXPLAIN_HEADERS  64


typedef struct {
    amp_span_t  name;               /* lower case                             */
    amp_span_t  value;
} explain_header_t;


typedef struct {
    amp_request_t        request;   /* its texts are those below              */
    unsigned             located:1; /* the path is one of an API              */
    char                *path;
    char                *query;

    unsigned             nheaders;
    explain_header_t     headers[EXPLAIN_HEADERS];
    amp_span_t           accept;
    amp_header_policy_t  policy;
    unsigned             versioned:1;   /* x-amp-proxy-version                */
    unsigned             encoded:1;     /* content-encoding                   */
    unsigned             unstored:1;    /* several Accept, or no-store        */

    unsigned             origins;   /* Origin headers                         */

    char                *body;      /* NULL: not given                        */
    size_t               nbody;
} explain_request_t;


typedef struct {
    ctl_t                    *ctl;
    const explain_request_t  *ex;
    const json_t             *record;
    json_t                   *doc;
    amp_reason_e              reason;
    amp_decision_t            decision;
    amp_span_t                target;   /* path and query, composed           */
    uint32_t                  ttl;      /* 0: not stored                      */
    unsigned                  own_ttl:1;    /* the tenant's                   */
    long long                 cooldown; /* milliseconds, or less than 1       */

    union {
        amp_tenant_t   tenant;
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;
} explain_t;


/* Adds a text to the notes of a document. */

void explain_note(json_t *doc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Begins a request, all zero before, with a method and a URL: a path of the
 * gateway ("/v1/integrations"), with or without its address or a prefix; or a
 * URL at one of Ampersand's own hosts.  0, or -1 with the error filled.
 */

int explain_url(explain_request_t *ex, const char *method, const char *url,
    ctl_error_t *error);

/* Adds the header "Name: value", as above. */

int explain_header(explain_request_t *ex, const char *line,
    ctl_error_t *error);

/* Reads the body from a file, or from standard input for "-"; as above. */

int explain_body(explain_request_t *ex, const char *file, ctl_error_t *error);

void explain_free(explain_request_t *ex);

/* GET or HEAD; a method that changes nothing. */

int explain_reads(const explain_request_t *ex);
int explain_safe(const explain_request_t *ex);


#endif /* CTL_EXPLAIN_H */
