#include "ngx_http_ampersand_lookup.h"
#include "ngx_ampersand_log.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_clock.h"
#include "amp_escape.h"
#include "amp_project.h"
#include "amp_tenant_key.h"


#define NGX_HTTP_AMPERSAND_LOOKUP_RETRIES  3
#define NGX_HTTP_AMPERSAND_LOOKUP_LOST     10   /* s between log lines        */


static const char *ngx_http_ampersand_lookup_scope(
    ngx_http_ampersand_lookup_t *lookup, const amp_token_record_t *record);
static amp_reason_e ngx_http_ampersand_lookup_foreign(
    ngx_http_ampersand_lookup_t *lookup, amp_span_t project);
static amp_reason_e ngx_http_ampersand_lookup_store(
    ngx_http_ampersand_lookup_t *lookup);
static amp_reason_e ngx_http_ampersand_lookup_unknown(
    ngx_http_ampersand_lookup_t *lookup);
static void ngx_http_ampersand_lookup_lost(
    ngx_http_ampersand_lookup_t *lookup);
static void ngx_http_ampersand_lookup_went_back(
    ngx_http_ampersand_lookup_t *lookup);
static ngx_uint_t ngx_http_ampersand_lookup_restart(
    ngx_http_ampersand_lookup_t *lookup);
static ngx_int_t ngx_http_ampersand_lookup_newer(
    ngx_http_ampersand_lookup_t *lookup);


amp_reason_e
ngx_http_ampersand_lookup_token(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    u_char               buf[AMP_TOKEN_RECORD_MAX], hex[AMP_TOKEN_DIGEST_HEX];
    ngx_uint_t           level;
    const char          *error;
    amp_token_record_t   record;

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_ampersand_lookup_unknown(lookup);
    }

    error = "not a string";

    if (reply->type != REDIS_REPLY_STRING
        || amp_token_record_decode(amp_span_make(reply->str,
                                            ngx_ampersand_reply_len(reply)),
                                   buf, sizeof(buf), &record, &error)
           != 0
        || (error = ngx_http_ampersand_lookup_scope(lookup, &record)) != NULL)
    {
        level = ngx_ampersand_log_level(lookup->lookups->logged);
        amp_hex(lookup->digest, AMP_TOKEN_DIGEST, hex);
        ngx_log_error(level, lookup->log, 0,
                      "ampersand: token record cannot be read: %s; remove "
                      "\"%Vtoken:%*s\" and issue another token", error,
                      &lookup->lookups->conf->prefix, sizeof(hex), hex);
        return AMP_BAD_RECORD;
    }

    if (ngx_ampersand_clock_expired(lookup->lookups->zone,
                                    (time_t) record.expires))
    {
        return ngx_http_ampersand_lookup_unknown(lookup);
    }

    lookup->expires = (time_t) record.expires;
    ngx_memcpy(lookup->token,
               record.id.data + record.id.len - AMP_TOKEN_ID_RANDOM,
               AMP_TOKEN_ID_RANDOM);
    lookup->id_len = record.tenant.len;
    ngx_memcpy(lookup->id, record.tenant.data, record.tenant.len);
    lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_TENANT;

    return AMP_OK;
}


/* Sets lookup->scope.  NULL, or what is wrong with it. */

static const char *
ngx_http_ampersand_lookup_scope(ngx_http_ampersand_lookup_t *lookup,
    const amp_token_record_t *record)
{
    size_t       size;
    uint64_t     flat[AMP_TOKEN_SCOPE_MAX / sizeof(uint64_t)];
    const char  *error;

    if (record->scope.len == 0) {
        return NULL;
    }

    size = amp_token_scope_decode(record->scope, record->id, flat, sizeof(flat),
                                  &error);

    if (size == 0) {
        return error;
    }

    lookup->scope = ngx_alloc(size, lookup->log);
    if (lookup->scope == NULL) {
        return "no memory";
    }

    ngx_memcpy(lookup->scope, flat, size);

    return NULL;
}


