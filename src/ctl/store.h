/*
 * Redis as ampctl's commands use it: one server, the master behind Sentinels
 * or a cluster, and every fault turned into one message with what to do.
 * Nothing here knows what a tenant is.
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
 * NULL with the error filled: the URL, the password's file or those of TLS are
 * of no use.  The first command connects.  The options' texts have to live as
 * long as the store.
 */

store_t *store_open(const store_options_t *options, ctl_error_t *error);

void store_close(store_t *store);

/* The address without credentials, for messages. */

const char *store_address(const store_t *store);

amp_span_t store_prefix(const store_t *store);

/*
 * One command, redisCommand()'s format, with its key, if it has one, in the
 * first place.  It may be run twice when a node is lost meanwhile: only such
 * as do the same again.  The caller frees the reply; an error reply is freed
 * here: NULL with the error filled.
 */

redisReply *store_command(store_t *store, ctl_error_t *error, const char *fmt,
    ...);

/*
 * Pipelining: queue commands, each as above, then take as many replies in
 * their order.  After a NULL the rest is forgotten.
 */

void store_queue(store_t *store, const char *fmt, ...);
redisReply *store_reply(store_t *store, ctl_error_t *error);

/*
 * Runs a script on exactly one key: EVALSHA, and EVAL where Redis does not
 * hold the script.  With twice set it does the same when it is run again, and
 * may be, when a node is lost meanwhile; without, whoever gets
 * "redis_unreachable" does not know if it was run.  0 with its integer answer,
 * or -1 with the error filled.
 */

int store_script(store_t *store, ctl_error_t *error, const amp_script_t *script,
    unsigned twice, amp_span_t key, const amp_span_t *args, unsigned nargs,
    long long *answer);

/*
 * The clock of the Redis that holds a key, microseconds since 1970.  0, or -1.
 */

int store_time(store_t *store, ctl_error_t *error, amp_span_t key,
    int64_t *now);


/* The way to Redis, for ampctl doctor, which looks at every node. */

route_t *store_route(store_t *store);


#endif /* CTL_STORE_H */
