#include "ngx_ampersand_records.h"
#include "ngx_ampersand_clock.h"
#include "ngx_ampersand_generations.h"
#include "ngx_ampersand_node.h"


#define ngx_ampersand_records_scope(len)                                      \
    ngx_align(offsetof(ngx_ampersand_token_node_t, tenant) + (len),           \
              sizeof(uint64_t))


static ngx_uint_t ngx_ampersand_records_negative(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node);
static ngx_uint_t ngx_ampersand_records_usable(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node, ngx_uint_t *fresh);


ngx_ampersand_record_e
ngx_ampersand_records_find(ngx_ampersand_zone_t *zone, const u_char *digest,
    amp_span_t id, ngx_ampersand_record_t *record)
{
    size_t                         size, scope;
    ngx_uint_t                     fresh;
    ngx_ampersand_node_t          *token, *node, *project;
    ngx_ampersand_record_e         rc;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_token_node_t    *tn;
    ngx_ampersand_tenant_node_t   *ten;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;
    fresh = 1;
    scope = 0;
    token = NULL;
    tn = NULL;
    rc = NGX_AMPERSAND_RECORD_MISS;

    record->scope = NULL;

    ngx_ampersand_zone_lock(zone);

    if (digest) {
        token = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TOKEN,
                                    ngx_ampersand_node_digest_hash(digest),
                                    digest, AMP_TOKEN_DIGEST);
        if (token == NULL) {
            goto done;
        }

        if (token->negative) {
            if (ngx_ampersand_records_negative(zone, token)) {
                rc = NGX_AMPERSAND_RECORD_NEGATIVE;
            }

            goto done;
        }

        rc = NGX_AMPERSAND_RECORD_CHANGED;
        tn = ngx_ampersand_node_body(token);

        if (ngx_ampersand_clock_expired(zone, tn->expires)) {
            rc = NGX_AMPERSAND_RECORD_NEGATIVE;
            goto done;
        }

        if (!ngx_ampersand_records_usable(zone, token, &fresh)) {
            goto done;
        }

        record->expires = tn->expires;
        record->used = tn->used;
        ngx_memcpy(record->token, tn->id, AMP_TOKEN_ID_RANDOM);
        scope = tn->scope;

        node = ngx_ampersand_node_follow(zone, token, NGX_AMPERSAND_TENANT,
                                         tn->tenant, token->len);

    } else {
        node = ngx_ampersand_node_find(sh, NGX_AMPERSAND_TENANT, id);
    }

    if (node == NULL) {
        goto done;
    }

    if (node->negative) {
        if (ngx_ampersand_records_negative(zone, node)) {
            rc = NGX_AMPERSAND_RECORD_NEGATIVE;
        }

        goto done;
    }

    rc = NGX_AMPERSAND_RECORD_CHANGED;

    if (!ngx_ampersand_records_usable(zone, node, &fresh)) {
        goto done;
    }

    ten = ngx_ampersand_node_body(node);

    size = ten->tenant.size;

    if (scope) {
        size = ngx_ampersand_record_scope(size) + scope;
    }

    if (size > record->cap) {
        record->size = size;
        rc = NGX_AMPERSAND_RECORD_LARGE;
        goto done;
    }

    project = ngx_ampersand_node_follow(zone, node, NGX_AMPERSAND_PROJECT,
                                        (u_char *) &ten->tenant
                                        + ten->tenant.project_id.offset,
                                        ten->tenant.project_id.len);

    if (project == NULL
        || !ngx_ampersand_records_usable(zone, project, &fresh))
    {
        goto done;
    }

    pn = ngx_ampersand_node_body(project);

    ngx_memcpy(record->tenant, &ten->tenant, ten->tenant.size);

    if (scope) {
        record->scope = (amp_token_scope_t *)
                        ((u_char *) record->tenant + size - scope);
        ngx_memcpy(record->scope, (u_char *) tn
                                  + ngx_ampersand_records_scope(token->len),
                   scope);
    }

    ngx_memcpy(record->gens, pn->gens, sizeof(record->gens));
    ngx_memcpy(record->bumps, pn->bumps, sizeof(record->bumps));
    record->limit = pn->limit;

    rc = fresh ? NGX_AMPERSAND_RECORD_FRESH : NGX_AMPERSAND_RECORD_STALE;

