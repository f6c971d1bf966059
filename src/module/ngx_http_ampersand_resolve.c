#include "ngx_http_ampersand.h"
#include "amp_keys.h"


/*
 * Who is the tenant: shared memory, else Redis.
 *
 * A flight is one look-up in this worker, of one token (or one tenant id, with
 * ampersand_identity).  Requests for the same one wait in it; it lives in its
 * own memory, so a client that leaves only takes its waiter out, and the reply
 * is always consumed in order:
 *
 *   TOKEN ──▶ TENANT ──▶ PROJECT ──▶ landed: waiters get their copies
 *
 * with one GET, GET and HGETALL.  Any step may land early: unknown token,
 * removed tenant, unreadable record, Redis out of reach.
 */


#define NGX_HTTP_AMPERSAND_FLIGHTS  1024        /* a worker                   */
#define NGX_HTTP_AMPERSAND_RETRIES  3           /* records overtaken by events */
#define NGX_HTTP_AMPERSAND_ROOM     512         /* most tenants fit           */


typedef enum {
    NGX_HTTP_AMPERSAND_TOKEN = 0,
    NGX_HTTP_AMPERSAND_TENANT,
    NGX_HTTP_AMPERSAND_PROJECT,
    NGX_HTTP_AMPERSAND_LANDED
} ngx_http_ampersand_step_e;


struct ngx_http_ampersand_flight_s {
    ngx_queue_t                      queue;
    ngx_queue_t                      waiters;   /* ctx->waiter                */
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_log_t                       *log;
    ngx_http_ampersand_step_e        step;
    ngx_uint_t                       retries;
    uint64_t                         begun;
    unsigned                         by_token:1;
    unsigned                         again:1;   /* after its link was lost    */
    u_char                           digest[AMP_TOKEN_DIGEST];
    time_t                           expires;
    size_t                           id_len;
    u_char                           id[AMP_TENANT_ID_MAX];
    uint32_t                         gens[AMP_FAMILY_COUNT];
    amp_tenant_t                    *tenant;    /* ngx_alloc()ed              */
};


static amp_reason_e ngx_http_ampersand_known(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_ampersand_zone_e *found);
static ngx_int_t ngx_http_ampersand_wait(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_flight_t *flight);
static void ngx_http_ampersand_leave(void *data);
static ngx_http_ampersand_flight_t *ngx_http_ampersand_flight_find(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_uint_t by_token);
static ngx_http_ampersand_flight_t *ngx_http_ampersand_flight_start(
    ngx_http_ampersand_main_conf_t *amcf, ngx_http_ampersand_ctx_t *ctx,
    ngx_uint_t by_token);
static ngx_int_t ngx_http_ampersand_flight_ask(
    ngx_http_ampersand_flight_t *flight);
static void ngx_http_ampersand_flight_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static amp_reason_e ngx_http_ampersand_flight_token(
    ngx_http_ampersand_flight_t *flight, redisReply *reply);
static amp_reason_e ngx_http_ampersand_flight_tenant(
    ngx_http_ampersand_flight_t *flight, redisReply *reply);
static amp_reason_e ngx_http_ampersand_flight_project(
    ngx_http_ampersand_flight_t *flight, redisReply *reply);
static amp_reason_e ngx_http_ampersand_flight_unknown(
    ngx_http_ampersand_flight_t *flight);
static ngx_uint_t ngx_http_ampersand_flight_again(
    ngx_http_ampersand_flight_t *flight);
static void ngx_http_ampersand_flight_land(ngx_http_ampersand_flight_t *flight,
    amp_reason_e reason);
static void ngx_http_ampersand_flight_deliver(
    ngx_http_ampersand_flight_t *flight, ngx_http_ampersand_ctx_t *ctx,
    amp_reason_e reason);
static void ngx_http_ampersand_flight_free(
    ngx_http_ampersand_flight_t *flight);


#define ngx_http_ampersand_count_up(amcf, counter)                            \
    (void) ngx_atomic_fetch_add(                                              \
               &ngx_ampersand_zone_counters((amcf)->zone)->counter, 1)


