/*
 * Does any tenant's key open?  With a wrong master key nobody can be served,
 * and only requests of tenants would tell.  When the gateway is asked whether
 * it is ready, a worker samples tenants in Redis and tries to open their keys.
 *
 *   SRANDMEMBER of the tenants' ids ──▶ GET of each record ──▶ state, waiters
 *
 * The state is in the zone's counters, for all workers, and is good for
 * NGX_AMPERSAND_SAMPLE_TIME.
 */

#ifndef NGX_AMPERSAND_SAMPLE_H
#define NGX_AMPERSAND_SAMPLE_H


#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_zone.h"
#include "amp_keyring.h"


#define NGX_AMPERSAND_SAMPLE_TENANTS  8
#define NGX_AMPERSAND_SAMPLE_TIME     10000     /* ms                         */


typedef enum {
    NGX_AMPERSAND_SAMPLE_UNKNOWN = 0,   /* no sample, or an old one           */
    NGX_AMPERSAND_SAMPLE_NONE,          /* no tenant has a key, or Redis does
                                           not permit the commands            */
    NGX_AMPERSAND_SAMPLE_OPENS,         /* a key opened                       */
    NGX_AMPERSAND_SAMPLE_CLOSED         /* there are keys, and none opened    */
} ngx_ampersand_sample_e;


/* Who waits for a sample; the caller's, until handler() or leave(). */

typedef struct {
    void                  (*handler)(void *data);
    void                   *data;
    ngx_queue_t             queue;
} ngx_ampersand_sample_wait_t;


/* A worker's; the caller fills the first part, and it is zeroed before. */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;
    amp_keyring_t          *keyring;

    ngx_queue_t             waits;
    ngx_uint_t              pending;    /* replies that have to come          */
    ngx_uint_t              failed;     /* records that did not come          */
    ngx_uint_t              keys;
    ngx_uint_t              opened;
} ngx_ampersand_sample_t;


/*
 * For init_process: forgets what was sampled with the master keys of a
 * configuration before.
 */

void ngx_ampersand_sample_init(ngx_ampersand_sample_t *sample);

ngx_ampersand_sample_e ngx_ampersand_sample_state(
    ngx_ampersand_sample_t *sample);

/*
 * Samples.  NGX_OK: handler() will be called when the state is known, or stays
 * UNKNOWN.  NGX_DECLINED: Redis is out of reach.
 */

ngx_int_t ngx_ampersand_sample(ngx_ampersand_sample_t *sample,
    ngx_ampersand_sample_wait_t *wait);

void ngx_ampersand_sample_leave(ngx_ampersand_sample_wait_t *wait);


#endif /* NGX_AMPERSAND_SAMPLE_H */
