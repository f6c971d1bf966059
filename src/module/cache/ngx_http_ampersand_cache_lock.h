/*
 * Many clients, one cold key.  proxy_cache_lock lets one request go upstream
 * and has the others wait, in all workers; but they look only twice a second.
 * The lock stays nginx's; the module wakes the waiting requests in time.  A
 * request that is about to look into the cache goes through two queues of its
 * worker:
 *
 *   LOOKING ── nginx has it wait ──▶ WAITING
 *           └── else ──▶ out
 *   WAITING ── the lock is held ──▶ WAITING
 *           ├── an answer was stored ──▶ all are woken, ──▶ LOOKING
 *           ├── the answer cannot be shared ──▶ all are woken, to go upstream
 *           │   at once: one after the other would be slower than no cache
 *           ├── upstream failed ──▶ some are woken, to go upstream at once;
 *           │   of all workers, see amp_waves.h.  The last ones are refused
 *           └── the lock is free, or too old ──▶ one is woken, ──▶ LOOKING
 *
 * Waiting requests are looked at when a request that went upstream ends in this
 * worker, and every 2 ms for those that end, or are killed, in other workers.
 * For most of those that are woken, a wrong guess here is only a wake-up: nginx
 * looks itself, under the cache's mutex.  Where several are to go upstream
 * (c->lock = 0), nginx does not ask for the lock again.
 *
 * A woken request is alive: r->main->blocked keeps it until nginx's handler of
 * wait_event has run.  One that ends leaves its queue in its cleanup.
 *
 * The client of the request that went upstream may leave.  nginx goes on for
 * the sake of the cache, but gives up when it cannot send the header: so none
 * is sent.
 *
 * A key whose answer cannot be shared is noted in the zone for 10 s, in one of
 * NGX_AMPERSAND_UNSHARED words, chosen by the key: the upper 40 bits of the
 * key's first 8 bytes, and the low 24 bits of the time in seconds.  A request
 * for such a key waits until the next look at most, 2 ms.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_LOCK_H
#define NGX_HTTP_AMPERSAND_CACHE_LOCK_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "ngx_ampersand_times.h"
#include "zone/ngx_ampersand_zone.h"


/* A worker's. */

typedef struct {
    ngx_queue_t  looking;
    ngx_queue_t  waiting;
    ngx_event_t  sort;              /* posted: which of those looking wait    */
    ngx_event_t  look;              /* posted, or its timer                   */
} ngx_http_ampersand_cache_lock_t;


/* A request's; zeroed but for times, in memory that lives as long as it. */

typedef struct {
    ngx_queue_t            queue;
    ngx_http_ampersand_cache_lock_t  *lock;
    ngx_http_request_t    *request;
    ngx_ampersand_times_t *times;
    ngx_ampersand_zone_t  *zone;
    ngx_uint_t             refused;     /* it is not sent: 502 or 504, else 0 */
    unsigned               queued:1;
    unsigned               sent:1;      /* it was let through, and counted    */
} ngx_http_ampersand_cache_wait_t;


/* For init_process. */

void ngx_http_ampersand_cache_lock_init(ngx_http_ampersand_cache_lock_t *lock,
    ngx_log_t *log);

/* nginx is about to look for the key of the main request r. */

void ngx_http_ampersand_cache_lock_enter(ngx_http_ampersand_cache_lock_t *lock,
    ngx_http_ampersand_cache_wait_t *wait, ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/*
 * The request goes upstream, is redirected, or ends.  May be called more than
 * once.
 */

void ngx_http_ampersand_cache_lock_leave(ngx_http_ampersand_cache_wait_t *wait);

/*
 * The main request r is about to go upstream.  0: it may, and is counted; 502
 * or 504: it has waited, and is refused with that.
 */

ngx_uint_t ngx_http_ampersand_cache_lock_refused(
    ngx_http_ampersand_cache_wait_t *wait, ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/*
 * The upstream request of the main request r ends; stored: with an answer that
 * is stored.  status: the answer's, or the gateway's.
 */

void ngx_http_ampersand_cache_lock_result(
    ngx_http_ampersand_cache_wait_t *wait, ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone, ngx_uint_t stored, ngx_uint_t status);

/* After that, and after a refresh: those that wait are looked at. */

void ngx_http_ampersand_cache_lock_ended(ngx_http_ampersand_cache_lock_t *lock);

/* The final answer to r will not be stored; r->cache has to be set. */

void ngx_http_ampersand_cache_lock_unshared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/*
 * 1: the answer to r will be shared, as far as the zone has it; r->cache has to
 * be set.
 */

ngx_uint_t ngx_http_ampersand_cache_lock_shared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/*
 * In the header filter: where the client of r has left, and its answer will be
 * stored, makes r a request whose answer is not sent (header_only, status 499).
 * 1: so it is, and the header filters end here; else 0.
 */

ngx_uint_t ngx_http_ampersand_cache_lock_abandon(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_LOCK_H */
