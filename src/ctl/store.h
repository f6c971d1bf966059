/*
 * Redis, for the commands of ampctl: one server, the master that Sentinels name
 * or a cluster.  Each fault becomes a message with a remedy.
 *
 * Every command and script has at most one key, so that a cluster can run it.
 */

#ifndef CTL_STORE_H
#define CTL_STORE_H


#include "../core/amp_script.h"
#include "route.h"


typedef struct store_s  store_t;


typedef struct {
    const char     *url;
    const char     *password_file;  /* or NULL                                */
    const char     *prefix;         /* valid, see amp_keys_prefix_valid()     */
    tls_options_t   tls;            /* for rediss URLs                        */
    unsigned        timeout;        /* of the connect and of each command, ms */
} store_options_t;


/*
 * NULL with the error filled when the URL is malformed or a file of the options
 * cannot be used.  The first command connects.  The texts of the options must
 * live as long as the store.
 */

store_t *store_open(const store_options_t *options, ctl_error_t *error);

void store_close(store_t *store);

/* The command that changes something, "grant set", for the audit stream. */

void store_describe(store_t *store, const char *noun, const char *verb);
const char *store_what(const store_t *store);

/* The address without credentials, for messages. */

const char *store_address(const store_t *store);

amp_span_t store_prefix(const store_t *store);

/*
 * Runs a command in the format of redisCommand(); its first argument is its
 * key.  Redis may run it twice when a node is lost, so it must be idempotent.
 * Returns the reply, the caller's to free; or NULL with the error filled, for
 * an error reply too.
 */

redisReply *store_command(store_t *store, ctl_error_t *error, const char *fmt,
    ...);

/*
 * A pipeline: queue commands, each as above, then read as many replies in the
 * same order.  After a NULL reply the rest of the pipeline is dropped.
 */

void store_queue(store_t *store, const char *fmt, ...);
redisReply *store_reply(store_t *store, ctl_error_t *error);

/*
 * As store_reply(), but of a key of another type the error reply is returned:
 * it is the fault of one key.
 */

redisReply *store_reply_typed(store_t *store, ctl_error_t *error);

/*
 * Runs a script on one key: EVALSHA, then EVAL when Redis does not have the
 * script.  An idempotent script may be run twice when a node is lost; another
 * one is not, and after the error "redis_unreachable" it may or may not have
 * been run.  0 with the script's integer in *answer, or -1 with the error
 * filled.
 */

int store_script(store_t *store, ctl_error_t *error, const amp_script_t *script,
    unsigned idempotent, amp_span_t key, const amp_span_t *args, unsigned nargs,
    long long *answer);

/*
 * Queues an idempotent script in a pipeline, see store_queue().  Its reply is
 * NULL, too, where Redis does not have the script: store_script() loads it.
 */

void store_queue_script(store_t *store, const amp_script_t *script,
    amp_span_t key, const amp_span_t *args, unsigned nargs);

/*
 * The clock of the Redis that holds a key, microseconds since 1970.  0, or -1.
 */

int store_time(store_t *store, ctl_error_t *error, amp_span_t key,
    int64_t *now);

/*
 * Grows with each new connection, and each slot that has moved: a cursor of
 * SSCAN from before may be one of another server.
 */

unsigned store_changes(const store_t *store);

/* The nodes and their connections, for ampctl doctor. */

route_t *store_route(store_t *store);


#endif /* CTL_STORE_H */
