/*
 * What an answer says of the limits that its request was held to.
 *
 * RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): a
 * quota q for a window of w seconds, of which r units are available now.  For a
 * token bucket q is the burst and w the time in which it refills, so that q/w
 * is the rate.  Where no unit is left, t is the time until the next request
 * will be admitted (as in Retry-After), else the time until all q units are
 * available.
 */

#ifndef NGX_HTTP_AMPERSAND_LIMIT_HEADERS_H
#define NGX_HTTP_AMPERSAND_LIMIT_HEADERS_H


#include "ngx_http_ampersand_limit.h"


/* ampersand_limit_headers */

#define NGX_HTTP_AMPERSAND_LIMIT_HEADERS_OFF  0
#define NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ON   1     /* the draft's            */
#define NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ALL  2     /* and X-RateLimit-*      */


#define NGX_HTTP_AMPERSAND_POLICY_TEXT        64    /* bytes of each limit    */
#define NGX_HTTP_AMPERSAND_POLICIES           64    /* texts that are kept    */


/* A limit's part of RateLimit-Policy, which begins with its name. */

typedef struct {
    amp_limit_e  limit;
    amp_rate_t   rate;
    size_t       name;              /* its length                             */
    size_t       len;               /* 0: no text                             */
    u_char       text[NGX_HTTP_AMPERSAND_POLICY_TEXT];
} ngx_http_ampersand_policy_t;


/* A worker's: few policies exist, and the text of each is constant.  Zeroed. */

typedef struct {
    ngx_http_ampersand_policy_t  texts[NGX_HTTP_AMPERSAND_POLICIES];
} ngx_http_ampersand_policies_t;


/* Adds them where a limit applied.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_ampersand_limit_headers(ngx_http_request_t *r,
    ngx_http_ampersand_policies_t *policies,
    const ngx_http_ampersand_limited_t *limited, ngx_uint_t headers);


#endif /* NGX_HTTP_AMPERSAND_LIMIT_HEADERS_H */
