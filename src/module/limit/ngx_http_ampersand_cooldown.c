#include "request/ngx_http_ampersand.h"
#include "zone/ngx_ampersand_cooldown.h"
#include "amp_escape.h"
#include "amp_keys.h"


/*
 * Ampersand's own 429.  It says until when in Retry-After (seconds or a date)
 * or X-Amp-Retry-After (a date); until then the gateway does not ask for that
 * tenant, on no machine:
 *
 *   the gateway that saw it    zone, SET of a key that expires, PUBLISH
 *   the others that run        the event
 *   those that start later     PTTL of the key, asked for with the tenant
 *
 * All that is told is a duration, so the machines' clocks need not agree.  What
 * comes through the proxy API is a provider's limit, or that of one
 * installation: there the installation cools down, named by x-amp-installation-
 * id, or by integration and group.  A 429 that does not say until when changes
 * nothing.
 */


typedef struct {
    ngx_ampersand_zone_t  *zone;
    size_t                 len;
    u_char                 id[AMP_TENANT_ID_MAX];
} ngx_http_ampersand_asked_t;


static ngx_int_t ngx_http_ampersand_cooldown_scope(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, u_char digest[AMP_TOKEN_DIGEST]);
static time_t ngx_http_ampersand_cooldown_asked(ngx_http_request_t *r);
static time_t ngx_http_ampersand_cooldown_seconds(ngx_str_t *value,
    time_t date);
static void ngx_http_ampersand_cooldown_tell(
    ngx_http_ampersand_main_conf_t *amcf, amp_span_t tenant,
    const u_char *scope, ngx_msec_t ms);
static void ngx_http_ampersand_cooldown_reply(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_msec_t
ngx_http_ampersand_cooldown(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char                           digest[AMP_TOKEN_DIGEST];
    ngx_msec_t                       left, scoped;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (!ngx_ampersand_cooldown_any(amcf->zone)) {
        return 0;
    }

    left = ngx_ampersand_cooldown_left(amcf->zone,
                                       amp_tenant_field(ctx->known.tenant,
                                                        ctx->known.tenant->id));

    if (ctx->op->api == AMP_API_PROXY
        && ngx_http_ampersand_cooldown_scope(r, ctx, digest) == NGX_OK)
    {
        scoped = ngx_ampersand_cooldown_left(amcf->zone,
                                    amp_span_make(digest, sizeof(digest)));
        left = ngx_max(left, scoped);
    }

    return left;
}


void
ngx_http_ampersand_cooldown_seen(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    u_char                           digest[AMP_TOKEN_DIGEST], *scope;
    time_t                           seconds;
    amp_span_t                       tenant;
    ngx_msec_t                       ms;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (!ctx->key_used || r->cached || r->upstream == NULL
        || r->upstream->headers_in.status_n != NGX_HTTP_TOO_MANY_REQUESTS
        || !ngx_http_ampersand_own(r))
    {
        return;
    }

    seconds = ngx_http_ampersand_cooldown_asked(r);
    if (seconds <= 0) {
        return;
    }

    scope = NULL;

    if (ctx->op->api == AMP_API_PROXY) {
        if (ngx_http_ampersand_cooldown_scope(r, ctx, digest) != NGX_OK) {
            return;
        }

        scope = digest;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    tenant = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);

    seconds = ngx_min(seconds, NGX_AMPERSAND_COOLDOWN_MAX / 1000);
    ms = (ngx_msec_t) seconds * 1000;

    /* of many answers at once one is enough */

    if (!ngx_ampersand_cooldown_set(amcf->zone,
                             scope ? amp_span_make(scope, AMP_TOKEN_DIGEST)
                                   : tenant, ms))
    {
        return;
    }

    (void) ngx_atomic_fetch_add(
                   &ngx_ampersand_zone_counters(amcf->zone)->cooldowns, 1);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "ampersand: answered 429, %s cools down for %T s",
                  scope ? "the installation" : "the tenant", seconds);

    ngx_http_ampersand_cooldown_tell(amcf, tenant, scope, ms);
}


/* Which installation; its parts cannot hold the byte between them. */

static ngx_int_t
ngx_http_ampersand_cooldown_scope(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, u_char digest[AMP_TOKEN_DIGEST])
{
    size_t                         len;
    u_char                        *p, *text;
    amp_span_t                     tenant;
    ngx_http_ampersand_headers_t  *h;

    h = &ctx->headers;
    tenant = amp_tenant_field(ctx->known.tenant, ctx->known.tenant->id);
    len = tenant.len + h->installation.len + h->integration.len
          + h->group.len + 2;

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, tenant.data, tenant.len);
    *p++ = '\0';

    if (h->installation.len) {
        p = ngx_cpymem(p, h->installation.data, h->installation.len);

    } else {
        p = ngx_cpymem(p, h->integration.data, h->integration.len);
        *p++ = '\0';
        p = ngx_cpymem(p, h->group.data, h->group.len);
    }

    return amp_token_digest(amp_span_make(text, p - text), digest) == 0
           ? NGX_OK : NGX_ERROR;
}


