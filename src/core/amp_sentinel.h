/*
 * What Sentinels and servers say about who the master is (Redis documentation,
 * "Guidelines for Redis clients with support for Redis Sentinel", "High
 * availability with Redis Sentinel", and ROLE).
 */

#ifndef AMP_SENTINEL_H
#define AMP_SENTINEL_H


#include "amp_redis_url.h"
#include "amp_reply.h"


typedef enum {
    AMP_SENTINEL_MASTER = 0,        /* the answer is host and port            */
    AMP_SENTINEL_NO_SUCH_NAME,      /* no master of that name is monitored    */
    AMP_SENTINEL_NO_HOST,           /* a master without host and port: empty,
                                       "?", or nothing that can be one        */
    AMP_SENTINEL_ERROR,             /* an error reply                         */
    AMP_SENTINEL_MALFORMED          /* no answer that a Sentinel gives        */
} amp_sentinel_answer_e;


/*
 * Reads the reply to SENTINEL GET-MASTER-ADDR-BY-NAME.  *host is set where
 * AMP_SENTINEL_MASTER is returned.
 */

amp_sentinel_answer_e amp_sentinel_answer(const amp_reply_t *reply,
    amp_redis_host_t *host);

/*
 * Reads a message of a Sentinel's channel:
 *
 *   +switch-master    name oldhost oldport host port
 *   +promoted-slave   slave host:port host port @ name oldhost oldport
 *
 * 0 with *host set to the new master of that name; -1 where the message is
 * about another master, or malformed.
 */

int amp_sentinel_message(amp_span_t text, amp_span_t name,
    amp_redis_host_t *host);

/* Reads the reply to ROLE: 1 where the server says that it is a master. */

unsigned amp_sentinel_role_master(const amp_reply_t *reply);


#endif /* AMP_SENTINEL_H */
