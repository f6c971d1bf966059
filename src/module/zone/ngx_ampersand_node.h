/*
 * The nodes of the zone.  All functions need shpool->mutex held.
 */

#ifndef NGX_AMPERSAND_NODE_H
#define NGX_AMPERSAND_NODE_H


#include "ngx_ampersand_zone.h"


/* bodies hold uint64_t: data[] starts where one may stand */

#define ngx_ampersand_node_head                                               \
    ngx_align(offsetof(ngx_ampersand_node_t, data), sizeof(uint64_t))

#define ngx_ampersand_node_body(node)                                         \
    ((void *) ((u_char *) (node) + ngx_ampersand_node_head))


/* what follows the id of an INFLIGHT or a COOLDOWN */

#define ngx_ampersand_node_state(node)                                        \
    ((void *) ((u_char *) ngx_ampersand_node_body(node)                       \
               + ngx_align((node)->len, sizeof(uint64_t))))


/* by ref_place, which may be out of date: then it is anything */

#define ngx_ampersand_node_at(zone, place)                                    \
    ((ngx_ampersand_node_t *) ((u_char *) (zone)->shpool                      \
                               + (size_t) (place) * 8))


#define ngx_ampersand_zone_hash(data, len)                                    \
    ngx_murmur_hash2((u_char *) (data), len)


static ngx_inline uint32_t
ngx_ampersand_zone_digest_hash(const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return hash;
}


/*
 * Of many tenants none is in the CPU's cache: it is asked for all lines of a
 * node at once.  The sizes are those of most; of a tenant without many grants.
 */

static ngx_inline void
ngx_ampersand_node_fetch(ngx_ampersand_node_t *node, ngx_ampersand_kind_e kind)
{
    size_t  i, size;

    size = (kind == NGX_AMPERSAND_TOKEN) ? 2 * 64
           : (kind == NGX_AMPERSAND_TENANT) ? 6 * 64 : 4 * 64;

    for (i = 0; i < size; i += 64) {
        __builtin_prefetch((u_char *) node + i);
    }
}


/* Did an event name the node, or one that shares its place, since begun? */

static ngx_inline ngx_uint_t
ngx_ampersand_zone_overtaken(ngx_ampersand_shared_t *sh, uint64_t begun,
    uint32_t hash)
{
    return sh->named[hash % NGX_AMPERSAND_ZONE_NAMED] > begun
           || sh->distrusted > begun;
}


/* It may come from a worker whose clock is a few milliseconds ahead. */

static ngx_inline ngx_msec_t
ngx_ampersand_zone_age(ngx_ampersand_node_t *node)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - node->fetched);

    return ngx_max(age, 0);
}


/* By its id (a token's: the digest); moves it to the head of its LRU queue. */

ngx_ampersand_node_t *ngx_ampersand_node_get(ngx_ampersand_shared_t *sh,
    ngx_ampersand_kind_e kind, uint32_t hash, const u_char *id, size_t len);

/* By an id that is hashed as ngx_ampersand_zone_hash() does: all but tokens. */

#define ngx_ampersand_node_find(sh, kind, id)                                 \
    ngx_ampersand_node_get(sh, kind,                                          \
                           ngx_ampersand_zone_hash((id).data, (id).len),      \
                           (id).data, (id).len)

/* The tenant of a token, the project of a tenant: the same, mostly quicker. */

ngx_ampersand_node_t *ngx_ampersand_node_follow(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *from, ngx_ampersand_kind_e kind, const u_char *id,
    size_t len);

/*
 * A new one at the head of the LRU queue, fetched now, its body not yet filled.
 * Where memory is short others go: unknown ones first, and real ones only for
 * a real one.  An unknown one goes to its own queue, which has a cap.  NULL
 * when there is no room.  May drop any other node.
 */

ngx_ampersand_node_t *ngx_ampersand_node_put(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, uint32_t hash, size_t body, ngx_uint_t unknown);

/*
 * Of those that begin with an id: the one there is, or a new one with a state
 * of so many zero bytes.  NULL when there is no room.
 */

ngx_ampersand_node_t *ngx_ampersand_node_make(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, amp_span_t id, size_t state);

void ngx_ampersand_node_drop(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node);


#endif /* NGX_AMPERSAND_NODE_H */
