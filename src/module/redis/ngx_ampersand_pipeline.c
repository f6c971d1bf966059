#include "ngx_ampersand_pipeline.h"


#define NGX_AMPERSAND_COMMAND_ARGS  32


typedef struct {
    ngx_queue_t                    queue;
    ngx_msec_t                     deadline;
    uint64_t                       end;         /* of its bytes               */
    ngx_ampersand_reply_pt         handler;
    void                          *data;
    char                           name[NGX_AMPERSAND_COMMAND_NAME];
} ngx_ampersand_command_t;


static ngx_int_t ngx_ampersand_pipeline_append(
    ngx_ampersand_pipeline_t *commands, const void *text, size_t len);


void
ngx_ampersand_pipeline_init(ngx_ampersand_pipeline_t *commands, ngx_log_t *log)
{
    ngx_memzero(commands, sizeof(*commands));
    ngx_queue_init(&commands->queue);
    commands->log = log;
}


ngx_int_t
ngx_ampersand_pipeline_write(ngx_ampersand_pipeline_t *commands,
    ngx_uint_t argc, const amp_span_t *argv)
{
    int          len;
    char        *text;
    size_t       argvlen[NGX_AMPERSAND_COMMAND_ARGS];
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *args[NGX_AMPERSAND_COMMAND_ARGS];

    if (argc > NGX_AMPERSAND_COMMAND_ARGS) {
        return NGX_ERROR;
    }

    for (i = 0; i < argc; i++) {
        args[i] = (const char *) argv[i].data;
        argvlen[i] = argv[i].len;
    }

    len = (int) redisFormatCommandArgv(&text, (int) argc, args, argvlen);

    if (len < 0) {
        return NGX_ERROR;
    }

    rc = ngx_ampersand_pipeline_append(commands, text, len);

    ngx_explicit_memzero(text, len);
    redisFreeCommand(text);

    return rc;
}


static ngx_int_t
ngx_ampersand_pipeline_append(ngx_ampersand_pipeline_t *commands,
    const void *text, size_t len)
{
    size_t   size;
    u_char  *out;

    if (commands->size - commands->len < len) {
        size = ngx_max(commands->size * 2, commands->len + len);

        out = ngx_alloc(size, commands->log);
        if (out == NULL) {
            return NGX_ERROR;
        }

        if (commands->out) {
            ngx_memcpy(out, commands->out, commands->len);
            ngx_explicit_memzero(commands->out, commands->len);
            ngx_free(commands->out);
        }

        commands->out = out;
        commands->size = size;
    }

    ngx_memcpy(commands->out + commands->len, text, len);
    commands->len += len;
    commands->written += len;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_pipeline_add(ngx_ampersand_pipeline_t *commands,
    ngx_uint_t argc, const amp_span_t *argv, ngx_msec_t timeout,
    ngx_ampersand_reply_pt handler, void *data)
{
    size_t                    len;
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_alloc(sizeof(*cmd), commands->log);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ampersand_pipeline_write(commands, argc, argv) != NGX_OK) {
        ngx_free(cmd);
        return NGX_ERROR;
    }

    cmd->deadline = ngx_current_msec + timeout;
    cmd->end = commands->written;
    cmd->handler = handler;
    cmd->data = data;

    len = ngx_min(argv[0].len, NGX_AMPERSAND_COMMAND_NAME - 1);
    (void) ngx_cpystrn((u_char *) cmd->name, (u_char *) argv[0].data, len + 1);

    ngx_queue_insert_tail(&commands->queue, &cmd->queue);
    commands->waiting++;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_pipeline_join(ngx_ampersand_pipeline_t *commands,
    ngx_ampersand_pipeline_t *from)
{
    uint64_t                  start;
    ngx_queue_t              *q;
    ngx_ampersand_command_t  *cmd;

    if (from->waiting == 0) {
        return NGX_OK;
    }

    start = commands->written - (from->written - from->len);

    if (ngx_ampersand_pipeline_append(commands, from->out, from->len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (q = ngx_queue_head(&from->queue);
         q != ngx_queue_sentinel(&from->queue);
         q = ngx_queue_next(q))
    {
        cmd = ngx_queue_data(q, ngx_ampersand_command_t, queue);
        cmd->end += start;
    }

    ngx_queue_add(&commands->queue, &from->queue);
    commands->waiting += from->waiting;

    ngx_queue_init(&from->queue);
    from->waiting = 0;
    ngx_ampersand_pipeline_sent(from, from->len);

    return NGX_OK;
}


void
ngx_ampersand_pipeline_sent(ngx_ampersand_pipeline_t *commands, size_t n)
{
    commands->len -= n;
    ngx_memmove(commands->out, commands->out + n, commands->len);
    ngx_explicit_memzero(commands->out + commands->len, n);
}


ngx_int_t
ngx_ampersand_pipeline_answer(ngx_ampersand_pipeline_t *commands,
    redisReply *reply)
{
    ngx_queue_t              *q;
    ngx_ampersand_command_t  *cmd;

    if (ngx_queue_empty(&commands->queue)) {
        return NGX_DECLINED;
    }

    q = ngx_queue_head(&commands->queue);
    cmd = ngx_queue_data(q, ngx_ampersand_command_t, queue);

    if (cmd->end > commands->written - commands->len) {
        return NGX_DECLINED;
    }

    ngx_queue_remove(q);
    commands->waiting--;

    if (cmd->handler) {
        cmd->handler(cmd->data, NGX_OK, reply);
    }

    ngx_free(cmd);

    return NGX_OK;
}


const char *
ngx_ampersand_pipeline_name(ngx_ampersand_pipeline_t *commands)
{
    ngx_ampersand_command_t  *cmd;

    if (ngx_queue_empty(&commands->queue)) {
        return "";
    }

    cmd = ngx_queue_data(ngx_queue_head(&commands->queue),
                         ngx_ampersand_command_t, queue);

    return cmd->name;
}


ngx_msec_int_t
ngx_ampersand_pipeline_left(ngx_ampersand_pipeline_t *commands)
{
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_queue_data(ngx_queue_head(&commands->queue),
                         ngx_ampersand_command_t, queue);

    return (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);
}


void
ngx_ampersand_pipeline_take(ngx_ampersand_pipeline_t *commands,
    ngx_queue_t *failed)
{
    if (!ngx_queue_empty(&commands->queue)) {
        ngx_queue_add(failed, &commands->queue);
        ngx_queue_init(&commands->queue);
    }

    commands->waiting = 0;

    if (commands->out) {
        ngx_explicit_memzero(commands->out, commands->len);
        ngx_free(commands->out);
    }

    commands->out = NULL;
    commands->len = 0;
    commands->size = 0;
}


void
ngx_ampersand_pipeline_fail(ngx_queue_t *failed, ngx_uint_t call)
{
    ngx_queue_t              *q;
    ngx_ampersand_command_t  *cmd;

    while (!ngx_queue_empty(failed)) {
        q = ngx_queue_head(failed);
        ngx_queue_remove(q);

        cmd = ngx_queue_data(q, ngx_ampersand_command_t, queue);

        if (call && cmd->handler) {
            cmd->handler(cmd->data, NGX_ERROR, NULL);
        }

        ngx_free(cmd);
    }
}
