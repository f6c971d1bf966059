#include "ngx_ampersand_zone.h"


static ngx_int_t ngx_ampersand_zone_fill(ngx_ampersand_zone_t *zone);
static void ngx_ampersand_zone_empty(ngx_ampersand_zone_t *zone);


ngx_int_t
ngx_ampersand_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_time_t              *tp;
    ngx_ampersand_zone_t    *zone, *old;
    ngx_ampersand_shared_t  *sh;

    zone = shm_zone->data;
    old = data;

    zone->shm_zone = shm_zone;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        sh = old->sh;

        if (sh->magic != NGX_AMPERSAND_ZONE_MAGIC
            || sh->layout != NGX_AMPERSAND_LAYOUT)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "ampersand_zone: the running zone was made by "
                          "another build of this module, upgrade nginx "
                          "(USR2, then QUIT for the old master) or restart it");
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

    zone->sh = sh;

    if (ngx_ampersand_zone_fill(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    /* above all bumps that a zone before this one can have used */

    tp = ngx_timeofday();
    sh->bump = (uint32_t) (tp->sec * 1000 + tp->msec);

    sh->magic = NGX_AMPERSAND_ZONE_MAGIC;
    sh->layout = NGX_AMPERSAND_LAYOUT;
    sh->seq = 1;
    sh->started = ngx_time();

    if (zone->created(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    zone->shpool->data = sh;

    return NGX_OK;
}


/* Makes the hash table and the queues, of a zone that has only sh. */

static ngx_int_t
ngx_ampersand_zone_fill(ngx_ampersand_zone_t *zone)
{
    size_t                   size;
    ngx_uint_t               n;
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;
    size = zone->shm_zone->shm.size;

    /* more buckets than nodes: each further node of a chain is a cache miss */

    for (n = 512; n * 256 < size / 2; n *= 2) { /* void */ }

    sh->buckets = ngx_slab_calloc_locked(zone->shpool,
                                         n * sizeof(*sh->buckets));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    sh->mask = n - 1;
    sh->negative_max = size / 16 / 128;
    sh->nnegative = 0;
    ngx_memzero(sh->n, sizeof(sh->n));

    ngx_queue_init(&sh->lru);
    ngx_queue_init(&sh->negative);

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


/*
 * A process that dies has done the first part of what its code says, in that
 * order: so "changing" needs only that the compiler keeps it there.
 */

void
ngx_ampersand_zone_lock(ngx_ampersand_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    if (zone->sh->changing) {
        ngx_ampersand_zone_empty(zone);
    }

    zone->sh->changing = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);

    ngx_ampersand_zone_step();
}


void
ngx_ampersand_zone_unlock(ngx_ampersand_zone_t *zone)
{
    ngx_ampersand_zone_step();

    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    zone->sh->changing = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * Nothing of what a worker left half changed is read.  What stays are single
 * words, each of which is right by itself: counters, numbers that only grow,
 * the gateway's id.
 */

static void
ngx_ampersand_zone_empty(ngx_ampersand_zone_t *zone)
{
    u_char                  *log_ctx;
    ngx_slab_pool_t         *shpool;
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;
    shpool = zone->shpool;
    log_ctx = shpool->log_ctx;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "ampersand: a worker died while it changed ampersand_zone, "
                  "its content is read from Redis again");

    /*
     * An allocator as it was at first gives out the same memory again, and does
     * not write to it: other workers have the address of sh.
     */

    ngx_slab_init(shpool);
    shpool->log_ctx = log_ctx;

    if (ngx_slab_alloc_locked(shpool, sizeof(*sh)) != sh
        || ngx_ampersand_zone_fill(zone) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0,
                      "ampersand: ampersand_zone cannot be used any more, "
                      "restart nginx");
        exit(2);
    }

    sh->epoch++;
    sh->stale_seq = ++sh->seq;
    sh->emptied = 1;
    sh->pending = 0;
    sh->applied = 0;

    /* those that followed another are not known any more: see lease.lua */

    sh->leases.nservers = 0;
}


#if (NGX_AMPERSAND_TEST)

void
ngx_ampersand_zone_step(void)
{
    int                 n;
    FILE               *f;
    char                path[NGX_MAX_PATH];
    static ngx_uint_t   left;

    if (left && --left == 0) {
        (void) kill(ngx_pid, SIGKILL);
    }

    (void) ngx_snprintf((u_char *) path, sizeof(path), "%Vtmp/die-at-step%Z",
                        &ngx_cycle->prefix);

    f = left ? NULL : fopen(path, "r");

    if (f && unlink(path) == 0 && fscanf(f, "%d", &n) == 1) {
        left = n;
    }

    if (f) {
        fclose(f);
    }
}

#endif


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


ngx_uint_t
ngx_ampersand_zone_frozen(ngx_ampersand_zone_t *zone)
{
    return zone->sh->frozen;
}


void
ngx_ampersand_zone_mark_stale(ngx_ampersand_zone_t *zone)
{
    ngx_ampersand_zone_lock(zone);

    zone->sh->epoch++;

    /* look-ups under way began before that, too */

    zone->sh->stale_seq = ++zone->sh->seq;

    ngx_ampersand_zone_unlock(zone);
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

    ngx_ampersand_zone_lock(zone);

    stat->tokens = sh->n[NGX_AMPERSAND_TOKEN];
    stat->negative = sh->nnegative;
    stat->tenants = sh->n[NGX_AMPERSAND_TENANT];
    stat->projects = sh->n[NGX_AMPERSAND_PROJECT];
    stat->size = zone->shm_zone->shm.size;
    stat->free_bytes = zone->shpool->pfree * ngx_pagesize;

    ngx_ampersand_zone_unlock(zone);
}
