#include "ngx_ampersand_zone.h"


ngx_int_t
ngx_ampersand_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_time_t              *tp;
    ngx_uint_t               n;
    ngx_ampersand_zone_t    *zone, *old;
    ngx_ampersand_shared_t  *sh;

    zone = shm_zone->data;
    old = data;

    zone->shm_zone = shm_zone;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        sh = old->sh;

        if (sh->magic != NGX_AMPERSAND_ZONE_MAGIC || sh->layout != sizeof(*sh))
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "ampersand_zone: the running zone was made by "
                          "another build of this module, restart nginx");
            return NGX_ERROR;
        }

        sh->too_small = 0;
        zone->sh = sh;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_calloc(zone->shpool, sizeof(*sh));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* more buckets than nodes: each further node of a chain is a cache miss */

    for (n = 512; n * 256 < shm_zone->shm.size / 2; n *= 2) { /* void */ }

    sh->buckets = ngx_slab_calloc(zone->shpool, n * sizeof(*sh->buckets));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    /* above all bumps that a zone before this one can have used */

    tp = ngx_timeofday();
    sh->bump = (uint32_t) (tp->sec * 1000 + tp->msec);

    sh->magic = NGX_AMPERSAND_ZONE_MAGIC;
    sh->layout = sizeof(*sh);
    sh->mask = n - 1;
    sh->negative_max = shm_zone->shm.size / 16 / 128;
    sh->seq = 1;

    ngx_queue_init(&sh->lru);
    ngx_queue_init(&sh->negative);

    zone->sh = sh;

    if (zone->created(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    zone->shpool->data = sh;
    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


ngx_ampersand_counters_t *
ngx_ampersand_zone_counters(ngx_ampersand_zone_t *zone)
{
    return &zone->sh->counters;
}


volatile uint64_t *
ngx_ampersand_zone_unshared(ngx_ampersand_zone_t *zone)
{
    return zone->sh->unshared;
}


void
ngx_ampersand_zone_mark_stale(ngx_ampersand_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->sh->epoch++;

    /* look-ups under way began before that, too */

    zone->sh->stale_seq = ++zone->sh->seq;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_ampersand_zone_too_small(ngx_ampersand_zone_t *zone)
{
    return zone->sh->too_small == 1
           && ngx_atomic_cmp_set(&zone->sh->too_small, 1, 2);
}


void
ngx_ampersand_zone_stat(ngx_ampersand_zone_t *zone,
    ngx_ampersand_zone_stat_t *stat)
{
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;

    ngx_shmtx_lock(&zone->shpool->mutex);

    stat->tokens = sh->n[NGX_AMPERSAND_TOKEN];
    stat->negative = sh->nnegative;
    stat->tenants = sh->n[NGX_AMPERSAND_TENANT];
    stat->projects = sh->n[NGX_AMPERSAND_PROJECT];
    stat->size = zone->shm_zone->shm.size;
    stat->free_bytes = zone->shpool->pfree * ngx_pagesize;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}
