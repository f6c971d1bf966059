/*
 * One GET by HTTP or HTTPS, or connections alone, through libcurl: TLS 1.2 or
 * newer, verified against the CAs of the gateway (ampersand/proxy.conf), and no
 * redirect followed.
 */

#ifndef CTL_HTTP_H
#define CTL_HTTP_H


#include <curl/curl.h>

#include "output.h"


typedef struct {
    const char  *url;
    const char  *connect_to;        /* "::HOST:PORT" in place of the URL's, or
                                       NULL                                   */
    const char  *header;            /* one line, or NULL                      */
    unsigned     timeout;           /* ms                                     */
} http_request_t;

typedef struct {
    long         status;
    size_t       len;
    char        *data;              /* the body, or NULL                      */
} http_answer_t;


/*
 * CURLE_OK with any answer, which http_free() releases.  Answers above 1 MB are
 * a failure; CURLE_FAILED_INIT: libcurl cannot be started.
 */

CURLcode http_get(const http_request_t *request, http_answer_t *answer);

/* Wipes and frees the body. */

void http_free(http_answer_t *answer);

/*
 * A connection: the name, the address, TLS with its certificate.  Nothing is
 * sent by it.
 */

#define HTTP_CONNECTS  8

typedef struct {
    char         url[256];
    const char  *connect_to;        /* as above                               */

    CURLcode     code;              /* CURLE_OK: it was made                  */
    char         error[CURL_ERROR_SIZE];    /* what else is known of it       */
    int          days;              /* until the certificate expires; -1: no
                                       TLS, or not known                      */
} http_connect_t;

/* Tries n connections at once, at most HTTP_CONNECTS, within timeout ms. */

void http_connect(http_connect_t *list, unsigned n, unsigned timeout);


#endif /* CTL_HTTP_H */
