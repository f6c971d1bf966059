#include "ngx_http_ampersand_lookup.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "amp_escape.h"
#include "amp_keys.h"


/*
 * A flight is one look-up in this worker, of one token (or one tenant id, with
 * ampersand_identity).  Requests for the same one wait in it; it lives in its
 * own memory, so a client that leaves only takes its waiter out, and the reply
 * is always consumed in order:
 *
 *   TOKEN ──▶ TENANT ──▶ PROJECT ──▶ LANDED: waiters get their copies
 *
 * with one GET, GET and HGETALL.  Any step may land early: unknown token,
 * removed tenant, unreadable record, Redis out of reach.
 *
 * What an event names between a step and the landing is asked for again, from
 * the first step; after so many times those who wait get what was read last,
 * and the zone does not.
 */


#define NGX_HTTP_AMPERSAND_RETRIES  3


static ngx_int_t ngx_http_ampersand_lookup_ask(
    ngx_http_ampersand_lookup_t *flight);
static void ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_token(
    ngx_http_ampersand_lookup_t *flight, redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_tenant(
    ngx_http_ampersand_lookup_t *flight, redisReply *reply);
static void ngx_http_ampersand_lookup_open(
    ngx_http_ampersand_lookup_t *flight);
static amp_reason_e ngx_http_ampersand_lookup_project(
    ngx_http_ampersand_lookup_t *flight, redisReply *reply);
static amp_reason_e ngx_http_ampersand_lookup_store(
    ngx_http_ampersand_lookup_t *flight);
static amp_reason_e ngx_http_ampersand_lookup_unknown(
    ngx_http_ampersand_lookup_t *flight);
static ngx_uint_t ngx_http_ampersand_lookup_again(
    ngx_http_ampersand_lookup_t *flight);
static ngx_int_t ngx_http_ampersand_lookup_known(
    ngx_http_ampersand_lookup_t *flight);


ngx_int_t
ngx_http_ampersand_lookup_init(ngx_http_ampersand_main_conf_t *amcf,
    ngx_pool_t *pool)
{
    ngx_uint_t  i;

    amcf->flights = ngx_palloc(pool, NGX_HTTP_AMPERSAND_BUCKETS
                                     * sizeof(ngx_queue_t));
    if (amcf->flights == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_AMPERSAND_BUCKETS; i++) {
        ngx_queue_init(&amcf->flights[i]);
    }

    return NGX_OK;
}


void
ngx_http_ampersand_lookup_close(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t    i;
    ngx_queue_t  *q;

    for (i = 0; i < NGX_HTTP_AMPERSAND_BUCKETS; i++) {

        while (!ngx_queue_empty(&amcf->flights[i])) {
            q = ngx_queue_head(&amcf->flights[i]);

            ngx_http_ampersand_lookup_free(
                      ngx_queue_data(q, ngx_http_ampersand_lookup_t, queue));
        }
    }
}


ngx_http_ampersand_lookup_t *
ngx_http_ampersand_lookup_start(ngx_http_ampersand_main_conf_t *amcf,
    ngx_queue_t *bucket, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_landed_pt landed)
{
    ngx_http_ampersand_lookup_t  *flight;

    flight = ngx_calloc(sizeof(*flight), ngx_cycle->log);
    if (flight == NULL) {
        return NULL;
    }

    flight->amcf = amcf;
    flight->landed = landed;
    flight->log = ngx_cycle->log;
    flight->by_token = (ctx->identity.data == NULL);
    ngx_queue_init(&flight->waiters);

    if (flight->by_token) {
        ngx_memcpy(flight->digest, ctx->digest, AMP_TOKEN_DIGEST);

    } else {
        flight->step = NGX_HTTP_AMPERSAND_TENANT;
        flight->id_len = ctx->identity.len;
        ngx_memcpy(flight->id, ctx->identity.data, flight->id_len);
    }

    ngx_queue_insert_head(bucket, &flight->queue);

    if (ngx_http_ampersand_lookup_ask(flight) != NGX_OK) {
        ngx_http_ampersand_count_up(amcf, lookup_failures);
        ngx_http_ampersand_lookup_free(flight);
        return NULL;
    }

    ngx_http_ampersand_count_up(amcf, lookups);

    return flight;
}


static ngx_int_t
ngx_http_ampersand_lookup_ask(ngx_http_ampersand_lookup_t *flight)
{
    u_char       hex[AMP_TOKEN_DIGEST_HEX], name[AMP_KEYS_MAX];
    amp_buf_t    key;
    amp_span_t   argv[2], prefix;

    amp_buf_init(&key, name, sizeof(name));
    prefix = ngx_http_ampersand_span(flight->amcf->redis->prefix);
    argv[0] = amp_span("GET");

    switch (flight->step) {

    case NGX_HTTP_AMPERSAND_TOKEN:
        amp_hex(flight->digest, AMP_TOKEN_DIGEST, hex);
        amp_keys_token(prefix, amp_span_make(hex, sizeof(hex)), &key);
        break;

    case NGX_HTTP_AMPERSAND_TENANT:
        amp_keys_tenant(prefix, amp_span_make(flight->id, flight->id_len),
                        &key);
        break;

    default: /* NGX_HTTP_AMPERSAND_PROJECT */
        ngx_http_ampersand_cooldown_ask(flight->amcf,
                                     amp_span_make(flight->id, flight->id_len));

        argv[0] = amp_span("HGETALL");
        amp_keys_gen(prefix, amp_tenant_field(flight->tenant,
                                              flight->tenant->project_id),
                     &key);
    }

    argv[1] = amp_buf_written(&key);

    flight->begun[flight->step] = ngx_ampersand_zone_begin(
                                                          flight->amcf->zone);

    return ngx_ampersand_redis_command(flight->amcf->link, argv[1], 2, argv,
                                       ngx_http_ampersand_lookup_reply,
                                       flight);
}


static void
ngx_http_ampersand_lookup_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_lookup_t *flight = data;

    ngx_uint_t    level;
    amp_reason_e  reason;

    if (rc != NGX_OK) {

        /* a link that is back at once takes the command again */

        if (!flight->again && ngx_http_ampersand_lookup_ask(flight) == NGX_OK) {
            flight->again = 1;
            return;
        }

        flight->landed(flight, AMP_STORE_DOWN);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        level = ngx_http_ampersand_log_level(flight->amcf);

        /* the link says what is more than this look-up's */

        if (flight->amcf->refusing
            || ngx_ampersand_redis_error_effect(reply)
               != NGX_AMPERSAND_REDIS_EFFECT_CALLER)
        {
            level = NGX_LOG_INFO;
        }

        ngx_log_error(level, flight->log, 0,
                      "ampersand: Redis \"%V\" refused a look-up: \"%*s\"",
                      &flight->amcf->redis->display,
                      ngx_ampersand_reply_len(reply), reply->str);
        flight->amcf->refusing = 1;
        flight->landed(flight, AMP_STORE_DOWN);
        return;
    }

    switch (flight->step) {

    case NGX_HTTP_AMPERSAND_TOKEN:
        reason = ngx_http_ampersand_lookup_token(flight, reply);
        break;

    case NGX_HTTP_AMPERSAND_TENANT:
        reason = ngx_http_ampersand_lookup_tenant(flight, reply);
        break;

    default: /* NGX_HTTP_AMPERSAND_PROJECT */
        reason = ngx_http_ampersand_lookup_project(flight, reply);
    }

    if (reason != AMP_OK || flight->step == NGX_HTTP_AMPERSAND_LANDED) {
        flight->landed(flight, reason);
        return;
    }

    if (ngx_http_ampersand_lookup_ask(flight) != NGX_OK) {
        flight->landed(flight, AMP_STORE_DOWN);
    }
}


