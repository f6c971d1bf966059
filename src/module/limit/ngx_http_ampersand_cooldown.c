#include "ngx_http_ampersand_cooldown.h"
#include "ngx_http_ampersand_header_list.h"
#include "amp_escape.h"
#include "amp_event.h"
#include "amp_keys.h"


/* The tenant whose cool-down Redis is asked for. */

typedef struct {
    ngx_ampersand_zone_t  *zone;
    size_t                 len;
    u_char                 id[AMP_TENANT_ID_MAX];
} ngx_http_ampersand_cooldown_read_t;


static ngx_int_t ngx_http_ampersand_cooldown_digest(ngx_http_request_t *r,
    const ngx_http_ampersand_cooldown_scope_t *scope,
    u_char digest[AMP_TOKEN_DIGEST]);
static time_t ngx_http_ampersand_cooldown_seconds(ngx_http_request_t *r);
static time_t ngx_http_ampersand_cooldown_parse(ngx_str_t *value, time_t date);
static void ngx_http_ampersand_cooldown_publish(
    ngx_ampersand_leasing_t *leasing, amp_span_t tenant, const u_char *digest,
    ngx_msec_t ms);
static void ngx_http_ampersand_cooldown_reply(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_msec_t
ngx_http_ampersand_cooldown(ngx_http_request_t *r, ngx_ampersand_zone_t *zone,
    const ngx_http_ampersand_cooldown_scope_t *scope)
{
    u_char      digest[AMP_TOKEN_DIGEST];
    ngx_msec_t  tenant, installation;

    if (!ngx_ampersand_cooldown_any(zone)) {
        return 0;
    }

    tenant = ngx_ampersand_cooldown_left(zone, scope->owner);

    if (!scope->proxy
        || ngx_http_ampersand_cooldown_digest(r, scope, digest) != NGX_OK)
    {
        return tenant;
    }

    installation = ngx_ampersand_cooldown_left(zone,
                                       amp_span_make(digest, sizeof(digest)));

    return ngx_max(tenant, installation);
}


ngx_msec_t
ngx_http_ampersand_cooldown_start(ngx_http_request_t *r,
    ngx_ampersand_leasing_t *leasing,
    const ngx_http_ampersand_cooldown_scope_t *scope)
{
    u_char      buf[AMP_TOKEN_DIGEST], *digest;
    time_t      seconds;
    amp_span_t  id;
    ngx_msec_t  ms;

    seconds = ngx_http_ampersand_cooldown_seconds(r);

    if (seconds <= 0) {
        return 0;
    }

    seconds = ngx_min(seconds, NGX_AMPERSAND_COOLDOWN_MAX / 1000);
    ms = (ngx_msec_t) seconds * 1000;

    digest = NULL;
    id = scope->owner;

    if (scope->proxy) {
        if (ngx_http_ampersand_cooldown_digest(r, scope, buf) != NGX_OK) {
            return ms;
        }

        digest = buf;
        id = amp_span_make(digest, AMP_TOKEN_DIGEST);
    }

    /* of many 429 at once, one is enough */

    if (!ngx_ampersand_cooldown_set(leasing->zone, id, ms)) {
        return ms;
    }

    ngx_ampersand_count(ngx_ampersand_zone_counters(leasing->zone), cooldowns);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "ampersand: upstream answered 429, %s cools down for %T s",
                  digest ? "the installation" : "the tenant", seconds);

    ngx_http_ampersand_cooldown_publish(leasing, scope->tenant, digest, ms);

    return ms;
}


/* Of the owner and the installation; neither can hold the NUL between them. */

static ngx_int_t
ngx_http_ampersand_cooldown_digest(ngx_http_request_t *r,
    const ngx_http_ampersand_cooldown_scope_t *scope,
    u_char digest[AMP_TOKEN_DIGEST])
{
    size_t   len;
    u_char  *p, *text;

    len = scope->owner.len + scope->installation.len + scope->integration.len
          + scope->group.len + 2;

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, scope->owner.data, scope->owner.len);
    *p++ = '\0';

    if (scope->installation.len) {
        p = ngx_cpymem(p, scope->installation.data, scope->installation.len);

    } else {
        p = ngx_cpymem(p, scope->integration.data, scope->integration.len);
        *p++ = '\0';
        p = ngx_cpymem(p, scope->group.data, scope->group.len);
    }

    return amp_token_digest(amp_span_make(text, p - text), digest) == 0
           ? NGX_OK : NGX_ERROR;
}


/* Seconds from now; 0 where the answer does not say. */

static time_t
ngx_http_ampersand_cooldown_seconds(ngx_http_request_t *r)
{
    time_t                      date, seconds;
    ngx_str_t                  *retry, *amp;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    retry = NULL;
    amp = NULL;
    date = ngx_time();

    walk.part = &r->upstream->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "retry-after")) {
            retry = &h->value;

        } else if (ngx_http_ampersand_is(h, "x-amp-retry-after")) {
            amp = &h->value;

        } else if (ngx_http_ampersand_is(h, "date")) {

            /* a date counts from the clock of the server that wrote it */

            date = ngx_parse_http_time(h->value.data, h->value.len);

            if (date == NGX_ERROR) {
                date = ngx_time();
            }
        }
    }

    seconds = retry ? ngx_http_ampersand_cooldown_parse(retry, date) : 0;

    if (amp) {
        seconds = ngx_max(seconds,
                          ngx_http_ampersand_cooldown_parse(amp, date));
    }

    return seconds;
}


