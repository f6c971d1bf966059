/*
 * Where a key lives in a Redis cluster (Redis cluster specification, "Key
 * distribution model" and "Redirection and resharding"), and the error replies
 * by which a node sends a client to another node.
 */

#ifndef AMP_SLOT_H
#define AMP_SLOT_H


#include "amp_redis_url.h"


#define AMP_SLOTS  16384


/*
 * The slot of a key, 0 .. AMP_SLOTS - 1: CRC16 (XMODEM) of what stands between
 * the first "{" and the next "}" where that is not empty, else of all the key.
 */

unsigned amp_slot(amp_span_t key);


typedef struct {
    unsigned          ask;          /* 1: only the next command, after ASKING */
    unsigned          slot;
    unsigned          unknown;      /* 1: to a node without a known address   */
    amp_redis_host_t  host;         /* unless unknown                         */
} amp_redirect_t;


/*
 * Reads the text of an error reply, without its "-": "MOVED 3999 host:port" or
 * "ASK 3999 host:port", where the host may be a bare IPv6 address.  An empty
 * host is that of the node that answered.  Redis writes the host "?" where
 * cluster-preferred-endpoint-type is "hostname" and the node has no host name:
 * the slot map may have its address (amp_slot_map.h).
 *
 * 0, or -1: another error, or a malformed one.
 */

int amp_redirect_parse(amp_span_t text, const amp_redis_host_t *answered,
    amp_redirect_t *redirect);


#endif /* AMP_SLOT_H */
