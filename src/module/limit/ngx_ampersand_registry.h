/*
 * The registry (core/amp_gateway.h): one worker of each gateway says that the
 * gateway lives, and learns how many do, and what time it is in Redis
 * (zone/ngx_ampersand_clock.h).  The shares of the fallback come from that
 * number.  It is kept in a file, too, for a gateway that is started while Redis
 * is out of reach.
 *
 *   timer ──▶ TIME ──▶ zone
 *     │  └──▶ SET of the record, and register.lua ──▶ the number ──▶ zone, file
 *     ▲                                     (NOSCRIPT: EVAL)
 *     └── an event was applied: soon, at most once a second; a mark: at once
 */

#ifndef NGX_AMPERSAND_REGISTRY_H
#define NGX_AMPERSAND_REGISTRY_H


#include "redis/ngx_ampersand_redis.h"
#include "zone/ngx_ampersand_zone.h"


/* A worker's; the caller fills the first part, and it is zeroed before. */

typedef struct {
    ngx_ampersand_zone_t   *zone;
    ngx_ampersand_redis_t  *redis;
    ngx_str_t              *prefix;
    ngx_str_t               status; /* where the status is, or empty          */
    ngx_str_t               file;   /* of the number, with a final NUL        */

    ngx_event_t             timer;
    ngx_msec_t              last;   /* ngx_current_msec of the last call      */
    ngx_uint_t              marks;  /* zone->sh->nmarks, as written           */
    ngx_uint_t              failed; /* the file could not be written          */
    ngx_uint_t              foreign; /* the key's other type was logged       */
} ngx_ampersand_registry_t;


/*
 * For init_process of each worker, before it serves requests: reads the file
 * where the number is not known yet.  one: this worker registers the gateway.
 */

void ngx_ampersand_registry_init(ngx_ampersand_registry_t *registry,
    ngx_log_t *log, ngx_uint_t one);

/* The zone has a new last event, or a mark, perhaps one that it had. */

void ngx_ampersand_registry_event(ngx_ampersand_registry_t *registry);

/* For exit_process of the gateway's last worker, before the link is closed. */

void ngx_ampersand_registry_exit(ngx_ampersand_registry_t *registry);


#endif /* NGX_AMPERSAND_REGISTRY_H */