amp_reason_e
ngx_http_ampersand_lookup_tenant(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    size_t                 size;
    uint64_t               flat[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];
    amp_span_t             id;
    ngx_uint_t             level;
    const char            *error;

    id = amp_span_make(lookup->id, lookup->id_len);

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_ampersand_lookup_unknown(lookup);
    }

    error = "not a string";
    size = 0;

    if (reply->type == REDIS_REPLY_STRING) {
        size = amp_tenant_decode(amp_span_make(reply->str,
                                            ngx_ampersand_reply_len(reply)),
                                 flat, sizeof(flat), &error);
    }

    if (size == 0) {
        level = ngx_ampersand_log_level(lookup->lookups->logged);
        ngx_log_error(level, lookup->log, 0,
                      "ampersand: record of tenant \"%*s\" cannot be read: "
                      "%s; \"ampctl tenant show\" says what to do",
                      lookup->id_len, lookup->id, error);
        return AMP_BAD_RECORD;
    }

    lookup->tenant = ngx_alloc(size, lookup->log);
    if (lookup->tenant == NULL) {
        return AMP_STORE_DOWN;
    }

    ngx_memcpy(lookup->tenant, flat, size);

    if (!amp_span_eq(amp_tenant_field(lookup->tenant, lookup->tenant->id),
                     id))
    {
        level = ngx_ampersand_log_level(lookup->lookups->logged);
        ngx_log_error(level, lookup->log, 0,
                      "ampersand: the record of tenant \"%*s\" names another "
                      "tenant; \"ampctl tenant show\" says what to do",
                      lookup->id_len, lookup->id);
        return AMP_BAD_RECORD;
    }

    /*
     * Authenticates the sealed key once, so that requests need not.  A key that
     * does not open here may open in a worker that was started with other
     * master keys.
     */

    lookup->tenant->opened = amp_tenant_key_opens(lookup->lookups->keyring,
                                                  lookup->tenant);
    lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_PROJECT;

    return AMP_OK;
}


amp_reason_e
ngx_http_ampersand_lookup_project(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    int          family;
    size_t       i;
    ngx_int_t    gen;
    amp_span_t   project;
    ngx_uint_t   level;
    redisReply  *name, *value;

    project = amp_tenant_field(lookup->tenant, lookup->tenant->project_id);

    if (reply->type != REDIS_REPLY_ARRAY) {
        level = ngx_ampersand_log_level(lookup->lookups->logged);
        ngx_log_error(level, lookup->log, 0,
                      "ampersand: generations of project \"%*s\" cannot be "
                      "read: \"%Vgen:%*s\" is not a hash; \"ampctl repair\" "
                      "mends it", project.len, project.data,
                      &lookup->lookups->conf->prefix,
                      project.len, project.data);

        if (!ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_WRONGTYPE)) {
            return AMP_BAD_RECORD;
        }

        return ngx_http_ampersand_lookup_foreign(lookup, project);
    }

    ngx_memzero(lookup->gens, sizeof(lookup->gens));
    ngx_memzero(&lookup->limit, sizeof(lookup->limit));

    for (i = 0; i + 1 < reply->elements; i += 2) {
        name = reply->element[i];
        value = reply->element[i + 1];

        if (name->type != REDIS_REPLY_STRING
            || value->type != REDIS_REPLY_STRING)
        {
            continue;
        }

        if (ngx_http_ampersand_lookup_is(name, amp_span(AMP_PROJECT_LIMIT))) {
            if (amp_project_limit_decode(amp_reply_hiredis(value).text,
                                         &lookup->limit)
                != 0)
            {
                level = ngx_ampersand_log_level(lookup->lookups->logged);
                ngx_log_error(level, lookup->log, 0,
                              "ampersand: limit of project \"%*s\" cannot be "
                              "read; \"ampctl limit set --project\" sets it "
                              "again", project.len, project.data);
                return AMP_BAD_RECORD;
            }

            continue;
        }

        family = amp_family_find(amp_span_make(name->str,
                                             ngx_ampersand_reply_len(name)));
        gen = ngx_atoi((u_char *) value->str, ngx_ampersand_reply_len(value));

        if (family >= 0 && gen > 0) {
            lookup->gens[family] = (uint32_t) gen;
        }
    }

    return ngx_http_ampersand_lookup_store(lookup);
}


