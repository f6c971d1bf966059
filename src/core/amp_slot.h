/*
 * Where a key lives in a Redis cluster (Redis cluster specification, "Key
 * distribution model" and "Redirection and resharding"), and what a node says
 * when it lives elsewhere.
 */

#ifndef AMP_SLOT_H
#define AMP_SLOT_H


#include "amp_redis_url.h"


#define AMP_SLOTS  16384


/*
 * 0 .. AMP_SLOTS - 1: CRC16 (XMODEM) of what stands between the first "{" and
 * the next "}", when that is something, else of the whole key.
 */

unsigned amp_slot(amp_span_t key);


typedef struct {
    unsigned          ask;          /* only the next command, after ASKING    */
    unsigned          slot;
    amp_redis_host_t  host;         /* empty: the host that answered          */
} amp_redirect_t;


/*
 * Reads the text of an error reply, without its "-": "MOVED 3999 host:port" or
 * "ASK 3999 host:port", where the host may be a bare IPv6 address, and empty
 * when the node does not know it.  0, or -1: another error, or a malformed one.
 */

int amp_redirect_parse(amp_span_t text, amp_redirect_t *redirect);


#endif /* AMP_SLOT_H */
