#include "ngx_ampersand_clock.h"


static int64_t ngx_ampersand_clock_own(void);


void
ngx_ampersand_clock_set(ngx_ampersand_zone_t *zone, ngx_msec_t sent,
    uint64_t redis)
{
    if (redis == 0) {
        sent = ngx_current_msec;
        redis = (uint64_t) ngx_ampersand_clock_own();
    }

    zone->sh->redis_time = redis - sent - (ngx_current_msec - sent) / 2;
}


time_t
ngx_ampersand_clock_now(ngx_ampersand_zone_t *zone)
{
    uint64_t  distance;

    distance = zone->sh->redis_time;

    return distance ? (time_t) ((distance + ngx_current_msec) / 1000)
                    : ngx_time();
}


ngx_uint_t
ngx_ampersand_clock_expired(ngx_ampersand_zone_t *zone, time_t expires)
{
    return expires && zone->sh->redis_time
           && expires <= ngx_ampersand_clock_now(zone);
}


ngx_int_t
ngx_ampersand_clock_ahead(ngx_ampersand_zone_t *zone, int64_t *ms)
{
    uint64_t  distance;

    distance = zone->sh->redis_time;
    *ms = 0;

    if (distance == 0) {
        return NGX_DECLINED;
    }

    *ms = ngx_ampersand_clock_own() - (int64_t) (distance + ngx_current_msec);

    return NGX_OK;
}


static int64_t
ngx_ampersand_clock_own(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + (int64_t) tp->msec;
}