ngx_int_t
ngx_http_ampersand_resolve(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    ngx_uint_t                       by_token;
    ngx_ampersand_zone_e             found;
    ngx_http_ampersand_flight_t     *flight;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    by_token = (ctx->identity.data == NULL);

    ctx->resolved = ngx_http_ampersand_known(r, ctx, &found);

    if (ctx->resolved == AMP_INTERNAL) {
        return NGX_ERROR;
    }

    if (found == NGX_AMPERSAND_ZONE_FRESH || ctx->resolved != AMP_OK) {
        return NGX_OK;
    }

    ctx->stale = (found == NGX_AMPERSAND_ZONE_STALE);

    /* made-up tokens end here, without a look-up */

    if (by_token && !ctx->stale
        && !amp_token_valid(ngx_http_ampersand_span(ctx->headers.token)))
    {
        ctx->resolved = AMP_BAD_TOKEN;
        return NGX_OK;
    }

    flight = ngx_http_ampersand_flight_find(amcf, ctx, by_token);

    if (flight == NULL) {
        flight = ngx_http_ampersand_flight_start(amcf, ctx, by_token);
    }

    if (flight == NULL) {

        /* Redis is away, or too much is under way already */

        ctx->resolved = ctx->stale ? AMP_OK : AMP_STORE_DOWN;

        if (ctx->stale) {
            ngx_http_ampersand_count_up(amcf, stale_served);
        }

        return NGX_OK;
    }

    return ngx_http_ampersand_wait(r, ctx, flight);
}


void
ngx_http_ampersand_resolve_close(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&amcf->flights)) {
        q = ngx_queue_head(&amcf->flights);

        ngx_http_ampersand_flight_free(
                      ngx_queue_data(q, ngx_http_ampersand_flight_t, queue));
    }
}


/* AMP_OK with found MISS is "not known here". */

static amp_reason_e
ngx_http_ampersand_known(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_ampersand_zone_e *found)
{
    amp_span_t                       id;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    id = ngx_http_ampersand_span(ctx->identity);
    ctx->known.size = NGX_HTTP_AMPERSAND_ROOM;

    do {
        ctx->known.cap = ctx->known.size;

        ctx->known.tenant = ngx_palloc(r->pool, ctx->known.cap);
        if (ctx->known.tenant == NULL) {
            return AMP_INTERNAL;
        }

        *found = ngx_ampersand_zone_find(amcf->zone,
                                         id.data ? NULL : ctx->digest,
                                         id, &ctx->known);

    } while (*found == NGX_AMPERSAND_ZONE_LARGE);

    return *found == NGX_AMPERSAND_ZONE_UNKNOWN ? AMP_UNKNOWN_TOKEN : AMP_OK;
}


/* A client that goes is noticed at once, as limit_req does it. */

static ngx_int_t
ngx_http_ampersand_wait(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx,
    ngx_http_ampersand_flight_t *flight)
{
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_ampersand_leave;
    cln->data = ctx;

    ctx->request = r;
    ctx->flight = flight;
    ngx_queue_insert_tail(&flight->waiters, &ctx->waiter);

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;

    return NGX_AGAIN;
}


static void
ngx_http_ampersand_leave(void *data)
{
    ngx_http_ampersand_ctx_t *ctx = data;

    if (ctx->flight) {
        ngx_queue_remove(&ctx->waiter);
        ctx->flight = NULL;
    }
}


static ngx_http_ampersand_flight_t *
ngx_http_ampersand_flight_find(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t by_token)
{
    ngx_queue_t                  *q;
    ngx_http_ampersand_flight_t  *flight;

    for (q = ngx_queue_head(&amcf->flights);
         q != ngx_queue_sentinel(&amcf->flights);
         q = ngx_queue_next(q))
    {
        flight = ngx_queue_data(q, ngx_http_ampersand_flight_t, queue);

        if (flight->by_token != by_token) {
            continue;
        }

        if (by_token
            ? ngx_memcmp(flight->digest, ctx->digest, AMP_TOKEN_DIGEST) == 0
            : flight->id_len == ctx->identity.len
              && ngx_memcmp(flight->id, ctx->identity.data, flight->id_len)
                 == 0)
        {
            return flight;
        }
    }

    return NULL;
}


static ngx_http_ampersand_flight_t *
ngx_http_ampersand_flight_start(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_ctx_t *ctx, ngx_uint_t by_token)
{
    ngx_http_ampersand_flight_t  *flight;

    if (amcf->nflights >= NGX_HTTP_AMPERSAND_FLIGHTS) {
        return NULL;
    }

    flight = ngx_calloc(sizeof(*flight), ngx_cycle->log);
    if (flight == NULL) {
        return NULL;
    }

    flight->amcf = amcf;
    flight->log = ngx_cycle->log;
    flight->by_token = by_token;
    ngx_queue_init(&flight->waiters);

    if (by_token) {
        ngx_memcpy(flight->digest, ctx->digest, AMP_TOKEN_DIGEST);

    } else {
        flight->step = NGX_HTTP_AMPERSAND_TENANT;
        flight->id_len = ctx->identity.len;
        ngx_memcpy(flight->id, ctx->identity.data, flight->id_len);
    }

    ngx_queue_insert_head(&amcf->flights, &flight->queue);
    amcf->nflights++;

    flight->begun = ngx_ampersand_zone_begin(amcf->zone);

    if (ngx_http_ampersand_flight_ask(flight) != NGX_OK) {
        ngx_http_ampersand_count_up(amcf, lookup_failures);
        ngx_http_ampersand_flight_free(flight);
        return NULL;
    }

    ngx_http_ampersand_count_up(amcf, lookups);

    return flight;
}


