/*
 * What is frozen for all tenants.  An event says so at once; one worker of each
 * gateway reads the key in Redis besides, when it starts and each second, for
 * an event that was missed.  All workers have it from the zone, so a request
 * asks nobody.  While Redis is out of reach the last state stays.
 *
 * A reply that was asked for before an event is older than the event, and is
 * passed over.
 */

#ifndef NGX_AMPERSAND_FREEZE_H
#define NGX_AMPERSAND_FREEZE_H


#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_zone.h"


/* A worker's; the caller fills the first part, and it is zeroed before. */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;

    ngx_event_t             timer;
    ngx_uint_t              seq;    /* events so far, when the key was read   */
    ngx_uint_t              malformed; /* that was logged                     */
} ngx_ampersand_freeze_t;


/* For init_process of one worker. */

void ngx_ampersand_freeze_init(ngx_ampersand_freeze_t *freeze, ngx_log_t *log);


#endif /* NGX_AMPERSAND_FREEZE_H */
