/*
 * Redis as the rest of the module uses it: a single server, the master that
 * Sentinels name, or a cluster.  Each worker has one; in one worker of a
 * machine it also subscribes.
 *
 *   redis ──▶ cluster_command ──▶ cluster ──▶ link
 *     └─────▶ sentinel ──────────────────────▶ link
 *
 *   link ──▶ resolver, connection ──▶ tls
 *     └────▶ handshake, pipeline, redis_error
 *
 * ngx_ampersand_link.h says what happens to commands in an outage.
 */

#ifndef NGX_AMPERSAND_REDIS_H
#define NGX_AMPERSAND_REDIS_H


#include "ngx_ampersand_link.h"


typedef struct ngx_ampersand_redis_s  ngx_ampersand_redis_t;


/* ampersand_status shows these values; 0 is a worker without Redis. */

typedef enum {
    NGX_AMPERSAND_REDIS_STARTING = 1,
    NGX_AMPERSAND_REDIS_UP,
    NGX_AMPERSAND_REDIS_DEGRADED        /* out of reach; of a cluster: a node,
                                           a slot or the slot map             */
} ngx_ampersand_redis_state_e;


typedef void (*ngx_ampersand_redis_state_pt)(void *data,
    ngx_ampersand_redis_state_e state);

/* The subscription was made (up = 1), or is lost or not made yet (up = 0). */

typedef void (*ngx_ampersand_redis_subscribed_pt)(void *data, ngx_uint_t up);


/*
 * Starts to connect; state() is called at every change, the first time within
 * this call, and count() at every change of a link.  conf, log (the cycle's),
 * counters (in shared memory) and data have to outlive it.  NULL: no memory.
 */

ngx_ampersand_redis_t *ngx_ampersand_redis_create(
    ngx_ampersand_redis_conf_t *conf, ngx_log_t *log,
    ngx_ampersand_redis_counters_t *counters,
    ngx_ampersand_redis_state_pt state, ngx_ampersand_link_count_pt count,
    void *data);

/*
 * Sends a command that uses no key but this one, or keys of its slot; argv is
 * copied, handler may be NULL.  NGX_OK: taken, the handler will be called.
 * NGX_DECLINED: Redis, or the key's node, is out of reach.  NGX_BUSY: too many
 * commands wait.  NGX_ERROR: no memory, or too many arguments.
 */

ngx_int_t ngx_ampersand_redis_command(ngx_ampersand_redis_t *redis,
    amp_span_t key, ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_reply_pt handler, void *data);

/*
 * Calls on_server for each server that a link connects to from now on: to be
 * called directly after ngx_ampersand_redis_create().
 */

void ngx_ampersand_redis_on_server(ngx_ampersand_redis_t *redis,
    ngx_ampersand_link_server_pt on_server, void *data);

/*
 * The server that a command with this key would be sent to now; NULL: none.
 * Valid until the event loop runs again.
 */

const ngx_ampersand_server_t *ngx_ampersand_redis_server(
    ngx_ampersand_redis_t *redis, amp_span_t key);

/*
 * Subscribes to the channel for as long as redis lives; once.  message() gets
 * NGX_OK and the text of each message.  Messages that are published while there
 * is no subscription are missed: subscribed() is called at each change, and
 * with 0 within this call.  The channel's text has to outlive redis.
 * NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_redis_subscribe(ngx_ampersand_redis_t *redis,
    ngx_str_t *channel, ngx_ampersand_reply_pt message,
    ngx_ampersand_redis_subscribed_pt subscribed, void *data);

/* Closes and frees everything, calls no handler; when the worker exits. */

void ngx_ampersand_redis_close(ngx_ampersand_redis_t *redis);


#endif /* NGX_AMPERSAND_REDIS_H */
