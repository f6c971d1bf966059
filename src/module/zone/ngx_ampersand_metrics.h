/*
 * Counts of requests, in a shared zone of their own, "ampersand_metrics": they
 * survive a reload and the death of a worker.  All are changed atomically, so
 * that no request waits for another one; the mutex guards which tenant has
 * which place.
 *
 * Tenants.  The first N that are seen have a place each (N is
 * "ampersand_status_tenants"), and keep it while they send requests; after an
 * hour of silence a place is free for another tenant.  So the count of a tenant
 * never decreases while it is shown, and no more than N tenants are.  Those
 * without a place are counted together.
 */

#ifndef NGX_AMPERSAND_METRICS_H
#define NGX_AMPERSAND_METRICS_H


#include "ngx_ampersand_counters.h"
#include "ngx_ampersand_times.h"
#include "amp_operations.h"
#include "amp_tenant.h"
#include "amp_usage.h"


#define NGX_AMPERSAND_METRICS_TENANTS      200      /* by default             */
#define NGX_AMPERSAND_METRICS_TENANTS_MAX  10000
#define NGX_AMPERSAND_METRICS_PLACES       256      /* a worker remembers     */
#define NGX_AMPERSAND_METRICS_NODES        64       /* of Redis               */
#define NGX_AMPERSAND_METRICS_NODE         264      /* bytes of its name      */

/* The last api and class: no operation was found. */

#define NGX_AMPERSAND_METRICS_APIS         (AMP_API_COUNT + 1)
#define NGX_AMPERSAND_METRICS_CLASSES      (AMP_CLASS_COUNT + 1)
#define NGX_AMPERSAND_METRICS_SOURCES      3        /* X-Gateway-Source       */
#define NGX_AMPERSAND_METRICS_GATEWAY      0        /* the first of these     */
#define NGX_AMPERSAND_METRICS_STATUSES     6        /* others, 1xx .. 5xx     */
#define NGX_AMPERSAND_METRICS_CACHE        8        /* NGX_HTTP_CACHE_...     */

#define NGX_AMPERSAND_HISTORY              900      /* seconds                */
#define NGX_AMPERSAND_METRICS_RUN          16       /* bytes                  */
#define NGX_AMPERSAND_HISTORY_PARTS        2        /* of a request, from
                                                       NGX_AMPERSAND_IN_GATEWAY
                                                       on                     */


/* Why a try of an upstream request failed. */

typedef enum {
    NGX_AMPERSAND_TRY_CONNECT = 0,      /* no connection                      */
    NGX_AMPERSAND_TRY_TIMEOUT,          /* no answer in time                  */
    NGX_AMPERSAND_TRY_INVALID,          /* closed, or no valid answer         */
    NGX_AMPERSAND_TRY_STATUS,           /* an answer with a status 5xx        */
    NGX_AMPERSAND_TRY_FAILURES
} ngx_ampersand_try_e;


/* See ngx_ampersand_usage.h. */

typedef struct {
    ngx_atomic_uint_t  upstream;        /* requests sent to Ampersand         */
    ngx_atomic_uint_t  bytes;           /* of answers                         */
    uint64_t           seen[AMP_USAGE_COUNTS]; /* what was collected so far   */
    uint64_t           pending[2][AMP_USAGE_COUNTS]; /* by the last bit of the
                                           day                                */
    uint64_t           report[AMP_USAGE_COUNTS]; /* Redis has not confirmed   */
} ngx_ampersand_usage_t;


typedef struct {
    ngx_atomic_uint_t  requests[NGX_AMPERSAND_METRICS_APIS]
                               [NGX_AMPERSAND_METRICS_CLASSES]
                               [NGX_AMPERSAND_METRICS_SOURCES];
    ngx_atomic_uint_t  refusals[AMP_REASON_COUNT];
    ngx_atomic_uint_t  limits[AMP_LIMIT_ALL]; /* refused by them              */
    ngx_ampersand_usage_t  usage;
    time_t             last;            /* when a request was counted         */
    time_t             expires;         /* of its token that expires first, of
                                           those used in the last hour, 0:
                                           none expires; and ...              */
    time_t             expires_used;    /* ... when that was used             */
    uint32_t           hash;            /* of the id                          */
    u_char             len;             /* 0: nobody has the place            */
    u_char             id[AMP_TENANT_ID_MAX];
} ngx_ampersand_metrics_tenant_t;


/* See ngx_ampersand_link_counts.h. */

typedef struct {
    size_t             len;
    u_char             name[NGX_AMPERSAND_METRICS_NODE];
} ngx_ampersand_metrics_node_t;


