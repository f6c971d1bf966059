/*
 * Redis through hiredis' blocking calls: one connection, every fault turned
 * into one message with what to do.  Nothing here knows what a tenant is.
 */

#ifndef CTL_STORE_H
#define CTL_STORE_H


#include <hiredis/hiredis.h>

#include "../core/amp_span.h"
#include "output.h"


typedef struct store_s  store_t;


typedef struct {
    const char  *url;
    const char  *password_file;     /* or NULL                                */
    const char  *prefix;            /* valid, see amp_keys_prefix_valid()     */
    unsigned     timeout;           /* of the connect and of each answer, ms  */
} store_options_t;


/* Connects, authenticates, selects.  NULL with the error filled. */

store_t *store_open(const store_options_t *options, ctl_error_t *error);

void store_close(store_t *store);

/* The address without credentials, for messages. */

const char *store_address(const store_t *store);

amp_span_t store_prefix(const store_t *store);

/*
 * One command, redisCommand()'s format.  The caller frees the reply; an error
 * reply is freed here: NULL with the error filled.
 */

redisReply *store_command(store_t *store, ctl_error_t *error, const char *fmt,
    ...);

/* Pipelining: queue commands, then take as many replies, each as above. */

void store_queue(store_t *store, const char *fmt, ...);
redisReply *store_reply(store_t *store, ctl_error_t *error);

/*
 * Runs a script on exactly one key: EVALSHA, and EVAL where Redis does not
 * hold the script.  0 with its integer answer, or -1 with the error filled.
 */

int store_script(store_t *store, ctl_error_t *error, const char *script,
    amp_span_t key, const amp_span_t *args, unsigned nargs, long long *answer);

/* The clock of Redis, microseconds since 1970.  0, or -1. */

int store_time(store_t *store, ctl_error_t *error, int64_t *now);


#endif /* CTL_STORE_H */
