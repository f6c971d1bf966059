#include "ngx_ampersand_cluster_command.h"
#include "ngx_ampersand_redis_error.h"


typedef struct {
    ngx_queue_t                        queue;
    ngx_ampersand_cluster_commands_t  *commands;
    ngx_ampersand_reply_pt             handler;
    void                              *data;
    ngx_event_t                        timer;   /* of a parked command, and of
                                                   one that was sent a second
                                                   time                       */
    ngx_msec_t                         deadline;
    ngx_uint_t                         slot;
    ngx_uint_t                         tries;
    ngx_ampersand_link_t              *link;    /* while it is sent           */
    unsigned                           timed_out:1; /* the handler was called */
    unsigned                           map:1;   /* parked until the next map  */
    ngx_uint_t                         argc;
    amp_span_t                         argv[1];
} ngx_ampersand_cluster_command_t;


static ngx_ampersand_cluster_command_t *ngx_ampersand_cluster_command_create(
    ngx_ampersand_cluster_commands_t *commands, ngx_uint_t argc,
    const amp_span_t *argv);
static void ngx_ampersand_cluster_command_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_int_t ngx_ampersand_cluster_command_error(
    ngx_ampersand_cluster_command_t *command, redisReply *reply);
static void ngx_ampersand_cluster_command_redirect(
    ngx_ampersand_cluster_command_t *command, amp_redirect_t *redirect);
static void ngx_ampersand_cluster_command_resend(
    ngx_ampersand_cluster_command_t *command, ngx_ampersand_link_t *link,
    ngx_uint_t asking);
static void ngx_ampersand_cluster_command_park(
    ngx_ampersand_cluster_command_t *command, ngx_msec_t delay,
    ngx_uint_t map);
static void ngx_ampersand_cluster_command_unpark(
    ngx_ampersand_cluster_command_t *command);
static void ngx_ampersand_cluster_command_timer_handler(ngx_event_t *ev);
static ngx_msec_int_t ngx_ampersand_cluster_command_left(
    ngx_ampersand_cluster_command_t *command);
static void ngx_ampersand_cluster_command_timer(
    ngx_ampersand_cluster_command_t *command, ngx_msec_t delay);
static void ngx_ampersand_cluster_command_call(
    ngx_ampersand_cluster_command_t *command, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_cluster_command_free(
    ngx_ampersand_cluster_command_t *command);


ngx_int_t
ngx_ampersand_cluster_command_send(ngx_ampersand_cluster_commands_t *commands,
    amp_span_t key, ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_reply_pt handler, void *data)
{
    ngx_int_t                         rc;
    ngx_uint_t                        slot;
    ngx_ampersand_link_t             *link;
    ngx_ampersand_cluster_command_t  *command;

    slot = amp_slot(key);

    rc = ngx_ampersand_cluster_slot(commands->cluster, slot, &link);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return rc;
    }

    command = ngx_ampersand_cluster_command_create(commands, argc, argv);
    if (command == NULL) {
        return NGX_ERROR;
    }

    command->slot = slot;
    command->deadline = ngx_current_msec + commands->links->conf->timeout;
    command->handler = handler;
    command->data = data;

    if (rc == NGX_OK) {
        command->tries = 1;
        command->link = link;

        rc = ngx_ampersand_link_command(link, command->argc, command->argv,
                                        ngx_ampersand_cluster_command_reply,
                                        command);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        command->link = NULL;

        if (rc == NGX_DECLINED) {
            rc = ngx_ampersand_cluster_refresh(commands->cluster) == NGX_OK
                 ? NGX_AGAIN : NGX_DECLINED;
        }
    }

    if (rc == NGX_AGAIN) {
        if (commands->parked < NGX_AMPERSAND_LINK_QUEUE) {
            ngx_ampersand_cluster_command_park(command,
                                               commands->links->conf->timeout,
                                               1);
            return NGX_OK;
        }

        rc = NGX_BUSY;
    }

    ngx_ampersand_cluster_command_free(command);

    return rc;
}


void
ngx_ampersand_cluster_command_resume(
    ngx_ampersand_cluster_commands_t *commands)
{
    ngx_queue_t                      *q, *next;
    ngx_ampersand_cluster_command_t  *command;

    /* a handler may add commands, at the end, and frees none of the queue */

    for (q = ngx_queue_head(&commands->queue);
         q != ngx_queue_sentinel(&commands->queue);
         q = next)
    {
        next = ngx_queue_next(q);
        command = ngx_queue_data(q, ngx_ampersand_cluster_command_t, queue);

        if (command->map) {
            ngx_ampersand_cluster_command_unpark(command);
        }
    }
}


