#include "ngx_http_ampersand_log.h"


#define NGX_HTTP_AMPERSAND_LOG_ERROR  " [error] "
#define NGX_HTTP_AMPERSAND_LOG_CRIT   " [crit] "
#define NGX_HTTP_AMPERSAND_LOG_PROXY  " while reading PROXY protocol"


/* A line: how its message begins, and what else is in it. */

typedef struct {
    const char  *start;
    const char  *inside;
} ngx_http_ampersand_log_line_t;


/* A log of nginx and the copy of it that a server{} or location{} has. */

typedef struct {
    ngx_log_t   *log;
    ngx_log_t   *copy;
} ngx_http_ampersand_log_copy_t;


static ngx_int_t ngx_http_ampersand_log_copy(ngx_pool_t *pool, ngx_log_t *log,
    ngx_log_t *copy);
static void ngx_http_ampersand_log_write(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static void ngx_http_ampersand_log_lower(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static void ngx_http_ampersand_log_line(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len, ngx_uint_t lower);
static u_char *ngx_http_ampersand_log_find(u_char *p, u_char *last,
    const char *text);
static u_char *ngx_http_ampersand_log_message(u_char *p, u_char *last);
static ngx_uint_t ngx_http_ampersand_log_clients(u_char *p, u_char *last);
static u_char *ngx_http_ampersand_log_hide(u_char *p, u_char *last);
static u_char *ngx_http_ampersand_log_mask(u_char *p, u_char *last);


/* what a client causes, whatever the configuration and the upstream do */

static ngx_http_ampersand_log_line_t  ngx_http_ampersand_log_lines[] = {
    { "client sent ", NULL },
    { "client intended to send too large ", NULL },
    { "access forbidden by rule", NULL },
    { "limiting requests", NULL },
    { "limiting connections by zone", NULL },
    { "user \"", "\" was not found in \"" },
    { "user \"", "\": password mismatch" },
    { "directory index of \"", "\" is forbidden" },
    { "open() \"", "\" failed (2: " },
    { "open() \"", "\" failed (20: " },
    { "open() \"", "\" failed (36: " },
    { "\"", "\" is not found (2: " },
    { "\"", "\" is not found (20: " },
    { "unsafe URI \"", NULL },
    { "SSL_do_handshake() failed (SSL: ", " while SSL handshaking, client: " },
    { "", NGX_HTTP_AMPERSAND_LOG_PROXY },
    { NULL, NULL }
};


u_char *
ngx_http_ampersand_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p;
    amp_span_t                 id;
    ngx_http_ampersand_ctx_t  *ctx;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    ctx = ngx_http_ampersand_known(r);

    p = ngx_snprintf(buf, len, ", server: %V", &cscf->server_name);
    len -= p - buf;
    buf = p;

    if (ctx) {
        p = ngx_snprintf(buf, len, ", request id: \"%V\"", &ctx->request_id);
        len -= p - buf;
        buf = p;
    }

    if (ctx && ctx->record.tenant && ctx->op) {
        id = amp_tenant_field(ctx->record.tenant, ctx->record.tenant->id);

        p = ngx_snprintf(buf, len, ", tenant: \"%*s\", operation: \"%s\"",
                         id.len, id.data, ctx->op->id);
        len -= p - buf;
        buf = p;
    }

    if (sr->upstream && sr->upstream->peer.name) {
        p = ngx_snprintf(buf, len, ", upstream: \"%V%V\"",
                         &sr->upstream->schema, sr->upstream->peer.name);
        buf = p;
    }

    return buf;
}


ngx_int_t
ngx_http_ampersand_log_conf(ngx_conf_t *cf, ngx_log_t **log, ngx_uint_t lower)
{
    ngx_http_ampersand_log_copy_t   *pair;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (amcf->logs == NULL) {
        amcf->logs = ngx_array_create(cf->pool, 8, sizeof(*pair));
        if (amcf->logs == NULL) {
            return NGX_ERROR;
        }
    }

    pair = ngx_array_push(amcf->logs);
    if (pair == NULL) {
        return NGX_ERROR;
    }

    pair->log = *log;
    pair->copy = ngx_pcalloc(cf->pool, sizeof(ngx_log_t));
    if (pair->copy == NULL) {
        return NGX_ERROR;
    }

    pair->copy->writer = lower ? ngx_http_ampersand_log_lower
                               : ngx_http_ampersand_log_write;
    *log = pair->copy;

    return ngx_http_ampersand_log_copy(cf->pool, pair->log, pair->copy);
}


ngx_int_t
ngx_http_ampersand_log_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                       i;
    ngx_listening_t                 *ls;
    ngx_http_ampersand_log_copy_t   *pair;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_ampersand_module);

    if (amcf == NULL || amcf->logs == NULL) {
        return NGX_OK;
    }

    pair = amcf->logs->elts;

    for (i = 0; i < amcf->logs->nelts; i++) {
        if (ngx_http_ampersand_log_copy(cycle->pool, pair[i].log, pair[i].copy)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        ls[i].log = *ls[i].logp;
    }

    return NGX_OK;
}


