#include "ngx_http_ampersand_answer.h"
#include "ngx_http_ampersand_conf.h"
#include "ngx_ampersand_log.h"


static ngx_int_t ngx_http_ampersand_answer_final(ngx_http_request_t *r,
    ngx_http_ampersand_answer_t *answer, amp_answer_t *head);
static void ngx_http_ampersand_answer_cut(ngx_buf_t *b, size_t at, size_t len);
static ngx_int_t ngx_http_ampersand_answer_refuse(ngx_http_request_t *r,
    const char *fault);


ngx_int_t
ngx_http_ampersand_answer_header(ngx_http_request_t *r,
    ngx_http_ampersand_answer_t *answer)
{
    ngx_buf_t     *b;
    amp_answer_t   head;

    /* a stale entry takes the place of the answer: its head was cleaned */

    if (r->cached) {
        return answer->process_header(r);
    }

    b = &r->upstream->buffer;

    for ( ;; ) {
        switch (amp_answer_read(amp_span_make(b->pos, b->last - b->pos),
                                &head))
        {
        case AMP_ANSWER_PART:
            return NGX_AGAIN;

        case AMP_ANSWER_INTERIM:
            answer->interim += head.len;

            if (answer->interim > AMP_ANSWER_INTERIM_MAX) {
                return ngx_http_ampersand_answer_refuse(r,
                                                "too many interim answers");
            }

            ngx_http_ampersand_answer_cut(b, 0, head.len);
            continue;

        case AMP_ANSWER_FINAL:
            return ngx_http_ampersand_answer_final(r, answer, &head);

        default: /* AMP_ANSWER_INVALID */
            return ngx_http_ampersand_answer_refuse(r, head.fault);
        }
    }
}


static ngx_int_t
ngx_http_ampersand_answer_final(ngx_http_request_t *r,
    ngx_http_ampersand_answer_t *answer, amp_answer_t *head)
{
    size_t                len;
    ngx_buf_t            *b;
    ngx_int_t             rc;
    ngx_uint_t            version;
    const char           *fault;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    b = &u->buffer;

    len = amp_answer_clean(b->pos, head->len, &fault);

    if (len == 0) {
        return ngx_http_ampersand_answer_refuse(r, fault);
    }

    if (answer->shared && (head->status == NGX_HTTP_OK
                           || head->status == NGX_HTTP_NOT_FOUND))
    {
        len = amp_answer_share(b->pos, len);
    }

    ngx_http_ampersand_answer_cut(b, len, head->len - len);

    version = r->http_version;
    rc = answer->process_header(r);

    if (rc == NGX_AGAIN
        || (rc == NGX_OK && u->headers_in.status_n != head->status))
    {
        r->http_version = version;
        return ngx_http_ampersand_answer_refuse(r, "malformed head");
    }

    /*
     * nginx would keep the connection after an answer without a body, though
     * upstream sent more: what comes next is no answer to another request
     */

    if (rc == NGX_OK && u->keepalive && b->pos != b->last) {
        u->headers_in.connection_close = 1;
        u->keepalive = 0;
    }

    if (rc == NGX_OK && u->headers_in.content_type
        && amp_answer_streams(ngx_ampersand_span(
                                        u->headers_in.content_type->value)))
    {
        /* as for "X-Accel-Buffering: no"; it is not stored then */

        u->buffering = 0;
    }

    return rc;
}


/* Removes len bytes of what was read, at bytes behind its begin. */

static void
ngx_http_ampersand_answer_cut(ngx_buf_t *b, size_t at, size_t len)
{
    u_char  *rest;

    if (len) {
        rest = b->pos + at + len;
        b->last = ngx_movemem(b->pos + at, rest, b->last - rest);
    }
}


static ngx_int_t
ngx_http_ampersand_answer_refuse(ngx_http_request_t *r, const char *fault)
{
    ngx_uint_t                       level;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    level = ngx_ampersand_log_level(&amcf->worker->answers_logged);

    ngx_log_error(level, r->connection->log, 0,
                  "ampersand: upstream sent no valid answer: %s", fault);

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}
