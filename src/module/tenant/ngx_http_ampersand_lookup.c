#include "ngx_http_ampersand_lookup.h"
#include "ngx_ampersand_log.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "amp_escape.h"
#include "amp_keys.h"
#include "amp_tenant_key.h"


#define NGX_HTTP_AMPERSAND_LOOKUP_RETRIES  3


static ngx_int_t ngx_http_ampersand_lookup_ask(
    ngx_http_ampersand_lookup_t *lookup);
static void ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_token(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_tenant(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
static void ngx_http_ampersand_lookup_open(
    ngx_http_ampersand_lookup_t *lookup);
static amp_reason_e ngx_http_ampersand_lookup_project(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_store(
    ngx_http_ampersand_lookup_t *lookup);
static amp_reason_e ngx_http_ampersand_lookup_unknown(
    ngx_http_ampersand_lookup_t *lookup);
static ngx_uint_t ngx_http_ampersand_lookup_restart(
    ngx_http_ampersand_lookup_t *lookup);
static ngx_int_t ngx_http_ampersand_lookup_newer(
    ngx_http_ampersand_lookup_t *lookup);


ngx_int_t
ngx_http_ampersand_lookups_init(ngx_http_ampersand_lookups_t *lookups,
    ngx_pool_t *pool)
{
    ngx_uint_t  i;

    lookups->buckets = ngx_palloc(pool, NGX_HTTP_AMPERSAND_LOOKUP_BUCKETS
                                        * sizeof(ngx_queue_t));
    if (lookups->buckets == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_AMPERSAND_LOOKUP_BUCKETS; i++) {
        ngx_queue_init(&lookups->buckets[i]);
    }

    return NGX_OK;
}


void
ngx_http_ampersand_lookups_close(ngx_http_ampersand_lookups_t *lookups)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;

    for (i = 0; i < NGX_HTTP_AMPERSAND_LOOKUP_BUCKETS; i++) {

        while (!ngx_queue_empty(&lookups->buckets[i])) {
            q = ngx_queue_head(&lookups->buckets[i]);

            ngx_http_ampersand_lookup_free(
                      ngx_queue_data(q, ngx_http_ampersand_lookup_t, queue));
        }
    }
}


ngx_queue_t *
ngx_http_ampersand_lookup_bucket(ngx_http_ampersand_lookups_t *lookups,
    const u_char *digest, amp_span_t id)
{
    uint32_t  hash;

    hash = id.len ? ngx_murmur_hash2((u_char *) id.data, id.len) : digest[0];

    return &lookups->buckets[hash % NGX_HTTP_AMPERSAND_LOOKUP_BUCKETS];
}


ngx_http_ampersand_lookup_t *
ngx_http_ampersand_lookup_find(ngx_queue_t *bucket, const u_char *digest,
    amp_span_t id)
{
    ngx_queue_t                  *q;
    ngx_http_ampersand_lookup_t  *lookup;

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        lookup = ngx_queue_data(q, ngx_http_ampersand_lookup_t, queue);

        if (lookup->by_token != (id.len == 0)) {
            continue;
        }

        if (lookup->by_token
            ? ngx_memcmp(lookup->digest, digest, AMP_TOKEN_DIGEST) == 0
            : amp_span_eq(amp_span_make(lookup->id, lookup->id_len), id))
        {
            return lookup;
        }
    }

    return NULL;
}


ngx_http_ampersand_lookup_t *
ngx_http_ampersand_lookup_start(ngx_http_ampersand_lookups_t *lookups,
    ngx_queue_t *bucket, const u_char *digest, amp_span_t id,
    ngx_http_ampersand_lookup_pt handler)
{
    ngx_ampersand_counters_t     *counters;
    ngx_http_ampersand_lookup_t  *lookup;

    lookup = ngx_calloc(sizeof(*lookup), ngx_cycle->log);
    if (lookup == NULL) {
        return NULL;
    }

    lookup->lookups = lookups;
    lookup->handler = handler;
    lookup->log = ngx_cycle->log;
    lookup->by_token = (id.len == 0);
    ngx_queue_init(&lookup->waiters);

    if (lookup->by_token) {
        ngx_memcpy(lookup->digest, digest, AMP_TOKEN_DIGEST);

    } else {
        lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_TENANT;
        lookup->id_len = id.len;
        ngx_memcpy(lookup->id, id.data, id.len);
    }

    ngx_queue_insert_head(bucket, &lookup->queue);

    counters = ngx_ampersand_zone_counters(lookups->zone);

    if (ngx_http_ampersand_lookup_ask(lookup) != NGX_OK) {
        ngx_ampersand_count(counters, lookup_failures);
        ngx_http_ampersand_lookup_free(lookup);
        return NULL;
    }

    ngx_ampersand_count(counters, lookups);

    return lookup;
}


static ngx_int_t
ngx_http_ampersand_lookup_ask(ngx_http_ampersand_lookup_t *lookup)
{
    u_char       hex[AMP_TOKEN_DIGEST_HEX], name[AMP_KEYS_MAX];
    amp_buf_t    key;
    amp_span_t   argv[2], prefix;

    amp_buf_init(&key, name, sizeof(name));
    prefix = ngx_ampersand_span(lookup->lookups->conf->prefix);
    argv[0] = amp_span("GET");

    switch (lookup->step) {

    case NGX_HTTP_AMPERSAND_LOOKUP_TOKEN:
        amp_hex(lookup->digest, AMP_TOKEN_DIGEST, hex);
        amp_keys_token(prefix, amp_span_make(hex, sizeof(hex)), &key);
        break;

    case NGX_HTTP_AMPERSAND_LOOKUP_TENANT:
        amp_keys_tenant(prefix, amp_span_make(lookup->id, lookup->id_len),
                        &key);
        break;

    default: /* NGX_HTTP_AMPERSAND_LOOKUP_PROJECT */
        lookup->lookups->tenant(lookup->lookups->data,
                                amp_span_make(lookup->id, lookup->id_len));

        argv[0] = amp_span("HGETALL");
        amp_keys_gen(prefix, amp_tenant_field(lookup->tenant,
                                              lookup->tenant->project_id),
                     &key);
    }

    argv[1] = amp_buf_written(&key);

    lookup->begun[lookup->step] =
                            ngx_ampersand_records_begin(lookup->lookups->zone);

    return ngx_ampersand_redis_command(lookup->lookups->redis, argv[1], 2, argv,
                                       ngx_http_ampersand_lookup_reply,
                                       lookup);
}


static void
ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_lookup_t *lookup = data;

    ngx_uint_t    level;
    amp_reason_e  reason;

    if (rc != NGX_OK) {

        /* the link may have reconnected: send the command once more */

        if (!lookup->resent && ngx_http_ampersand_lookup_ask(lookup) == NGX_OK)
        {
            lookup->resent = 1;
            return;
        }

        lookup->handler(lookup, AMP_STORE_DOWN);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        level = ngx_ampersand_log_level(lookup->lookups->logged);

        /* errors that concern all commands are logged by the link */

        if (lookup->lookups->refused
            || ngx_ampersand_redis_error_effect(reply)
               != NGX_AMPERSAND_REDIS_EFFECT_CALLER)
        {
            level = NGX_LOG_INFO;
        }

        ngx_log_error(level, lookup->log, 0,
                      "ampersand: Redis \"%V\" refused a look-up: \"%*s\"",
                      &lookup->lookups->conf->display,
                      ngx_ampersand_reply_len(reply), reply->str);
        lookup->lookups->refused = 1;
        lookup->handler(lookup, AMP_STORE_DOWN);
        return;
    }

    switch (lookup->step) {

    case NGX_HTTP_AMPERSAND_LOOKUP_TOKEN:
        reason = ngx_http_ampersand_lookup_token(lookup, reply);
        break;

    case NGX_HTTP_AMPERSAND_LOOKUP_TENANT:
        reason = ngx_http_ampersand_lookup_tenant(lookup, reply);
        break;

    default: /* NGX_HTTP_AMPERSAND_LOOKUP_PROJECT */
        reason = ngx_http_ampersand_lookup_project(lookup, reply);
    }

    if (reason != AMP_OK || lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_DONE) {
        lookup->handler(lookup, reason);
        return;
    }

    if (ngx_http_ampersand_lookup_ask(lookup) != NGX_OK) {
        lookup->handler(lookup, AMP_STORE_DOWN);
    }
}


