/*
 * A host of Ampersand that fails is suspended for a while (core/amp_breaker.h).
 *
 * A failure of the platform, read, write and search APIs is: no connection, no
 * answer in time, no valid answer, or 502, 503 or 504.  Behind the proxy API a
 * provider of one tenant may be what fails, so there it is only that no
 * connection was made.  Any other answer shows that the host works, a 4xx and a
 * 500 too; a client that leaves shows nothing.
 */

#ifndef NGX_HTTP_AMPERSAND_BREAKER_H
#define NGX_HTTP_AMPERSAND_BREAKER_H


#include "ngx_http_ampersand_conf.h"


/* Of one upstream request, zeroed when it is made. */

typedef struct {
    unsigned  admitted:1;       /* it counts, and has not ended yet           */
    unsigned  probe:1;
} ngx_http_ampersand_breaker_t;


/* The seconds until the host of r's location gets requests, or 0. */

time_t ngx_http_ampersand_breaker_left(ngx_http_request_t *r);

/*
 * May the upstream request be sent?  0, or the seconds until the host gets
 * requests.  Where it may, one of the two functions below has to follow.
 */

time_t ngx_http_ampersand_breaker_admit(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker);

/* Upstream has answered with this status. */

void ngx_http_ampersand_breaker_answered(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker, ngx_uint_t status);

/*
 * The upstream request ends; nothing is done where it was answered.  failed: it
 * got no answer.  Else its client has left, or the gateway itself has failed.
 */

void ngx_http_ampersand_breaker_ended(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker, ngx_uint_t failed);


#endif /* NGX_HTTP_AMPERSAND_BREAKER_H */
