#include "ngx_ampersand_breaker.h"


ngx_ampersand_breaker_t *
ngx_ampersand_breaker(ngx_ampersand_zone_t *zone, ngx_uint_t api,
    ngx_str_t *upstream)
{
    uint32_t                  hash;
    ngx_uint_t                i;
    ngx_ampersand_breaker_t  *breaker, *found;

    hash = ngx_crc32_long(upstream->data, upstream->len);
    found = NULL;

    ngx_ampersand_zone_lock(zone);

    for (i = 0; i < NGX_AMPERSAND_BREAKERS; i++) {
        breaker = &zone->sh->breakers[i];

        if (!breaker->used) {
            breaker->used = 1;
            breaker->api = (uint32_t) api;
            breaker->upstream = hash;
        }

        if (breaker->api == api && breaker->upstream == hash) {
            found = breaker;
            break;
        }
    }

    ngx_ampersand_zone_unlock(zone);

    return found;
}


ngx_msec_t
ngx_ampersand_breaker_left(const ngx_ampersand_breaker_t *breaker)
{
    return (ngx_msec_t) amp_breaker_left(&breaker->state, ngx_current_msec);
}


/* A host that works needs no lock: its breaker is only read. */

amp_breaker_e
ngx_ampersand_breaker_admit(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker)
{
    amp_breaker_e  rc;

    if (breaker->state.pause == 0) {
        return AMP_BREAKER_PASS;
    }

    ngx_ampersand_zone_lock(zone);
    rc = amp_breaker_admit(&breaker->state, ngx_current_msec);
    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_uint_t
ngx_ampersand_breaker_answered(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker)
{
    ngx_uint_t  working;

    if (breaker->state.pause == 0 && breaker->state.failures == 0) {
        return 0;
    }

    ngx_ampersand_zone_lock(zone);
    working = (amp_breaker_answered(&breaker->state) != 0);
    ngx_ampersand_zone_unlock(zone);

    return working;
}


ngx_msec_t
ngx_ampersand_breaker_failed(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker, ngx_uint_t probe)
{
    ngx_msec_t  pause;

    ngx_ampersand_zone_lock(zone);
    pause = amp_breaker_failed(&breaker->state, ngx_current_msec, (int) probe);
    ngx_ampersand_zone_unlock(zone);

    return pause;
}


void
ngx_ampersand_breaker_released(ngx_ampersand_zone_t *zone,
    ngx_ampersand_breaker_t *breaker)
{
    ngx_ampersand_zone_lock(zone);
    amp_breaker_released(&breaker->state, ngx_current_msec);
    ngx_ampersand_zone_unlock(zone);
}


ngx_uint_t
ngx_ampersand_breaker_count(ngx_ampersand_zone_t *zone, ngx_uint_t api)
{
    ngx_uint_t                i, n;
    ngx_ampersand_breaker_t  *breaker;

    n = 0;

    for (i = 0; i < NGX_AMPERSAND_BREAKERS; i++) {
        breaker = &zone->sh->breakers[i];

        n += (breaker->used && breaker->api == api && breaker->state.pause);
    }

    return n;
}
