/*
 * The slot map of a Redis cluster: the reply to CLUSTER SLOTS, as Redis 6 to 8
 * and Valkey give it.
 *
 *   [[first, last, master, replica...], ...]      a node: [host, port, id]
 *                                     Redis 7 on: [host, port, id, metadata]
 *                                       metadata: [name, value, ...]
 *
 * What the host of a node means (Redis documentation, CLUSTER SLOTS, "Nested
 * Result Array"):
 *
 *   a null, or empty   the host that answered CLUSTER SLOTS
 *   "?"                the cluster prefers host names, and the node has none:
 *                      the "ip" of the metadata, which is read as the host is;
 *                      without an "ip" the node's address is not known
 *   other text         a host name or an address
 *
 * A node with port 0 takes no connections of this kind (TLS, or without TLS):
 * its address is not known either.
 */

#ifndef AMP_SLOT_MAP_H
#define AMP_SLOT_MAP_H


#include "amp_redis_url.h"
#include "amp_reply.h"
#include "amp_slot.h"


#define AMP_SLOT_MAP_NODES  1024        /* masters that a client has to take;
                                           Redis recommends at most 1000      */


typedef struct {
    unsigned          first;            /* slots, first <= last < AMP_SLOTS   */
    unsigned          last;
    unsigned          replicas;         /* how many the master has            */
    unsigned          unknown;          /* 1: the master has no known address,
                                           nobody serves these slots          */
    amp_redis_host_t  master;           /* unless unknown                     */
} amp_slot_range_t;


/* A reply being read; the members are private. */

typedef struct {
    amp_reply_t       reply;
    amp_redis_host_t  answered;
    size_t            next;
} amp_slot_map_t;


/*
 * Begins to read the reply that the host answered gave.  The view has to be
 * valid until the last range is read.  0, or -1 where any part of the map is
 * malformed, an error reply included, or where a slot is named twice: then no
 * part of it may be used.
 */

int amp_slot_map_open(amp_slot_map_t *map, const amp_reply_t *reply,
    const amp_redis_host_t *answered);

/* The next range: 1, or 0 when all were read. */

int amp_slot_map_next(amp_slot_map_t *map, amp_slot_range_t *range);


#endif /* AMP_SLOT_MAP_H */
