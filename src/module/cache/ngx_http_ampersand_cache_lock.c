#include "request/ngx_http_ampersand.h"


/*
 * Many clients, one cold key.  proxy_cache_lock lets one request ask upstream
 * and has the others wait, in all workers, but they look only twice a second.
 * The lock stays nginx's; this wakes its waiters in time.  A request that is
 * about to look into the cache goes through two queues of its worker:
 *
 *   entered ── nginx has it wait ──▶ waiting
 *          └── else ──▶ out
 *   waiting ── the lock is held ──▶ waiting
 *          ├── an answer was stored ──▶ all are woken, ──▶ entered
 *          ├── the answer cannot be shared ──▶ all are woken, to go upstream at
 *          │   once: one after the other would be slower than without a cache
 *          └── it failed, or the lock is too old ──▶ one is woken, ──▶ entered:
 *              it asks next.  After the next failure two are, then four, ...:
 *              nobody waits for all who came before, and an upstream in trouble
 *              does not get all at once
 *
 * Waiting ones are looked at when a request that was upstream ends in this
 * worker, and, for what ends in others or is killed there, every 2 ms while
 * there are any.  Whatever is misjudged here is only a wake-up: nginx looks
 * itself, under the cache's mutex.
 *
 * A woken request is alive: r->main->blocked keeps it until nginx's handler of
 * wait_event has run.  One that ends leaves its queue in its cleanup.
 *
 * The client who asked may leave.  nginx goes on for the sake of the cache, but
 * gives up when it cannot send the header: so none is sent.
 *
 * What cannot be shared stands in the zone for a while, a word for each key:
 * 40 bits of its hash, 24 of the second.  Nobody waits for such a key.
 */


#define NGX_HTTP_AMPERSAND_LOOK      2          /* ms                         */
#define NGX_HTTP_AMPERSAND_UNSHARED  10         /* seconds                    */
#define NGX_HTTP_AMPERSAND_FAILURES  15         /* counted, at most           */
#define NGX_HTTP_AMPERSAND_SECONDS   0xffffff


typedef struct {
    ngx_queue_t  entered;
    ngx_queue_t  waiting;
    ngx_event_t  sort;              /* posted: who of those entered waits     */
    ngx_event_t  look;              /* posted, or its timer                   */
} ngx_http_ampersand_cache_lock_t;


static void ngx_http_ampersand_cache_lock_sort(ngx_event_t *ev);
static void ngx_http_ampersand_cache_lock_look(ngx_event_t *ev);
static ngx_uint_t ngx_http_ampersand_cache_lock_woken(ngx_http_cache_t *c);
static void ngx_http_ampersand_cache_lock_wake(ngx_http_ampersand_ctx_t *ctx);
static void ngx_http_ampersand_cache_lock_go(ngx_event_t *ev);
static volatile uint64_t *ngx_http_ampersand_cache_lock_word(
    ngx_http_request_t *r, uint64_t *hash);


/* this worker's */

static ngx_http_ampersand_cache_lock_t  ngx_http_ampersand_cache_lock;


void
ngx_http_ampersand_cache_lock_enter(ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_ampersand_cache_lock_t  *cl;

    if (ctx->entered) {
        return;
    }

    cl = &ngx_http_ampersand_cache_lock;

    if (cl->entered.next == NULL) {
        ngx_queue_init(&cl->entered);
        ngx_queue_init(&cl->waiting);

        cl->sort.handler = ngx_http_ampersand_cache_lock_sort;
        cl->sort.data = cl;

        cl->look.handler = ngx_http_ampersand_cache_lock_look;
        cl->look.data = cl;
        cl->look.cancelable = 1;
    }

    cl->sort.log = ngx_cycle->log;
    cl->look.log = ngx_cycle->log;

    ctx->entered = 1;
    ngx_queue_insert_tail(&cl->entered, &ctx->waiter);

    ngx_post_event(&cl->sort, &ngx_posted_events);
}


void
ngx_http_ampersand_cache_lock_leave(ngx_http_ampersand_ctx_t *ctx)
{
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = &ngx_http_ampersand_cache_lock;

    if (ctx->entered) {
        ctx->entered = 0;
        ngx_queue_remove(&ctx->waiter);

        /* as a rule the only one, who has got his answer without waiting */

        if (cl->sort.posted && ngx_queue_empty(&cl->entered)) {
            ngx_delete_posted_event(&cl->sort);
        }
    }

    if (ctx->key_used && cl->waiting.next && !ngx_queue_empty(&cl->waiting)) {
        ngx_post_event(&cl->look, &ngx_posted_events);
    }
}


/*
 * nginx decides in the same call in which it reads the key, so what does not
 * wait now will not.
 */

static void
ngx_http_ampersand_cache_lock_sort(ngx_event_t *ev)
{
    ngx_queue_t                    *q;
    ngx_http_cache_t               *c;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = ev->data;

    while (!ngx_queue_empty(&cl->entered)) {
        q = ngx_queue_head(&cl->entered);
        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        c = ctx->request->cache;

        ngx_queue_remove(q);

        if (c == NULL || !c->waiting) {
            ctx->entered = 0;

        } else {
            ngx_queue_insert_tail(&cl->waiting, q);
        }
    }

    if (ngx_queue_empty(&cl->waiting)) {
        return;
    }

    if (!cl->look.timer_set) {
        ngx_add_timer(&cl->look, NGX_HTTP_AMPERSAND_LOOK);
    }
}