/* Seconds from now, 0 when the answer does not say. */

static time_t
ngx_http_ampersand_cooldown_asked(ngx_http_request_t *r)
{
    time_t                      date, seconds;
    ngx_str_t                  *after, *amp;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    after = NULL;
    amp = NULL;
    date = ngx_time();

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "retry-after")) {
            after = &h->value;

        } else if (ngx_http_ampersand_is(h, "x-amp-retry-after")) {
            amp = &h->value;

        } else if (ngx_http_ampersand_is(h, "date")) {

            /* a date counts from the clock of him who wrote it */

            date = ngx_parse_http_time(h->value.data, h->value.len);

            if (date == NGX_ERROR) {
                date = ngx_time();
            }
        }
    }

    seconds = after ? ngx_http_ampersand_cooldown_seconds(after, date) : 0;

    if (amp) {
        seconds = ngx_max(seconds,
                          ngx_http_ampersand_cooldown_seconds(amp, date));
    }

    return seconds;
}


static time_t
ngx_http_ampersand_cooldown_seconds(ngx_str_t *value, time_t date)
{
    size_t     i;
    time_t     until;
    ngx_int_t  n;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            break;
        }
    }

    if (i && i == value->len) {
        n = ngx_atoi(value->data, value->len);
        return n == NGX_ERROR ? NGX_AMPERSAND_COOLDOWN_MAX : n;
    }

    /* "UTC" passes for "GMT": what follows the seconds is not looked at */

    until = ngx_parse_http_time(value->data, value->len);

    return until == NGX_ERROR ? 0 : until - date;
}


static void
ngx_http_ampersand_cooldown_tell(ngx_http_ampersand_main_conf_t *amcf,
    amp_span_t tenant, const u_char *scope, ngx_msec_t ms)
{
    u_char       hex[AMP_TOKEN_DIGEST_HEX], name[AMP_KEYS_MAX];
    u_char       channel[AMP_KEYS_MAX], text[AMP_EVENT_MAX];
    u_char       number[NGX_INT64_LEN];
    amp_buf_t    out;
    amp_span_t   prefix, argv[5];
    amp_event_t  event;

    prefix = ngx_http_ampersand_span(amcf->redis->prefix);

    ngx_memzero(&event, sizeof(event));

    event.type = AMP_EVENT_COOLDOWN;
    event.rev = ms;
    event.tenant_len = tenant.len;
    ngx_memcpy(event.tenant, tenant.data, tenant.len);

    if (scope) {
        event.scoped = 1;
        ngx_memcpy(event.digest, scope, AMP_TOKEN_DIGEST);
        amp_hex(scope, AMP_TOKEN_DIGEST, hex);
    }

    amp_buf_init(&out, name, sizeof(name));
    amp_keys_cooldown(prefix, tenant, amp_span_make(hex, scope ? sizeof(hex)
                                                               : 0), &out);

    argv[0] = amp_span("SET");
    argv[1] = amp_buf_written(&out);
    argv[2] = amp_span("1");
    argv[3] = amp_span("PX");
    argv[4] = amp_span_make(number,
                            ngx_sprintf(number, "%M", ms) - number);

    (void) ngx_ampersand_redis_command(amcf->link, argv[1], 5, argv, NULL,
                                       NULL);

    amp_buf_init(&out, channel, sizeof(channel));
    amp_keys_events(prefix, &out);

    argv[0] = amp_span("PUBLISH");
    argv[1] = amp_buf_written(&out);

    amp_buf_init(&out, text, sizeof(text));
    amp_event_write(&event, &out);
    argv[2] = amp_buf_written(&out);

    (void) ngx_ampersand_redis_command(amcf->link, argv[1], 3, argv, NULL,
                                       NULL);
}


void
ngx_http_ampersand_cooldown_ask(ngx_http_ampersand_main_conf_t *amcf,
    amp_span_t tenant)
{
    u_char                       name[AMP_KEYS_MAX];
    amp_buf_t                    key;
    amp_span_t                   argv[2];
    ngx_http_ampersand_asked_t  *asked;

    asked = ngx_alloc(sizeof(*asked), ngx_cycle->log);
    if (asked == NULL) {
        return;
    }

    asked->zone = amcf->zone;
    asked->len = tenant.len;
    ngx_memcpy(asked->id, tenant.data, tenant.len);

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_cooldown(ngx_http_ampersand_span(amcf->redis->prefix), tenant,
                      amp_span_null, &key);

    argv[0] = amp_span("PTTL");
    argv[1] = amp_buf_written(&key);

    if (ngx_ampersand_redis_command(amcf->link, argv[1], 2, argv,
                                    ngx_http_ampersand_cooldown_reply, asked)
        != NGX_OK)
    {
        ngx_free(asked);
    }
}


static void
ngx_http_ampersand_cooldown_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_asked_t *asked = data;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_INTEGER
        && reply->integer > 0)
    {
        (void) ngx_ampersand_cooldown_set(asked->zone,
                                          amp_span_make(asked->id, asked->len),
                                          (ngx_msec_t) reply->integer);
    }

    ngx_free(asked);
}
