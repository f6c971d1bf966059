#include "ngx_http_ampersand.h"


/*
 * Requests of this worker that wait for units: until a call of their tenant
 * ends, which this worker hears of when it made the call.  For the calls of
 * other workers, and for the time when the next call may be made, each has a
 * timer, the longer the longer it waits.  Nobody waits longer than a command to
 * Redis may take, and the time between calls.
 */


#define NGX_HTTP_AMPERSAND_PAUSE      2         /* ms, doubled each time      */
#define NGX_HTTP_AMPERSAND_PAUSE_MAX  50
#define NGX_HTTP_AMPERSAND_IDLE       1000      /* ms                         */


static void ngx_http_ampersand_lease_idle(ngx_event_t *ev);
static void ngx_http_ampersand_lease_wake(void *data, uint32_t tenant);
static void ngx_http_ampersand_lease_timer(ngx_event_t *ev);
static void ngx_http_ampersand_lease_woken(ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_lease_leave(void *data);


void
ngx_http_ampersand_lease_init(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_queue_init(&amcf->waiting);

    amcf->lessee.zone = amcf->zone;
    amcf->lessee.redis = amcf->link;
    amcf->lessee.prefix = &amcf->redis->prefix;
    amcf->lessee.log = ngx_cycle->log;
    amcf->lessee.fallback = amcf->limit_fallback;
    amcf->lessee.wake = ngx_http_ampersand_lease_wake;
    amcf->lessee.data = amcf;

    if (ngx_worker != 0) {
        return;
    }

    amcf->idle.handler = ngx_http_ampersand_lease_idle;
    amcf->idle.data = amcf;
    amcf->idle.log = ngx_cycle->log;
    amcf->idle.cancelable = 1;

    ngx_add_timer(&amcf->idle, NGX_HTTP_AMPERSAND_IDLE);
}


static void
ngx_http_ampersand_lease_idle(ngx_event_t *ev)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ev->data;

    ngx_ampersand_lease_idle(&amcf->lessee);

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_HTTP_AMPERSAND_IDLE);
    }
}


ngx_int_t
ngx_http_ampersand_lease_wait(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, uint64_t ns)
{
    ngx_msec_t                       pause;
    ngx_http_cleanup_t              *cln;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (!ctx->waited) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_ampersand_lease_leave;
        cln->data = ctx;

        ctx->waited = 1;
        ctx->deadline = ngx_current_msec + amcf->redis->timeout
                        + AMP_LEASE_PACE / 1000000;
        ctx->pause = NGX_HTTP_AMPERSAND_PAUSE;

        ctx->request = r;
        ctx->timer.handler = ngx_http_ampersand_lease_timer;
        ctx->timer.data = ctx;
        ctx->timer.log = r->connection->log;

    } else if ((ngx_msec_int_t) (ngx_current_msec - ctx->deadline) >= 0) {
        ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
        return NGX_DECLINED;
    }

    if (ngx_http_ampersand_wait(r) != NGX_AGAIN) {
        return NGX_ERROR;
    }

    pause = (ngx_msec_t) (ns / 1000000) + 1;
    pause = ngx_max(pause, ctx->pause);
    ctx->pause = ngx_min(ctx->pause * 2, NGX_HTTP_AMPERSAND_PAUSE_MAX);

    ngx_add_timer(&ctx->timer, pause);
    ngx_queue_insert_tail(&amcf->waiting, &ctx->waiter);

    ctx->state = NGX_HTTP_AMPERSAND_WAITING;

    return NGX_OK;
}


static void
ngx_http_ampersand_lease_wake(void *data, uint32_t tenant)
{
    ngx_http_ampersand_main_conf_t *amcf = data;

    amp_span_t                 id;
    ngx_queue_t               *q, *next;
    ngx_http_ampersand_ctx_t  *ctx;

    for (q = ngx_queue_head(&amcf->waiting);
         q != ngx_queue_sentinel(&amcf->waiting);
         q = next)
    {
        next = ngx_queue_next(q);

        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        id = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);

        if (ngx_ampersand_lease_tenant(id) == tenant) {
            ngx_http_ampersand_lease_woken(ctx);
        }
    }
}


static void
ngx_http_ampersand_lease_timer(ngx_event_t *ev)
{
    ngx_http_ampersand_lease_woken(ev->data);
}


static void
ngx_http_ampersand_lease_woken(ngx_http_ampersand_ctx_t *ctx)
{
    ngx_connection_t  *c;

    ngx_http_ampersand_lease_leave(ctx);

    ctx->state = NGX_HTTP_AMPERSAND_WOKEN;
    ctx->request->read_event_handler = ngx_http_block_reading;

    c = ctx->request->connection;
    ngx_post_event(c->write, &ngx_posted_events);
}


static void
ngx_http_ampersand_lease_leave(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    if (ctx->state == NGX_HTTP_AMPERSAND_WAITING) {
        ngx_queue_remove(&ctx->waiter);

        if (ctx->timer.timer_set) {
            ngx_del_timer(&ctx->timer);
        }

        ctx->state = NGX_HTTP_AMPERSAND_DENIED;
    }
}
