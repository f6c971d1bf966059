/*
 * The nodes of the zone.  All functions need shpool->mutex held.
 */

#ifndef NGX_AMPERSAND_NODE_H
#define NGX_AMPERSAND_NODE_H


#include "ngx_ampersand_zone.h"


/* bodies hold uint64_t, so they are aligned for one */

#define ngx_ampersand_node_head                                               \
    ngx_align(offsetof(ngx_ampersand_node_t, data), sizeof(uint64_t))

#define ngx_ampersand_node_body(node)                                         \
    ((void *) ((u_char *) (node) + ngx_ampersand_node_head))


/* what follows the id of a node of a kind from CONCURRENCY on */

#define ngx_ampersand_node_state(node)                                        \
    ((void *) ((u_char *) ngx_ampersand_node_body(node)                       \
               + ngx_align((node)->len, sizeof(uint64_t))))


/* the node at ref_place; anything may be there where that is out of date */

#define ngx_ampersand_node_at(zone, place)                                    \
    ((ngx_ampersand_node_t *) ((u_char *) (zone)->shpool                      \
                               + (size_t) (place) * 8))


#define ngx_ampersand_node_hash(data, len)                                    \
    ngx_murmur_hash2((u_char *) (data), len)


static ngx_inline uint32_t
ngx_ampersand_node_digest_hash(const u_char *digest)
{
    uint32_t  hash;

    ngx_memcpy(&hash, digest, sizeof(hash));

    return hash;
}


/* Was what has this hash, or shares its place, invalidated since begun? */

static ngx_inline ngx_uint_t
ngx_ampersand_node_outdated(ngx_ampersand_shared_t *sh, uint64_t begun,
    uint32_t hash)
{
    return sh->invalidated[hash % NGX_AMPERSAND_INVALIDATED] > begun
           || sh->stale_seq > begun;
}


/* ms since it was read; the clock of the worker that did may be ahead. */

static ngx_inline ngx_msec_t
ngx_ampersand_node_age(ngx_ampersand_node_t *node)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - node->fetched);

    return ngx_max(age, 0);
}


/*
 * Finds a node by its id (a token's is the digest), or NULL.  Marks it as
 * used.
 */

ngx_ampersand_node_t *ngx_ampersand_node_get(ngx_ampersand_shared_t *sh,
    ngx_ampersand_kind_e kind, uint32_t hash, const u_char *id, size_t len);

/* The same for who only wants to look: the node is not marked as used. */

ngx_ampersand_node_t *ngx_ampersand_node_peek(ngx_ampersand_shared_t *sh,
    ngx_ampersand_kind_e kind, uint32_t hash, const u_char *id, size_t len);

/*
 * ngx_ampersand_node_get() for ids that ngx_ampersand_node_hash() hashes: all
 * but tokens.
 */

#define ngx_ampersand_node_find(sh, kind, id)                                 \
    ngx_ampersand_node_get(sh, kind,                                          \
                           ngx_ampersand_node_hash((id).data, (id).len),      \
                           (id).data, (id).len)

/* Finds the tenant of a token or the project of a tenant, mostly by place. */

ngx_ampersand_node_t *ngx_ampersand_node_follow(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *from, ngx_ampersand_kind_e kind, const u_char *id,
    size_t len);

/*
 * Makes a node at the head of its LRU queue, read now, with room for body bytes
 * that are not filled.  Where memory is short other nodes are evicted: negative
 * entries first, and real ones only for a real one.  Negative entries have a
 * queue of their own, with a maximum.  NULL: no room.  May free any other node.
 */

ngx_ampersand_node_t *ngx_ampersand_node_create(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, uint32_t hash, size_t body, ngx_uint_t negative);

/*
 * Finds the node of a kind that begins with an id, or makes one with a state of
 * so many zero bytes.  NULL: no room.
 */

ngx_ampersand_node_t *ngx_ampersand_node_obtain(ngx_ampersand_zone_t *zone,
    ngx_ampersand_kind_e kind, amp_span_t id, size_t state);

void ngx_ampersand_node_free(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node);


#endif /* NGX_AMPERSAND_NODE_H */