typedef struct {
    ngx_pid_t          pid;             /* of the worker, 0: nobody has it    */
    uint16_t           counts[NGX_AMPERSAND_METRICS_NODES + 1]
                             [NGX_AMPERSAND_LINKED]; /* the last: others      */
} ngx_ampersand_metrics_links_t;


/* Counts of the whole gateway at one moment, see ngx_ampersand_history.h. */

typedef struct {
    ngx_atomic_t                    second; /* when, by ngx_current_msec; 0:
                                               never, or being written        */
    uint32_t                        sources[NGX_AMPERSAND_METRICS_SOURCES];
    uint32_t                        refusals[AMP_REASON_COUNT];
    uint32_t                        durations[NGX_AMPERSAND_HISTORY_PARTS]
                                             [AMP_HISTOGRAM_BUCKETS];
} ngx_ampersand_moment_t;


typedef struct {
    size_t                          layout; /* bytes of all this              */
    ngx_atomic_t                    kept;   /* second of the last moment      */
    ngx_ampersand_moment_t          history[NGX_AMPERSAND_HISTORY];
    ngx_atomic_uint_t               sources[NGX_AMPERSAND_METRICS_SOURCES];
    ngx_atomic_uint_t               refusals[AMP_REASON_COUNT];
    ngx_atomic_uint_t               operations[AMP_OPERATIONS_MAX]
                                              [NGX_AMPERSAND_METRICS_STATUSES]
                                              [NGX_AMPERSAND_METRICS_SOURCES];
    ngx_ampersand_histogram_t       durations[NGX_AMPERSAND_IN_PARTS]
                                             [NGX_AMPERSAND_METRICS_APIS]
                                             [NGX_AMPERSAND_METRICS_CLASSES];
    ngx_atomic_uint_t               connections[AMP_API_COUNT][2]; /* 1: one
                                             that was used before             */
    ngx_atomic_uint_t               failures[AMP_API_COUNT]
                                            [NGX_AMPERSAND_TRY_FAILURES];
    ngx_atomic_uint_t               cache[NGX_AMPERSAND_METRICS_CACHE];
    ngx_ampersand_metrics_node_t    nodes[NGX_AMPERSAND_METRICS_NODES];
    ngx_ampersand_metrics_links_t   links[NGX_AMPERSAND_WORKERS];
    ngx_ampersand_usage_t           usages[AMP_OPERATIONS_MAX];
    u_char                          run[NGX_AMPERSAND_METRICS_RUN]; /* another
                                             one for each zone                */
    ngx_msec_t                      collected; /* ngx_current_msec            */
    uint64_t                        report; /* its number                     */
    uint32_t                        report_day;
    ngx_uint_t                      report_first;
    ngx_uint_t                      reporting; /* Redis has not confirmed it  */
    ngx_ampersand_metrics_tenant_t  unidentified;
    ngx_ampersand_metrics_tenant_t  other;  /* tenants without a place        */
    ngx_ampersand_metrics_tenant_t  tenants[1]; /* n of them                  */
} ngx_ampersand_metrics_shared_t;


/* One for each configuration; a worker's copy is its own. */

typedef struct {
    ngx_ampersand_metrics_shared_t  *sh;
    ngx_slab_pool_t                 *shpool;
    ngx_uint_t                       n;     /* places for tenants             */
    ngx_ampersand_metrics_links_t   *links; /* of this worker, or NULL        */
    ngx_ampersand_metrics_tenant_t  *places[NGX_AMPERSAND_METRICS_PLACES];
                                            /* by hash: where a tenant was
                                               found last                     */
} ngx_ampersand_metrics_t;


/*
 * While the configuration is read: the zone for n tenants; tag is the module's.
 * NULL: no memory.
 */

ngx_ampersand_metrics_t *ngx_ampersand_metrics_create(ngx_conf_t *cf,
    ngx_uint_t n, void *tag);

/*
 * Where requests of the tenant with this id are counted; an empty id is that of
 * a client that was not identified.  Never NULL.
 */

ngx_ampersand_metrics_tenant_t *ngx_ampersand_metrics_tenant(
    ngx_ampersand_metrics_t *metrics, amp_span_t id);

/*
 * A request of the tenant came with a token that expires then; 0: never.  now
 * is the time of Redis, by which tokens expire.
 */

void ngx_ampersand_metrics_token(ngx_ampersand_metrics_tenant_t *tenant,
    time_t expires, time_t now);

/* Frees the places of tenants that sent nothing for an hour. */

void ngx_ampersand_metrics_expire(ngx_ampersand_metrics_t *metrics);

#endif /* NGX_AMPERSAND_METRICS_H */
