/*
 * A write that succeeded, or may have, changes the cache keys of what it wrote:
 *
 *   here        the zone's bumps change at once, for all workers, before the
 *               client has its answer
 *   elsewhere   one script in Redis increments the generations and publishes
 *               them
 *
 * Where Redis did not confirm the script (out of reach, an error, its reply
 * lost) the invalidation is pending: the families stand in the project's node
 * of the zone, which outlives workers and reloads, and every worker that failed
 * tries again each second until none is pending.  A worker that exits leaves
 * those without a reply to its successors; those of a worker that was killed
 * stand in the project's node, too, and its successor finds them.  A duplicate
 * invalidation costs one extra cache miss.  A zone that is lost with pending
 * invalidations (a restart while Redis is out of reach) leaves the old answers
 * to their lifetimes.
 */

#ifndef NGX_AMPERSAND_CACHE_INVALIDATE_H
#define NGX_AMPERSAND_CACHE_INVALIDATE_H


#include "redis/ngx_ampersand_redis.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_generations.h"


/* A worker's.  zone, redis and prefix are the caller's to set. */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;
    ngx_event_t             retry;
    ngx_queue_t             calls;  /* commands without a reply               */
} ngx_ampersand_invalidator_t;


/* For init_process. */

void ngx_ampersand_cache_invalidate_init(ngx_ampersand_invalidator_t *inv,
    ngx_log_t *log);

/* For exit_process, after the link was closed, which calls no handler. */

void ngx_ampersand_cache_invalidate_exit(ngx_ampersand_invalidator_t *inv);

/* Families (AMP_F(...) | ...) of the project were written. */

void ngx_ampersand_cache_invalidate(ngx_ampersand_invalidator_t *inv,
    amp_span_t project, uint32_t families);


#endif /* NGX_AMPERSAND_CACHE_INVALIDATE_H */
