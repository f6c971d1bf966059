/*
 * Cool-downs in the zone: under a tenant's owner (amp_tenant.h), or under the
 * digest of one of its installations (see limit/ngx_http_ampersand_cooldown.h).
 * Another tenant that gets the id of a removed one has another owner.
 */

#ifndef NGX_AMPERSAND_COOLDOWN_H
#define NGX_AMPERSAND_COOLDOWN_H


#include "ngx_ampersand_zone.h"


#define NGX_AMPERSAND_COOLDOWN_MAX  86400000        /* ms: an upstream that
                                                       asks for more is wrong */


/*
 * Cools id down for ms from now on, unless a longer cool-down stands.  1: it is
 * longer by a second or more, so the other gateways should receive it.  With 0
 * ms the cool-down ends.
 */

ngx_uint_t ngx_ampersand_cooldown_set(ngx_ampersand_zone_t *zone,
    amp_span_t id, ngx_msec_t ms);

/* The ms that are left, or 0. */

ngx_msec_t ngx_ampersand_cooldown_left(ngx_ampersand_zone_t *zone,
    amp_span_t id);

/* 0: no cool-down stands in the zone.  Takes no lock. */

ngx_uint_t ngx_ampersand_cooldown_any(ngx_ampersand_zone_t *zone);


#endif /* NGX_AMPERSAND_COOLDOWN_H */
