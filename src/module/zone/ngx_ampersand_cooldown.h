/*
 * Whom Ampersand has asked, by a 429, to be left alone for a while: in the zone,
 * under the tenant's id, or the digest of what of the tenant it concerns.
 */

#ifndef NGX_AMPERSAND_COOLDOWN_H
#define NGX_AMPERSAND_COOLDOWN_H


#include "ngx_ampersand_zone.h"


#define NGX_AMPERSAND_COOLDOWN_MAX  86400000        /* ms: longer is no limit
                                                       but a fault            */


/*
 * From now on for so many ms, if that is longer than what is known.  1: by a
 * second or more, others should hear of it.
 */

ngx_uint_t ngx_ampersand_cooldown_set(ngx_ampersand_zone_t *zone,
    amp_span_t id, ngx_msec_t ms);

/* The ms that are left, 0 when it is not cooling down. */

ngx_msec_t ngx_ampersand_cooldown_left(ngx_ampersand_zone_t *zone,
    amp_span_t id);

/* 0: nobody at all is cooling down.  Takes no lock. */

ngx_uint_t ngx_ampersand_cooldown_any(ngx_ampersand_zone_t *zone);


#endif /* NGX_AMPERSAND_COOLDOWN_H */