static amp_reason_e
ngx_http_ampersand_lookup_token(ngx_http_ampersand_lookup_t *flight,
    redisReply *reply)
{
    u_char               buf[512];
    ngx_uint_t           level;
    const char          *error;
    amp_token_record_t   record;

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_ampersand_lookup_unknown(flight);
    }

    error = "not a string";

    if (reply->type != REDIS_REPLY_STRING
        || amp_token_record_decode(amp_span_make(reply->str,
                                            ngx_ampersand_reply_len(reply)),
                                   buf, sizeof(buf), &record, &error)
           != 0)
    {
        level = ngx_http_ampersand_log_level(flight->amcf);
        ngx_log_error(level, flight->log, 0,
                      "ampersand: token record cannot be read: %s", error);
        return AMP_BAD_RECORD;
    }

    if (record.expires && record.expires <= ngx_time()) {
        return ngx_http_ampersand_lookup_unknown(flight);
    }

    flight->expires = (time_t) record.expires;
    flight->id_len = record.tenant.len;
    ngx_memcpy(flight->id, record.tenant.data, record.tenant.len);
    flight->step = NGX_HTTP_AMPERSAND_TENANT;

    return AMP_OK;
}


static amp_reason_e
ngx_http_ampersand_lookup_tenant(ngx_http_ampersand_lookup_t *flight,
    redisReply *reply)
{
    size_t                 size;
    uint64_t               flat[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];
    amp_span_t             id;
    ngx_uint_t             level;
    const char            *error;

    id = amp_span_make(flight->id, flight->id_len);

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_ampersand_lookup_unknown(flight);
    }

    error = "not a string";
    size = 0;

    if (reply->type == REDIS_REPLY_STRING) {
        size = amp_tenant_decode(amp_span_make(reply->str,
                                            ngx_ampersand_reply_len(reply)),
                                 flat, sizeof(flat), &error);
    }

    if (size == 0) {
        level = ngx_http_ampersand_log_level(flight->amcf);
        ngx_log_error(level, flight->log, 0,
                      "ampersand: record of tenant \"%*s\" cannot be read: %s",
                      flight->id_len, flight->id, error);
        return AMP_BAD_RECORD;
    }

    flight->tenant = ngx_alloc(size, flight->log);
    if (flight->tenant == NULL) {
        return AMP_STORE_DOWN;
    }

    ngx_memcpy(flight->tenant, flat, size);

    if (!amp_span_eq(amp_tenant_field(flight->tenant, flight->tenant->id),
                     id))
    {
        level = ngx_http_ampersand_log_level(flight->amcf);
        ngx_log_error(level, flight->log, 0,
                      "ampersand: record of tenant \"%*s\" is another's",
                      flight->id_len, flight->id);
        return AMP_BAD_RECORD;
    }

    ngx_http_ampersand_lookup_open(flight);
    flight->step = NGX_HTTP_AMPERSAND_PROJECT;

    return AMP_OK;
}