/*
 * The generations cannot be read: what was cached before may be out of date,
 * and the limit that the zone knows stays.
 */

static amp_reason_e
ngx_http_ampersand_lookup_foreign(ngx_http_ampersand_lookup_t *lookup,
    amp_span_t project)
{
    ngx_ampersand_record_t  known;

    ngx_memzero(&known, sizeof(known));

    ngx_ampersand_generations_bump(lookup->lookups->zone, project,
                                   (1u << AMP_FAMILY_COUNT) - 1);
    ngx_ampersand_generations_read(lookup->lookups->zone, project, &known);

    ngx_memzero(lookup->gens, sizeof(lookup->gens));
    lookup->limit = known.limit;

    return ngx_http_ampersand_lookup_store(lookup);
}


static amp_reason_e
ngx_http_ampersand_lookup_store(ngx_http_ampersand_lookup_t *lookup)
{
    uint64_t              *begun;
    ngx_int_t              rc, token;
    ngx_uint_t             level;
    ngx_ampersand_zone_t  *zone;

    zone = lookup->lookups->zone;
    begun = lookup->begun;

    ngx_ampersand_generations_store(zone,
                                 begun[NGX_HTTP_AMPERSAND_LOOKUP_PROJECT],
                                 amp_tenant_field(lookup->tenant,
                                                  lookup->tenant->project_id),
                                 lookup->gens, &lookup->limit);

    rc = ngx_ampersand_records_store_tenant(zone,
                                     begun[NGX_HTTP_AMPERSAND_LOOKUP_TENANT],
                                     lookup->tenant);

    if (rc == NGX_ABORT) {
        ngx_ampersand_count(ngx_ampersand_zone_counters(zone), records_lost);

        level = ngx_ampersand_log_level(lookup->lookups->logged);

        ngx_log_error(level, lookup->log, 0,
                      "ampersand: Redis \"%V\" holds an older record of "
                      "tenant \"%*s\" than it has announced",
                      &lookup->lookups->conf->display,
                      lookup->id_len, lookup->id);
        return AMP_STORE_DOWN;
    }

    if (rc == NGX_BUSY) {
        ngx_http_ampersand_lookup_went_back(lookup);
    }

    token = NGX_OK;

    if (rc != NGX_DECLINED && lookup->by_token) {
        token = ngx_ampersand_records_store_token(zone,
                                    begun[NGX_HTTP_AMPERSAND_LOOKUP_TOKEN],
                                    lookup->digest,
                                    amp_span_make(lookup->id, lookup->id_len),
                                    lookup->token, lookup->expires,
                                    lookup->scope);
    }

    if ((rc == NGX_DECLINED || token == NGX_DECLINED)
        && ngx_http_ampersand_lookup_restart(lookup))
    {
        return AMP_OK;
    }

    if (rc == NGX_DONE && ngx_http_ampersand_lookup_newer(lookup) != NGX_OK) {
        return AMP_STORE_DOWN;
    }

    lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_DONE;

    return AMP_OK;
}


/*
 * Redis does not have what the zone knows, and no event has named it: Redis was
 * emptied or restored, or is another one.
 */

static void
ngx_http_ampersand_lookup_lost(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_ampersand_record_t  record;

    ngx_memzero(&record, sizeof(record));

    /* no room for a record: LARGE where there is one that may serve */

    if (ngx_ampersand_records_find(lookup->lookups->zone,
                                   lookup->by_token ? lookup->digest : NULL,
                                   amp_span_make(lookup->id, lookup->id_len),
                                   &record)
        == NGX_AMPERSAND_RECORD_LARGE)
    {
        ngx_http_ampersand_lookup_went_back(lookup);
    }
}


