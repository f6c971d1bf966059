#include "ngx_http_ampersand_lookup.h"
#include "ngx_ampersand_log.h"
#include "ngx_ampersand_times.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_cooldown.h"
#include "amp_escape.h"
#include "amp_keys.h"
#include "amp_script.h"


#define NGX_HTTP_AMPERSAND_LOOKUP_STEPWISE  10000       /* ms                 */
#define NGX_HTTP_AMPERSAND_LOOKUP_PARTS     6           /* of lookup.lua's    */

#define ngx_http_ampersand_lookup_cluster(lookups)                            \
    ((lookups)->conf->form == AMP_REDIS_CLUSTER)

#define ngx_http_ampersand_lookup_text(number)  #number
#define ngx_http_ampersand_lookup_number(number)                              \
    amp_span(ngx_http_ampersand_lookup_text(number))


static ngx_int_t ngx_http_ampersand_lookup_ask(
    ngx_http_ampersand_lookup_t *lookup);
static ngx_int_t ngx_http_ampersand_lookup_command(
    ngx_http_ampersand_lookup_t *lookup, ngx_uint_t argc, amp_span_t *argv,
    amp_span_t key);
static void ngx_http_ampersand_lookup_key(ngx_http_ampersand_lookup_t *lookup,
    amp_buf_t *key);
static ngx_uint_t ngx_http_ampersand_lookup_by_script(
    ngx_http_ampersand_lookups_t *lookups);
static void ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_all(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
static ngx_uint_t ngx_http_ampersand_lookup_parts(redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_step(
    ngx_http_ampersand_lookup_t *lookup, redisReply *reply);
static void ngx_http_ampersand_lookup_log(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply);


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
    lookup->started = ngx_ampersand_times_now();
    lookup->by_token = (id.len == 0);
    lookup->script = ngx_http_ampersand_lookup_by_script(lookups);
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
    u_char                         name[AMP_KEYS_MAX];
    amp_buf_t                      key;
    amp_span_t                     argv[8], id;
    ngx_http_ampersand_lookups_t  *lookups;

    lookups = lookup->lookups;
    id = amp_span_make(lookup->id, lookup->id_len);

    amp_buf_init(&key, name, sizeof(name));
    ngx_http_ampersand_lookup_key(lookup, &key);

    if (lookup->script && lookup->step != NGX_HTTP_AMPERSAND_LOOKUP_PROJECT) {
        argv[0] = lookup->eval ? amp_span("EVAL") : amp_span("EVALSHA");
        argv[1] = lookup->eval ? amp_script_lookup.text
                               : amp_script_lookup.sha;
        argv[2] = amp_span("1");
        argv[3] = amp_buf_written(&key);
        argv[4] = ngx_ampersand_span(lookups->conf->prefix);
        argv[5] = lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_TENANT
                  ? id : amp_span_null;
        argv[6] = ngx_http_ampersand_lookup_number(AMP_TENANT_JSON_MAX);
        argv[7] = ngx_http_ampersand_lookup_cluster(lookups) ? amp_span("1")
                                                            : amp_span_null;

        return ngx_http_ampersand_lookup_command(lookup, 8, argv, argv[3]);
    }

    argv[0] = amp_span("GET");
    argv[1] = amp_buf_written(&key);

    if (lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_PROJECT) {
        lookups->tenant(lookups->data, id);
        argv[0] = amp_span("HGETALL");
    }

    return ngx_http_ampersand_lookup_command(lookup, 2, argv, argv[1]);
}


static ngx_int_t
ngx_http_ampersand_lookup_command(ngx_http_ampersand_lookup_t *lookup,
    ngx_uint_t argc, amp_span_t *argv, amp_span_t key)
{
    uint64_t    begun;
    ngx_uint_t  i, last;

    begun = ngx_ampersand_records_begin(lookup->lookups->zone);
    last = lookup->step;

    if (lookup->script && !ngx_http_ampersand_lookup_cluster(lookup->lookups)) {
        last = NGX_HTTP_AMPERSAND_LOOKUP_PROJECT;
    }

    for (i = lookup->step; i <= last; i++) {
        lookup->begun[i] = begun;
    }

    return ngx_ampersand_redis_command(lookup->lookups->redis, key, argc, argv,
                                       ngx_http_ampersand_lookup_reply,
                                       lookup);
}


/* The key of this step. */

static void
ngx_http_ampersand_lookup_key(ngx_http_ampersand_lookup_t *lookup,
    amp_buf_t *key)
{
    u_char      hex[AMP_TOKEN_DIGEST_HEX];
    amp_span_t  prefix;

    prefix = ngx_ampersand_span(lookup->lookups->conf->prefix);

    switch (lookup->step) {

    case NGX_HTTP_AMPERSAND_LOOKUP_TOKEN:
        amp_hex(lookup->digest, AMP_TOKEN_DIGEST, hex);
        amp_keys_token(prefix, amp_span_make(hex, sizeof(hex)), key);
        break;

    case NGX_HTTP_AMPERSAND_LOOKUP_TENANT:
        amp_keys_tenant(prefix, amp_span_make(lookup->id, lookup->id_len),
                        key);
        break;

    default: /* NGX_HTTP_AMPERSAND_LOOKUP_PROJECT */
        amp_keys_gen(prefix, amp_tenant_field(lookup->tenant,
                                              lookup->tenant->project_id),
                     key);
    }
}


static ngx_uint_t
ngx_http_ampersand_lookup_by_script(ngx_http_ampersand_lookups_t *lookups)
{
    if (lookups->stepwise
        && ngx_current_msec - lookups->refused_at
           > NGX_HTTP_AMPERSAND_LOOKUP_STEPWISE)
    {
        lookups->stepwise = 0;
    }

    return !lookups->stepwise;
}


static void
ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_lookup_t *lookup = data;

    amp_reason_e               reason;
    ngx_ampersand_counters_t  *counters;

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

    reason = lookup->script
             && lookup->step != NGX_HTTP_AMPERSAND_LOOKUP_PROJECT
             ? ngx_http_ampersand_lookup_all(lookup, reply)
             : ngx_http_ampersand_lookup_step(lookup, reply);

    if (reason != AMP_OK || lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_DONE) {
        counters = ngx_ampersand_zone_counters(lookup->lookups->zone);
        ngx_ampersand_histogram_add(
                             &counters->redis_times[NGX_AMPERSAND_FOR_LOOKUP],
                             ngx_ampersand_times_now() - lookup->started);
        lookup->handler(lookup, reason);
        return;
    }

    if (ngx_http_ampersand_lookup_ask(lookup) != NGX_OK) {
        lookup->handler(lookup, AMP_STORE_DOWN);
    }
}


