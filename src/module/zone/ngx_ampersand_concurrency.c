#include "ngx_ampersand_concurrency.h"
#include "ngx_ampersand_node.h"


/*
 * A node of kind INFLIGHT for each tenant with a limit that has had a request:
 *
 *   node->ref  the sum, as far as it is known who counts
 *   state      for each worker its count, and the generation of that worker
 *
 * A count of another generation than the worker's is of a predecessor that
 * died.  The sum is corrected when the worker counts again, and when the limit
 * is reached: then the pids are looked at, too, for nobody may succeed a worker
 * that died while it was shutting down.  (A pid that is another process's by
 * then keeps its count until that one ends.)
 *
 * The state has room for the workers there were when it was made, or it is made
 * again.  A worker without a place (more than NGX_AMPERSAND_WORKERS live) shares
 * the last one.
 */


typedef struct {
    uint32_t  n;
    uint32_t  generation;
} ngx_ampersand_concurrency_t;


static ngx_ampersand_node_t *ngx_ampersand_concurrency_room(
    ngx_ampersand_zone_t *zone, amp_span_t tenant);
static ngx_ampersand_concurrency_t *ngx_ampersand_concurrency_own(
    ngx_ampersand_zone_t *zone, ngx_ampersand_node_t *node);
static void ngx_ampersand_concurrency_heal(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node);
static ngx_uint_t ngx_ampersand_concurrency_dead(ngx_ampersand_worker_t *worker);


/* how many places a node has: nobody else needs it */

#define ngx_ampersand_concurrency_places(node)  (node)->ref_place


void
ngx_ampersand_concurrency_init(ngx_ampersand_zone_t *zone)
{
    ngx_uint_t               i;
    ngx_ampersand_worker_t  *worker;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_AMPERSAND_WORKERS - 1; i++) {
        worker = &zone->sh->workers[i];

        if (worker->pid == 0 || worker->pid == ngx_pid
            || ngx_ampersand_concurrency_dead(worker))
        {
            break;
        }
    }

    zone->sh->workers[i].pid = ngx_pid;
    zone->sh->workers[i].generation++;
    zone->worker = i;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_ampersand_concurrency_enter(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    uint32_t max)
{
    ngx_uint_t                 entered;
    ngx_ampersand_node_t      *node;
    ngx_ampersand_concurrency_t  *own;

    entered = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_ampersand_concurrency_room(zone, tenant);

    if (node == NULL) {

        /* no room: nothing that could refuse it */

        entered = 1;
        goto done;
    }

    own = ngx_ampersand_concurrency_own(zone, node);

    if (node->ref >= max) {
        ngx_ampersand_concurrency_heal(zone->sh, node);
    }

    if (node->ref < max) {
        own->n++;
        node->ref++;
        entered = 1;
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return entered;
}


void
ngx_ampersand_concurrency_leave(ngx_ampersand_zone_t *zone, amp_span_t tenant)
{
    ngx_ampersand_node_t      *node;
    ngx_ampersand_concurrency_t  *own;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_CONCURRENCY, tenant);

    if (node && zone->worker < ngx_ampersand_concurrency_places(node)) {
        own = ngx_ampersand_concurrency_own(zone, node);

        if (own->n) {
            own->n--;
            node->ref--;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_ampersand_node_t *
ngx_ampersand_concurrency_room(ngx_ampersand_zone_t *zone, amp_span_t tenant)
{
    uint32_t                   sum;
    ngx_uint_t                 places, old;
    ngx_ampersand_node_t      *node;
    ngx_ampersand_concurrency_t   counts[NGX_AMPERSAND_WORKERS];

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
        ngx_ampersand_node_drop(zone, node);
    }

    for (places = zone->worker + 1;
         places < NGX_AMPERSAND_WORKERS && zone->sh->workers[places].pid;
         places++)
    {
        /* void */
    }

    node = ngx_ampersand_node_make(zone, NGX_AMPERSAND_CONCURRENCY, tenant,
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


/* This worker's count, without what a predecessor left. */

static ngx_ampersand_concurrency_t *
ngx_ampersand_concurrency_own(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node)
{
    uint32_t                   generation;
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
ngx_ampersand_concurrency_heal(ngx_ampersand_shared_t *sh,
    ngx_ampersand_node_t *node)
{
    ngx_uint_t                 i;
    ngx_ampersand_worker_t    *worker;
    ngx_ampersand_concurrency_t  *count;

    count = ngx_ampersand_node_state(node);

    for (i = 0; i < ngx_ampersand_concurrency_places(node); i++) {
        worker = &sh->workers[i];

        if (count[i].n == 0) {
            continue;
        }

        if (worker->generation == count[i].generation
            && ngx_ampersand_concurrency_dead(worker))
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


static ngx_uint_t
ngx_ampersand_concurrency_dead(ngx_ampersand_worker_t *worker)
{
    return worker->pid && kill(worker->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}
