#include "ngx_ampersand_concurrency.h"
#include "ngx_ampersand_node.h"
#include "ngx_ampersand_workers.h"


/*
 * Each tenant with a concurrency limit has a node, from its first request on:
 *
 *   node->ref  the sum of the counts
 *   state      for each worker its count, and the generation of that worker
 *
 * A count whose generation is not the worker's is that of a predecessor that
 * died.  The sum is corrected when the worker counts again, and when the limit
 * is reached.  Then the pids are tested, too, since a worker that died while it
 * was shutting down has no successor.
 *
 * The state has room for the workers that existed when the node was made; else
 * the node is made again.
 */


typedef struct {
    uint32_t  n;
    uint32_t  generation;
} ngx_ampersand_concurrency_t;


static ngx_ampersand_node_t *ngx_ampersand_concurrency_node(
    ngx_ampersand_zone_t *zone, amp_span_t tenant);
static ngx_ampersand_concurrency_t *ngx_ampersand_concurrency_own(
    ngx_ampersand_zone_t *zone, ngx_ampersand_node_t *node);
static void ngx_ampersand_concurrency_correct(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node);


/*
 * how many workers have a count in a node; other kinds use the field
 * otherwise
 */

#define ngx_ampersand_concurrency_places(node)  (node)->ref_place


ngx_uint_t
ngx_ampersand_concurrency_acquire(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    uint32_t max)
{
    ngx_uint_t                    acquired;
    ngx_ampersand_node_t         *node;
    ngx_ampersand_concurrency_t  *own;

    acquired = 0;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_concurrency_node(zone, tenant);

    if (node == NULL) {

        /* no room to count it, so no limit */

        acquired = 1;
        goto done;
    }

    own = ngx_ampersand_concurrency_own(zone, node);

    if (node->ref >= max) {
        ngx_ampersand_concurrency_correct(zone->sh, node);
    }

    if (node->ref < max) {
        own->n++;
        node->ref++;
        acquired = 1;
    }

done:

    ngx_ampersand_zone_unlock(zone);

    return acquired;
}


void
ngx_ampersand_concurrency_release(ngx_ampersand_zone_t *zone, amp_span_t tenant)
{
    ngx_ampersand_node_t         *node;
    ngx_ampersand_concurrency_t  *own;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_CONCURRENCY, tenant);

    if (node && zone->worker < ngx_ampersand_concurrency_places(node)) {
        own = ngx_ampersand_concurrency_own(zone, node);

        if (own->n) {
            own->n--;
            node->ref--;
        }
    }

    ngx_ampersand_zone_unlock(zone);
}


static ngx_ampersand_node_t *
ngx_ampersand_concurrency_node(ngx_ampersand_zone_t *zone, amp_span_t tenant)
{
    uint32_t                     sum;
    ngx_uint_t                   places, old;
    ngx_ampersand_node_t        *node;
    ngx_ampersand_concurrency_t  counts[NGX_AMPERSAND_WORKERS];

    old = 0;
    sum = 0;

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_CONCURRENCY, tenant);
    if (node) {
        old = ngx_ampersand_concurrency_places(node);

        if (zone->worker < old) {
            return node;
        }

        sum = node->ref;
        ngx_memcpy(counts, ngx_ampersand_node_state(node),
                   old * sizeof(counts[0]));
        ngx_ampersand_node_free(zone, node);
    }

    for (places = zone->worker + 1;
         places < NGX_AMPERSAND_WORKERS && zone->sh->workers[places].pid;
         places++)
    {
        /* void */
    }

    node = ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_CONCURRENCY, tenant,
                                   places * sizeof(counts[0]));
    if (node == NULL) {
        return NULL;
    }

    node->ref = sum;
    ngx_ampersand_concurrency_places(node) = (uint32_t) places;
    ngx_memcpy(ngx_ampersand_node_state(node), counts,
               old * sizeof(counts[0]));

    return node;
}


/* This worker's count; that of a predecessor is void. */

static ngx_ampersand_concurrency_t *
ngx_ampersand_concurrency_own(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node)
{
    uint32_t                      generation;
    ngx_ampersand_concurrency_t  *own;

    own = ngx_ampersand_node_state(node);
    own += zone->worker;

    generation = zone->sh->workers[zone->worker].generation;

    if (own->generation != generation) {
        node->ref -= own->n;
        own->n = 0;
        own->generation = generation;
    }

    return own;
}


static void
ngx_ampersand_concurrency_correct(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node)
{
    ngx_uint_t                    i;
    ngx_ampersand_worker_t       *worker;
    ngx_ampersand_concurrency_t  *count;

    count = ngx_ampersand_node_state(node);

    for (i = 0; i < ngx_ampersand_concurrency_places(node); i++) {
        worker = &sh->workers[i];

        if (count[i].n == 0) {
            continue;
        }

        if (worker->generation == count[i].generation
            && ngx_ampersand_workers_dead(worker))
        {
            worker->generation++;
            worker->pid = 0;
        }

        if (worker->generation != count[i].generation) {
            node->ref -= count[i].n;
            count[i].n = 0;
        }
    }
}