/*
 * The script's reply.  The step that it leaves is asked for next: by a command,
 * as all are where the script has failed, which they then say more exactly; in
 * a cluster by the script again.
 */

static amp_reason_e
ngx_http_ampersand_lookup_all(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    ngx_uint_t                     retries;
    redisReply                   **part;
    amp_reason_e                   reason;
    amp_tenant_t                  *tenant;
    ngx_http_ampersand_lookups_t  *lookups;

    lookups = lookup->lookups;

    if (!lookup->eval
        && ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOSCRIPT))
    {
        lookup->eval = 1;
        return AMP_OK;
    }

    if (!ngx_http_ampersand_lookup_parts(reply)) {
        lookup->script = 0;
        lookups->stepwise = 1;
        lookups->refused_at = ngx_current_msec;
        return AMP_OK;
    }

    part = reply->element;
    retries = lookup->retries;
    reason = AMP_OK;

    if (lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_TOKEN) {
        reason = ngx_http_ampersand_lookup_token(lookup, part[0]);
    }

    if (reason == AMP_OK
        && lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_TENANT
        && ngx_http_ampersand_lookup_is(part[1],
                                        amp_span_make(lookup->id,
                                                      lookup->id_len)))
    {
        reason = ngx_http_ampersand_lookup_tenant(lookup, part[2]);
    }

    tenant = lookup->tenant;

    if (reason == AMP_OK
        && lookup->step == NGX_HTTP_AMPERSAND_LOOKUP_PROJECT
        && ngx_http_ampersand_lookup_is(part[3],
                                        amp_tenant_field(tenant,
                                                         tenant->project_id)))
    {
        if (part[5]->type == REDIS_REPLY_INTEGER && part[5]->integer > 0) {
            (void) ngx_ampersand_cooldown_set(lookups->zone,
                                           amp_span_make(tenant->owner,
                                                         AMP_TENANT_OWNER),
                                           (ngx_msec_t) part[5]->integer);
        }

        reason = ngx_http_ampersand_lookup_project(lookup, part[4]);
    }

    lookup->script = (lookup->retries != retries
                      || ngx_http_ampersand_lookup_cluster(lookups));

    return reason;
}


/*
 * 1 where the reply has all parts, else 0.  A part may be the error of a value
 * of another type, but no other error, such as that of a right that is missing.
 */

static ngx_uint_t
ngx_http_ampersand_lookup_parts(redisReply *reply)
{
    size_t       i;
    redisReply  *part;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != NGX_HTTP_AMPERSAND_LOOKUP_PARTS)
    {
        return 0;
    }

    for (i = 0; i < reply->elements; i++) {
        part = reply->element[i];

        if (part->type == REDIS_REPLY_ERROR
            && !ngx_ampersand_redis_error_is(part, AMP_REDIS_ERROR_WRONGTYPE))
        {
            return 0;
        }
    }

    return 1;
}


static amp_reason_e
ngx_http_ampersand_lookup_step(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR
        && !ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_WRONGTYPE))
    {
        ngx_http_ampersand_lookup_log(lookup, reply);
        return AMP_STORE_DOWN;
    }

    switch (lookup->step) {

    case NGX_HTTP_AMPERSAND_LOOKUP_TOKEN:
        return ngx_http_ampersand_lookup_token(lookup, reply);

    case NGX_HTTP_AMPERSAND_LOOKUP_TENANT:
        return ngx_http_ampersand_lookup_tenant(lookup, reply);

    default: /* NGX_HTTP_AMPERSAND_LOOKUP_PROJECT */
        return ngx_http_ampersand_lookup_project(lookup, reply);
    }
}


static void
ngx_http_ampersand_lookup_log(ngx_http_ampersand_lookup_t *lookup,
    redisReply *reply)
{
    ngx_uint_t  level;

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
}


ngx_uint_t
ngx_http_ampersand_lookup_is(redisReply *reply, amp_span_t text)
{
    return reply->type == REDIS_REPLY_STRING
           && amp_span_eq(amp_reply_hiredis(reply).text, text);
}


void
ngx_http_ampersand_lookup_free(ngx_http_ampersand_lookup_t *lookup)
{
    ngx_queue_remove(&lookup->queue);
    lookup->lookups->limit.n -= lookup->limited;

    if (lookup->tenant) {
        ngx_free(lookup->tenant);
    }

    if (lookup->scope) {
        ngx_free(lookup->scope);
    }

    ngx_free(lookup);
}
