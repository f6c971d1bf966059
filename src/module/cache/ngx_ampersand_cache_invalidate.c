#include "ngx_ampersand_cache_invalidate.h"
#include "ngx_ampersand_times.h"
#include "amp_keys.h"
#include "amp_script.h"


#define NGX_AMPERSAND_INVALIDATE_RETRY  1000    /* ms between two tries       */
#define NGX_AMPERSAND_INVALIDATE_ONCE   32      /* projects in each           */


/* A command under way. */

typedef struct {
    ngx_queue_t                   queue;
    ngx_ampersand_invalidator_t  *inv;
    ngx_ampersand_pending_t       pending;
    ngx_uint_t                    eval;     /* with the script's text         */
    uint64_t                      sent;     /* ngx_ampersand_times_now()      */
} ngx_ampersand_invalidate_call_t;


static void ngx_ampersand_cache_invalidate_send(
    ngx_ampersand_invalidator_t *inv, const ngx_ampersand_pending_t *pending,
    ngx_uint_t eval);
static void ngx_ampersand_cache_invalidate_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_cache_invalidate_later(
    ngx_ampersand_invalidator_t *inv, const ngx_ampersand_pending_t *pending);
static void ngx_ampersand_cache_invalidate_retry(ngx_event_t *ev);


void
ngx_ampersand_cache_invalidate_init(ngx_ampersand_invalidator_t *inv,
    ngx_log_t *log)
{
    inv->retry.handler = ngx_ampersand_cache_invalidate_retry;
    inv->retry.log = log;
    inv->retry.data = inv;
    inv->retry.cancelable = 1;

    ngx_queue_init(&inv->calls);

    /* some may be pending since before a reload, or of a worker that died */

    ngx_add_timer(&inv->retry, NGX_AMPERSAND_INVALIDATE_RETRY);
}


void
ngx_ampersand_cache_invalidate_exit(ngx_ampersand_invalidator_t *inv)
{
    ngx_queue_t                      *q;
    ngx_ampersand_invalidate_call_t  *call;

    while (!ngx_queue_empty(&inv->calls)) {
        q = ngx_queue_head(&inv->calls);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_ampersand_invalidate_call_t, queue);
        ngx_ampersand_generations_end(inv->zone, &call->pending);
        ngx_ampersand_generations_pending_add(inv->zone, &call->pending);
        ngx_free(call);
    }
}


void
ngx_ampersand_cache_invalidate(ngx_ampersand_invalidator_t *inv,
    amp_span_t project, uint32_t families)
{
    ngx_ampersand_pending_t  pending;

    pending.families = families;
    pending.len = project.len;
    ngx_memcpy(pending.project, project.data, project.len);

    ngx_ampersand_generations_bump(inv->zone, project, families);
    ngx_ampersand_cache_invalidate_send(inv, &pending, 0);
}


static void
ngx_ampersand_cache_invalidate_send(ngx_ampersand_invalidator_t *inv,
    const ngx_ampersand_pending_t *pending, ngx_uint_t eval)
{
    u_char                            name[AMP_KEYS_MAX], events[AMP_KEYS_MAX];
    ngx_int_t                         rc;
    amp_buf_t                         key, channel;
    amp_span_t                        argv[7 + AMP_FAMILY_COUNT];
    amp_span_t                        project, prefix;
    ngx_uint_t                        i, n;
    const char                       *family;
    ngx_ampersand_invalidate_call_t  *call;

    prefix = ngx_ampersand_span(*inv->prefix);
    project = amp_span_make(pending->project, pending->len);

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
        if (pending->families & (1u << i)) {
            family = amp_family_name(i);
            argv[n++] = amp_span_make(family, ngx_strlen(family));
        }
    }

    rc = NGX_ERROR;
    call = ngx_alloc(sizeof(*call), inv->retry.log);

    if (call) {
        call->inv = inv;
        call->pending = *pending;
        call->eval = eval;
        call->sent = ngx_ampersand_times_now();

        ngx_ampersand_generations_begin(inv->zone, pending);

        rc = ngx_ampersand_redis_command(inv->redis, argv[3], n, argv,
                                         ngx_ampersand_cache_invalidate_reply,
                                         call);
    }

    if (rc == NGX_OK) {
        ngx_queue_insert_tail(&inv->calls, &call->queue);
        return;
    }

    ngx_ampersand_cache_invalidate_later(inv, pending);

    if (call) {
        ngx_ampersand_generations_end(inv->zone, pending);
        ngx_free(call);
    }
}


static void
ngx_ampersand_cache_invalidate_reply(void *data, ngx_int_t rc,
    redisReply *reply)
{
    ngx_ampersand_invalidate_call_t *call = data;

    ngx_ampersand_counters_t  *counters;

    ngx_queue_remove(&call->queue);
    ngx_ampersand_generations_end(call->inv->zone, &call->pending);

    if (rc == NGX_OK && !call->eval
        && ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOSCRIPT))
    {
        ngx_ampersand_cache_invalidate_send(call->inv, &call->pending, 1);

    } else if (rc == NGX_OK
               && ngx_ampersand_redis_error_is(reply,
                                               AMP_REDIS_ERROR_WRONGTYPE))
    {
        /* the script has told all gateways; look-ups name the key in the log */

    } else if (rc != NGX_OK || reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_cache_invalidate_later(call->inv, &call->pending);

    } else {
        counters = ngx_ampersand_zone_counters(call->inv->zone);
        ngx_ampersand_histogram_add(
                       &counters->redis_times[NGX_AMPERSAND_FOR_INVALIDATION],
                       ngx_ampersand_times_now() - call->sent);
    }

    ngx_free(call);
}


static void
ngx_ampersand_cache_invalidate_later(ngx_ampersand_invalidator_t *inv,
    const ngx_ampersand_pending_t *pending)
{
    ngx_ampersand_generations_pending_add(inv->zone, pending);

    if (!inv->retry.timer_set && !ngx_exiting) {
        ngx_add_timer(&inv->retry, NGX_AMPERSAND_INVALIDATE_RETRY);
    }
}


/* A try that fails sets the timer again. */

static void
ngx_ampersand_cache_invalidate_retry(ngx_event_t *ev)
{
    ngx_uint_t                    i, n;
    ngx_ampersand_pending_t       pending[NGX_AMPERSAND_INVALIDATE_ONCE];
    ngx_ampersand_invalidator_t  *inv;

    inv = ev->data;

    n = ngx_ampersand_generations_pending_take(inv->zone, pending,
                                        NGX_AMPERSAND_INVALIDATE_ONCE,
                                        NGX_AMPERSAND_INVALIDATE_RETRY);

    for (i = 0; i < n; i++) {
        ngx_ampersand_cache_invalidate_send(inv, &pending[i], 0);
    }

    if (n == NGX_AMPERSAND_INVALIDATE_ONCE && !ev->timer_set) {
        ngx_add_timer(ev, NGX_AMPERSAND_INVALIDATE_RETRY);
    }
}
