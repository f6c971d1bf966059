#include "ngx_ampersand_pipeline.h"


typedef struct {
    ngx_queue_t                    queue;
    ngx_msec_t                     deadline;
    uint64_t                       end;         /* the pipeline's "written"
                                                   after its last byte        */
    ngx_ampersand_reply_pt         handler;
    void                          *data;
    char                           name[NGX_AMPERSAND_COMMAND_NAME];
} ngx_ampersand_command_t;


static ngx_int_t ngx_ampersand_pipeline_write_bytes(
    ngx_ampersand_pipeline_t *pipeline, const void *text, size_t len);


void
ngx_ampersand_pipeline_init(ngx_ampersand_pipeline_t *pipeline, ngx_log_t *log)
{
    ngx_memzero(pipeline, sizeof(*pipeline));
    ngx_queue_init(&pipeline->queue);
    pipeline->log = log;
}


ngx_int_t
ngx_ampersand_pipeline_write(ngx_ampersand_pipeline_t *pipeline,
    ngx_uint_t argc, const amp_span_t *argv)
{
    int          len;
    char        *text;
    size_t       argvlen[NGX_AMPERSAND_PIPELINE_ARGS];
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *args[NGX_AMPERSAND_PIPELINE_ARGS];

    if (argc > NGX_AMPERSAND_PIPELINE_ARGS) {
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

    rc = ngx_ampersand_pipeline_write_bytes(pipeline, text, len);

    ngx_explicit_memzero(text, len);
    redisFreeCommand(text);

    return rc;
}


static ngx_int_t
ngx_ampersand_pipeline_write_bytes(ngx_ampersand_pipeline_t *pipeline,
    const void *text, size_t len)
{
    size_t   size;
    u_char  *out;

    if (pipeline->size - pipeline->len < len) {
        size = ngx_max(pipeline->size * 2, pipeline->len + len);

        out = ngx_alloc(size, pipeline->log);
        if (out == NULL) {
            return NGX_ERROR;
        }

        if (pipeline->out) {
            ngx_memcpy(out, pipeline->out, pipeline->len);
            ngx_explicit_memzero(pipeline->out, pipeline->len);
            ngx_free(pipeline->out);
        }

        pipeline->out = out;
        pipeline->size = size;
    }

    ngx_memcpy(pipeline->out + pipeline->len, text, len);
    pipeline->len += len;
    pipeline->written += len;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_pipeline_add(ngx_ampersand_pipeline_t *pipeline,
    ngx_uint_t argc, const amp_span_t *argv, ngx_msec_t timeout,
    ngx_ampersand_reply_pt handler, void *data)
{
    size_t                    len;
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_alloc(sizeof(*cmd), pipeline->log);
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ampersand_pipeline_write(pipeline, argc, argv) != NGX_OK) {
        ngx_free(cmd);
        return NGX_ERROR;
    }

    cmd->deadline = ngx_current_msec + timeout;
    cmd->end = pipeline->written;
    cmd->handler = handler;
    cmd->data = data;

    len = ngx_min(argv[0].len, NGX_AMPERSAND_COMMAND_NAME - 1);
    (void) ngx_cpystrn((u_char *) cmd->name, (u_char *) argv[0].data, len + 1);

    ngx_queue_insert_tail(&pipeline->queue, &cmd->queue);
    pipeline->waiting++;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_pipeline_move(ngx_ampersand_pipeline_t *pipeline,
    ngx_ampersand_pipeline_t *from)
{
    uint64_t                  start;
    ngx_queue_t              *q;
    ngx_ampersand_command_t  *cmd;

    if (from->waiting == 0) {
        return NGX_OK;
    }

    start = pipeline->written - (from->written - from->len);

    if (ngx_ampersand_pipeline_write_bytes(pipeline, from->out, from->len)
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

    ngx_queue_add(&pipeline->queue, &from->queue);
    pipeline->waiting += from->waiting;

    ngx_queue_init(&from->queue);
    from->waiting = 0;
    ngx_ampersand_pipeline_sent(from, from->len);

    return NGX_OK;
}


void
ngx_ampersand_pipeline_sent(ngx_ampersand_pipeline_t *pipeline, size_t n)
{
    pipeline->len -= n;
    ngx_memmove(pipeline->out, pipeline->out + n, pipeline->len);
    ngx_explicit_memzero(pipeline->out + pipeline->len, n);
}


ngx_int_t
ngx_ampersand_pipeline_reply(ngx_ampersand_pipeline_t *pipeline,
    redisReply *reply)
{
    ngx_queue_t              *q;
    ngx_ampersand_command_t  *cmd;

    if (ngx_queue_empty(&pipeline->queue)) {
        return NGX_DECLINED;
    }

    q = ngx_queue_head(&pipeline->queue);
    cmd = ngx_queue_data(q, ngx_ampersand_command_t, queue);

    if (cmd->end > pipeline->written - pipeline->len) {
        return NGX_DECLINED;
    }

    ngx_queue_remove(q);
    pipeline->waiting--;

    if (cmd->handler) {
        cmd->handler(cmd->data, NGX_OK, reply);
    }

    ngx_free(cmd);

    return NGX_OK;
}


const char *
ngx_ampersand_pipeline_name(ngx_ampersand_pipeline_t *pipeline)
{
    ngx_ampersand_command_t  *cmd;

    if (ngx_queue_empty(&pipeline->queue)) {
        return "";
    }

    cmd = ngx_queue_data(ngx_queue_head(&pipeline->queue),
                         ngx_ampersand_command_t, queue);

    return cmd->name;
}


ngx_msec_int_t
ngx_ampersand_pipeline_left(ngx_ampersand_pipeline_t *pipeline)
{
    ngx_ampersand_command_t  *cmd;

    cmd = ngx_queue_data(ngx_queue_head(&pipeline->queue),
                         ngx_ampersand_command_t, queue);

    return (ngx_msec_int_t) (cmd->deadline - ngx_current_msec);
}


void
ngx_ampersand_pipeline_clear(ngx_ampersand_pipeline_t *pipeline,
    ngx_queue_t *failed)
{
    if (!ngx_queue_empty(&pipeline->queue)) {
        ngx_queue_add(failed, &pipeline->queue);
        ngx_queue_init(&pipeline->queue);
    }

    pipeline->waiting = 0;

    if (pipeline->out) {
        ngx_explicit_memzero(pipeline->out, pipeline->len);
        ngx_free(pipeline->out);
    }

    pipeline->out = NULL;
    pipeline->len = 0;
    pipeline->size = 0;
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
