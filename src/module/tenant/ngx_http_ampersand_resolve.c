#include "ngx_http_ampersand_lookup.h"


/*
 * Who is the tenant: shared memory, else Redis.
 *
 *   FRESH      served
 *   UNKNOWN    refused
 *   STALE      asked for again; served as it is where Redis does not answer,
 *              unless an event names it meanwhile
 *   CHANGED    asked for again; nobody is served without an answer
 *   MISS       a stranger: asked for, within bounds
 *
 * Requests for the same token share one look-up in each worker.
 */


#define NGX_HTTP_AMPERSAND_ROOM  512            /* most tenants fit           */


static void ngx_http_ampersand_landed(ngx_http_ampersand_lookup_t *flight,
    amp_reason_e reason);
static ngx_ampersand_zone_e ngx_http_ampersand_known(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);
static amp_reason_e ngx_http_ampersand_join(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t stranger);
static void ngx_http_ampersand_leave(void *data);
static ngx_queue_t *ngx_http_ampersand_bucket(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_ctx_t *ctx);
static ngx_http_ampersand_lookup_t *ngx_http_ampersand_find(
    ngx_queue_t *bucket, ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_deliver(ngx_http_ampersand_lookup_t *flight,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason);
static ngx_uint_t ngx_http_ampersand_still(ngx_http_ampersand_ctx_t *ctx);


ngx_int_t
ngx_http_ampersand_resolve(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_cleanup_t              *cln;
    ngx_ampersand_zone_e             found;
    ngx_http_ampersand_main_conf_t  *amcf;

    ctx->request = r;
    found = ngx_http_ampersand_known(r, ctx);

    switch (found) {

    case NGX_AMPERSAND_ZONE_LARGE:
        return NGX_ERROR;

    case NGX_AMPERSAND_ZONE_FRESH:
        ctx->resolved = AMP_OK;
        return NGX_OK;

    case NGX_AMPERSAND_ZONE_UNKNOWN:
        ctx->resolved = ctx->identity.data ? AMP_NO_IDENTITY
                                           : AMP_UNKNOWN_TOKEN;
        return NGX_OK;

    case NGX_AMPERSAND_ZONE_MISS:

        /* made-up tokens end here, without a look-up */

        if (ctx->identity.data == NULL
            && !amp_token_valid(ngx_http_ampersand_span(ctx->headers.token)))
        {
            ctx->resolved = AMP_BAD_TOKEN;
            return NGX_OK;
        }

        break;

    default: /* STALE, CHANGED */
        ctx->stale = (found == NGX_AMPERSAND_ZONE_STALE);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ctx->resolved = ngx_http_ampersand_join(r, ctx,
                                            found == NGX_AMPERSAND_ZONE_MISS);

    if (ctx->resolved == AMP_OK) {
        cln->handler = ngx_http_ampersand_leave;
        cln->data = ctx;

        return ngx_http_ampersand_wait(r);
    }

    if (ctx->stale) {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
        ngx_http_ampersand_count_up(amcf, stale_served);
        ctx->resolved = AMP_OK;
    }

    return NGX_OK;
}


static void
ngx_http_ampersand_landed(ngx_http_ampersand_lookup_t *flight,
    amp_reason_e reason)
{
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_ampersand_ctx_t  *ctx;

    if (reason == AMP_STORE_DOWN) {
        ngx_http_ampersand_count_up(flight->amcf, lookup_failures);

    } else {
        flight->amcf->refusing = 0;
    }

    if (flight->stranger
        && (reason == AMP_UNKNOWN_TOKEN || reason == AMP_NO_IDENTITY))
    {
        ngx_http_ampersand_lookup_limit_charge(flight->amcf, flight->place);
    }

    if (ngx_ampersand_zone_crowded(flight->amcf->zone)) {
        ngx_log_error(NGX_LOG_WARN, flight->log, 0,
                      "ampersand: \"ampersand_zone\" is too small: tenants in "
                      "use are pushed out and looked up again");
    }

    while (!ngx_queue_empty(&flight->waiters)) {
        q = ngx_queue_head(&flight->waiters);
        ngx_queue_remove(q);

        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        ctx->flight = NULL;

        ngx_http_ampersand_deliver(flight, ctx, reason);

        ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
        ctx->request->read_event_handler = ngx_http_block_reading;

        c = ctx->request->connection;
        ngx_post_event(c->write, &ngx_posted_events);
    }

    ngx_http_ampersand_lookup_free(flight);
}


void
ngx_http_ampersand_ahead(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_uint_t step)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    ngx_ampersand_zone_ahead(amcf->zone, ctx->digest, step);
}


/* Fills ctx->known where it is STALE or FRESH; LARGE: no memory. */

static ngx_ampersand_zone_e
ngx_http_ampersand_known(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    amp_span_t                       id;
    ngx_ampersand_zone_e             found;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    id = ngx_http_ampersand_span(ctx->identity);
    ctx->known.size = NGX_HTTP_AMPERSAND_ROOM;

    do {
        if (ctx->known.size > ctx->known.cap) {
            ctx->known.tenant = ngx_palloc(r->pool, ctx->known.size);
            if (ctx->known.tenant == NULL) {
                return NGX_AMPERSAND_ZONE_LARGE;
            }

            ctx->known.cap = ctx->known.size;
        }

        found = ngx_ampersand_zone_find(amcf->zone,
                                        id.data ? NULL : ctx->digest,
                                        id, &ctx->known);

    } while (found == NGX_AMPERSAND_ZONE_LARGE);

    return found;
}


/* A client that goes is noticed at once, as limit_req does it. */

ngx_int_t
ngx_http_ampersand_wait(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}


/* AMP_BUSY: no more strangers now.  AMP_STORE_DOWN: no look-up can be made. */

static amp_reason_e
ngx_http_ampersand_join(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t stranger)
{
    ngx_uint_t                       place;
    ngx_queue_t                     *bucket;
    ngx_http_ampersand_lookup_t     *flight;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    bucket = ngx_http_ampersand_bucket(amcf, ctx);
    flight = ngx_http_ampersand_find(bucket, ctx);

    if (flight == NULL) {
        place = stranger ? ngx_http_ampersand_lookup_limit_place(r) : 0;

        if (stranger && !ngx_http_ampersand_lookup_limit_admit(amcf, place)) {
            return AMP_BUSY;
        }

        flight = ngx_http_ampersand_lookup_start(amcf, bucket, ctx,
                                                 ngx_http_ampersand_landed);

        if (flight == NULL) {
            return AMP_STORE_DOWN;
        }

        if (stranger) {
            flight->stranger = 1;
            flight->place = place;
            amcf->strangers.n++;
        }
    }

    ctx->flight = flight;
    ngx_queue_insert_tail(&flight->waiters, &ctx->waiter);

    return AMP_OK;
}


static void
ngx_http_ampersand_leave(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    if (ctx->flight) {
        ngx_queue_remove(&ctx->waiter);
        ctx->flight = NULL;
    }
}


static ngx_queue_t *
ngx_http_ampersand_bucket(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_ctx_t *ctx)
{
    uint32_t  hash;

    hash = ctx->identity.data
           ? ngx_murmur_hash2(ctx->identity.data, ctx->identity.len)
           : ctx->digest[0];

    return &amcf->flights[hash % NGX_HTTP_AMPERSAND_BUCKETS];
}


static ngx_http_ampersand_lookup_t *
ngx_http_ampersand_find(ngx_queue_t *bucket,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_queue_t                  *q;
    ngx_http_ampersand_lookup_t  *flight;

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        flight = ngx_queue_data(q, ngx_http_ampersand_lookup_t, queue);

        if (flight->by_token != (ctx->identity.data == NULL)) {
            continue;
        }

        if (flight->by_token
            ? ngx_memcmp(flight->digest, ctx->digest, AMP_TOKEN_DIGEST) == 0
            : flight->id_len == ctx->identity.len
              && ngx_memcmp(flight->id, ctx->identity.data, flight->id_len)
                 == 0)
        {
            return flight;
        }
    }

    return NULL;
}


