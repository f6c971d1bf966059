#include "ngx_ampersand_node.h"


#define NGX_AMPERSAND_NODE_EVICT   32       /* nodes, to make one             */
#define NGX_AMPERSAND_NODE_MOVE    60000    /* ms between moves in the queue, */
#define NGX_AMPERSAND_NODE_MOVE_SHORT  1000 /* ... and where room is short    */


static ngx_uint_t ngx_ampersand_node_is(ngx_ampersand_node_t *node,
    ngx_ampersand_kind_e kind, uint32_t hash, const u_char *id, size_t len);
static void ngx_ampersand_node_touch(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node);


ngx_ampersand_node_t *
ngx_ampersand_node_peek(ngx_ampersand_shared_t *sh, ngx_ampersand_kind_e kind,
    uint32_t hash, const u_char *id, size_t len)
{
    ngx_ampersand_node_t  *node;

    for (node = sh->buckets[hash & sh->mask];
         node && !ngx_ampersand_node_is(node, kind, hash, id, len);
         node = node->next)
    {
        /* void */
    }

    return node;
}


ngx_ampersand_node_t *
ngx_ampersand_node_get(ngx_ampersand_shared_t *sh, ngx_ampersand_kind_e kind,
    uint32_t hash, const u_char *id, size_t len)
{
    ngx_ampersand_node_t  *node;

    node = ngx_ampersand_node_peek(sh, kind, hash, id, len);

    if (node) {
        ngx_ampersand_node_touch(sh, node);
    }

    return node;
}


ngx_ampersand_node_t *
ngx_ampersand_node_follow(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *from, ngx_ampersand_kind_e kind, const u_char *id,
    size_t len)
{
    ngx_ampersand_node_t  *node;

    node = ngx_ampersand_node_at(zone, from->ref_place);

    if (from->ref_place && node->serial == from->ref_serial
        && ngx_ampersand_node_is(node, kind, from->ref, id, len))
    {
        ngx_ampersand_node_touch(zone->sh, node);
        return node;
    }

    node = ngx_ampersand_node_get(zone->sh, kind, from->ref, id, len);

    if (node) {
        from->ref_serial = node->serial;
        from->ref_place = (uint32_t) (((u_char *) node
                                       - (u_char *) zone->shpool) / 8);
    }

    return node;
}


static ngx_uint_t
ngx_ampersand_node_is(ngx_ampersand_node_t *node, ngx_ampersand_kind_e kind,
    uint32_t hash, const u_char *id, size_t len)
{
    ngx_ampersand_tenant_node_t   *ten;
    ngx_ampersand_project_node_t  *pn;

    if (node->hash != hash || node->kind != kind) {
        return 0;
    }

    switch (kind) {

    case NGX_AMPERSAND_TOKEN:
        return ngx_memcmp(ngx_ampersand_node_body(node), id, len) == 0;

    case NGX_AMPERSAND_TENANT:
        ten = ngx_ampersand_node_body(node);

        return amp_span_eq(amp_tenant_field(&ten->tenant, ten->tenant.id),
                           amp_span_make(id, len));

    case NGX_AMPERSAND_PROJECT:
        pn = ngx_ampersand_node_body(node);

        return node->len == len && ngx_memcmp(pn->id, id, len) == 0;

    default: /* an id and a state */
        return node->len == len
               && ngx_memcmp(ngx_ampersand_node_body(node), id, len) == 0;
    }
}


/* A move touches four other nodes, so a node moves once in a while only. */

static void
ngx_ampersand_node_touch(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node)
{
    uint32_t  now, age;

    now = (uint32_t) ngx_current_msec;
    age = now - node->moved;

    if (age > NGX_AMPERSAND_NODE_MOVE_SHORT && !node->negative
        && (age > NGX_AMPERSAND_NODE_MOVE
            || now - sh->evicted <= NGX_AMPERSAND_NODE_MOVE))
    {
        node->moved = now;
        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&sh->lru, &node->queue);
    }
}