static time_t
ngx_http_ampersand_cooldown_parse(ngx_str_t *value, time_t date)
{
    size_t     i, end;
    time_t     until;
    ngx_int_t  n;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < '0' || value->data[i] > '9') {
            break;
        }
    }

    /* some servers send a fraction: it is a second more */

    for (end = i + 1; i && end < value->len; end++) {
        if (value->data[i] != '.' || value->data[end] < '0'
            || value->data[end] > '9')
        {
            break;
        }
    }

    if (i && end >= value->len) {
        n = ngx_atoi(value->data, i);
        return n == NGX_ERROR ? NGX_AMPERSAND_COOLDOWN_MAX
                              : n + (i < value->len);
    }

    /* nginx does not read the zone, so Ampersand's "UTC" passes for "GMT" */

    until = ngx_parse_http_time(value->data, value->len);

    return until == NGX_ERROR ? 0 : until - date;
}


/* digest: the installation's, or NULL. */

static void
ngx_http_ampersand_cooldown_publish(ngx_ampersand_leasing_t *leasing,
    amp_span_t tenant, const u_char *digest, ngx_msec_t ms)
{
    u_char       hex[AMP_TOKEN_DIGEST_HEX], name[AMP_KEYS_MAX];
    u_char       channel[AMP_KEYS_MAX], text[AMP_EVENT_MAX];
    u_char       number[NGX_INT64_LEN];
    amp_buf_t    out;
    amp_span_t   prefix, argv[5];
    amp_event_t  event;

    prefix = ngx_ampersand_span(*leasing->prefix);

    ngx_memzero(&event, sizeof(event));

    event.type = AMP_EVENT_COOLDOWN;
    event.rev = ms;
    event.tenant_len = tenant.len;
    ngx_memcpy(event.tenant, tenant.data, tenant.len);

    if (digest) {
        event.scoped = 1;
        ngx_memcpy(event.digest, digest, AMP_TOKEN_DIGEST);
        amp_hex(digest, AMP_TOKEN_DIGEST, hex);
    }

    amp_buf_init(&out, name, sizeof(name));
    amp_keys_cooldown(prefix, tenant,
                      amp_span_make(hex, digest ? sizeof(hex) : 0), &out);

    argv[0] = amp_span("SET");
    argv[1] = amp_buf_written(&out);
    argv[2] = amp_span("1");
    argv[3] = amp_span("PX");
    argv[4] = amp_span_make(number, ngx_sprintf(number, "%M", ms) - number);

    (void) ngx_ampersand_redis_command(leasing->redis, argv[1], 5, argv, NULL,
                                       NULL);

    amp_buf_init(&out, channel, sizeof(channel));
    amp_keys_events(prefix, &out);

    argv[0] = amp_span("PUBLISH");
    argv[1] = amp_buf_written(&out);

    amp_buf_init(&out, text, sizeof(text));
    amp_event_write(&event, &out);
    argv[2] = amp_buf_written(&out);

    (void) ngx_ampersand_redis_command(leasing->redis, argv[1], 3, argv, NULL,
                                       NULL);
}


void
ngx_http_ampersand_cooldown_read(ngx_ampersand_leasing_t *leasing,
    amp_span_t tenant)
{
    u_char                               name[AMP_KEYS_MAX];
    amp_buf_t                            key;
    amp_span_t                           argv[2];
    ngx_http_ampersand_cooldown_read_t  *read;

    read = ngx_alloc(sizeof(*read), ngx_cycle->log);
    if (read == NULL) {
        return;
    }

    read->zone = leasing->zone;
    read->len = tenant.len;
    ngx_memcpy(read->id, tenant.data, tenant.len);

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_cooldown(ngx_ampersand_span(*leasing->prefix), tenant,
                      amp_span_null, &key);

    argv[0] = amp_span("PTTL");
    argv[1] = amp_buf_written(&key);

    if (ngx_ampersand_redis_command(leasing->redis, argv[1], 2, argv,
                                    ngx_http_ampersand_cooldown_reply, read)
        != NGX_OK)
    {
        ngx_free(read);
    }
}


static void
ngx_http_ampersand_cooldown_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    u_char                               owner[AMP_TENANT_OWNER];
    ngx_http_ampersand_cooldown_read_t  *read = data;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_INTEGER
        && reply->integer > 0
        && ngx_ampersand_records_owner(read->zone,
                                       amp_span_make(read->id, read->len),
                                       owner)
           == NGX_OK)
    {
        (void) ngx_ampersand_cooldown_set(read->zone,
                                          amp_span_make(owner, sizeof(owner)),
                                          (ngx_msec_t) reply->integer);
    }

    ngx_free(read);
}