done:

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_ampersand_records_owner(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    u_char *owner)
{
    ngx_int_t                     rc;
    ngx_ampersand_node_t         *node;
    ngx_ampersand_tenant_node_t  *ten;

    rc = NGX_DECLINED;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_TENANT, tenant);

    if (node && !node->negative) {
        ten = ngx_ampersand_node_body(node);
        ngx_memcpy(owner, ten->tenant.owner, AMP_TENANT_OWNER);
        rc = NGX_OK;
    }

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_ampersand_records_recent(ngx_ampersand_zone_t *zone, ngx_uint_t place,
    amp_tenant_t *out)
{
    ngx_int_t                     rc;
    ngx_uint_t                    n, fresh;
    ngx_queue_t                  *q;
    ngx_ampersand_node_t         *node;
    ngx_ampersand_tenant_node_t  *ten;

    rc = NGX_DECLINED;
    n = 0;

    ngx_ampersand_zone_lock(zone);

    for (q = ngx_queue_head(&zone->sh->lru);
         q != ngx_queue_sentinel(&zone->sh->lru)
         && n < NGX_AMPERSAND_RECORDS_RECENT;
         q = ngx_queue_next(q))
    {
        n++;
        node = ngx_queue_data(q, ngx_ampersand_node_t, queue);

        if (node->kind != NGX_AMPERSAND_TENANT
            || !ngx_ampersand_records_usable(zone, node, &fresh))
        {
            continue;
        }

        ten = ngx_ampersand_node_body(node);

        if (ten->tenant.disabled || place-- != 0) {
            continue;
        }

        ngx_memcpy(out, &ten->tenant, ten->tenant.size);
        rc = NGX_OK;
        break;
    }

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


uint64_t
ngx_ampersand_records_begin(ngx_ampersand_zone_t *zone)
{
    uint64_t  seq;

    ngx_ampersand_zone_lock(zone);
    seq = zone->sh->seq;
    ngx_ampersand_zone_unlock(zone);

    return seq;
}


ngx_int_t
ngx_ampersand_records_store_token(ngx_ampersand_zone_t *zone, uint64_t begun,
    const u_char *digest, amp_span_t tenant, const u_char *id, time_t expires,
    const amp_token_scope_t *scope)
{
    size_t                       size;
    uint32_t                     hash, used;
    ngx_int_t                    rc;
    ngx_ampersand_node_t        *node;
    ngx_ampersand_shared_t      *sh;
    ngx_ampersand_token_node_t  *tn;

    sh = zone->sh;
    hash = ngx_ampersand_node_digest_hash(digest);
    used = 0;
    rc = NGX_OK;

    ngx_ampersand_zone_lock(zone);

    if (ngx_ampersand_node_outdated(sh, begun, hash)) {
        rc = NGX_DECLINED;
        goto done;
    }

    node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TOKEN, hash, digest,
                                  AMP_TOKEN_DIGEST);
    if (node) {
        tn = ngx_ampersand_node_body(node);
        used = tn->used;
        ngx_ampersand_node_free(zone, node);
    }

    size = offsetof(ngx_ampersand_token_node_t, tenant) + tenant.len;

    if (scope) {
        size = ngx_ampersand_records_scope(tenant.len) + scope->size;
    }

    node = ngx_ampersand_node_create(zone, NGX_AMPERSAND_TOKEN, hash, size,
                                     tenant.len == 0);
    if (node == NULL) {
        goto done;
    }

    tn = ngx_ampersand_node_body(node);

    ngx_memcpy(tn->digest, digest, AMP_TOKEN_DIGEST);
    ngx_memcpy(tn->id, id, AMP_TOKEN_ID_RANDOM);
    tn->expires = expires;
    tn->scope = 0;
    tn->used = used;
    node->len = (u_char) tenant.len;

    if (tenant.len) {
        ngx_memcpy(tn->tenant, tenant.data, tenant.len);
        node->ref = ngx_ampersand_node_hash(tenant.data, tenant.len);
    }

    if (scope) {
        tn->scope = scope->size;
        ngx_memcpy((u_char *) tn + ngx_ampersand_records_scope(tenant.len),
                   scope, scope->size);
    }

done:

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_ampersand_records_use(ngx_ampersand_zone_t *zone, const u_char *digest,
    uint32_t from, uint32_t to)
{
    ngx_int_t                    rc;
    ngx_ampersand_node_t        *node;
    ngx_ampersand_token_node_t  *tn;

    rc = NGX_DECLINED;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_peek(zone->sh, NGX_AMPERSAND_TOKEN,
                                   ngx_ampersand_node_digest_hash(digest),
                                   digest, AMP_TOKEN_DIGEST);

    if (node && !node->negative) {
        tn = ngx_ampersand_node_body(node);

        if (tn->used != to && (from == 0 || tn->used == from)) {
            tn->used = to;
            rc = NGX_OK;
        }
    }

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_ampersand_records_store_tenant(ngx_ampersand_zone_t *zone, uint64_t begun,
    const amp_tenant_t *tenant)
{
    uint32_t                      hash;
    ngx_int_t                     rc;
    amp_span_t                    id, project;
    ngx_ampersand_node_t         *node;
    ngx_ampersand_shared_t       *sh;
    ngx_ampersand_tenant_node_t  *ten;

    sh = zone->sh;
    id = amp_tenant_field(tenant, tenant->id);
    project = amp_tenant_field(tenant, tenant->project_id);
    hash = ngx_ampersand_node_hash(id.data, id.len);
    rc = NGX_OK;

    ngx_ampersand_zone_lock(zone);

    if (ngx_ampersand_node_outdated(sh, begun, hash)) {
        rc = NGX_DECLINED;
        goto done;
    }

    node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TENANT, hash, id.data,
                                  id.len);
    if (node) {
        ten = ngx_ampersand_node_body(node);

        if (tenant->rev < ten->rev
            && ngx_ampersand_zone_passed(ten->rev_at) < zone->ttl)
        {
            rc = NGX_ABORT;

            if (!node->invalidated) {
                rc = NGX_DONE;
                node->epoch = sh->epoch;
            }

            goto done;
        }

        if (tenant->rev < ten->rev) {
            rc = NGX_BUSY;
        }

        ngx_ampersand_node_free(zone, node);
    }

    node = ngx_ampersand_node_create(zone, NGX_AMPERSAND_TENANT, hash,
                                offsetof(ngx_ampersand_tenant_node_t, tenant)
                                + tenant->size, 0);
    if (node == NULL) {
        goto done;
    }

    ten = ngx_ampersand_node_body(node);

    ten->rev = tenant->rev;
    ten->rev_at = ngx_current_msec;
    ngx_memcpy(&ten->tenant, tenant, tenant->size);
    node->ref = ngx_ampersand_node_hash(project.data, project.len);

done:

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_ampersand_records_store_no_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t id)
{
    uint32_t                      hash;
    ngx_int_t                     rc;
    ngx_ampersand_node_t         *node;
    ngx_ampersand_shared_t       *sh;
    ngx_ampersand_tenant_node_t  *ten;

    sh = zone->sh;
    hash = ngx_ampersand_node_hash(id.data, id.len);
    rc = NGX_OK;

    ngx_ampersand_zone_lock(zone);

    if (ngx_ampersand_node_outdated(sh, begun, hash)) {
        rc = NGX_DECLINED;
        goto done;
    }

    node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TENANT, hash, id.data,
                                  id.len);
    if (node) {
        ngx_ampersand_node_free(zone, node);
    }

    node = ngx_ampersand_node_create(zone, NGX_AMPERSAND_TENANT, hash,
                                  sizeof(*ten) + id.len, 1);
    if (node == NULL) {
        goto done;
    }

    ten = ngx_ampersand_node_body(node);

    ngx_memzero(ten, sizeof(*ten));
    ten->tenant.id.offset = sizeof(ten->tenant);
    ten->tenant.id.len = (uint16_t) id.len;
    ngx_memcpy(&ten->tenant + 1, id.data, id.len);

done:

    ngx_ampersand_zone_unlock(zone);

    return rc;
}


