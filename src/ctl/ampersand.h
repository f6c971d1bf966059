/*
 * A client of Ampersand's API, through libcurl, for the calls that ampctl makes
 * with a tenant's key.
 */

#ifndef CTL_AMPERSAND_H
#define CTL_AMPERSAND_H


#include "../core/amp_tenant.h"
#include "http.h"
#include "output.h"


#define AMPERSAND_TEXT  256


typedef struct {
    long  status;                   /* HTTP status                            */
    int   object;                   /* 1: the body is a JSON object           */
    char  id[AMPERSAND_TEXT];       /* of the project in a 200; or empty      */
    char  name[AMPERSAND_TEXT];
    char  detail[AMPERSAND_TEXT];   /* detail or title of an error; or empty  */
} ampersand_project_t;


/*
 * Whether the text is a base URL: http:// or https://, a host, and perhaps a
 * port and a final slash; as docker/entrypoint takes it.
 */

int ampersand_upstream_valid(const char *upstream);

/*
 * Calls getProject with a key, within timeout milliseconds.  upstream, when it
 * is not NULL, replaces the address of https://api.withampersand.com, or https
 * too.  The rest is as in the gateway (ampersand/proxy.conf): Host header, the
 * name that is sent (SNI) and verified, and the CAs.  0 with any HTTP answer,
 * or -1 with the error filled: out of reach, too slow, TLS not verified.
 * Neither the answer nor the error holds the key.
 */

int ampersand_project(const char *upstream, unsigned timeout, amp_span_t key,
    amp_span_t project, ampersand_project_t *answer, ctl_error_t *error);

/*
 * A connection as a gateway makes it to the host of each API, to be tried by
 * http_connect(); the text is for connect_to.  Where upstream is http, there is
 * one.  Returns how many.
 */

#define AMPERSAND_TO  (AMPERSAND_TEXT + 16)

unsigned ampersand_connects(const char *upstream, char to[AMPERSAND_TO],
    http_connect_t list[AMP_API_COUNT]);

/* Whether a server answers at that URL.  0, or -1 as above. */

int ampersand_reach(const char *upstream, unsigned timeout,
    ctl_error_t *error);


#endif /* CTL_AMPERSAND_H */