/* Redis has an older state than the zone. */

static void
ngx_http_ampersand_lookup_went_back(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_http_ampersand_lookups_t  *lookups;

    lookups = lookup->lookups;

    ngx_ampersand_count(ngx_ampersand_zone_counters(lookups->zone),
                        records_lost);

    if (ngx_ampersand_log_due(&lookups->lost, NGX_HTTP_AMPERSAND_LOOKUP_LOST)) {
        ngx_log_error(NGX_LOG_ERR, lookup->log, 0,
                      "ampersand: Redis \"%V\" has lost a token or tenant "
                      "that it had, or a change of one, and announced "
                      "nothing: was it emptied or restored, or is it another "
                      "database or prefix?", &lookups->conf->display);
    }
}


/* No such token or no such tenant: the zone stores that, for each by itself. */

static amp_reason_e
ngx_http_ampersand_lookup_unknown(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_int_t              rc;
    amp_span_t             id;
    ngx_ampersand_zone_t  *zone;

    zone = lookup->lookups->zone;
    rc = NGX_OK;
    id = amp_span_null;

    ngx_http_ampersand_lookup_lost(lookup);

    if (lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_TENANT) {
        id = amp_span_make(lookup->id, lookup->id_len);
        rc = ngx_ampersand_records_store_no_tenant(zone,
                                lookup->begun[NGX_HTTP_AMPERSAND_LOOKUP_TENANT],
                                id);
    }

    if (rc == NGX_OK && lookup->by_token) {
        rc = ngx_ampersand_records_store_token(zone,
                                 lookup->begun[NGX_HTTP_AMPERSAND_LOOKUP_TOKEN],
                                 lookup->digest, id, lookup->token,
                                 lookup->expires, lookup->scope);
    }

    if (rc != NGX_OK && ngx_http_ampersand_lookup_restart(lookup)) {
        return AMP_OK;
    }

    return lookup->by_token ? AMP_UNKNOWN_TOKEN : AMP_NO_IDENTITY;
}


/*
 * A record changed while it was being read: it may not serve, least of all
 * requests that came after the change.
 */

static ngx_uint_t
ngx_http_ampersand_lookup_restart(ngx_http_ampersand_lookup_t *lookup)
{
    if (lookup->retries++ >= NGX_HTTP_AMPERSAND_LOOKUP_RETRIES) {
        return 0;
    }

    if (lookup->tenant) {
        ngx_free(lookup->tenant);
        lookup->tenant = NULL;
    }

    if (lookup->scope) {
        ngx_free(lookup->scope);
        lookup->scope = NULL;
    }

    lookup->step = lookup->by_token ? NGX_HTTP_AMPERSAND_LOOKUP_TOKEN
                                    : NGX_HTTP_AMPERSAND_LOOKUP_TENANT;
    return 1;
}


/* The zone has a newer record than Redis: that one serves. */

static ngx_int_t
ngx_http_ampersand_lookup_newer(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_ampersand_record_e  found;
    ngx_ampersand_record_t  record;

    ngx_memzero(&record, sizeof(record));

    record.cap = AMP_TENANT_FLAT_MAX;

    record.tenant = ngx_alloc(record.cap, lookup->log);
    if (record.tenant == NULL) {
        return NGX_ERROR;
    }

    found = ngx_ampersand_records_find(lookup->lookups->zone, NULL,
                                    amp_span_make(lookup->id, lookup->id_len),
                                    &record);

    ngx_free(lookup->tenant);
    lookup->tenant = record.tenant;

    return (found == NGX_AMPERSAND_RECORD_STALE
            || found == NGX_AMPERSAND_RECORD_FRESH)
           ? NGX_OK : NGX_ERROR;
}
