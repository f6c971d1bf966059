#include "ngx_ampersand_commands.h"


#define NGX_AMPERSAND_COMMAND_ARGS  32


typedef struct {
    ngx_queue_t                    queue;
    ngx_msec_t                     deadline;
    uint64_t                       end;         /* of its bytes               */
    ngx_ampersand_redis_reply_pt   handler;
    void                          *data;
} ngx_ampersand_command_t;


void
ngx_ampersand_commands_init(ngx_ampersand_commands_t *commands, ngx_log_t *log)
{
    ngx_memzero(commands, sizeof(*commands));
    ngx_queue_init(&commands->queue);
    commands->log = log;
}


ngx_int_t
ngx_ampersand_commands_write(ngx_ampersand_commands_t *commands,
    ngx_uint_t argc, const amp_span_t *argv)
{
    char        *text;
    int          len;
    size_t       size, argvlen[NGX_AMPERSAND_COMMAND_ARGS];
    u_char      *out;
    ngx_uint_t   i;
    const char  *args[NGX_AMPERSAND_COMMAND_ARGS];

    if (argc > NGX_AMPERSAND_COMMAND_ARGS) {
        return NGX_ERROR;
    }

    for (i = 0; i < argc; i++) {
        args[i] = (const char *) argv[i].data;
        argvlen[i] = argv[i].len;
    }

    len = redisFormatCommandArgv(&text, (int) argc, args, argvlen);

    if (len < 0) {
        return NGX_ERROR;
    }

    if (commands->size - commands->len < (size_t) len) {
        size = ngx_max(commands->size * 2, commands->len + len);

        out = ngx_alloc(size, commands->log);
        if (out == NULL) {
            ngx_explicit_memzero(text, len);
            redisFreeCommand(text);
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

    ngx_explicit_memzero(text, len);
    redisFreeCommand(text);

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_commands_add(ngx_ampersand_commands_t *commands,
    ngx_uint_t argc, const amp_span_t *argv, ngx_msec_t timeout,
    ngx_ampersand_redis_reply_pt handler, void *data)
{
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_alloc(sizeof(*cmd), commands->log);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ampersand_commands_write(commands, argc, argv) != NGX_OK) {
        ngx_free(cmd);
        return NGX_ERROR;
    }

    cmd->deadline = ngx_current_msec + timeout;
    cmd->end = commands->written;
    cmd->handler = handler;
    cmd->data = data;

    ngx_queue_insert_tail(&commands->queue, &cmd->queue);
    commands->waiting++;

    return NGX_OK;
}


void
ngx_ampersand_commands_sent(ngx_ampersand_commands_t *commands, size_t n)
{
    commands->len -= n;
    ngx_memmove(commands->out, commands->out + n, commands->len);
    ngx_explicit_memzero(commands->out + commands->len, n);
}


ngx_int_t
ngx_ampersand_commands_answer(ngx_ampersand_commands_t *commands,
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


ngx_msec_int_t
ngx_ampersand_commands_left(ngx_ampersand_commands_t *commands)
{
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_queue_data(ngx_queue_head(&commands->queue),
                         ngx_ampersand_command_t, queue);

    return (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);
}


void
ngx_ampersand_commands_take(ngx_ampersand_commands_t *commands,
    ngx_queue_t *failed)
{
    ngx_queue_init(failed);

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
ngx_ampersand_commands_fail(ngx_queue_t *failed, ngx_uint_t call)
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