void
ngx_ampersand_cluster_command_close(ngx_ampersand_cluster_commands_t *commands)
{
    ngx_ampersand_cluster_command_t  *command;

    while (!ngx_queue_empty(&commands->queue)) {
        command = ngx_queue_data(ngx_queue_head(&commands->queue),
                                 ngx_ampersand_cluster_command_t, queue);
        command->link = NULL;
        ngx_ampersand_cluster_command_free(command);
    }
}


static ngx_ampersand_cluster_command_t *
ngx_ampersand_cluster_command_create(
    ngx_ampersand_cluster_commands_t *commands, ngx_uint_t argc,
    const amp_span_t *argv)
{
    size_t                            size;
    u_char                           *p;
    ngx_uint_t                        i;
    ngx_ampersand_cluster_command_t  *command;

    size = offsetof(ngx_ampersand_cluster_command_t, argv)
           + argc * sizeof(argv[0]);

    for (i = 0; i < argc; i++) {
        size += argv[i].len;
    }

    command = ngx_calloc(ngx_max(size, sizeof(*command)),
                         commands->links->log);
    if (command == NULL) {
        return NULL;
    }

    command->commands = commands;
    command->argc = argc;

    p = (u_char *) &command->argv[argc];

    for (i = 0; i < argc; i++) {
        command->argv[i] = amp_span_make(p, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
    }

    command->timer.handler = ngx_ampersand_cluster_command_timer_handler;
    command->timer.data = command;
    command->timer.log = commands->links->log;

    ngx_queue_insert_tail(&commands->queue, &command->queue);

    return command;
}


static void
ngx_ampersand_cluster_command_reply(void *data, ngx_int_t rc,
    redisReply *reply)
{
    ngx_ampersand_cluster_command_t *command = data;

    ngx_ampersand_cluster_commands_t  *commands;

    commands = command->commands;

    if (command->timed_out) {
        command->link = NULL;
        ngx_ampersand_cluster_command_free(command);
        return;
    }

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR
        && ngx_ampersand_cluster_command_error(command, reply) == NGX_OK)
    {
        return;
    }

    command->link = NULL;

    if (rc != NGX_OK && ngx_ampersand_cluster_command_left(command) > 0
        && ngx_ampersand_cluster_refresh(commands->cluster) == NGX_OK)
    {
        ngx_ampersand_cluster_command_park(command,
                                           commands->links->conf->timeout, 1);
        return;
    }

    ngx_ampersand_cluster_command_call(command, rc, reply);
    ngx_ampersand_cluster_command_free(command);
}


/* NGX_OK: the command is sent once more.  NGX_DECLINED: the caller's error. */

