#include "ngx_ampersand_waves.h"


#define NGX_AMPERSAND_WAVES_KEPT  10000         /* ms after the last failure  */


static ngx_ampersand_wave_t *
ngx_ampersand_waves_place(ngx_ampersand_zone_t *zone, uint64_t key)
{
    return &zone->sh->waves[key % NGX_AMPERSAND_WAVES];
}


/* Of this key, and not too old?  The mutex is held. */

static ngx_uint_t
ngx_ampersand_waves_is(ngx_ampersand_wave_t *wave, uint64_t key)
{
    return wave->key == key && wave->count.failed
           && (wave->count.failed < wave->count.sent
               || ngx_ampersand_zone_passed(wave->changed)
                  < NGX_AMPERSAND_WAVES_KEPT);
}


void
ngx_ampersand_waves_failed(ngx_ampersand_zone_t *zone, uint64_t key,
    ngx_uint_t status)
{
    ngx_ampersand_wave_t  *wave;

    wave = ngx_ampersand_waves_place(zone, key);

    ngx_ampersand_zone_lock(zone);

    if (!ngx_ampersand_waves_is(wave, key)) {
        ngx_memzero(wave, sizeof(*wave));
        wave->key = key;
    }

    amp_waves_failed(&wave->count);
    wave->status = (uint32_t) status;
    wave->changed = ngx_current_msec;

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_waves_began(ngx_ampersand_zone_t *zone, uint64_t key)
{
    ngx_ampersand_wave_t  *wave;

    wave = ngx_ampersand_waves_place(zone, key);

    if (wave->key != key) {
        return;
    }

    ngx_ampersand_zone_lock(zone);

    if (ngx_ampersand_waves_is(wave, key)) {
        amp_waves_began(&wave->count);
        wave->changed = ngx_current_msec;
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_waves_stored(ngx_ampersand_zone_t *zone, uint64_t key)
{
    ngx_ampersand_wave_t  *wave;

    wave = ngx_ampersand_waves_place(zone, key);

    if (wave->key != key) {
        return;
    }

    ngx_ampersand_zone_lock(zone);

    if (wave->key == key) {
        ngx_memzero(wave, sizeof(*wave));
    }

    ngx_ampersand_zone_unlock(zone);
}


ngx_int_t
ngx_ampersand_waves_next(ngx_ampersand_zone_t *zone, uint64_t key,
    ngx_msec_t timeout, ngx_uint_t *status)
{
    ngx_int_t              rc;
    ngx_ampersand_wave_t  *wave;

    wave = ngx_ampersand_waves_place(zone, key);

    if (wave->key != key) {
        *status = 0;
        return NGX_DECLINED;
    }

    ngx_ampersand_zone_lock(zone);

    rc = NGX_DECLINED;
    *status = 0;

    if (ngx_ampersand_waves_is(wave, key)) {

        if (ngx_ampersand_zone_passed(wave->changed) > timeout) {
            wave->count.failed = wave->count.sent;
        }

        switch (amp_waves_next(&wave->count)) {

        case AMP_WAVE_GO:
            wave->changed = ngx_current_msec;
            rc = NGX_OK;
            break;

        case AMP_WAVE_WAIT:
            *status = (wave->count.sent < AMP_WAVES_THIRD) ? 0 : wave->status;
            rc = NGX_AGAIN;
            break;

        default: /* AMP_WAVE_REFUSE */
            *status = wave->status;
            rc = NGX_ABORT;
        }
    }

    ngx_ampersand_zone_unlock(zone);

    return rc;
}
