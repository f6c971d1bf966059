#include "ngx_http_ampersand_cache_lock.h"
#include "zone/ngx_ampersand_waves.h"


#define NGX_HTTP_AMPERSAND_LOOK      2          /* ms between two looks       */
#define NGX_HTTP_AMPERSAND_UNSHARED  10         /* seconds                    */
#define NGX_HTTP_AMPERSAND_SECONDS   0xffffff


static void ngx_http_ampersand_cache_lock_sort(ngx_event_t *ev);
static void ngx_http_ampersand_cache_lock_look(ngx_event_t *ev);
static ngx_int_t ngx_http_ampersand_cache_lock_next(
    ngx_http_ampersand_cache_wait_t *wait, ngx_uint_t *status);
static uint64_t ngx_http_ampersand_cache_lock_key(ngx_http_request_t *r);
static void ngx_http_ampersand_cache_lock_wake(
    ngx_http_ampersand_cache_wait_t *wait);
static void ngx_http_ampersand_cache_lock_skip(ngx_event_t *ev);
static volatile uint64_t *ngx_http_ampersand_cache_lock_word(
    ngx_http_request_t *r, ngx_ampersand_zone_t *zone, uint64_t *hash);


void
ngx_http_ampersand_cache_lock_init(ngx_http_ampersand_cache_lock_t *lock,
    ngx_log_t *log)
{
    ngx_queue_init(&lock->looking);
    ngx_queue_init(&lock->waiting);

    lock->sort.handler = ngx_http_ampersand_cache_lock_sort;
    lock->sort.data = lock;
    lock->sort.log = log;

    lock->look.handler = ngx_http_ampersand_cache_lock_look;
    lock->look.data = lock;
    lock->look.log = log;
    lock->look.cancelable = 1;
}


void
ngx_http_ampersand_cache_lock_enter(ngx_http_ampersand_cache_lock_t *lock,
    ngx_http_ampersand_cache_wait_t *wait, ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone)
{
    if (wait->queued) {
        return;
    }

    wait->lock = lock;
    wait->request = r;
    wait->zone = zone;
    wait->queued = 1;
    ngx_queue_insert_tail(&lock->looking, &wait->queue);

    ngx_post_event(&lock->sort, &ngx_posted_events);
}


void
ngx_http_ampersand_cache_lock_leave(ngx_http_ampersand_cache_wait_t *wait)
{
    ngx_http_ampersand_cache_lock_t  *cl;

    if (!wait->queued) {
        return;
    }

    wait->queued = 0;
    ngx_queue_remove(&wait->queue);

    cl = wait->lock;

    /* usually the only one, which got its answer without waiting */

    if (cl->sort.posted && ngx_queue_empty(&cl->looking)) {
        ngx_delete_posted_event(&cl->sort);
    }
}


void
ngx_http_ampersand_cache_lock_ended(ngx_http_ampersand_cache_lock_t *lock)
{
    if (!ngx_queue_empty(&lock->waiting)) {
        ngx_post_event(&lock->look, &ngx_posted_events);
    }
}


/*
 * nginx decides in the same call in which it reads the key, so a request that
 * does not wait now will not wait.
 */

static void
ngx_http_ampersand_cache_lock_sort(ngx_event_t *ev)
{
    ngx_queue_t                      *q;
    ngx_http_cache_t                 *c;
    ngx_http_ampersand_cache_wait_t  *wait;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = ev->data;

    while (!ngx_queue_empty(&cl->looking)) {
        q = ngx_queue_head(&cl->looking);
        wait = ngx_queue_data(q, ngx_http_ampersand_cache_wait_t, queue);
        c = wait->request->cache;

        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);

        if (c == NULL || !c->waiting) {
            wait->queued = 0;

        } else {
            ngx_queue_insert_tail(&cl->waiting, q);
            ngx_ampersand_times_enter(wait->times, NGX_AMPERSAND_IN_COLD_KEY);
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
    ngx_int_t                         rc;
    ngx_uint_t                        status;
    ngx_queue_t                      *q, *next;
    ngx_http_cache_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_file_cache_node_t       *node, *waits;
    ngx_http_ampersand_cache_wait_t  *wait;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = ev->data;

    waits = NULL;

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    for (q = ngx_queue_head(&cl->waiting);
         q != ngx_queue_sentinel(&cl->waiting);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, ngx_http_ampersand_cache_wait_t, queue);
        r = wait->request;
        c = r->cache;

        /* nginx's own timer expired first */

        if (c == NULL || !c->waiting || !c->wait_event.timer_set) {
            ngx_queue_remove(q);
            wait->queued = 0;
            continue;
        }

        node = c->node;

        if (!ngx_http_ampersand_cache_lock_shared(r, wait->zone)) {
            rc = NGX_OK;

        } else if (node->exists) {
            rc = NGX_DECLINED;

        } else if (node == waits) {
            continue;

        } else {
            rc = ngx_http_ampersand_cache_lock_next(wait, &status);

            if (rc == NGX_AGAIN
                || (rc == NGX_DECLINED && node->updating
                    && (ngx_msec_int_t) (node->lock_time - ngx_current_msec)
                       > 0))
            {
                /* so do those behind it, most of which want the same */

                waits = node;
                continue;
            }

            /* the lock is free: one is enough to take it */

            if (rc == NGX_DECLINED) {
                waits = node;
            }
        }

        if (rc != NGX_DECLINED) {
            c->lock = 0;
            c->wait_event.handler = ngx_http_ampersand_cache_lock_skip;
        }

        ngx_http_ampersand_cache_lock_wake(wait);
    }

    if (!ngx_queue_empty(&cl->waiting) && !cl->look.timer_set) {
        ngx_add_timer(&cl->look, NGX_HTTP_AMPERSAND_LOOK);
    }
}


