#include "ngx_ampersand_node.h"


#define NGX_AMPERSAND_ZONE_EVICT   32       /* of a kind, for one entry       */
#define NGX_AMPERSAND_ZONE_MOVE    1000     /* ms between moves in the queue  */


ngx_ampersand_node_t *
ngx_ampersand_node_get(ngx_ampersand_shared_t *sh, ngx_ampersand_kind_e kind,
    uint32_t hash, const u_char *id, size_t len)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_tenant_node_t   *ten;
    ngx_ampersand_project_node_t  *pn;

    for (node = sh->buckets[hash & sh->mask]; node; node = node->next) {

        if (node->hash != hash || node->kind != kind) {
            continue;
        }

        switch (kind) {

        case NGX_AMPERSAND_TOKEN:
            if (ngx_memcmp(ngx_ampersand_node_body(node), id, len) == 0) {
                goto found;
            }

            break;

        case NGX_AMPERSAND_TENANT:
            ten = ngx_ampersand_node_body(node);

            if (amp_span_eq(amp_tenant_field(&ten->tenant, ten->tenant.id),
                            amp_span_make(id, len)))
            {
                goto found;
            }

            break;

        default: /* NGX_AMPERSAND_PROJECT */
            pn = ngx_ampersand_node_body(node);

            if (node->len == len && ngx_memcmp(pn->id, id, len) == 0) {
                goto found;
            }
        }
    }

    return NULL;

found:

    /* moving it touches four others: once in a while is recent enough */

    if (!node->unknown
        && ngx_current_msec - node->used > NGX_AMPERSAND_ZONE_MOVE)
    {
        node->used = ngx_current_msec;
        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&sh->lru, &node->queue);
    }

    return node;
}


/*
 * A new node at the head of the LRU queue, its body not yet filled.  Room is
 * made of unknown tokens first, as many as fill a page; of what is real only
 * for what is real.
 */

ngx_ampersand_node_t *
ngx_ampersand_node_put(ngx_ampersand_zone_t *zone, ngx_ampersand_kind_e kind,
    uint32_t hash, size_t body, ngx_uint_t real)
{
    ngx_uint_t               i;
    ngx_queue_t             *victims;
    ngx_ampersand_node_t    *node;
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;
    node = NULL;

    for (i = 0; i < 2 * NGX_AMPERSAND_ZONE_EVICT; i++) {
        node = ngx_slab_alloc_locked(zone->shpool,
                                     ngx_ampersand_node_head + body);
        if (node) {
            break;
        }

        victims = (i < NGX_AMPERSAND_ZONE_EVICT
                   && !ngx_queue_empty(&sh->unknown))
                  ? &sh->unknown : &sh->lru;

        if (ngx_queue_empty(victims) || (victims == &sh->lru && !real)) {
            break;
        }

        sh->counters.evictions++;
        ngx_ampersand_node_drop(zone, ngx_queue_data(ngx_queue_last(victims),
                                                     ngx_ampersand_node_t,
                                                     queue));
    }

    if (node == NULL) {
        sh->counters.no_memory++;
        return NULL;
    }

    ngx_memzero(node, ngx_ampersand_node_head);

    node->kind = (u_char) kind;
    node->hash = hash;
    node->used = ngx_current_msec;
    node->fetched = ngx_current_msec;
    node->epoch = sh->epoch;

    node->next = sh->buckets[hash & sh->mask];
    sh->buckets[hash & sh->mask] = node;
    ngx_queue_insert_head(&sh->lru, &node->queue);
    sh->n[kind]++;

    return node;
}


void
ngx_ampersand_node_drop(ngx_ampersand_zone_t *zone, ngx_ampersand_node_t *node)
{
    ngx_ampersand_node_t    **p;
    ngx_ampersand_shared_t   *sh;

    sh = zone->sh;

    for (p = &sh->buckets[node->hash & sh->mask]; *p != node; p = &(*p)->next) {
        /* void */
    }

    *p = node->next;
    ngx_queue_remove(&node->queue);
    sh->n[node->kind]--;
    sh->nunknown -= node->unknown;

    ngx_slab_free_locked(zone->shpool, node);
}