static void
ngx_http_ampersand_cache_lock_look(ngx_event_t *ev)
{
    ngx_uint_t                      n;
    ngx_queue_t                    *q, *next;
    ngx_http_cache_t               *c;
    ngx_http_request_t             *r;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_file_cache_node_t     *node;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = ev->data;

    /* a second look, before those woken have run, would see another failure */

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    for (q = ngx_queue_head(&cl->waiting);
         q != ngx_queue_sentinel(&cl->waiting);
         q = next)
    {
        next = ngx_queue_next(q);
        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        r = ctx->request;
        c = r->cache;

        /* nginx's own timer was first */

        if (c == NULL || !c->waiting || !c->wait_event.timer_set) {
            ngx_queue_remove(q);
            ctx->entered = 0;
            continue;
        }

        node = c->node;

        if (!ngx_http_ampersand_cache_lock_shared(r)) {
            c->lock = 0;
            c->wait_event.handler = ngx_http_ampersand_cache_lock_go;

        } else if (node->updating
                   && (ngx_msec_int_t) (node->lock_time - ngx_current_msec) > 0)
        {
            continue;

        } else if (!node->exists) {
            n = ngx_http_ampersand_cache_lock_woken(c);

            if (n >> ctx->failures) {
                ctx->failures = ngx_min(ctx->failures + 1,
                                        NGX_HTTP_AMPERSAND_FAILURES);
                continue;
            }

            if (n) {
                c->lock = 0;
                c->wait_event.handler = ngx_http_ampersand_cache_lock_go;
            }
        }

        ngx_http_ampersand_cache_lock_wake(ctx);
    }

    if (!ngx_queue_empty(&cl->waiting) && !cl->look.timer_set) {
        ngx_add_timer(&cl->look, NGX_HTTP_AMPERSAND_LOOK);
    }
}


/* How many have just been woken to ask for the same? */

static ngx_uint_t
ngx_http_ampersand_cache_lock_woken(ngx_http_cache_t *c)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q, *entered;
    ngx_http_cache_t          *woken;
    ngx_http_ampersand_ctx_t  *ctx;

    n = 0;
    entered = &ngx_http_ampersand_cache_lock.entered;

    for (q = ngx_queue_last(entered);
         q != ngx_queue_sentinel(entered);
         q = ngx_queue_prev(q))
    {
        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        woken = ctx->request->cache;

        if (woken && woken->node == c->node && woken->wait_event.posted) {
            n++;
        }
    }

    return n;
}


/* Its handler runs first, then it is seen whether it waits again. */

static void
ngx_http_ampersand_cache_lock_wake(ngx_http_ampersand_ctx_t *ctx)
{
    ngx_event_t                    *wait;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = &ngx_http_ampersand_cache_lock;
    wait = &ctx->request->cache->wait_event;

    ngx_del_timer(wait);
    ngx_post_event(wait, &ngx_posted_events);

    ngx_queue_remove(&ctx->waiter);
    ngx_queue_insert_tail(&cl->entered, &ctx->waiter);

    if (cl->sort.posted) {
        ngx_delete_posted_event(&cl->sort);
    }

    ngx_post_event(&cl->sort, &ngx_posted_events);
}


/* As nginx's own handler goes on, but whoever holds the lock. */

static void
ngx_http_ampersand_cache_lock_go(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->cache->waiting = 0;
    r->main->blocked--;
    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_ampersand_cache_lock_abandoned(ngx_http_request_t *r)
{
    if (!r->connection->error || r->upstream == NULL || r->cache == NULL
        || r->cached || r->err_status || !r->upstream->cacheable)
    {
        return 0;
    }

    r->header_only = 1;
    r->headers_out.status = NGX_HTTP_CLIENT_CLOSED_REQUEST;

    return 1;
}


void
ngx_http_ampersand_cache_lock_unshared(ngx_http_request_t *r)
{
    uint64_t            hash;
    volatile uint64_t  *word;

    word = ngx_http_ampersand_cache_lock_word(r, &hash);

    *word = hash | (ngx_time() & NGX_HTTP_AMPERSAND_SECONDS);
}


ngx_uint_t
ngx_http_ampersand_cache_lock_shared(ngx_http_request_t *r)
{
    uint64_t            hash, value;
    volatile uint64_t  *word;

    word = ngx_http_ampersand_cache_lock_word(r, &hash);
    value = *word;

    return (value & ~(uint64_t) NGX_HTTP_AMPERSAND_SECONDS) != hash
           || ((ngx_time() - value) & NGX_HTTP_AMPERSAND_SECONDS)
              > NGX_HTTP_AMPERSAND_UNSHARED;
}


static volatile uint64_t *
ngx_http_ampersand_cache_lock_word(ngx_http_request_t *r, uint64_t *hash)
{
    uint64_t                         key;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    ngx_memcpy(&key, r->cache->main, sizeof(key));

    *hash = key & ~(uint64_t) NGX_HTTP_AMPERSAND_SECONDS;

    return ngx_ampersand_zone_unshared(amcf->zone)
           + key % NGX_AMPERSAND_UNSHARED;
}
