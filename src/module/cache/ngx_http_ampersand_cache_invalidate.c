#include "request/ngx_http_ampersand.h"
#include "amp_keys.h"
#include "amp_script.h"


/*
 * A write that succeeded, or may have, makes other keys of what it wrote:
 *
 *   here      the zone's bumps go up at once, for all workers; the client has
 *             its answer only then
 *   elsewhere one script in Redis raises the generations and publishes them
 *
 * What could not be told to Redis (out of reach, refused, its answer lost) is
 * owed: the families stand in the project's node of the zone, which outlives
 * workers and reloads, and every worker that could not tell tries again each
 * second until nothing is owed.  Told twice is one miss too many.  A zone that
 * is lost with its debts (a restart while Redis is away) leaves the old answers
 * to their lifetimes.
 *
 * A write whose client leaves is not broken off (ngx_http_ampersand_cache_invalidate_begin()):
 * only its answer says from when on the old state is gone.
 */


#define NGX_HTTP_AMPERSAND_OWED       1000      /* ms between two tries       */
#define NGX_HTTP_AMPERSAND_OWED_ONCE  32        /* projects in each           */


/* A command to Redis under way, which nobody else remembers. */

typedef struct {
    ngx_http_ampersand_main_conf_t  *amcf;
    ngx_ampersand_owed_t             owed;
    ngx_uint_t                       eval;      /* with the script's text     */
} ngx_http_ampersand_told_t;


static void ngx_http_ampersand_tell(ngx_http_ampersand_main_conf_t *amcf,
    const ngx_ampersand_owed_t *owed, ngx_uint_t eval);
static void ngx_http_ampersand_told(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_http_ampersand_owe(ngx_http_ampersand_main_conf_t *amcf,
    const ngx_ampersand_owed_t *owed);
static void ngx_http_ampersand_pay(ngx_event_t *ev);


/* this worker's */

static ngx_event_t       ngx_http_ampersand_owing;
static ngx_connection_t  ngx_http_ampersand_nobody;


void
ngx_http_ampersand_cache_invalidate(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    amp_span_t                       project;
    ngx_ampersand_owed_t             owed;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->writes == 0) {
        return;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    project = amp_tenant_field(ctx->known.tenant,
                               ctx->known.tenant->project_id);

    owed.families = ctx->writes;
    owed.len = project.len;
    ngx_memcpy(owed.project, project.data, project.len);

    ctx->writes = 0;

    ngx_ampersand_zone_bump(amcf->zone, project, owed.families);
    ngx_http_ampersand_tell(amcf, &owed, 0);
}


void
ngx_http_ampersand_cache_invalidate_begin(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx)
{
    if (ctx->writes == 0 || r != r->main) {
        return;
    }

    /* what proxy_ignore_client_abort would do for all requests */

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


void
ngx_http_ampersand_cache_invalidate_init(ngx_http_ampersand_main_conf_t *amcf,
    ngx_log_t *log)
{
    ngx_http_ampersand_owing.handler = ngx_http_ampersand_pay;
    ngx_http_ampersand_owing.log = log;
    ngx_http_ampersand_owing.data = &ngx_http_ampersand_nobody;
    ngx_http_ampersand_owing.cancelable = 1;
    ngx_http_ampersand_nobody.fd = (ngx_socket_t) -1;
    ngx_http_ampersand_nobody.data = amcf;

    /* of a worker that is no more, or was before a reload */

    ngx_add_timer(&ngx_http_ampersand_owing, NGX_HTTP_AMPERSAND_OWED);
}


static void
ngx_http_ampersand_tell(ngx_http_ampersand_main_conf_t *amcf,
    const ngx_ampersand_owed_t *owed, ngx_uint_t eval)
{
    u_char                      name[AMP_KEYS_MAX], events[AMP_KEYS_MAX];
    ngx_int_t                   rc;
    amp_buf_t                   key, channel;
    amp_span_t                  argv[7 + AMP_FAMILY_COUNT];
    amp_span_t                  project, prefix;
    ngx_uint_t                  i, n;
    const char                 *family;
    ngx_http_ampersand_told_t  *told;

    prefix = ngx_http_ampersand_span(amcf->redis->prefix);
    project = amp_span_make(owed->project, owed->len);

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gen(prefix, project, &key);
    amp_buf_init(&channel, events, sizeof(events));
    amp_keys_events(prefix, &channel);

    n = 0;
    argv[n++] = eval ? amp_span("EVAL") : amp_span("EVALSHA");
    argv[n++] = eval ? amp_script_invalidate.text : amp_script_invalidate.sha;
    argv[n++] = amp_span("1");
    argv[n++] = amp_buf_written(&key);
    argv[n++] = amp_buf_written(&channel);
    argv[n++] = amp_span("generation");
    argv[n++] = project;

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if (owed->families & (1u << i)) {
            family = amp_family_name(i);
            argv[n++] = amp_span_make(family, ngx_strlen(family));
        }
    }

    rc = NGX_ERROR;
    told = ngx_alloc(sizeof(*told), ngx_http_ampersand_owing.log);

    if (told) {
        told->amcf = amcf;
        told->owed = *owed;
        told->eval = eval;

        rc = ngx_ampersand_redis_command(amcf->link, argv[3], n, argv,
                                         ngx_http_ampersand_told, told);
    }

    if (rc != NGX_OK) {
        ngx_http_ampersand_owe(amcf, owed);

        if (told) {
            ngx_free(told);
        }
    }
}


static void
ngx_http_ampersand_told(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_http_ampersand_told_t *told = data;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR && !told->eval
        && ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        ngx_http_ampersand_tell(told->amcf, &told->owed, 1);

    } else if (rc != NGX_OK || reply->type == REDIS_REPLY_ERROR) {
        ngx_http_ampersand_owe(told->amcf, &told->owed);
    }

    ngx_free(told);
}


static void
ngx_http_ampersand_owe(ngx_http_ampersand_main_conf_t *amcf,
    const ngx_ampersand_owed_t *owed)
{
    ngx_ampersand_zone_owe(amcf->zone, owed);

    if (!ngx_http_ampersand_owing.timer_set && !ngx_exiting) {
        ngx_add_timer(&ngx_http_ampersand_owing, NGX_HTTP_AMPERSAND_OWED);
    }
}


/* A try that fails sets the timer again. */

static void
ngx_http_ampersand_pay(ngx_event_t *ev)
{
    ngx_uint_t                       i, n;
    ngx_connection_t                *nobody = ev->data;
    ngx_ampersand_owed_t             owed[NGX_HTTP_AMPERSAND_OWED_ONCE];
    ngx_http_ampersand_main_conf_t  *amcf = nobody->data;

    n = ngx_ampersand_zone_owed(amcf->zone, owed,
                                NGX_HTTP_AMPERSAND_OWED_ONCE);

    for (i = 0; i < n; i++) {
        ngx_http_ampersand_tell(amcf, &owed[i], 0);
    }

    if (n == NGX_HTTP_AMPERSAND_OWED_ONCE && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_AMPERSAND_OWED);
    }
}