ngx_ampersand_node_t *
ngx_ampersand_node_create(ngx_ampersand_zone_t *zone, ngx_ampersand_kind_e kind,
    uint32_t hash, size_t body, ngx_uint_t negative)
{
    ngx_uint_t               i;
    ngx_queue_t             *victims, *queue;
    ngx_ampersand_node_t    *node, *victim;
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;
    node = NULL;
    queue = negative ? &sh->negative : &sh->lru;

    if (negative && sh->nnegative >= sh->negative_max) {
        ngx_ampersand_node_free(zone,
                                ngx_queue_data(ngx_queue_last(queue),
                                               ngx_ampersand_node_t, queue));
    }

    /* as many negative entries as fill a page */

    for (i = 0; i < 2 * NGX_AMPERSAND_NODE_EVICT; i++) {
        node = ngx_slab_alloc_locked(zone->shpool,
                                     ngx_ampersand_node_head + body);
        if (node) {
            break;
        }

        victims = (i < NGX_AMPERSAND_NODE_EVICT
                   && !ngx_queue_empty(&sh->negative))
                  ? &sh->negative : &sh->lru;

        if (ngx_queue_empty(victims) || (victims == &sh->lru && negative)) {
            break;
        }

        victim = ngx_queue_data(ngx_queue_last(victims), ngx_ampersand_node_t,
                                queue);

        if (victim->kind == NGX_AMPERSAND_CONCURRENCY && victim->ref) {
            ngx_queue_remove(&victim->queue);
            ngx_queue_insert_head(&sh->lru, &victim->queue);
            continue;
        }

        /* a fresh entry, which would have saved a look-up */

        if (!victim->negative && sh->too_small == 0
            && ngx_ampersand_node_age(victim) < zone->ttl)
        {
            sh->too_small = 1;
        }

        sh->counters.evictions++;
        sh->evicted = (uint32_t) ngx_current_msec;
        ngx_ampersand_node_free(zone, victim);
    }

    ngx_ampersand_zone_step();

    if (node == NULL) {
        if (!negative && sh->too_small == 0) {
            sh->too_small = 1;
        }

        sh->counters.no_memory++;
        return NULL;
    }

    ngx_memzero(node, ngx_ampersand_node_head);

    node->kind = (u_char) kind;
    node->hash = hash;
    sh->serial += (sh->serial == NGX_MAX_UINT32_VALUE) ? 2 : 1;
    node->serial = sh->serial;
    node->moved = (uint32_t) ngx_current_msec;
    node->fetched = ngx_current_msec;
    node->epoch = sh->epoch;
    node->negative = (u_char) negative;

    node->next = sh->buckets[hash & sh->mask];
    sh->buckets[hash & sh->mask] = node;
    ngx_ampersand_zone_step();
    ngx_queue_insert_head(queue, &node->queue);
    sh->n[kind] += !negative;
    sh->nnegative += negative;

    /* its content is that of the memory before */

    ngx_ampersand_zone_step();

    return node;
}


ngx_ampersand_node_t *
ngx_ampersand_node_obtain(ngx_ampersand_zone_t *zone, ngx_ampersand_kind_e kind,
    amp_span_t id, size_t state)
{
    size_t                 len;
    uint32_t               hash;
    ngx_ampersand_node_t  *node;

    hash = ngx_ampersand_node_hash(id.data, id.len);

    node = ngx_ampersand_node_get(zone->sh, kind, hash, id.data, id.len);
    if (node) {
        return node;
    }

    len = ngx_align(id.len, sizeof(uint64_t));

    node = ngx_ampersand_node_create(zone, kind, hash, len + state, 0);
    if (node == NULL) {
        return NULL;
    }

    node->len = (u_char) id.len;
    ngx_memcpy(ngx_ampersand_node_body(node), id.data, id.len);
    ngx_memzero(ngx_ampersand_node_state(node), state);

    return node;
}


void
ngx_ampersand_node_free(ngx_ampersand_zone_t *zone, ngx_ampersand_node_t *node)
{
    ngx_ampersand_node_t    **p;
    ngx_ampersand_shared_t   *sh;

    sh = zone->sh;

    for (p = &sh->buckets[node->hash & sh->mask]; *p != node; p = &(*p)->next) {
        /* void */
    }

    *p = node->next;
    ngx_ampersand_zone_step();
    ngx_queue_remove(&node->queue);
    sh->n[node->kind] -= !node->negative;
    sh->nnegative -= node->negative;
    node->serial = 0;

    ngx_slab_free_locked(zone->shpool, node);
}
