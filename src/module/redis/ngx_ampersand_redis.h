/*
 * Redis, for those who use it: one Redis, the master that Sentinels name, or a
 * cluster.  A worker has one; in one worker a machine it also subscribes.
 *
 * What is below, each including the next only:
 *
 *   redis ──▶ calls ──▶ cluster ──┐
 *     └─────▶ sentinel ───────────┴▶ link ──▶ greeting, wire, address
 *
 * ngx_ampersand_link.h says what happens to commands and links in an outage.
 */

#ifndef NGX_AMPERSAND_REDIS_H
#define NGX_AMPERSAND_REDIS_H


#include "ngx_ampersand_link.h"


typedef struct ngx_ampersand_redis_s  ngx_ampersand_redis_t;


/* Stands in the status: 0 is a worker without Redis. */

typedef enum {
    NGX_AMPERSAND_REDIS_STARTING = 1,
    NGX_AMPERSAND_REDIS_UP,
    NGX_AMPERSAND_REDIS_DEGRADED        /* all of it, or a part of a cluster  */
} ngx_ampersand_redis_state_e;


typedef void (*ngx_ampersand_redis_state_pt)(void *data,
    ngx_ampersand_redis_state_e state);

/* The subscription is there (up = 1) or is not. */

typedef void (*ngx_ampersand_redis_heard_pt)(void *data, ngx_uint_t up);


/*
 * Starts to connect; state() is called at every change.  log is the cycle's,
 * counters are shared memory.  NULL without memory.
 */

ngx_ampersand_redis_t *ngx_ampersand_redis_create(
    ngx_ampersand_redis_conf_t *conf, ngx_log_t *log,
    ngx_ampersand_redis_counters_t *counters,
    ngx_ampersand_redis_state_pt state, void *data);

/*
 * Appends a command that touches the key, or the slot of the key, only.
 * NGX_OK: taken, the handler (or NULL) will be called.  NGX_DECLINED: Redis, or
 * the key's node, is out of reach.  NGX_BUSY: too many wait.  NGX_ERROR: no
 * memory.
 */

ngx_int_t ngx_ampersand_redis_command(ngx_ampersand_redis_t *redis,
    amp_span_t key, ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_reply_pt handler, void *data);

/* Tells of each server that is met from now on: to be said at once. */

void ngx_ampersand_redis_meet(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_met_pt met, void *data);

/* The server that a command with this key would go to now, or NULL. */

const ngx_ampersand_server_t *ngx_ampersand_redis_server(
    ngx_ampersand_redis_t *redis, amp_span_t key);

/*
 * Subscribes to the channel, for good; once.  What is published between two
 * subscriptions is missed: up() tells of each.  channel has to live as long.
 */

ngx_int_t ngx_ampersand_redis_subscribe(ngx_ampersand_redis_t *redis,
    ngx_str_t *channel, ngx_ampersand_reply_pt message,
    ngx_ampersand_redis_heard_pt up, void *data);

/* Closes and frees all, without calling anybody; for exit_process. */

void ngx_ampersand_redis_close(ngx_ampersand_redis_t *redis);


#endif /* NGX_AMPERSAND_REDIS_H */