void
ngx_ampersand_records_invalidate(ngx_ampersand_zone_t *zone,
    const amp_event_t *event)
{
    uint32_t                       hash;
    ngx_ampersand_node_t          *node;
    ngx_ampersand_shared_t        *sh;
    ngx_ampersand_tenant_node_t   *ten;
    ngx_ampersand_project_node_t  *pn;

    sh = zone->sh;

    ngx_ampersand_zone_lock(zone);

    switch (event->type) {

    case AMP_EVENT_TOKEN:
        hash = ngx_ampersand_node_digest_hash(event->digest);
        node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TOKEN, hash,
                                      event->digest, AMP_TOKEN_DIGEST);
        if (node) {
            ngx_ampersand_node_free(zone, node);
        }

        break;

    case AMP_EVENT_TENANT:
        hash = ngx_ampersand_node_hash(event->tenant, event->tenant_len);
        node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_TENANT, hash,
                                      event->tenant, event->tenant_len);

        if (node && node->negative) {
            ngx_ampersand_node_free(zone, node);

        } else if (node) {
            ten = ngx_ampersand_node_body(node);

            /* a lower revision: Redis was emptied and filled again */

            if (ten->rev != event->rev) {
                ten->rev = event->rev;
                ten->rev_at = ngx_current_msec;
                node->invalidated = 1;
            }
        }

        break;

    default: /* AMP_EVENT_GENERATION, AMP_EVENT_PURGE, AMP_EVENT_LIMIT */
        hash = ngx_ampersand_node_hash(event->project, event->project_len);
        node = ngx_ampersand_node_get(sh, NGX_AMPERSAND_PROJECT, hash,
                                      event->project, event->project_len);
        if (node == NULL) {
            break;
        }

        pn = ngx_ampersand_node_body(node);

        if (event->type == AMP_EVENT_LIMIT) {
            pn->limit = event->rate;
            break;
        }

        /* a lower one: Redis was emptied, or a higher one follows */

        ngx_ampersand_generations_set(sh, pn, event->family,
                                      (uint32_t) event->rev);
    }

    sh->invalidated[hash % NGX_AMPERSAND_INVALIDATED] = ++sh->seq;

    ngx_ampersand_zone_unlock(zone);
}


static ngx_uint_t
ngx_ampersand_records_negative(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node)
{
    ngx_msec_t  age;

    age = ngx_ampersand_node_age(node);

    return node->epoch == zone->sh->epoch
           && age < NGX_AMPERSAND_NEGATIVE_TTL && age < zone->ttl;
}


static ngx_uint_t
ngx_ampersand_records_usable(ngx_ampersand_zone_t *zone,
    ngx_ampersand_node_t *node, ngx_uint_t *fresh)
{
    ngx_msec_t  age;

    age = ngx_ampersand_node_age(node);

    if (node->invalidated || age >= zone->ttl + zone->grace) {
        return 0;
    }

    if (age >= zone->ttl || node->epoch != zone->sh->epoch) {
        *fresh = 0;
    }

    return 1;
}