/*
 * Requests need not authenticate the sealed key again.  One that does not open
 * here may do so in a worker that was started with other master keys.
 */

static void
ngx_http_ampersand_lookup_open(ngx_http_ampersand_lookup_t *flight)
{
    int            n;
    u_char         secret[AMP_SECRET_MAX];
    amp_tenant_t  *tenant;

    tenant = flight->tenant;

    n = ngx_http_ampersand_open_key(flight->amcf, tenant, secret);

    tenant->opened = (n > 0);

    ngx_explicit_memzero(secret, sizeof(secret));
}


static amp_reason_e
ngx_http_ampersand_lookup_project(ngx_http_ampersand_lookup_t *flight,
    redisReply *reply)
{
    int          family;
    size_t       i;
    amp_span_t   project;
    ngx_int_t    gen;
    ngx_uint_t   level;
    redisReply  *name, *value;

    project = amp_tenant_field(flight->tenant, flight->tenant->project_id);

    if (reply->type != REDIS_REPLY_ARRAY) {
        level = ngx_http_ampersand_log_level(flight->amcf);
        ngx_log_error(level, flight->log, 0,
                      "ampersand: generations of project \"%*s\" cannot be "
                      "read: not a hash", project.len, project.data);
        return AMP_BAD_RECORD;
    }

    ngx_memzero(flight->gens, sizeof(flight->gens));

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
            flight->gens[family] = (uint32_t) gen;
        }
    }

    return ngx_http_ampersand_lookup_store(flight);
}