static amp_reason_e
ngx_http_ampersand_lookup_token(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    u_char               buf[512];
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
           != 0)
    {
        level = ngx_ampersand_log_level(lookup->lookups->logged);
        ngx_log_error(level, lookup->log, 0,
                      "ampersand: token record cannot be read: %s", error);
        return AMP_BAD_RECORD;
    }

    if (record.expires && record.expires <= ngx_time()) {
        return ngx_http_ampersand_lookup_unknown(lookup);
    }

    lookup->expires = (time_t) record.expires;
    lookup->id_len = record.tenant.len;
    ngx_memcpy(lookup->id, record.tenant.data, record.tenant.len);
    lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_TENANT;

    return AMP_OK;
}


static amp_reason_e
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
                      "ampersand: record of tenant \"%*s\" cannot be read: %s",
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
                      "tenant",
                      lookup->id_len, lookup->id);
        return AMP_BAD_RECORD;
    }

    ngx_http_ampersand_lookup_open(lookup);
    lookup->step = NGX_HTTP_AMPERSAND_LOOKUP_PROJECT;

    return AMP_OK;
}


/*
 * Authenticates the sealed key once, so that requests need not.  A key that
 * does not open here may open in a worker that was started with other master
 * keys.
 */

static void
ngx_http_ampersand_lookup_open(ngx_http_ampersand_lookup_t *lookup)
{
    int            n;
    u_char         secret[AMP_SECRET_MAX];
    amp_tenant_t  *tenant;

    tenant = lookup->tenant;

    n = amp_tenant_key(lookup->lookups->keyring, tenant, secret);

    tenant->opened = (n > 0);

    ngx_explicit_memzero(secret, sizeof(secret));
}