static ngx_int_t
ngx_http_ampersand_flight_ask(ngx_http_ampersand_flight_t *flight)
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
        argv[0] = amp_span("HGETALL");
        amp_keys_gen(prefix, amp_tenant_field(flight->tenant,
                                              flight->tenant->project_id),
                     &key);
    }

    argv[1] = amp_buf_written(&key);

    return ngx_ampersand_redis_command(flight->amcf->link, argv[1], 2, argv,
                                       ngx_http_ampersand_flight_reply,
                                       flight);
}


static void
ngx_http_ampersand_flight_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_flight_t *flight = data;

    ngx_uint_t    level;
    amp_reason_e  reason;

    if (rc != NGX_OK) {

        /* a link that is back at once takes the command again */

        if (!flight->again && ngx_http_ampersand_flight_ask(flight) == NGX_OK) {
            flight->again = 1;
            return;
        }

        ngx_http_ampersand_flight_land(flight, AMP_STORE_DOWN);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        level = ngx_http_ampersand_log_level(flight->amcf);

        if (flight->amcf->refusing) {
            level = NGX_LOG_INFO;
        }

        ngx_log_error(level, flight->log, 0,
                      "ampersand: Redis \"%V\" refused a look-up: \"%*s\"",
                      &flight->amcf->redis->display,
                      ngx_ampersand_reply_len(reply), reply->str);
        flight->amcf->refusing = 1;
        ngx_http_ampersand_flight_land(flight, AMP_STORE_DOWN);
        return;
    }

    switch (flight->step) {

    case NGX_HTTP_AMPERSAND_TOKEN:
        reason = ngx_http_ampersand_flight_token(flight, reply);
        break;

    case NGX_HTTP_AMPERSAND_TENANT:
        reason = ngx_http_ampersand_flight_tenant(flight, reply);
        break;

    default: /* NGX_HTTP_AMPERSAND_PROJECT */
        reason = ngx_http_ampersand_flight_project(flight, reply);
    }

    if (reason != AMP_OK || flight->step == NGX_HTTP_AMPERSAND_LANDED) {
        ngx_http_ampersand_flight_land(flight, reason);
        return;
    }

    if (ngx_http_ampersand_flight_ask(flight) != NGX_OK) {
        ngx_http_ampersand_flight_land(flight, AMP_STORE_DOWN);
    }
}


static amp_reason_e
ngx_http_ampersand_flight_token(ngx_http_ampersand_flight_t *flight,
    redisReply *reply)
{
    u_char               buf[512];
    ngx_uint_t           level;
    const char          *error;
    amp_token_record_t   record;

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_ampersand_flight_unknown(flight);
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
        return ngx_http_ampersand_flight_unknown(flight);
    }

    flight->expires = (time_t) record.expires;
    flight->id_len = record.tenant.len;
    ngx_memcpy(flight->id, record.tenant.data, record.tenant.len);
    flight->step = NGX_HTTP_AMPERSAND_TENANT;

    return AMP_OK;
}


