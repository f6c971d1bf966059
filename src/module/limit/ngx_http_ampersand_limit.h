/*
 * Limits of a tenant: its requests in flight, and its rates.  A request that
 * one of them refuses costs the others nothing.
 */

#ifndef NGX_HTTP_AMPERSAND_LIMIT_H
#define NGX_HTTP_AMPERSAND_LIMIT_H


#include "ngx_http_ampersand_lease_wait.h"


#define NGX_HTTP_AMPERSAND_LIMITS  4        /* the tenant's, its class's, the
                                               token's, the project's         */


/* nanoseconds in seconds, rounded up: a request that comes then is admitted */

#define ngx_http_ampersand_seconds(ns)  (((ns) + 999999999) / 1000000000)


/* What http{} says of limits. */

typedef struct {
    amp_rate_t                        rate;     /* of tenants without one of
                                                   their own; count 0: none   */
    ngx_uint_t                        concurrency;  /* the same; 0: none      */
    ngx_uint_t                        fallback; /* NGX_AMPERSAND_LEASE_LOCAL
                                                   or one of the others       */
} ngx_http_ampersand_limit_conf_t;


/* What a worker has for them. */

typedef struct {
    ngx_http_ampersand_limit_conf_t  *conf;
    ngx_ampersand_leasing_t           leasing;
    ngx_http_ampersand_lease_waits_t  waits;
    ngx_event_t                       idle;     /* returns unspent units      */
} ngx_http_ampersand_limits_t;


/* A request's; zeroed before its first use. */

typedef struct {
    ngx_ampersand_limit_t            *applied;  /* the limits that apply      */
    ngx_uint_t                        n;        /* ... how many               */
    time_t                            retry;    /* seconds, for Retry-After   */
    amp_limit_e                       refused;  /* by which limit, after one
                                                   of the three reasons below */
    amp_span_t                        tenant;   /* who was charged ...        */
    amp_class_e                       class;    /* ... and for which class    */
    unsigned                          charged:1;
    unsigned                          budgeted:1; /* of its project's budget  */
    unsigned                          beyond:1; /* refused: it is beyond its
                                                   tenant's part of that      */
    ngx_http_cleanup_t               *inflight; /* while it counts as one     */
    ngx_http_ampersand_lease_wait_t   wait;
} ngx_http_ampersand_limited_t;


/*
 * For init_process: limits->conf, and zone, redis and prefix of
 * limits->leasing, have to be set.
 * timeout: that of a command to Redis, ms.
 */

void ngx_http_ampersand_limit_init(ngx_http_ampersand_limits_t *limits,
    ngx_msec_t timeout);

/*
 * Takes a unit of each limit that applies to the tenant's operation: those of
 * the record, of the token's scope and of the project.
 *   AMP_OK            admitted; with limited->wait.request set nothing is
 *                     decided: the request is suspended, and asks again when
 *                     its phase runs again
 *   AMP_RATE_LIMITED, AMP_TOKEN_RATE_LIMITED, AMP_PROJECT_RATE_LIMITED,
 *   AMP_TOO_MANY      refused; limited->retry is set where a time is known
 *   AMP_STORE_DOWN    no Redis, and "ampersand_limit_fallback deny"
 *   AMP_INTERNAL      no memory
 */

amp_reason_e ngx_http_ampersand_limit(ngx_http_request_t *r,
    ngx_http_ampersand_limits_t *limits, ngx_http_ampersand_limited_t *limited,
    const ngx_ampersand_record_t *record, const amp_operation_t *op);

/* The request is no longer in flight.  May be called more than once. */

void ngx_http_ampersand_limit_release(ngx_http_ampersand_limited_t *limited);


#endif /* NGX_HTTP_AMPERSAND_LIMIT_H */