static ngx_int_t
ngx_ampersand_cluster_command_error(ngx_ampersand_cluster_command_t *command,
    redisReply *reply)
{
    amp_span_t      text;
    amp_redirect_t  redirect;

    if (ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_CLUSTERDOWN)) {
        (void) ngx_ampersand_cluster_refresh(command->commands->cluster);
        return NGX_DECLINED;
    }

    if (command->tries >= NGX_AMPERSAND_CLUSTER_COMMAND_TRIES) {
        return NGX_DECLINED;
    }

    text = amp_span_make(reply->str, ngx_ampersand_reply_len(reply));

    if (amp_redirect_parse(text, ngx_ampersand_link_host(command->link),
                           &redirect)
        == 0)
    {
        ngx_ampersand_cluster_command_redirect(command, &redirect);
        return NGX_OK;
    }

    if (ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_TRYAGAIN)) {
        command->link = NULL;
        ngx_ampersand_cluster_command_park(command,
                                       NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN,
                                       0);
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static void
ngx_ampersand_cluster_command_redirect(
    ngx_ampersand_cluster_command_t *command, amp_redirect_t *redirect)
{
    ngx_uint_t                moved;
    ngx_ampersand_link_t     *link;
    ngx_ampersand_cluster_t  *cluster;

    moved = !redirect->ask;
    cluster = command->commands->cluster;

    if (redirect->unknown && moved) {
        (void) ngx_ampersand_cluster_refresh(cluster);
        command->link = NULL;
        ngx_ampersand_cluster_command_park(command,
                                       command->commands->links->conf->timeout,
                                       1);
        return;
    }

    if (redirect->unknown) {
        command->link = NULL;
        ngx_ampersand_cluster_command_park(command,
                                       NGX_AMPERSAND_CLUSTER_COMMAND_TRYAGAIN,
                                       0);
        return;
    }

    ngx_ampersand_count(command->commands->links->counters, redirects);

    link = moved ? ngx_ampersand_cluster_moved(cluster, redirect->slot,
                                               &redirect->host)
                 : ngx_ampersand_cluster_host(cluster, &redirect->host);

    ngx_ampersand_cluster_command_resend(command, link, redirect->ask);
}


/* Sends the command once more; without a link, or too late, it has failed. */

static void
ngx_ampersand_cluster_command_resend(ngx_ampersand_cluster_command_t *command,
    ngx_ampersand_link_t *link, ngx_uint_t asking)
{
    amp_span_t      argv[1];
    ngx_msec_int_t  left;

    left = ngx_ampersand_cluster_command_left(command);
    command->link = NULL;

    command->tries++;

    if (link && left > 0) {
        argv[0] = amp_span("ASKING");

        if ((!asking
             || ngx_ampersand_link_command(link, 1, argv, NULL, NULL)
                == NGX_OK)
            && ngx_ampersand_link_command(link, command->argc, command->argv,
                                          ngx_ampersand_cluster_command_reply,
                                          command)
               == NGX_OK)
        {
            command->link = link;
            ngx_ampersand_cluster_command_timer(command, left);
            return;
        }
    }

    ngx_ampersand_cluster_command_call(command, NGX_ERROR, NULL);
    ngx_ampersand_cluster_command_free(command);
}


/* Until the next map (map = 1), or for this time; not beyond the deadline. */

static void
ngx_ampersand_cluster_command_park(ngx_ampersand_cluster_command_t *command,
    ngx_msec_t delay, ngx_uint_t map)
{
    ngx_msec_int_t  left;

    left = ngx_ampersand_cluster_command_left(command);

    command->map = map;
    command->commands->parked++;

    ngx_ampersand_cluster_command_timer(command,
                                        ngx_min(delay, (ngx_msec_t)
                                                       ngx_max(left, 1)));
}


static void
ngx_ampersand_cluster_command_unpark(ngx_ampersand_cluster_command_t *command)
{
    ngx_ampersand_link_t  *link;

    command->map = 0;
    command->commands->parked--;

    if (ngx_ampersand_cluster_slot(command->commands->cluster, command->slot,
                                   &link)
        != NGX_OK)
    {
        link = NULL;
    }

    ngx_ampersand_cluster_command_resend(command, link, 0);
}


static void
ngx_ampersand_cluster_command_timer_handler(ngx_event_t *ev)
{
    ngx_ampersand_cluster_command_t  *command;

    command = ev->data;

    if (command->link == NULL) {
        ngx_ampersand_cluster_command_unpark(command);
        return;
    }

    /* the link still expects its reply */

    command->timed_out = 1;
    ngx_ampersand_cluster_command_call(command, NGX_ERROR, NULL);
}


/* Milliseconds until the deadline. */

static ngx_msec_int_t
ngx_ampersand_cluster_command_left(ngx_ampersand_cluster_command_t *command)
{
    return (ngx_msec_int_t) (command->deadline - ngx_current_msec);
}


/* ngx_add_timer() does not move a timer by less than 300 ms */

static void
ngx_ampersand_cluster_command_timer(ngx_ampersand_cluster_command_t *command,
    ngx_msec_t delay)
{
    if (command->timer.timer_set) {
        ngx_del_timer(&command->timer);
    }

    ngx_add_timer(&command->timer, delay);
}


static void
ngx_ampersand_cluster_command_call(ngx_ampersand_cluster_command_t *command,
    ngx_int_t rc, redisReply *reply)
{
    if (command->handler) {
        command->handler(command->data, rc, reply);
    }
}


static void
ngx_ampersand_cluster_command_free(ngx_ampersand_cluster_command_t *command)
{
    if (command->timer.timer_set) {
        ngx_del_timer(&command->timer);
    }

    ngx_queue_remove(&command->queue);
    ngx_free(command);
}