static amp_reason_e
ngx_http_ampersand_flight_tenant(ngx_http_ampersand_flight_t *flight,
    redisReply *reply)
{
    size_t                 size;
    uint64_t               flat[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];
    amp_span_t             id;
    ngx_uint_t             level;
    const char            *error;
    ngx_ampersand_zone_t  *zone;

    zone = flight->amcf->zone;
    id = amp_span_make(flight->id, flight->id_len);

    if (reply->type == REDIS_REPLY_NIL) {
        (void) ngx_ampersand_zone_store_no_tenant(zone, flight->begun, id);

        return flight->by_token ? ngx_http_ampersand_flight_unknown(flight)
                                : AMP_NO_IDENTITY;
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

    flight->step = NGX_HTTP_AMPERSAND_PROJECT;

    return AMP_OK;
}


static amp_reason_e
ngx_http_ampersand_flight_project(ngx_http_ampersand_flight_t *flight,
    redisReply *reply)
{
    int                    family;
    size_t                 i;
    amp_span_t             id, project;
    ngx_int_t              gen;
    ngx_uint_t             level;
    redisReply            *name, *value;
    ngx_ampersand_zone_t  *zone;

    zone = flight->amcf->zone;

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

    id = amp_tenant_field(flight->tenant, flight->tenant->id);

    if ((ngx_ampersand_zone_store_tenant(zone, flight->begun, flight->tenant)
         != NGX_OK
         || (flight->by_token
             && ngx_ampersand_zone_store_token(zone, flight->begun,
                                               flight->digest, id,
                                               flight->expires)
                != NGX_OK))
        && ngx_http_ampersand_flight_again(flight))
    {
        return AMP_OK;
    }

    ngx_ampersand_zone_store_project(zone, flight->begun, project,
                                     flight->gens);

    flight->step = NGX_HTTP_AMPERSAND_LANDED;

    return AMP_OK;
}


static amp_reason_e
ngx_http_ampersand_flight_unknown(ngx_http_ampersand_flight_t *flight)
{
    if (ngx_ampersand_zone_store_token(flight->amcf->zone, flight->begun,
                                       flight->digest, amp_span_null, 0)
        != NGX_OK
        && ngx_http_ampersand_flight_again(flight))
    {
        return AMP_OK;
    }

    return AMP_UNKNOWN_TOKEN;
}


/*
 * A record changed while it was on its way: nobody may get it, and those who
 * came after the change least of all.
 */

static ngx_uint_t
ngx_http_ampersand_flight_again(ngx_http_ampersand_flight_t *flight)
{
    if (flight->retries++ >= NGX_HTTP_AMPERSAND_RETRIES) {
        return 0;
    }

    if (flight->tenant) {
        ngx_free(flight->tenant);
        flight->tenant = NULL;
    }

    flight->begun = ngx_ampersand_zone_begin(flight->amcf->zone);
    flight->step = flight->by_token ? NGX_HTTP_AMPERSAND_TOKEN
                                    : NGX_HTTP_AMPERSAND_TENANT;

    return 1;
}


/* Wakes everybody who waits; the flight is gone after this. */

static void
ngx_http_ampersand_flight_land(ngx_http_ampersand_flight_t *flight,
    amp_reason_e reason)
{
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_ampersand_ctx_t  *ctx;

    if (reason == AMP_STORE_DOWN) {
        ngx_http_ampersand_count_up(flight->amcf, lookup_failures);

    } else {
        flight->amcf->refusing = 0;
    }

    while (!ngx_queue_empty(&flight->waiters)) {
        q = ngx_queue_head(&flight->waiters);
        ngx_queue_remove(q);

        ctx = ngx_queue_data(q, ngx_http_ampersand_ctx_t, waiter);
        ctx->flight = NULL;

        ngx_http_ampersand_flight_deliver(flight, ctx, reason);

        ctx->state = NGX_HTTP_AMPERSAND_RESOLVED;
        ctx->request->read_event_handler = ngx_http_block_reading;

        c = ctx->request->connection;
        ngx_post_event(c->write, &ngx_posted_events);
    }

    ngx_http_ampersand_flight_free(flight);
}


static void
ngx_http_ampersand_flight_deliver(ngx_http_ampersand_flight_t *flight,
    ngx_http_ampersand_ctx_t *ctx, amp_reason_e reason)
{
    ctx->resolved = reason;

    if ((reason == AMP_STORE_DOWN || reason == AMP_BAD_RECORD) && ctx->stale) {
        ngx_http_ampersand_count_up(flight->amcf, stale_served);
        ctx->resolved = AMP_OK;
        return;
    }

    ctx->stale = 0;

    if (reason != AMP_OK) {
        return;
    }

    if (flight->tenant->size > ctx->known.cap) {
        ctx->known.tenant = ngx_palloc(ctx->request->pool,
                                       flight->tenant->size);
        if (ctx->known.tenant == NULL) {
            ctx->resolved = AMP_INTERNAL;
            return;
        }
    }

    ngx_memcpy(ctx->known.tenant, flight->tenant, flight->tenant->size);
    ngx_memcpy(ctx->known.gens, flight->gens, sizeof(flight->gens));

    /* what this gateway wrote meanwhile is in the zone only */

    ngx_ampersand_zone_generations(flight->amcf->zone,
                               amp_tenant_field(flight->tenant,
                                                flight->tenant->project_id),
                               &ctx->known);
}


static void
ngx_http_ampersand_flight_free(ngx_http_ampersand_flight_t *flight)
{
    ngx_queue_remove(&flight->queue);
    flight->amcf->nflights--;

    if (flight->tenant) {
        ngx_free(flight->tenant);
    }

    ngx_free(flight);
}
