/*
 * HTTP headers of requests: which of a client's headers are forwarded upstream,
 * and the words of a header's value.
 */

#ifndef AMP_HEADER_H
#define AMP_HEADER_H


#include "amp_operations.h"


typedef struct {
    amp_span_t  connection;         /* value of the client's Connection       */
    unsigned    proxy:1;            /* the proxy API, which has a deny-list   */
    unsigned    tracestate:1;       /* it belongs to the trace that upstream
                                       is told                                */
    unsigned    identity:1;         /* the gateway edits the body of the
                                       answer: no Accept-Encoding             */
} amp_header_policy_t;


/*
 * 1 when the client's header of this name, in lower case, is forwarded, else 0.
 * The platform, read, write and search APIs have an allow-list.  The proxy API
 * forwards what the provider may need: all headers except a deny-list, and
 * those that Connection names (RFC 9110, section 7.6.1).  Headers that the
 * gateway itself sets, X-Request-Id for example, are never forwarded.
 *
 * Servers behind CGI, WSGI or PHP read X_Amp_Project_Id and X.Amp.Project.Id as
 * X-Amp-Project-Id (RFC 3875, section 4.1.18).  So a name with another byte
 * than a letter, a digit or "-" is compared as if that byte were "-", and not
 * forwarded where the deny-list or the declared x-amp-* headers have it then.
 */

int amp_header_forwarded(const amp_header_policy_t *policy, amp_span_t name);

/*
 * 1 when a forwarded header of this name, in lower case, may select the answer:
 * all do, but those of tracing, and those that speak to caches.  Conditional
 * ones and Range are not forwarded where the answer may be stored.
 */

int amp_header_selects(amp_span_t name);

/*
 * Writes what an API needs of the gateway, besides Host, X-Request-Id,
 * Content-Length and the key, as lines of a head, and returns their end.
 * checked: the body was checked as JSON, so it may not be read as anything
 * else; versioned: the client sent x-amp-proxy-version.  At most
 * AMP_HEADER_OWN_MAX bytes and the project's id.
 */

#define AMP_HEADER_OWN_MAX  96

unsigned char *amp_header_own(amp_api_e api, amp_span_t project,
    unsigned checked, unsigned versioned, unsigned char *out);

/* Is the name, in any case, one of the words of the list? */

int amp_header_listed(amp_span_t list, amp_span_t name);

/*
 * Takes the next word, delimited by commas and white space, off the list rest
 * (RFC 9110, section 5.6.1) and returns it.  An empty word ends the list.
 */

amp_span_t amp_header_word(amp_span_t *rest);


#endif /* AMP_HEADER_H */
