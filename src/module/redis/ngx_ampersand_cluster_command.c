#include "ngx_ampersand_cluster_command.h"
#include "ngx_ampersand_redis_error.h"


typedef struct {
    ngx_queue_t              queue;
    ngx_ampersand_cluster_commands_t   *calls;
    ngx_ampersand_reply_pt   handler;
    void                    *data;
    ngx_event_t              timer;         /* of what is parked, and of what
                                               was sent a second time         */
    ngx_msec_t               deadline;
    ngx_uint_t               slot;
    ngx_uint_t               tries;
    ngx_ampersand_link_t    *link;          /* while it is sent               */
    unsigned                 over:1;        /* the caller was told            */
    unsigned                 map:1;         /* parked until the next map      */
    ngx_uint_t               argc;
    amp_span_t               argv[1];
} ngx_ampersand_cluster_command_t;


static ngx_ampersand_cluster_command_t *ngx_ampersand_cluster_command_create(
    ngx_ampersand_cluster_commands_t *calls, ngx_uint_t argc, const amp_span_t *argv);
static void ngx_ampersand_cluster_command_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_cluster_command_redirect(ngx_ampersand_cluster_command_t *call,
    amp_redirect_t *redirect);
static void ngx_ampersand_cluster_command_again(ngx_ampersand_cluster_command_t *call,
    ngx_ampersand_link_t *link, ngx_uint_t asking);
static void ngx_ampersand_cluster_command_park(ngx_ampersand_cluster_command_t *call,
    ngx_msec_t delay, ngx_uint_t map);
static void ngx_ampersand_cluster_command_unpark(ngx_ampersand_cluster_command_t *call);
static void ngx_ampersand_cluster_command_timer_handler(ngx_event_t *ev);
static ngx_msec_int_t ngx_ampersand_cluster_command_left(ngx_ampersand_cluster_command_t *call);
static void ngx_ampersand_cluster_command_timer(ngx_ampersand_cluster_command_t *call,
    ngx_msec_t delay);
static void ngx_ampersand_cluster_command_tell(ngx_ampersand_cluster_command_t *call, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_cluster_command_free(ngx_ampersand_cluster_command_t *call);


ngx_int_t
ngx_ampersand_cluster_command_send(ngx_ampersand_cluster_commands_t *calls, amp_span_t key,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler,
    void *data)
{
    ngx_int_t              rc;
    ngx_uint_t             slot;
    ngx_ampersand_cluster_command_t  *call;
    ngx_ampersand_link_t  *link;

    slot = amp_slot(key);

    rc = ngx_ampersand_cluster_slot(calls->cluster, slot, &link);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return rc;
    }

    call = ngx_ampersand_cluster_command_create(calls, argc, argv);
    if (call == NULL) {
        return NGX_ERROR;
    }

    call->slot = slot;
    call->deadline = ngx_current_msec + calls->links->conf->timeout;
    call->handler = handler;
    call->data = data;

    if (rc == NGX_OK) {
        call->tries = 1;
        call->link = link;

        rc = ngx_ampersand_link_command(link, call->argc, call->argv,
                                        ngx_ampersand_cluster_command_reply, call);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        call->link = NULL;

        if (rc == NGX_DECLINED) {
            rc = ngx_ampersand_cluster_refresh(calls->cluster) == NGX_OK
                 ? NGX_AGAIN : NGX_DECLINED;
        }
    }

    if (rc == NGX_AGAIN) {
        if (calls->parked < NGX_AMPERSAND_LINK_QUEUE) {
            ngx_ampersand_cluster_command_park(call, calls->links->conf->timeout, 1);
            return NGX_OK;
        }

        rc = NGX_BUSY;
    }

    ngx_ampersand_cluster_command_free(call);

    return rc;
}


void
ngx_ampersand_cluster_command_resume(ngx_ampersand_cluster_commands_t *calls)
{
    ngx_queue_t           *q, *next;
    ngx_ampersand_cluster_command_t  *call;

    /* callers that are told may add calls, at the end, and end none */

    for (q = ngx_queue_head(&calls->queue);
         q != ngx_queue_sentinel(&calls->queue);
         q = next)
    {
        next = ngx_queue_next(q);
        call = ngx_queue_data(q, ngx_ampersand_cluster_command_t, queue);

        if (call->map) {
            ngx_ampersand_cluster_command_unpark(call);
        }
    }
}


void
ngx_ampersand_cluster_command_close(ngx_ampersand_cluster_commands_t *calls)
{
    ngx_ampersand_cluster_command_t  *call;

    while (!ngx_queue_empty(&calls->queue)) {
        call = ngx_queue_data(ngx_queue_head(&calls->queue),
                              ngx_ampersand_cluster_command_t, queue);
        call->link = NULL;
        ngx_ampersand_cluster_command_free(call);
    }
}


