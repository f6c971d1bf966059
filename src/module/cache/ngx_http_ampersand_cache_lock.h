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
 *           └── upstream failed, or the lock is too old ──▶ one is woken, ──▶
 *               LOOKING: it goes upstream next.  After the next failure two,
 *               then four, ...: nobody waits for all requests before it, and an
 *               upstream in trouble does not get all of them at once
 *
 * Waiting requests are looked at when a request that went upstream ends in this
 * worker, and every 2 ms for those that end, or are killed, in other workers.
 * A wrong guess here is only a wake-up: nginx looks itself, under the cache's
 * mutex.
 *
 * A woken request is alive: r->main->blocked keeps it until nginx's handler of
 * wait_event has run.  One that ends leaves its queue in its cleanup.
 *
 * The client of the request that went upstream may leave.  nginx goes on for
 * the sake of the cache, but gives up when it cannot send the header: so none
 * is sent.
 *
 * Keys whose answers cannot be shared stand in the zone for a while, a word for
 * each: 40 bits of its hash, 24 of the second.  No request waits for such a
 * key.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_LOCK_H
#define NGX_HTTP_AMPERSAND_CACHE_LOCK_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "zone/ngx_ampersand_zone.h"


/* A request's; zeroed, in memory that lives as long as the request. */

typedef struct {
    ngx_queue_t            queue;
    ngx_http_request_t    *request;
    ngx_ampersand_zone_t  *zone;
    unsigned               queued:1;
    unsigned               failures:4;  /* that it has waited for             */
} ngx_http_ampersand_cache_wait_t;


/* nginx is about to look for the key of the main request r. */

void ngx_http_ampersand_cache_lock_enter(ngx_http_ampersand_cache_wait_t *wait,
    ngx_http_request_t *r, ngx_ampersand_zone_t *zone);

/*
 * The request goes upstream, or ends; forwarded: it had gone upstream, so those
 * that wait for its answer are looked at.  May be called more than once.
 */

void ngx_http_ampersand_cache_lock_leave(ngx_http_ampersand_cache_wait_t *wait,
    ngx_uint_t forwarded);

/* The final answer to r will not be stored. */

void ngx_http_ampersand_cache_lock_unshared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/* 1: the answer to r will be shared, as far as is known. */

ngx_uint_t ngx_http_ampersand_cache_lock_shared(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone);

/*
 * 1: the client of r has left, and its answer will be stored: it is sent to
 * nobody, and the header filters end here.
 */

ngx_uint_t ngx_http_ampersand_cache_lock_abandoned(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_LOCK_H */
