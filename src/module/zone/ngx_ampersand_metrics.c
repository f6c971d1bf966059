#include "ngx_ampersand_metrics.h"

#include <openssl/rand.h>


#define NGX_AMPERSAND_METRICS_STEP     16       /* places, several pages      */
#define NGX_AMPERSAND_METRICS_SILENCE  3600     /* seconds                    */
#define NGX_AMPERSAND_METRICS_LONG     86400    /* ... where usage is pending */


static ngx_int_t ngx_ampersand_metrics_init(ngx_shm_zone_t *shm_zone,
    void *data);
static size_t ngx_ampersand_metrics_size(ngx_uint_t n);
static ngx_ampersand_metrics_tenant_t *ngx_ampersand_metrics_place(
    ngx_ampersand_metrics_t *metrics, uint32_t hash, amp_span_t id);
static ngx_uint_t ngx_ampersand_metrics_is(
    const ngx_ampersand_metrics_tenant_t *tenant, uint32_t hash, amp_span_t id);
static ngx_uint_t ngx_ampersand_metrics_reported(
    const ngx_ampersand_usage_t *usage);
static void ngx_ampersand_metrics_free(ngx_ampersand_metrics_tenant_t *tenant,
    time_t now);


ngx_ampersand_metrics_t *
ngx_ampersand_metrics_create(ngx_conf_t *cf, ngx_uint_t n, void *tag)
{
    size_t                    size;
    ngx_str_t                 name = ngx_string("ampersand_metrics");
    ngx_shm_zone_t           *shm_zone;
    ngx_ampersand_metrics_t  *metrics;

    metrics = ngx_pcalloc(cf->pool, sizeof(*metrics));
    if (metrics == NULL) {
        return NULL;
    }

    metrics->n = n;

    /* nginx's allocator needs some of it: a part for each page, and its own */

    size = ngx_ampersand_metrics_size(n);
    size = ngx_align(size + size / 64, ngx_pagesize) + 8 * ngx_pagesize;

    shm_zone = ngx_shared_memory_add(cf, &name, size, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_ampersand_metrics_init;
    shm_zone->data = metrics;

    return metrics;
}


/*
 * nginx keeps a zone's memory at a reload where its size stays, in pages.  So
 * there are as many places as give another size, or the same number of places.
 */

static size_t
ngx_ampersand_metrics_size(ngx_uint_t n)
{
    n = ngx_align(n, NGX_AMPERSAND_METRICS_STEP);

    return sizeof(ngx_ampersand_metrics_shared_t)
           + n * sizeof(ngx_ampersand_metrics_tenant_t);
}


/*
 * A zone of the same size that another build made cannot come here:
 * ampersand_zone refuses it before.
 */

static ngx_int_t
ngx_ampersand_metrics_init(ngx_shm_zone_t *shm_zone, void *data)
{
    u_char                    random[NGX_AMPERSAND_METRICS_RUN / 2];
    ngx_ampersand_metrics_t  *metrics, *old;

    metrics = shm_zone->data;
    old = data;

    metrics->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old || shm_zone->shm.exists) {
        metrics->sh = metrics->shpool->data;

        return metrics->sh->layout == ngx_ampersand_metrics_size(metrics->n)
               ? NGX_OK : NGX_ERROR;
    }

    metrics->sh = ngx_slab_calloc(metrics->shpool,
                                  ngx_ampersand_metrics_size(metrics->n));
    if (metrics->sh == NULL) {
        return NGX_ERROR;
    }

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(metrics->sh->run, random, sizeof(random));

    metrics->sh->layout = ngx_ampersand_metrics_size(metrics->n);
    metrics->shpool->data = metrics->sh;

    return NGX_OK;
}