static amp_reason_e
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
                      "read: not a hash", project.len, project.data);
        return AMP_BAD_RECORD;
    }

    ngx_memzero(lookup->gens, sizeof(lookup->gens));

    for (i = 0; i + 1 < reply->elements; i += 2) {
        name = reply->element[i];
        value = reply->element[i + 1];

        if (name->type != REDIS_REPLY_STRING
            || value->type != REDIS_REPLY_STRING)
        {
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
                                 lookup->gens);

    rc = ngx_ampersand_records_store_tenant(zone,
                                     begun[NGX_HTTP_AMPERSAND_LOOKUP_TENANT],
                                     lookup->tenant);

    if (rc == NGX_ABORT) {
        level = ngx_ampersand_log_level(lookup->lookups->logged);

        ngx_log_error(level, lookup->log, 0,
                      "ampersand: Redis \"%V\" holds an older record of "
                      "tenant \"%*s\" than it has announced",
                      &lookup->lookups->conf->display,
                      lookup->id_len, lookup->id);
        return AMP_STORE_DOWN;
    }

    token = NGX_OK;

    if (rc != NGX_DECLINED && lookup->by_token) {
        token = ngx_ampersand_records_store_token(zone,
                                    begun[NGX_HTTP_AMPERSAND_LOOKUP_TOKEN],
                                    lookup->digest,
                                    amp_span_make(lookup->id, lookup->id_len),
                                    lookup->expires);
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

    if (lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_TENANT) {
        id = amp_span_make(lookup->id, lookup->id_len);
        rc = ngx_ampersand_records_store_no_tenant(zone,
                                lookup->begun[NGX_HTTP_AMPERSAND_LOOKUP_TENANT],
                                id);
    }

    if (rc == NGX_OK && lookup->by_token) {
        rc = ngx_ampersand_records_store_token(zone,
                                 lookup->begun[NGX_HTTP_AMPERSAND_LOOKUP_TOKEN],
                                 lookup->digest, id, lookup->expires);
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


void
ngx_http_ampersand_lookup_free(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_queue_remove(&lookup->queue);
    lookup->lookups->limit.n -= lookup->limited;

    if (lookup->tenant) {
        ngx_free(lookup->tenant);
    }

    ngx_free(lookup);
}