/* See ngx_ampersand_waves_next(). */

static ngx_int_t
ngx_http_ampersand_cache_lock_next(ngx_http_ampersand_cache_wait_t *wait,
    ngx_uint_t *status)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = wait->request;

    rc = ngx_ampersand_waves_next(wait->zone,
                                  ngx_http_ampersand_cache_lock_key(r),
                                  2 * r->upstream->conf->read_timeout, status);

    wait->sent = (rc == NGX_OK);
    wait->refused = (rc == NGX_ABORT) ? *status : 0;

    return rc;
}


static void
ngx_http_ampersand_cache_lock_wake(ngx_http_ampersand_cache_wait_t *wait)
{
    ngx_event_t                      *ev;
    ngx_http_ampersand_cache_lock_t  *cl;

    cl = wait->lock;
    ev = &wait->request->cache->wait_event;

    ngx_del_timer(ev);
    ngx_post_event(ev, &ngx_posted_events);

    ngx_queue_remove(&wait->queue);
    ngx_queue_insert_tail(&cl->looking, &wait->queue);

    /* after the handler of ev, which decides whether the request waits again */

    if (cl->sort.posted) {
        ngx_delete_posted_event(&cl->sort);
    }

    ngx_post_event(&cl->sort, &ngx_posted_events);
}


/*
 * The handler of wait_event for a request that goes upstream without the lock:
 * ngx_http_file_cache_lock_wait_handler() minus its test of the lock.
 */

static void
ngx_http_ampersand_cache_lock_skip(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->cache->waiting = 0;
    r->main->blocked--;

    if (ngx_ampersand_terminated(r)) {
        c->write->handler(c->write);

    } else {
        r->write_event_handler(r);
        ngx_http_run_posted_requests(c);
    }
}


ngx_uint_t
ngx_http_ampersand_cache_lock_refused(ngx_http_ampersand_cache_wait_t *wait,
    ngx_http_request_t *r, ngx_ampersand_zone_t *zone)
{
    ngx_int_t   rc;
    ngx_uint_t  status;

    if (r->cache == NULL || wait->sent
        || r->upstream->cache_status != NGX_HTTP_CACHE_MISS)
    {
        return 0;
    }

    if (wait->refused) {
        return wait->refused;
    }

    if (r->cache->wait_time == 0) {
        wait->sent = 1;
        ngx_ampersand_waves_began(zone, ngx_http_ampersand_cache_lock_key(r));
        return 0;
    }

    /* its own timer has expired just when the lock was free */

    rc = ngx_http_ampersand_cache_lock_next(wait, &status);

    if (rc == NGX_AGAIN && status) {
        wait->refused = status;
    }

    wait->sent = (wait->refused == 0);

    return wait->refused;
}


void
ngx_http_ampersand_cache_lock_result(ngx_http_ampersand_cache_wait_t *wait,
    ngx_http_request_t *r, ngx_ampersand_zone_t *zone, ngx_uint_t stored,
    ngx_uint_t status)
{
    uint64_t  key;

    if (r->cache == NULL || !wait->sent
        || r->upstream->cache_status != NGX_HTTP_CACHE_MISS)
    {
        return;
    }

    wait->sent = 0;
    key = ngx_http_ampersand_cache_lock_key(r);

    if (stored) {
        ngx_ampersand_waves_stored(zone, key);

    } else if (ngx_http_ampersand_cache_lock_shared(r, zone)) {
        ngx_ampersand_waves_failed(zone, key,
                                   status == NGX_HTTP_GATEWAY_TIME_OUT
                                   ? NGX_HTTP_GATEWAY_TIME_OUT
                                   : NGX_HTTP_BAD_GATEWAY);
    }
}


ngx_uint_t
ngx_http_ampersand_cache_lock_abandon(ngx_http_request_t *r)
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
ngx_http_ampersand_cache_lock_unshared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone)
{
    uint64_t            hash;
    volatile uint64_t  *word;

    word = ngx_http_ampersand_cache_lock_word(r, zone, &hash);

    *word = hash | (ngx_time() & NGX_HTTP_AMPERSAND_SECONDS);
}


ngx_uint_t
ngx_http_ampersand_cache_lock_shared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone)
{
    uint64_t            hash, value;
    volatile uint64_t  *word;

    word = ngx_http_ampersand_cache_lock_word(r, zone, &hash);
    value = *word;

    return (value & ~(uint64_t) NGX_HTTP_AMPERSAND_SECONDS) != hash
           || ((ngx_time() - value) & NGX_HTTP_AMPERSAND_SECONDS)
              > NGX_HTTP_AMPERSAND_UNSHARED;
}


static volatile uint64_t *
ngx_http_ampersand_cache_lock_word(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone, uint64_t *hash)
{
    uint64_t  key;

    key = ngx_http_ampersand_cache_lock_key(r);

    *hash = key & ~(uint64_t) NGX_HTTP_AMPERSAND_SECONDS;

    return ngx_ampersand_zone_unshared(zone)
           + key % NGX_AMPERSAND_UNSHARED;
}


static uint64_t
ngx_http_ampersand_cache_lock_key(ngx_http_request_t *r)
{
    uint64_t  key;

    ngx_memcpy(&key, r->cache->main, sizeof(key));

    return key;
}