static void
ngx_http_ampersand_deliver(ngx_http_ampersand_lookup_t *flight,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason)
{
    ctx->resolved = reason;

    if ((reason == AMP_STORE_DOWN || reason == AMP_BAD_RECORD)
        && ngx_http_ampersand_still(ctx))
    {
        ngx_http_ampersand_count_up(flight->amcf, stale_served);
        ctx->resolved = AMP_OK;
        return;
    }

    ctx->stale = 0;

    if (reason != AMP_OK) {
        return;
    }

    if (flight->tenant->size > ctx->known.cap) {
        ctx->known.tenant = ngx_palloc(ctx->request->pool,
                                       flight->tenant->size);
        if (ctx->known.tenant == NULL) {
            ctx->resolved = AMP_INTERNAL;
            return;
        }
    }

    ngx_memcpy(ctx->known.tenant, flight->tenant, flight->tenant->size);
    ngx_memcpy(ctx->known.gens, flight->gens, sizeof(flight->gens));

    /* what this gateway wrote meanwhile is in the zone only */

    ngx_ampersand_zone_generations(flight->amcf->zone,
                               amp_tenant_field(flight->tenant,
                                                flight->tenant->project_id),
                               &ctx->known);
}


/* It may still serve, unless an event has named it since. */

static ngx_uint_t
ngx_http_ampersand_still(ngx_http_ampersand_ctx_t *ctx)
{
    ngx_ampersand_zone_e  found;

    if (!ctx->stale) {
        return 0;
    }

    found = ngx_http_ampersand_known(ctx->request, ctx);

    ctx->stale = (found == NGX_AMPERSAND_ZONE_STALE
                  || found == NGX_AMPERSAND_ZONE_FRESH);

    return ctx->stale;
}
