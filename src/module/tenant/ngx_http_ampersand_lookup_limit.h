/*
 * How many look-ups may be made for tokens that turn out not to exist.
 *
 * Made-up tokens must cost Redis a bounded number of look-ups, and nothing in a
 * token tells a made-up one from one that this gateway has not seen yet.  So a
 * look-up is charged when it finds nothing: against a rate for its client
 * address, and against one for the worker.  Look-ups under way are counted,
 * too. Requests above one of these limits get 503 with Retry-After.
 *
 * Not charged nor refused: tokens in the zone, also where their records
 * changed, expired or were evicted in part; tokens that turn out to exist, so a
 * gateway may start while all its tenants send requests.  A new token is
 * affected by a flood from its own address only, or by one that takes the
 * worker's whole rate.
 *
 * Addresses share NGX_HTTP_AMPERSAND_LOOKUP_PLACES places by hash; an IPv6
 * address counts by its /64.  Behind a balancer set_real_ip_from tells clients
 * apart.
 */

#ifndef NGX_HTTP_AMPERSAND_LOOKUP_LIMIT_H
#define NGX_HTTP_AMPERSAND_LOOKUP_LIMIT_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


#define NGX_HTTP_AMPERSAND_LOOKUP_PLACES  1024


/* A worker's; zeroed before its first use.  Rates: tat, see amp_rate.h. */

typedef struct {
    ngx_uint_t  n;                  /* look-ups of unknown tokens under way   */
    time_t      logged;
    uint64_t    worker;
    uint64_t    places[NGX_HTTP_AMPERSAND_LOOKUP_PLACES];
} ngx_http_ampersand_lookup_limit_t;


/* The place of the client's address. */

ngx_uint_t ngx_http_ampersand_lookup_limit_place(ngx_http_request_t *r);

/* 1: another look-up may be made, for this place.  0: logged once a minute. */

ngx_uint_t ngx_http_ampersand_lookup_limit_admit(
    ngx_http_ampersand_lookup_limit_t *limit, ngx_uint_t place);

/* A look-up that was made for this place found nothing. */

void ngx_http_ampersand_lookup_limit_charge(
    ngx_http_ampersand_lookup_limit_t *limit, ngx_uint_t place);


#endif /* NGX_HTTP_AMPERSAND_LOOKUP_LIMIT_H */