static ngx_ampersand_cluster_command_t *
ngx_ampersand_cluster_command_create(ngx_ampersand_cluster_commands_t *calls, ngx_uint_t argc,
    const amp_span_t *argv)
{
    size_t                 size;
    u_char                *p;
    ngx_uint_t             i;
    ngx_ampersand_cluster_command_t  *call;

    size = offsetof(ngx_ampersand_cluster_command_t, argv) + argc * sizeof(argv[0]);

    for (i = 0; i < argc; i++) {
        size += argv[i].len;
    }

    call = ngx_calloc(ngx_max(size, sizeof(*call)), calls->links->log);
    if (call == NULL) {
        return NULL;
    }

    call->calls = calls;
    call->argc = argc;

    p = (u_char *) &call->argv[argc];

    for (i = 0; i < argc; i++) {
        call->argv[i] = amp_span_make(p, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
    }

    call->timer.handler = ngx_ampersand_cluster_command_timer_handler;
    call->timer.data = call;
    call->timer.log = calls->links->log;

    ngx_queue_insert_tail(&calls->queue, &call->queue);

    return call;
}


static void
ngx_ampersand_cluster_command_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_cluster_command_t *call = data;

    amp_span_t              text;
    amp_redirect_t          redirect;
    ngx_ampersand_cluster_commands_t  *calls;

    calls = call->calls;

    if (call->over) {
        call->link = NULL;
        ngx_ampersand_cluster_command_free(call);
        return;
    }

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR) {
        text = amp_span_make(reply->str, ngx_ampersand_reply_len(reply));

        if (amp_redirect_parse(text, ngx_ampersand_link_host(call->link),
                               &redirect)
            == 0
            && call->tries < NGX_AMPERSAND_CLUSTER_COMMAND_TRIES)
        {
            ngx_ampersand_cluster_command_redirect(call, &redirect);
            return;
        }

        if (ngx_ampersand_redis_error_is(reply, "TRYAGAIN")
            && call->tries < NGX_AMPERSAND_CLUSTER_COMMAND_TRIES)
        {
            call->link = NULL;
            ngx_ampersand_cluster_command_park(call, NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN, 0);
            return;
        }

        if (ngx_ampersand_redis_error_is(reply, "CLUSTERDOWN")) {
            (void) ngx_ampersand_cluster_refresh(calls->cluster);
        }
    }

    call->link = NULL;

    if (rc != NGX_OK && ngx_ampersand_cluster_command_left(call) > 0
        && ngx_ampersand_cluster_refresh(calls->cluster) == NGX_OK)
    {
        ngx_ampersand_cluster_command_park(call, calls->links->conf->timeout, 1);
        return;
    }

    ngx_ampersand_cluster_command_tell(call, rc, reply);
    ngx_ampersand_cluster_command_free(call);
}


static void
ngx_ampersand_cluster_command_redirect(ngx_ampersand_cluster_command_t *call,
    amp_redirect_t *redirect)
{
    ngx_ampersand_link_t     *link;
    ngx_ampersand_cluster_t  *cluster;

    cluster = call->calls->cluster;

    ngx_ampersand_count(call->calls->links->counters, redirects);

    link = redirect->ask ? ngx_ampersand_cluster_host(cluster, &redirect->host)
                         : ngx_ampersand_cluster_moved(cluster, redirect->slot,
                                                       &redirect->host);

    ngx_ampersand_cluster_command_again(call, link, redirect->ask);
}


static void
ngx_ampersand_cluster_command_again(ngx_ampersand_cluster_command_t *call,
    ngx_ampersand_link_t *link, ngx_uint_t asking)
{
    amp_span_t      argv[1];
    ngx_msec_int_t  left;

    left = ngx_ampersand_cluster_command_left(call);
    call->link = NULL;

    call->tries++;

    if (link && left > 0) {
        argv[0] = amp_span("ASKING");

        if ((!asking
             || ngx_ampersand_link_command(link, 1, argv, NULL, NULL)
                == NGX_OK)
            && ngx_ampersand_link_command(link, call->argc, call->argv,
                                          ngx_ampersand_cluster_command_reply, call)
               == NGX_OK)
        {
            call->link = link;
            ngx_ampersand_cluster_command_timer(call, left);
            return;
        }
    }

    ngx_ampersand_cluster_command_tell(call, NGX_ERROR, NULL);
    ngx_ampersand_cluster_command_free(call);
}


static void
ngx_ampersand_cluster_command_park(ngx_ampersand_cluster_command_t *call, ngx_msec_t delay,
    ngx_uint_t map)
{
    ngx_msec_int_t  left;

    left = ngx_ampersand_cluster_command_left(call);

    call->map = map;
    call->calls->parked++;
    ngx_ampersand_cluster_command_timer(call,
                             ngx_min(delay, (ngx_msec_t) ngx_max(left, 1)));
}


static void
ngx_ampersand_cluster_command_unpark(ngx_ampersand_cluster_command_t *call)
{
    ngx_ampersand_link_t  *link;

    call->map = 0;
    call->calls->parked--;

    if (ngx_ampersand_cluster_slot(call->calls->cluster, call->slot, &link)
        != NGX_OK)
    {
        link = NULL;
    }

    ngx_ampersand_cluster_command_again(call, link, 0);
}


static void
ngx_ampersand_cluster_command_timer_handler(ngx_event_t *ev)
{
    ngx_ampersand_cluster_command_t  *call;

    call = ev->data;

    if (call->link == NULL) {
        ngx_ampersand_cluster_command_unpark(call);
        return;
    }

    /* its reply is still to come */

    call->over = 1;
    ngx_ampersand_cluster_command_tell(call, NGX_ERROR, NULL);
}


static ngx_msec_int_t
ngx_ampersand_cluster_command_left(ngx_ampersand_cluster_command_t *call)
{
    return (ngx_msec_int_t) (call->deadline - ngx_current_msec);
}


/* ngx_add_timer() does not move a timer by less than 300 ms */

static void
ngx_ampersand_cluster_command_timer(ngx_ampersand_cluster_command_t *call, ngx_msec_t delay)
{
    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    ngx_add_timer(&call->timer, delay);
}


static void
ngx_ampersand_cluster_command_tell(ngx_ampersand_cluster_command_t *call, ngx_int_t rc,
    redisReply *reply)
{
    if (call->handler) {
        call->handler(call->data, rc, reply);
    }
}


static void
ngx_ampersand_cluster_command_free(ngx_ampersand_cluster_command_t *call)
{
    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    ngx_queue_remove(&call->queue);
    ngx_free(call);
}
