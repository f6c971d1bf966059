#include "request/ngx_http_ampersand.h"


/*
 * Requests of this worker that wait for units: until a call of their tenant
 * ends, which this worker hears of when it made the call.  For the calls of
 * other workers, and for the time when the next call may be made, each has a
 * timer, the longer the longer it waits.  Nobody waits longer, in all, than a
 * command to Redis may take, and the time between calls.
 *
 *   asking ──┬── the end of a call, or its timer ──▶ runs its phase again
 *   joined ──┘   (joined: if nobody asks for the same any more, else it waits)
 *
 * Of those who want one missing entry of the cache only one goes upstream, so
 * only one asks, in each worker.  What may be charged too much is one unit for
 * each other worker: its one asked, too, and then had no use for the answer.
 *
 * ctx->waits is the request that waits, NULL when none does: the main one, or
 * its background refresh.  Its phase is access or content; either begins anew,
 * and a client that leaves takes it out (ngx_http_ampersand_lease_wait_leave()).
 */


#define NGX_HTTP_AMPERSAND_PAUSE      2         /* ms, doubled each time      */
#define NGX_HTTP_AMPERSAND_PAUSE_MAX  50
#define NGX_HTTP_AMPERSAND_IDLE       1000      /* ms                         */


static void ngx_http_ampersand_lease_wait_idle(ngx_event_t *ev);
static ngx_uint_t ngx_http_ampersand_lease_wait_asking(ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_lease_wait_park(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_msec_t pause);
static void ngx_http_ampersand_lease_wait_pause(ngx_http_ampersand_ctx_t *ctx,
    ngx_msec_t least);
static void ngx_http_ampersand_lease_wait_wake(void *data, uint32_t tenant);
static void ngx_http_ampersand_lease_wait_go(ngx_event_t *ev);
static void ngx_http_ampersand_lease_wait_leave(void *data);


void
ngx_http_ampersand_lease_wait_init(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_queue_init(&amcf->waiting);

    amcf->lessee.zone = amcf->zone;
    amcf->lessee.redis = amcf->link;
    amcf->lessee.prefix = &amcf->redis->prefix;
    amcf->lessee.log = ngx_cycle->log;
    amcf->lessee.fallback = amcf->limit_fallback;
    amcf->lessee.wake = ngx_http_ampersand_lease_wait_wake;
    amcf->lessee.data = amcf;

    ngx_ampersand_redis_on_server(amcf->link, ngx_ampersand_lease_met,
                                  amcf->zone);

    if (ngx_worker != 0) {
        return;
    }

    amcf->idle.handler = ngx_http_ampersand_lease_wait_idle;
    amcf->idle.data = amcf;
    amcf->idle.log = ngx_cycle->log;
    amcf->idle.cancelable = 1;

    ngx_add_timer(&amcf->idle, NGX_HTTP_AMPERSAND_IDLE);
}


static void
ngx_http_ampersand_lease_wait_idle(ngx_event_t *ev)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ev->data;

    ngx_ampersand_lease_idle(&amcf->lessee);

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_HTTP_AMPERSAND_IDLE);
    }
}


ngx_int_t
ngx_http_ampersand_lease_wait_begin(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, uint64_t ns)
{
    ctx->joined = 0;
    ctx->waited = 1;

    return ngx_http_ampersand_lease_wait_park(r, ctx, (ngx_msec_t) (ns / 1000000));
}


ngx_int_t
ngx_http_ampersand_lease_wait_join(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    /* who does not hold nginx's lock of the entry goes upstream as well */

    if (ctx->state != NGX_HTTP_AMPERSAND_PASSED || r != r->main
        || r->cache == NULL || !r->cache->lock
        || !ngx_http_ampersand_cache_lock_shared(r)
        || !ngx_http_ampersand_lease_wait_asking(r))
    {
        return NGX_DECLINED;
    }

    ctx->joined = 1;

    return ngx_http_ampersand_lease_wait_park(r, ctx, 0);
}


static ngx_uint_t
ngx_http_ampersand_lease_wait_asking(ngx_http_request_t *r)
{
    ngx_queue_t                     *q;
    ngx_http_cache_t                *c;
    ngx_http_ampersand_ctx_t        *ctx;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    /* those who ask stand first */

    for (q = ngx_queue_head(&amcf->waiting);
         q != ngx_queue_sentinel(&amcf->waiting);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);

        if (ctx->joined) {
            break;
        }

        c = ctx->waits->cache;

        if (c && ngx_memcmp(c->main, r->cache->main, NGX_HTTP_CACHE_KEY_LEN)
                 == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_ampersand_lease_wait_park(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_msec_t pause)
{
    ngx_http_cleanup_t              *cln;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (ctx->timer.handler == NULL) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_ampersand_lease_wait_leave;
        cln->data = ctx;

        ctx->patience = amcf->redis->timeout + AMP_LEASE_PACE / 1000000;
        ctx->pause = NGX_HTTP_AMPERSAND_PAUSE;

        ctx->timer.handler = ngx_http_ampersand_lease_wait_go;
        ctx->timer.data = ctx;
        ctx->timer.log = r->connection->log;
    }

    if (ctx->patience <= 0) {
        return NGX_DONE;
    }

    ctx->waits = r;
    ctx->since = ngx_current_msec;

    ngx_http_ampersand_lease_wait_pause(ctx, pause + 1);

    if (ctx->joined) {
        ngx_queue_insert_tail(&amcf->waiting, &ctx->waiter);

    } else {
        ngx_queue_insert_head(&amcf->waiting, &ctx->waiter);
    }

    return NGX_OK;
}


static void
ngx_http_ampersand_lease_wait_pause(ngx_http_ampersand_ctx_t *ctx, ngx_msec_t least)
{
    ngx_add_timer(&ctx->timer, ngx_max(least, ctx->pause));

    ctx->pause = ngx_min(ctx->pause * 2, NGX_HTTP_AMPERSAND_PAUSE_MAX);
}


static void
ngx_http_ampersand_lease_wait_wake(void *data, uint32_t tenant)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    amp_span_t                 id;
    ngx_queue_t               *q;
    ngx_http_ampersand_ctx_t  *ctx;

    for (q = ngx_queue_head(&amcf->waiting);
         q != ngx_queue_sentinel(&amcf->waiting);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        id = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);

        if (ctx->timer.timer_set && ngx_ampersand_lease_tenant(id) == tenant) {
            ngx_del_timer(&ctx->timer);
            ngx_post_event(&ctx->timer, &ngx_posted_events);
        }
    }
}


static void
ngx_http_ampersand_lease_wait_go(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_ampersand_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->waits;
    c = r->connection;

    if (ctx->joined && ngx_http_ampersand_lease_wait_asking(r)) {
        ngx_http_ampersand_lease_wait_pause(ctx, 0);
        return;
    }

    ngx_http_ampersand_lease_wait_leave(ctx);

    ngx_http_set_log_request(c->log, r);

    if (r == r->main) {
        r->read_event_handler = ngx_http_block_reading;
    }

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_ampersand_lease_wait_leave(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    if (ctx->waits == NULL) {
        return;
    }

    ngx_queue_remove(&ctx->waiter);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    if (ctx->timer.posted) {
        ngx_delete_posted_event(&ctx->timer);
    }

    ctx->waits = NULL;
    ctx->patience -= ngx_current_msec - ctx->since;

    if (ctx->state == NGX_HTTP_AMPERSAND_WAITING) {
        ctx->state = NGX_HTTP_AMPERSAND_WOKEN;
    }
}
