/*
 * The day (UTC, by the clock of Redis) on which each token was used last, in
 * Redis: amp:used:<digest>, for ampctl token list --unused.
 *
 * The first request of a day that a gateway serves with a token marks the token
 * in the zone and sends one SET; all others of that day find the mark.  No
 * request waits for the SET.  Where it fails the mark is taken back, this
 * worker sends none for a while, and a later request with the token tries
 * again.  The mark outlives a reload and each new look-up of the token; a token
 * that was evicted from the zone, or that ampctl has changed, is reported anew.
 *
 * Before its first SET a worker writes since when uses are known
 * (amp:used:since), unless that is known already.
 */

#ifndef NGX_AMPERSAND_LAST_USE_H
#define NGX_AMPERSAND_LAST_USE_H


#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_records.h"


#define NGX_AMPERSAND_LAST_USES  64     /* SETs without a reply, of a worker  */


typedef struct ngx_ampersand_last_use_s  ngx_ampersand_last_use_t;


/* A SET without a reply. */

typedef struct {
    ngx_ampersand_last_use_t  *last_use;
    uint32_t                   day;     /* 0: free                            */
    u_char                     digest[AMP_TOKEN_DIGEST];
} ngx_ampersand_last_use_set_t;


/* A worker's; the caller fills the first part, and it is zeroed before. */

struct ngx_ampersand_last_use_s {
    ngx_ampersand_zone_t          *zone;
    ngx_ampersand_redis_t         *redis;
    ngx_str_t                     *prefix;

    ngx_ampersand_last_use_set_t   sets[NGX_AMPERSAND_LAST_USES];
    ngx_msec_t                     failed;  /* when a SET failed last         */
    unsigned                       paused:1; /* since then                    */
    unsigned                       since:1; /* amp:used:since is there        */
    unsigned                       logged:1; /* that Redis refuses            */
};


/*
 * A request with this token was served; used: the day of its last use that the
 * request's record has.
 */

void ngx_ampersand_last_use(ngx_ampersand_last_use_t *last_use,
    const u_char *digest, uint32_t used);


#endif /* NGX_AMPERSAND_LAST_USE_H */