ngx_ampersand_metrics_tenant_t *
ngx_ampersand_metrics_tenant(ngx_ampersand_metrics_t *metrics, amp_span_t id)
{
    uint32_t                          hash;
    ngx_ampersand_metrics_tenant_t  **place, *tenant;

    if (id.len == 0) {
        return &metrics->sh->unidentified;
    }

    /* its name is that of the others */

    if (id.len == 5 && ngx_memcmp(id.data, "other", 5) == 0) {
        return &metrics->sh->other;
    }

    hash = ngx_murmur_hash2((u_char *) id.data, id.len);
    place = &metrics->places[hash % NGX_AMPERSAND_METRICS_PLACES];
    tenant = *place;

    /* one that found no place tries again a second later */

    if (tenant == NULL
        || (tenant == &metrics->sh->other
            ? tenant->last != ngx_time()
            : !ngx_ampersand_metrics_is(tenant, hash, id)))
    {
        ngx_shmtx_lock(&metrics->shpool->mutex);
        tenant = ngx_ampersand_metrics_place(metrics, hash, id);
        ngx_shmtx_unlock(&metrics->shpool->mutex);

        *place = tenant;
    }

    tenant->last = ngx_time();

    return tenant;
}


/* The tenant's place, or one that is free, or that of the others. */

static ngx_ampersand_metrics_tenant_t *
ngx_ampersand_metrics_place(ngx_ampersand_metrics_t *metrics, uint32_t hash,
    amp_span_t id)
{
    ngx_uint_t                       i;
    ngx_ampersand_metrics_tenant_t  *tenant, *empty;

    empty = NULL;

    for (i = 0; i < metrics->n; i++) {
        tenant = &metrics->sh->tenants[i];

        if (ngx_ampersand_metrics_is(tenant, hash, id)) {
            return tenant;
        }

        ngx_ampersand_metrics_free(tenant, ngx_time());

        if (tenant->len == 0 && empty == NULL) {
            empty = tenant;
        }
    }

    if (empty == NULL) {
        return &metrics->sh->other;
    }

    /* other workers read the place without the mutex: the length comes last */

    empty->hash = hash;
    empty->last = ngx_time();
    ngx_memcpy(empty->id, id.data, id.len);
    ngx_memory_barrier();
    empty->len = (u_char) id.len;

    return empty;
}


static ngx_uint_t
ngx_ampersand_metrics_is(const ngx_ampersand_metrics_tenant_t *tenant,
    uint32_t hash, amp_span_t id)
{
    return tenant->hash == hash && tenant->len == id.len
           && ngx_memcmp(tenant->id, id.data, id.len) == 0;
}


static void
ngx_ampersand_metrics_free(ngx_ampersand_metrics_tenant_t *tenant, time_t now)
{
    if (tenant->len
        && (now - tenant->last > NGX_AMPERSAND_METRICS_LONG
            || (now - tenant->last > NGX_AMPERSAND_METRICS_SILENCE
                && ngx_ampersand_metrics_reported(&tenant->usage))))
    {
        ngx_memzero(tenant, sizeof(*tenant));
    }
}


/* After another token took its place, a token's expiry is of no interest. */

void
ngx_ampersand_metrics_token(ngx_ampersand_metrics_tenant_t *tenant,
    time_t expires, time_t now)
{
    if (tenant->expires
        && (tenant->expires <= now
            || ngx_time() - tenant->expires_used
               > NGX_AMPERSAND_METRICS_SILENCE))
    {
        tenant->expires = 0;
    }

    if (expires && (tenant->expires == 0 || expires <= tenant->expires)) {
        tenant->expires = expires;
        tenant->expires_used = ngx_time();
    }
}


/* 1: Redis has the usage. */

static ngx_uint_t
ngx_ampersand_metrics_reported(const ngx_ampersand_usage_t *usage)
{
    ngx_uint_t  j;

    for (j = 0; j < AMP_USAGE_COUNTS; j++) {
        if (usage->pending[0][j] || usage->pending[1][j] || usage->report[j]) {
            return 0;
        }
    }

    return 1;
}


void
ngx_ampersand_metrics_expire(ngx_ampersand_metrics_t *metrics)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    for (i = 0; i < metrics->n; i++) {
        ngx_ampersand_metrics_free(&metrics->sh->tenants[i], ngx_time());
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}
