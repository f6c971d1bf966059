/*
 * One GET by HTTP or HTTPS, through libcurl: TLS 1.2 or newer, verified against
 * the CAs of the gateway (ampersand/proxy.conf), and no redirect followed.
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


#endif /* CTL_HTTP_H */
