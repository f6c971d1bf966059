/*
 * The breakers (core/amp_breaker.h) of this gateway, one for each API and
 * upstream{}: a host of Ampersand, or what stands in for it.
 */

#ifndef NGX_AMPERSAND_BREAKER_H
#define NGX_AMPERSAND_BREAKER_H


#include "ngx_ampersand_layout.h"
#include "ngx_ampersand_zone.h"


/*
 * The breaker of this upstream{}; NULL where the zone has no place for one more
 * (NGX_AMPERSAND_BREAKERS): its host is never suspended.  It stays where it is
 * as long as the zone.
 */

ngx_ampersand_breaker_t *ngx_ampersand_breaker(ngx_ampersand_zone_t *zone,
    ngx_uint_t api, ngx_str_t *upstream);

/* amp_breaker_left().  Takes no lock. */

ngx_msec_t ngx_ampersand_breaker_left(const ngx_ampersand_breaker_t *breaker);

/* amp_breaker_admit(), _answered(), _failed(), _released(): of all workers. */

amp_breaker_e ngx_ampersand_breaker_admit(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker);
ngx_uint_t ngx_ampersand_breaker_answered(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker);
ngx_msec_t ngx_ampersand_breaker_failed(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker, ngx_uint_t probe);
void ngx_ampersand_breaker_released(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker);

/* How many hosts of this API are suspended? */

ngx_uint_t ngx_ampersand_breaker_count(ngx_ampersand_zone_t *zone,
    ngx_uint_t api);


#endif /* NGX_AMPERSAND_BREAKER_H */
