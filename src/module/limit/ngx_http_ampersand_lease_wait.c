#include "ngx_http_ampersand_lease_wait.h"


#define NGX_HTTP_AMPERSAND_PAUSE      2         /* ms, doubled each time      */
#define NGX_HTTP_AMPERSAND_PAUSE_MAX  50


static ngx_uint_t ngx_http_ampersand_lease_wait_asking(
    ngx_http_ampersand_lease_waits_t *waits, ngx_http_request_t *r);
static ngx_int_t ngx_http_ampersand_lease_wait_start(
    ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    ngx_msec_t pause);
static void ngx_http_ampersand_lease_wait_pause(
    ngx_http_ampersand_lease_wait_t *wait, ngx_msec_t least);
static void ngx_http_ampersand_lease_wait_resume(ngx_event_t *ev);
static void ngx_http_ampersand_lease_wait_cleanup(void *data);


void
ngx_http_ampersand_lease_waits_init(ngx_http_ampersand_lease_waits_t *waits,
    ngx_msec_t timeout)
{
    ngx_queue_init(&waits->requests);
    waits->timeout = timeout;
}


ngx_int_t
ngx_http_ampersand_lease_wait(ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    amp_span_t tenant, uint64_t ns)
{
    wait->tenant = tenant;
    wait->joined = 0;
    wait->asked = 1;

    return ngx_http_ampersand_lease_wait_start(waits, wait, r,
                                               (ngx_msec_t) (ns / 1000000));
}


ngx_int_t
ngx_http_ampersand_lease_wait_join(ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    amp_span_t tenant)
{
    if (!ngx_http_ampersand_lease_wait_asking(waits, r)) {
        return NGX_DECLINED;
    }

    wait->tenant = tenant;
    wait->joined = 1;

    return ngx_http_ampersand_lease_wait_start(waits, wait, r, 0);
}


void
ngx_http_ampersand_lease_waits_wake(ngx_http_ampersand_lease_waits_t *waits,
    uint32_t holder)
{
    ngx_queue_t                      *q;
    ngx_http_ampersand_lease_wait_t  *wait;

    for (q = ngx_queue_head(&waits->requests);
         q != ngx_queue_sentinel(&waits->requests);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_ampersand_lease_wait_t, queue);

        if (wait->timer.timer_set
            && (ngx_ampersand_lease_hash(wait->tenant) == holder
                || (wait->project.len
                    && ngx_ampersand_lease_hash(wait->project) == holder)))
        {
            ngx_del_timer(&wait->timer);
            ngx_post_event(&wait->timer, &ngx_posted_events);
        }
    }
}


/* Does a request wait for a lease on behalf of the same cache entry? */

static ngx_uint_t
ngx_http_ampersand_lease_wait_asking(ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_request_t *r)
{
    ngx_queue_t                      *q;
    ngx_http_cache_t                 *c;
    ngx_http_ampersand_lease_wait_t  *wait;

    for (q = ngx_queue_head(&waits->requests);
         q != ngx_queue_sentinel(&waits->requests);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_ampersand_lease_wait_t, queue);

        if (wait->joined) {
            break;
        }

        c = wait->request->cache;

        if (c && ngx_memcmp(c->main, r->cache->main, NGX_HTTP_CACHE_KEY_LEN)
                 == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_ampersand_lease_wait_start(ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    ngx_msec_t pause)
{
    ngx_http_cleanup_t  *cln;

    if (wait->request) {
        return NGX_ERROR;
    }

    if (wait->timer.handler == NULL) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_ampersand_lease_wait_cleanup;
        cln->data = wait;

        wait->left = 2 * (waits->timeout + AMP_LEASE_PACE / 1000000);
        wait->pause = NGX_HTTP_AMPERSAND_PAUSE;

        wait->timer.handler = ngx_http_ampersand_lease_wait_resume;
        wait->timer.data = wait;
        wait->timer.log = r->connection->log;
    }

    if (wait->left <= 0) {
        return NGX_DONE;
    }

    wait->request = r;
    wait->waits = waits;
    wait->since = ngx_current_msec;

    ngx_http_ampersand_lease_wait_pause(wait, pause + 1);

    if (wait->joined) {
        ngx_queue_insert_tail(&waits->requests, &wait->queue);

    } else {
        ngx_queue_insert_head(&waits->requests, &wait->queue);
    }

    return NGX_OK;
}


static void
ngx_http_ampersand_lease_wait_pause(ngx_http_ampersand_lease_wait_t *wait,
    ngx_msec_t least)
{
    ngx_add_timer(&wait->timer, ngx_max(least, wait->pause));

    wait->pause = ngx_min(wait->pause * 2, NGX_HTTP_AMPERSAND_PAUSE_MAX);
}


static void
ngx_http_ampersand_lease_wait_resume(ngx_event_t *ev)
{
    ngx_connection_t                 *c;
    ngx_http_request_t               *r;
    ngx_http_ampersand_lease_wait_t  *wait;

    wait = ev->data;
    r = wait->request;
    c = r->connection;

    if (wait->joined
        && ngx_http_ampersand_lease_wait_asking(wait->waits, r))
    {
        ngx_http_ampersand_lease_wait_pause(wait, 0);
        return;
    }

    ngx_http_ampersand_lease_wait_leave(wait);

    ngx_http_set_log_request(c->log, r);

    wait->resume(r, wait);

    ngx_http_run_posted_requests(c);
}


/* A client may leave while the request waits. */

static void
ngx_http_ampersand_lease_wait_cleanup(void *data)
{
    ngx_http_ampersand_lease_wait_leave(data);
}


void
ngx_http_ampersand_lease_wait_leave(ngx_http_ampersand_lease_wait_t *wait)
{
    if (wait->request == NULL) {
        return;
    }

    ngx_queue_remove(&wait->queue);

    if (wait->timer.timer_set) {
        ngx_del_timer(&wait->timer);
    }

    if (wait->timer.posted) {
        ngx_delete_posted_event(&wait->timer);
    }

    wait->request = NULL;
    wait->left -= ngx_current_msec - wait->since;
}
