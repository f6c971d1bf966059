#include "ngx_http_ampersand_resolve.h"


#define NGX_HTTP_AMPERSAND_RESOLVE_SIZE  512    /* bytes of most records      */


static ngx_ampersand_record_e ngx_http_ampersand_resolve_find(
    ngx_http_ampersand_resolve_t *resolve);
static amp_reason_e ngx_http_ampersand_resolve_wait(
    ngx_http_ampersand_resolve_t *resolve, ngx_uint_t limited);
static void ngx_http_ampersand_resolve_leave(void *data);
static void ngx_http_ampersand_resolve_done(
    ngx_http_ampersand_lookup_t *lookup, amp_reason_e reason);
static void ngx_http_ampersand_resolve_copy(
    ngx_http_ampersand_lookup_t *lookup,
    ngx_http_ampersand_resolve_t *resolve, amp_reason_e reason);
static ngx_uint_t ngx_http_ampersand_resolve_stale(
    ngx_http_ampersand_resolve_t *resolve);


ngx_int_t
ngx_http_ampersand_resolve(ngx_http_request_t *r,
    ngx_http_ampersand_lookups_t *lookups,
    ngx_http_ampersand_resolve_t *resolve)
{
    ngx_http_cleanup_t     *cln;
    ngx_ampersand_record_e  found;

    resolve->request = r;
    resolve->lookups = lookups;

    found = ngx_http_ampersand_resolve_find(resolve);

    switch (found) {

    case NGX_AMPERSAND_RECORD_LARGE:
        return NGX_ERROR;

    case NGX_AMPERSAND_RECORD_FRESH:
        resolve->reason = AMP_OK;
        return NGX_OK;

    case NGX_AMPERSAND_RECORD_NEGATIVE:
        resolve->reason = resolve->identity.data || resolve->name.len
                          ? AMP_NO_IDENTITY : AMP_UNKNOWN_TOKEN;
        return NGX_OK;

    case NGX_AMPERSAND_RECORD_MISS:

        /* a wrong checksum: no such token was ever issued */

        if (resolve->identity.data == NULL && resolve->name.len == 0
            && !amp_token_valid(ngx_ampersand_span(resolve->token)))
        {
            resolve->reason = AMP_BAD_TOKEN;
            return NGX_OK;
        }

        break;

    default: /* STALE, CHANGED */
        resolve->stale = (found == NGX_AMPERSAND_RECORD_STALE);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    resolve->reason = ngx_http_ampersand_resolve_wait(resolve,
                                           found == NGX_AMPERSAND_RECORD_MISS);

    if (resolve->reason == AMP_OK) {
        cln->handler = ngx_http_ampersand_resolve_leave;
        cln->data = resolve;

        return NGX_AGAIN;
    }

    if (resolve->stale) {
        ngx_ampersand_count(ngx_ampersand_zone_counters(lookups->zone),
                            stale_served);
        resolve->reason = AMP_OK;
    }

    return NGX_OK;
}


/* Fills resolve->record where it is STALE or FRESH.  LARGE: no memory. */

static ngx_ampersand_record_e
ngx_http_ampersand_resolve_find(ngx_http_ampersand_resolve_t *resolve)
{
    amp_span_t               id;
    ngx_ampersand_record_e   found;
    ngx_ampersand_record_t  *record;

    record = resolve->record;
    id = ngx_ampersand_span(resolve->identity);
    record->size = NGX_HTTP_AMPERSAND_RESOLVE_SIZE;

    do {
        if (record->size > record->cap) {
            record->tenant = ngx_palloc(resolve->request->pool, record->size);
            if (record->tenant == NULL) {
                return NGX_AMPERSAND_RECORD_LARGE;
            }

            record->cap = record->size;
        }

        found = ngx_ampersand_records_find(resolve->lookups->zone,
                                        id.data ? NULL : resolve->digest, id,
                                        record);

    } while (found == NGX_AMPERSAND_RECORD_LARGE);

    return found;
}


/*
 * Waits for a look-up, a new one where none is under way.  AMP_BUSY: above the
 * look-up limit.  AMP_STORE_DOWN: no look-up can be made.
 */

static amp_reason_e
ngx_http_ampersand_resolve_wait(ngx_http_ampersand_resolve_t *resolve,
    ngx_uint_t limited)
{
    amp_span_t                     id;
    ngx_uint_t                     place;
    ngx_queue_t                   *bucket;
    ngx_http_ampersand_lookup_t   *lookup;
    ngx_http_ampersand_lookups_t  *lookups;

    lookups = resolve->lookups;
    id = ngx_ampersand_span(resolve->identity);

    bucket = ngx_http_ampersand_lookup_bucket(lookups, resolve->digest, id);
    lookup = ngx_http_ampersand_lookup_find(bucket, resolve->digest, id);

    if (lookup == NULL) {
        place = 0;

        if (limited) {
            place = ngx_http_ampersand_lookup_limit_place(resolve->request);

            if (!ngx_http_ampersand_lookup_limit_admit(&lookups->limit, place))
            {
                ngx_ampersand_count(ngx_ampersand_zone_counters(lookups->zone),
                                    lookups_refused);
                return AMP_BUSY;
            }
        }

        lookup = ngx_http_ampersand_lookup_start(lookups, bucket,
                                            resolve->digest, id,
                                            ngx_http_ampersand_resolve_done);
        if (lookup == NULL) {
            return AMP_STORE_DOWN;
        }

        if (limited) {
            lookup->limited = 1;
            lookup->place = place;
            lookups->limit.n++;
        }
    }

    resolve->lookup = lookup;
    ngx_queue_insert_tail(&lookup->waiters, &resolve->queue);

    return AMP_OK;
}


static void
ngx_http_ampersand_resolve_leave(void *data)
{
    ngx_http_ampersand_resolve_t *resolve = data;

    if (resolve->lookup) {
        ngx_queue_remove(&resolve->queue);
        resolve->lookup = NULL;
    }
}


static void
ngx_http_ampersand_resolve_done(ngx_http_ampersand_lookup_t *lookup,
    amp_reason_e reason)
{
    ngx_queue_t                   *q;
    ngx_http_ampersand_lookups_t  *lookups;
    ngx_http_ampersand_resolve_t  *resolve;

    lookups = lookup->lookups;

    if (reason == AMP_STORE_DOWN) {
        ngx_ampersand_count(ngx_ampersand_zone_counters(lookups->zone),
                            lookup_failures);

    } else {
        lookups->refused = 0;
    }

    if (lookup->limited
        && (reason == AMP_UNKNOWN_TOKEN || reason == AMP_NO_IDENTITY))
    {
        ngx_http_ampersand_lookup_limit_charge(&lookups->limit, lookup->place);
    }

    if (ngx_ampersand_zone_too_small(lookups->zone)) {
        ngx_log_error(NGX_LOG_WARN, lookup->log, 0,
                      "ampersand: \"ampersand_zone\" is too small: tenants in "
                      "use are evicted and looked up again");
    }

    while (!ngx_queue_empty(&lookup->waiters)) {
        q = ngx_queue_head(&lookup->waiters);
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);

        resolve = ngx_queue_data(q, ngx_http_ampersand_resolve_t, queue);
        resolve->lookup = NULL;

        ngx_http_ampersand_resolve_copy(lookup, resolve, reason);

        resolve->handler(resolve);
    }

    ngx_http_ampersand_lookup_free(lookup);
}


