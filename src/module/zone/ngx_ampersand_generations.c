#include "ngx_ampersand_generations.h"
#include "ngx_ampersand_node.h"


static ngx_ampersand_node_t *ngx_ampersand_generations_project(
    ngx_ampersand_zone_t *zone, amp_span_t project);
static uint32_t ngx_ampersand_generations_next_bump(ngx_ampersand_shared_t *sh);


void
ngx_ampersand_generations_store(ngx_ampersand_zone_t *zone, uint64_t begun,
    amp_span_t project, const uint32_t gens[AMP_FAMILY_COUNT],
    const amp_rate_t *limit)
{
    uint32_t                       hash;
    ngx_uint_t                     i, outdated;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;
    hash = ngx_ampersand_node_hash(project.data, project.len);

    ngx_ampersand_zone_lock(zone);

    outdated = ngx_ampersand_node_outdated(sh, begun, hash);

    node = ngx_ampersand_generations_project(zone, project);
    if (node == NULL) {
        goto done;
    }

    pn = ngx_ampersand_node_body(node);

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if (!outdated || gens[i] > pn->gens[i]) {
            ngx_ampersand_generations_set(sh, pn, i, gens[i]);
        }
    }

    if (!outdated || !pn->loaded) {
        pn->limit = *limit;
    }

    pn->loaded = 1;

    if (!outdated) {
        node->fetched = ngx_current_msec;
        node->epoch = sh->epoch;
    }

done:

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_generations_read(ngx_ampersand_zone_t *zone, amp_span_t project,
    ngx_ampersand_record_t *record)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_PROJECT, project);
    if (node) {
        pn = ngx_ampersand_node_body(node);
        ngx_memcpy(record->gens, pn->gens, sizeof(record->gens));
        ngx_memcpy(record->bumps, pn->bumps, sizeof(record->bumps));

        if (pn->loaded) {
            record->limit = pn->limit;
        }
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_generations_bump(ngx_ampersand_zone_t *zone, amp_span_t project,
    uint32_t families)
{
    ngx_uint_t                     i;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_generations_project(zone, project);

    if (node) {
        pn = ngx_ampersand_node_body(node);

        for (i = 0; i < AMP_FAMILY_COUNT; i++) {
            if (families & (1u << i)) {
                pn->bumps[i] = ngx_ampersand_generations_next_bump(zone->sh);
            }
        }
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_generations_begin(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_generations_project(zone,
                                 amp_span_make(pending->project, pending->len));
    if (node) {
        pn = ngx_ampersand_node_body(node);

        if (pn->nsent++ == 0) {
            pn->sent_at = ngx_current_msec;
        }

        pn->sent |= pending->families;
        zone->sh->pending = 1;
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_generations_end(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_PROJECT,
                                 amp_span_make(pending->project, pending->len));
    if (node) {
        pn = ngx_ampersand_node_body(node);

        if (pn->nsent && --pn->nsent == 0) {
            pn->sent = 0;
        }
    }

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_generations_pending_add(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending)
{
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_generations_project(zone,
                                 amp_span_make(pending->project, pending->len));
    if (node) {
        pn = ngx_ampersand_node_body(node);
        pn->pending |= pending->families;
        zone->sh->pending = 1;
    }

    ngx_ampersand_zone_unlock(zone);
}


ngx_uint_t
ngx_ampersand_generations_pending_take(ngx_ampersand_zone_t *zone,
    ngx_ampersand_pending_t *pending, ngx_uint_t max, ngx_msec_t lost)
{
    ngx_uint_t                     n, sent;
    ngx_queue_t                   *q;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;
    n = 0;
    sent = 0;

    if (!sh->pending) {
        return 0;
    }

    ngx_ampersand_zone_lock(zone);

    for (q = ngx_queue_head(&sh->lru);
         q != ngx_queue_sentinel(&sh->lru) && n < max;
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_ampersand_node_t, queue);

        if (node->kind != NGX_AMPERSAND_PROJECT) {
            continue;
        }

        pn = ngx_ampersand_node_body(node);

        if (pn->nsent
            && ngx_ampersand_zone_passed(pn->sent_at) >= lost)
        {
            pn->pending |= pn->sent;
            pn->sent = 0;
            pn->nsent = 0;
        }

        sent |= pn->nsent;

        if (pn->pending) {
            pending[n].families = pn->pending;
            pending[n].len = node->len;
            ngx_memcpy(pending[n].project, pn->id, node->len);
            pn->pending = 0;
            n++;
        }
    }

    if (n < max && !sent) {
        sh->pending = 0;
    }

    ngx_ampersand_zone_unlock(zone);

    return n;
}


/* Finds the node, or makes one, whose generations have to be read. */

static ngx_ampersand_node_t *
ngx_ampersand_generations_project(ngx_ampersand_zone_t *zone,
    amp_span_t project)
{
    uint32_t                       hash;
    ngx_uint_t                     i;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_project_node_t  *pn;

    hash = ngx_ampersand_node_hash(project.data, project.len);

    node = ngx_ampersand_node_get(zone->sh, NGX_AMPERSAND_PROJECT, hash,
                                  project.data, project.len);
    if (node) {
        return node;
    }

    node = ngx_ampersand_node_create(zone, NGX_AMPERSAND_PROJECT, hash,
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

    if (zone->sh->emptied) {
        pn->reused = 1;

        for (i = 0; i < AMP_FAMILY_COUNT; i++) {
            pn->bumps[i] = ngx_ampersand_generations_next_bump(zone->sh);
        }
    }

    return node;
}


static uint32_t
ngx_ampersand_generations_next_bump(ngx_ampersand_shared_t *sh)
{
    sh->bump += (sh->bump == NGX_MAX_UINT32_VALUE) ? 2 : 1;

    return sh->bump;
}


/*
 * Generations that only grow need no bump.  Once one has decreased, since Redis
 * lost some, each change gets a bump of its own.
 */

void
ngx_ampersand_generations_set(ngx_ampersand_shared_t *sh,
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
        pn->bumps[family] = ngx_ampersand_generations_next_bump(sh);

    } else if (pn->loaded) {

        /* else the bump may be of a write after this generation */

        pn->bumps[family] = 0;
    }
}