static amp_reason_e
ngx_http_ampersand_lookup_store(ngx_http_ampersand_lookup_t *flight)
{
    uint64_t              *begun;
    ngx_int_t              rc, token;
    ngx_ampersand_zone_t  *zone;

    zone = flight->amcf->zone;
    begun = flight->begun;

    ngx_ampersand_zone_store_project(zone, begun[NGX_HTTP_AMPERSAND_PROJECT],
                                 amp_tenant_field(flight->tenant,
                                                  flight->tenant->project_id),
                                 flight->gens);

    rc = ngx_ampersand_zone_store_tenant(zone,
                                         begun[NGX_HTTP_AMPERSAND_TENANT],
                                         flight->tenant);

    if (rc == NGX_ABORT) {
        ngx_log_error(ngx_http_ampersand_log_level(flight->amcf), flight->log,
                      0, "ampersand: Redis \"%V\" holds an older record of "
                      "tenant \"%*s\" than it has announced",
                      &flight->amcf->redis->display,
                      flight->id_len, flight->id);
        return AMP_STORE_DOWN;
    }

    token = NGX_OK;

    if (rc != NGX_DECLINED && flight->by_token) {
        token = ngx_ampersand_zone_store_token(zone,
                                    begun[NGX_HTTP_AMPERSAND_TOKEN],
                                    flight->digest,
                                    amp_span_make(flight->id, flight->id_len),
                                    flight->expires);
    }

    if ((rc == NGX_DECLINED || token == NGX_DECLINED)
        && ngx_http_ampersand_lookup_again(flight))
    {
        return AMP_OK;
    }

    if (rc == NGX_DONE && ngx_http_ampersand_lookup_known(flight) != NGX_OK) {
        return AMP_STORE_DOWN;
    }

    flight->step = NGX_HTTP_AMPERSAND_LANDED;

    return AMP_OK;
}


/* There is no such token, or no tenant: each is known not to exist by itself. */

static amp_reason_e
ngx_http_ampersand_lookup_unknown(ngx_http_ampersand_lookup_t *flight)
{
    ngx_int_t              rc;
    amp_span_t             id;
    ngx_ampersand_zone_t  *zone;

    zone = flight->amcf->zone;
    rc = NGX_OK;
    id = amp_span_null;

    if (flight->step == NGX_HTTP_AMPERSAND_TENANT) {
        id = amp_span_make(flight->id, flight->id_len);
        rc = ngx_ampersand_zone_store_no_tenant(zone,
                                    flight->begun[NGX_HTTP_AMPERSAND_TENANT],
                                    id);
    }

    if (rc == NGX_OK && flight->by_token) {
        rc = ngx_ampersand_zone_store_token(zone,
                                     flight->begun[NGX_HTTP_AMPERSAND_TOKEN],
                                     flight->digest, id, flight->expires);
    }

    if (rc != NGX_OK && ngx_http_ampersand_lookup_again(flight)) {
        return AMP_OK;
    }

    return flight->by_token ? AMP_UNKNOWN_TOKEN : AMP_NO_IDENTITY;
}


/*
 * A record changed while it was on its way: nobody may get it, and those who
 * came after the change least of all.
 */

static ngx_uint_t
ngx_http_ampersand_lookup_again(ngx_http_ampersand_lookup_t *flight)
{
    if (flight->retries++ >= NGX_HTTP_AMPERSAND_RETRIES) {
        return 0;
    }

    if (flight->tenant) {
        ngx_free(flight->tenant);
        flight->tenant = NULL;
    }

    flight->step = flight->by_token ? NGX_HTTP_AMPERSAND_TOKEN
                                    : NGX_HTTP_AMPERSAND_TENANT;

    return 1;
}


/* What is known is newer than what was read. */

static ngx_int_t
ngx_http_ampersand_lookup_known(ngx_http_ampersand_lookup_t *flight)
{
    ngx_ampersand_zone_e   found;
    ngx_ampersand_known_t  known;

    ngx_memzero(&known, sizeof(known));

    known.cap = AMP_TENANT_FLAT_MAX;

    known.tenant = ngx_alloc(known.cap, flight->log);
    if (known.tenant == NULL) {
        return NGX_ERROR;
    }

    found = ngx_ampersand_zone_find(flight->amcf->zone, NULL,
                                    amp_span_make(flight->id, flight->id_len),
                                    &known);

    ngx_free(flight->tenant);
    flight->tenant = known.tenant;

    return (found == NGX_AMPERSAND_ZONE_STALE
            || found == NGX_AMPERSAND_ZONE_FRESH)
           ? NGX_OK : NGX_ERROR;
}


void
ngx_http_ampersand_lookup_free(ngx_http_ampersand_lookup_t *flight)
{
    ngx_queue_remove(&flight->queue);
    flight->amcf->strangers.n -= flight->stranger;

    if (flight->tenant) {
        ngx_free(flight->tenant);
    }

    ngx_free(flight);
}