/* Fills a copy that has its writer, and makes those of the logs behind it. */

static ngx_int_t
ngx_http_ampersand_log_copy(ngx_pool_t *pool, ngx_log_t *log, ngx_log_t *copy)
{
    ngx_log_writer_pt  writer;

    for ( ;; ) {
        writer = copy->writer;

        *copy = *log;
        copy->writer = writer;
        copy->wdata = log;

        log = log->next;

        if (log == NULL) {
            return NGX_OK;
        }

        copy->next = ngx_pcalloc(pool, sizeof(*copy));
        if (copy->next == NULL) {
            return NGX_ERROR;
        }

        copy = copy->next;
        copy->writer = writer;
    }
}


static void
ngx_http_ampersand_log_write(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_http_ampersand_log_line(log, level, buf, len, 0);
}


static void
ngx_http_ampersand_log_lower(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_http_ampersand_log_line(log, level, buf, len, 1);
}


/*
 * The writer of a copy, which may be that of a connection.  nginx gives the
 * same bytes to the next log, so they are not changed here.
 */

static void
ngx_http_ampersand_log_line(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len, ngx_uint_t lower)
{
    u_char     *p, *last, *mark, line[NGX_MAX_ERROR_STR];
    ssize_t     n;
    ngx_log_t  *to;

    to = log->wdata;

    if (to->writer == NULL && to->disk_full_time == ngx_time()) {
        return;
    }

    last = ngx_cpymem(line, buf, ngx_min(len, sizeof(line)));
    p = ngx_http_ampersand_log_message(line, last);

    if (lower && (level == NGX_LOG_ERR || level == NGX_LOG_CRIT)
        && ngx_http_ampersand_log_clients(p, last))
    {
        if (to->log_level < NGX_LOG_INFO) {
            return;
        }

        mark = ngx_http_ampersand_log_find(line, p, level == NGX_LOG_ERR
                                                 ? NGX_HTTP_AMPERSAND_LOG_ERROR
                                                 : NGX_HTTP_AMPERSAND_LOG_CRIT);
        if (mark) {
            mark = ngx_cpymem(mark, " [info]", sizeof(" [info]") - 1);

            if (level == NGX_LOG_ERR) {
                ngx_memmove(mark, mark + 1, last - mark - 1);
                last--;
                p--;
            }
        }

        level = NGX_LOG_INFO;
    }

    last = ngx_http_ampersand_log_hide(p, last);
    last = ngx_http_ampersand_log_mask(p, last);

    if (to->writer) {
        to->writer(to, level, line, last - line);
        return;
    }

    n = ngx_write_fd(to->file->fd, line, last - line);

    if (n == -1 && ngx_errno == NGX_ENOSPC) {
        to->disk_full_time = ngx_time();
    }
}


static u_char *
ngx_http_ampersand_log_find(u_char *p, u_char *last, const char *text)
{
    return memmem(p, last - p, text, ngx_strlen(text));
}


/* Behind "TIME [level] PID#TID: *CONNECTION ". */

static u_char *
ngx_http_ampersand_log_message(u_char *p, u_char *last)
{
    u_char  *next;

    next = ngx_http_ampersand_log_find(p, last, ": ");
    if (next == NULL) {
        return p;
    }

    p = next + 2;

    if (p < last && *p == '*') {
        next = ngx_strlchr(p, last, ' ');
        p = next ? next + 1 : p;
    }

    return p;
}


static ngx_uint_t
ngx_http_ampersand_log_clients(u_char *p, u_char *last)
{
    size_t                          len;
    ngx_http_ampersand_log_line_t  *line;

    for (line = ngx_http_ampersand_log_lines; line->start; line++) {
        len = ngx_strlen(line->start);

        if ((size_t) (last - p) >= len && ngx_memcmp(p, line->start, len) == 0
            && (line->inside == NULL
                || ngx_http_ampersand_log_find(p, last, line->inside)))
        {
            return 1;
        }
    }

    return 0;
}


/* broken header: "GET / ... X-Api-Key: ..." while reading PROXY protocol */

static u_char *
ngx_http_ampersand_log_hide(u_char *p, u_char *last)
{
    u_char  *end;

    p = ngx_strlchr(p, last, '"');

    if (p == NULL) {
        return last;
    }

    end = ngx_http_ampersand_log_find(p, last,
                                      "\"" NGX_HTTP_AMPERSAND_LOG_PROXY);
    if (end == NULL) {
        return last;
    }

    return ngx_movemem(p + 1, end, last - end);
}


/* Also the start of a token, where nginx has cut the line. */

static u_char *
ngx_http_ampersand_log_mask(u_char *p, u_char *last)
{
    u_char  *end;

    while ((p = ngx_http_ampersand_log_find(p, last, "agw_")) != NULL) {
        p += 4;

        for (end = p; end < last && isalnum(*end); end++) { /* void */ }

        if (end - p >= 3) {
            p = ngx_cpymem(p, "***", 3);
            last = ngx_movemem(p, end, last - end);
        }
    }

    return last;
}
