#include "ngx_ampersand_node.h"


/*
 * The projects of the zone: what keys of the cache are made of, and what Redis
 * is still to be told.
 */


static ngx_ampersand_node_t *ngx_ampersand_zone_project(
    ngx_ampersand_zone_t *zone, amp_span_t project);
static uint32_t ngx_ampersand_zone_another(ngx_ampersand_shared_t *sh);


void
ngx_ampersand_zone_store_project(ngx_ampersand_zone_t *zone, uint64_t begun,
    amp_span_t project, const uint32_t gens[AMP_FAMILY_COUNT])
{
    uint32_t                       hash;
    ngx_uint_t                     i, overtaken;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;
    hash = ngx_ampersand_zone_hash(project.data, project.len);

    ngx_shmtx_lock(&zone->shpool->mutex);

    overtaken = ngx_ampersand_zone_overtaken(sh, begun, hash);

    node = ngx_ampersand_zone_project(zone, project);
    if (node == NULL) {
        goto done;
    }

    pn = ngx_ampersand_node_body(node);

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if (!overtaken || gens[i] > pn->gens[i]) {
            ngx_ampersand_zone_generation(sh, pn, i, gens[i]);
        }
    }

    pn->known = 1;

    if (!overtaken) {
        node->fetched = ngx_current_msec;
        node->epoch = sh->epoch;
    }

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_ampersand_zone_generations(ngx_ampersand_zone_t *zone, amp_span_t project,
    ngx_ampersand_known_t *known)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_PROJECT, project);
    if (node) {
        pn = ngx_ampersand_node_body(node);
        ngx_memcpy(known->gens, pn->gens, sizeof(known->gens));
        ngx_memcpy(known->bumps, pn->bumps, sizeof(known->bumps));
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_ampersand_zone_bump(ngx_ampersand_zone_t *zone, amp_span_t project,
    uint32_t families)
{
    ngx_uint_t                     i;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_ampersand_zone_project(zone, project);

    if (node) {
        pn = ngx_ampersand_node_body(node);

        for (i = 0; i < AMP_FAMILY_COUNT; i++) {
            if (families & (1u << i)) {
                pn->bumps[i] = ngx_ampersand_zone_another(zone->sh);
            }
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_ampersand_zone_owe(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_owed_t *owed)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_ampersand_zone_project(zone,
                                      amp_span_make(owed->project, owed->len));
    if (node) {
        pn = ngx_ampersand_node_body(node);
        pn->owed |= owed->families;
        zone->sh->owing = 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_ampersand_zone_owed(ngx_ampersand_zone_t *zone, ngx_ampersand_owed_t *owed,
    ngx_uint_t max)
{
    ngx_uint_t                     n;
    ngx_queue_t                   *q;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;
    n = 0;

    if (!sh->owing) {
        return 0;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (q = ngx_queue_head(&sh->lru);
         q != ngx_queue_sentinel(&sh->lru) && n < max;
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_ampersand_node_t, queue);

        if (node->kind != NGX_AMPERSAND_PROJECT) {
            continue;
        }

        pn = ngx_ampersand_node_body(node);

        if (pn->owed) {
            owed[n].families = pn->owed;
            owed[n].len = node->len;
            ngx_memcpy(owed[n].project, pn->id, node->len);
            pn->owed = 0;
            n++;
        }
    }

    if (n < max) {
        sh->owing = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return n;
}


/* Found or made; a new one has generations that are to be asked for. */

static ngx_ampersand_node_t *
ngx_ampersand_zone_project(ngx_ampersand_zone_t *zone, amp_span_t project)
{
    uint32_t                       hash;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    hash = ngx_ampersand_zone_hash(project.data, project.len);

    node = ngx_ampersand_node_get(zone->sh, NGX_AMPERSAND_PROJECT, hash,
                                  project.data, project.len);
    if (node) {
        return node;
    }

    node = ngx_ampersand_node_put(zone, NGX_AMPERSAND_PROJECT, hash,
                                  offsetof(ngx_ampersand_project_node_t, id)
                                  + project.len, 0);
    if (node == NULL) {
        return NULL;
    }

    pn = ngx_ampersand_node_body(node);
    ngx_memzero(pn, sizeof(*pn));
    ngx_memcpy(pn->id, project.data, project.len);
    node->len = (u_char) project.len;
    node->epoch--;

    return node;
}


static uint32_t
ngx_ampersand_zone_another(ngx_ampersand_shared_t *sh)
{
    sh->bump += (sh->bump == NGX_MAX_UINT32_VALUE) ? 2 : 1;

    return sh->bump;
}


/*
 * Where generations only grow they need no bump.  Once one went back, because
 * Redis lost some, each change gets a number of its own.
 */

void
ngx_ampersand_zone_generation(ngx_ampersand_shared_t *sh,
    ngx_ampersand_project_node_t *pn, ngx_uint_t family, uint32_t gen)
{
    if (gen == pn->gens[family]) {
        return;
    }

    if (gen < pn->gens[family]) {
        pn->reused = 1;
    }

    pn->gens[family] = gen;

    if (pn->reused) {
        pn->bumps[family] = ngx_ampersand_zone_another(sh);

    } else if (pn->known) {

        /* else the write may be later than the generation */

        pn->bumps[family] = 0;
    }
}
