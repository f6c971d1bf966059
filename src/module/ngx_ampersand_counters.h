/*
 * Counters that all workers share: they stand in the zone, survive a reload and
 * are shown by ampersand_status.  They are changed atomically, or with the
 * zone's mutex held; a reader may read them at any time.
 */

#ifndef NGX_AMPERSAND_COUNTERS_H
#define NGX_AMPERSAND_COUNTERS_H


#include "ngx_ampersand_compat.h"
#include "amp_histogram.h"
#include "amp_problem.h"


#define NGX_AMPERSAND_WORKERS  256


/* What a call to Redis is made for: from the first try to the reply. */

typedef enum {
    NGX_AMPERSAND_FOR_LOOKUP = 0,       /* a tenant's record                  */
    NGX_AMPERSAND_FOR_LEASE,            /* units of a limit                   */
    NGX_AMPERSAND_FOR_INVALIDATION,     /* a write has changed a project      */
    NGX_AMPERSAND_FOR
} ngx_ampersand_for_e;


/* How a link to a Redis server stands. */

typedef enum {
    NGX_AMPERSAND_LINKED_UP = 0,
    NGX_AMPERSAND_LINKED_CONNECTING,    /* nothing has failed                 */
    NGX_AMPERSAND_LINKED_DOWN,          /* the last attempt failed            */
    NGX_AMPERSAND_LINKED                /* there is no link                   */
} ngx_ampersand_linked_e;


typedef struct {
    ngx_atomic_uint_t  buckets[AMP_HISTOGRAM_BUCKETS];
    ngx_atomic_uint_t  sum;             /* us                                 */
} ngx_ampersand_histogram_t;


typedef struct {
    ngx_atomic_uint_t  connects;    /* attempts to connect                    */
    ngx_atomic_uint_t  ready;       /* attempts that made a link READY        */
    ngx_atomic_uint_t  failures;    /* links lost, attempts that failed       */
    ngx_atomic_uint_t  commands;
    ngx_atomic_uint_t  timeouts;
    ngx_atomic_uint_t  moves;       /* links that went to another master      */
    ngx_atomic_uint_t  redirects;   /* MOVED and ASK that were followed       */
    ngx_atomic_uint_t  refreshes;   /* requests for the slot map              */
} ngx_ampersand_redis_counters_t;


typedef struct {
    ngx_atomic_uint_t               reasons[AMP_REASON_COUNT]; /* AMP_OK:
                                                   requests that passed       */
    ngx_atomic_uint_t               observed;   /* would have been refused    */
    ngx_atomic_uint_t               preflights; /* that were answered         */
    ngx_atomic_uint_t               lookups;
    ngx_atomic_uint_t               lookup_failures;
    ngx_atomic_uint_t               records_lost;
    ngx_atomic_uint_t               lookups_refused;
    ngx_atomic_uint_t               stale_served;
    ngx_atomic_uint_t               cache_hits;
    ngx_atomic_uint_t               upstream;
    ngx_atomic_uint_t               events;
    ngx_atomic_uint_t               events_missed; /* times that the
                                                   subscription was lost      */
    ngx_atomic_uint_t               evictions;
    ngx_atomic_uint_t               no_memory;
    ngx_ampersand_redis_counters_t  redis;
    ngx_atomic_uint_t               up[NGX_AMPERSAND_WORKERS]; /* a worker's
                                                   ngx_ampersand_redis_state_e,
                                                   or 0                       */
    ngx_atomic_uint_t               events_up;  /* 1: subscribed to events    */
    ngx_atomic_uint_t               cooldowns;
    ngx_atomic_uint_t               suspensions;
    ngx_atomic_uint_t               lease_calls;
    ngx_atomic_uint_t               lease_failures;
    ngx_atomic_uint_t               lease_units;
    ngx_atomic_uint_t               lease_returned; /* units handed back      */
    ngx_atomic_uint_t               lease_lapsed; /* units that were neither
                                                   spent nor handed back      */
    ngx_atomic_uint_t               limit_fallbacks;
    ngx_ampersand_histogram_t       redis_times[NGX_AMPERSAND_FOR];
    ngx_atomic_uint_t               sample;     /* ngx_ampersand_sample_e, ...*/
    ngx_atomic_uint_t               sampled;    /* ... ngx_current_msec       */
} ngx_ampersand_counters_t;


#define ngx_ampersand_count(counters, counter)                                \
    (void) ngx_atomic_fetch_add(&(counters)->counter, 1)


static ngx_inline void
ngx_ampersand_histogram_add(ngx_ampersand_histogram_t *histogram, uint64_t us)
{
    (void) ngx_atomic_fetch_add(&histogram->buckets[amp_histogram_bucket(us)],
                                1);
    (void) ngx_atomic_fetch_add(&histogram->sum, (ngx_atomic_int_t) us);
}


#endif /* NGX_AMPERSAND_COUNTERS_H */