static void
ngx_http_ampersand_resolve_copy(ngx_http_ampersand_lookup_t *lookup,
    ngx_http_ampersand_resolve_t *resolve, amp_reason_e reason)
{
    size_t                   size;
    amp_tenant_t            *tenant;
    amp_token_scope_t       *scope;
    ngx_ampersand_zone_t    *zone;
    ngx_ampersand_record_t  *record;

    zone = lookup->lookups->zone;
    scope = lookup->scope;
    record = resolve->record;
    tenant = lookup->tenant;

    if (reason == AMP_UNKNOWN_TOKEN && resolve->name.len) {
        reason = AMP_NO_IDENTITY;
    }

    resolve->reason = reason;

    if ((reason == AMP_STORE_DOWN || reason == AMP_BAD_RECORD)
        && ngx_http_ampersand_resolve_stale(resolve))
    {
        ngx_ampersand_count(ngx_ampersand_zone_counters(zone), stale_served);
        resolve->reason = AMP_OK;
        return;
    }

    resolve->stale = 0;

    if (reason != AMP_OK) {
        return;
    }

    size = tenant->size;

    if (scope) {
        size = ngx_ampersand_record_scope(size) + scope->size;
    }

    if (size > record->cap) {
        record->tenant = ngx_palloc(resolve->request->pool, size);
        if (record->tenant == NULL) {
            resolve->reason = AMP_INTERNAL;
            return;
        }

        record->cap = size;
    }

    ngx_memcpy(record->tenant, tenant, tenant->size);
    record->scope = NULL;

    if (scope) {
        record->scope = (amp_token_scope_t *)
                        ((u_char *) record->tenant + size - scope->size);
        ngx_memcpy(record->scope, scope, scope->size);
    }

    ngx_memcpy(record->gens, lookup->gens, sizeof(lookup->gens));
    record->limit = lookup->limit;
    record->expires = lookup->expires;
    ngx_memcpy(record->token, lookup->token, sizeof(lookup->token));

    /* writes that this gateway saw meanwhile are in the zone only */

    ngx_ampersand_generations_read(zone,
                                 amp_tenant_field(tenant, tenant->project_id),
                                 record);
}


/* May the stale record still serve?  Not where an invalidation named it. */

static ngx_uint_t
ngx_http_ampersand_resolve_stale(ngx_http_ampersand_resolve_t *resolve)
{
    ngx_ampersand_record_e  found;

    if (!resolve->stale) {
        return 0;
    }

    found = ngx_http_ampersand_resolve_find(resolve);

    resolve->stale = (found == NGX_AMPERSAND_RECORD_STALE
                      || found == NGX_AMPERSAND_RECORD_FRESH);

    return resolve->stale;
}
