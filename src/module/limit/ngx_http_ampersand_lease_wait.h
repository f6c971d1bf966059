/*
 * Requests of a worker that wait for units of their limits.
 *
 *            ┌──── wait() ────▶ WAITS ──── the call's end, or the timer ──┐
 *   (none) ──┤                                                            ├──▶
 *            └──── join() ────▶ JOINED ─── the timer, when no request ────┘
 *                                          asks for the same entry
 *                                                     runs its phase again
 *
 * wait(): the request asked for a lease.  The end of a call for its tenant or
 * project wakes it when this worker made the call; a timer, doubled each time,
 * looks for the calls of other workers and for the time at which the next call
 * may be made.
 * join(): of the requests for one missing cache entry only one goes upstream,
 * so only one asks for a unit, in each worker; the others join it.  At most one
 * unit for each other worker is charged in vain.
 *
 * A request waits, in all, for a call that is lost with its worker and for one
 * that follows, each as long as a command to Redis may take and the time
 * between two calls.  The last wait can be longer by its timer, and one that
 * joined lasts as long as that of the other request.  The phase that begins
 * again is access or content.
 */

#ifndef NGX_HTTP_AMPERSAND_LEASE_WAIT_H
#define NGX_HTTP_AMPERSAND_LEASE_WAIT_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "ngx_ampersand_lease.h"


/* A worker's. */

typedef struct {
    ngx_queue_t           requests; /* ngx_http_ampersand_lease_wait_t: those
                                       that ask first, those that joined last */
    ngx_msec_t            timeout;  /* of a command to Redis, ms              */
} ngx_http_ampersand_lease_waits_t;


/*
 * A request's, in memory that lives as long as the request; zeroed before its
 * first use.
 */

typedef struct ngx_http_ampersand_lease_wait_s
    ngx_http_ampersand_lease_wait_t;

struct ngx_http_ampersand_lease_wait_s {
    ngx_queue_t           queue;
    ngx_http_request_t   *request;  /* that waits; NULL: none does            */
    amp_span_t            tenant;   /* its id                                 */
    amp_span_t            project;  /* its id, where that has a limit         */
    ngx_http_ampersand_lease_waits_t  *waits;
    void                (*resume)(ngx_http_request_t *r,
                                  ngx_http_ampersand_lease_wait_t *wait);
                                    /* the caller's: runs the phase again     */
    ngx_event_t           timer;
    ngx_msec_t            since;    /* when it began to wait this time        */
    ngx_msec_int_t        left;     /* ms that it may still wait              */
    ngx_msec_t            pause;    /* of the timer                           */
    unsigned              asked:1;  /* has waited for a lease of its own      */
    unsigned              joined:1;
};


/* For init_process. */

void ngx_http_ampersand_lease_waits_init(
    ngx_http_ampersand_lease_waits_t *waits, ngx_msec_t timeout);

/*
 * Suspends r until a call for the tenant, or for wait->project, which the
 * caller sets, ends; for at least ns nanoseconds unless it is woken.  tenant:
 * its id; both in memory that lives as long as r.
 * NGX_OK: the caller returns to nginx with the request suspended, and
 * wait->resume is called later.  NGX_DONE: the request has waited long enough.
 * NGX_ERROR: no memory, or this wait has not ended.
 */

ngx_int_t ngx_http_ampersand_lease_wait(ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    amp_span_t tenant, uint64_t ns);

/*
 * The same, until no request waits for a lease on behalf of r's cache entry;
 * r->cache has to be set.  NGX_DECLINED: none does.
 */

ngx_int_t ngx_http_ampersand_lease_wait_join(
    ngx_http_ampersand_lease_waits_t *waits,
    ngx_http_ampersand_lease_wait_t *wait, ngx_http_request_t *r,
    amp_span_t tenant);

/* The request does not wait any more.  May be called more than once. */

void ngx_http_ampersand_lease_wait_leave(ngx_http_ampersand_lease_wait_t *wait);

/*
 * A call for the tenant or project with this hash, ngx_ampersand_lease_hash(),
 * ended.
 */

void ngx_http_ampersand_lease_waits_wake(
    ngx_http_ampersand_lease_waits_t *waits, uint32_t holder);


#endif /* NGX_HTTP_AMPERSAND_LEASE_WAIT_H */
