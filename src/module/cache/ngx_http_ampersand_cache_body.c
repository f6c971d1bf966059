#include "ngx_http_ampersand_cache_body.h"


void
ngx_http_ampersand_cache_body_hit(ngx_http_request_t *r)
{
    ngx_http_cache_t            *c;
    ngx_http_file_cache_node_t  *node;

    c = r->cache;
    node = c->node;

    if (c->length > NGX_HTTP_AMPERSAND_CACHE_BODY_MAX
        || c->buf->last - c->buf->pos >= c->length)
    {
        return;
    }

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    /* another file may have taken the place of this one meanwhile */

    if (node->exists && node->uniq == c->uniq
        && node->body_start == c->body_start)
    {
        node->body_start = (size_t) c->length;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);
}


void
ngx_http_ampersand_cache_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t         *b;
    ngx_http_cache_t  *c;

    c = r->cache;
    b = in->buf;

    if (!b->in_file || b->file->fd != c->file.fd
        || b->file_pos != (off_t) c->body_start || b->file_last != c->length
        || c->buf->last - c->buf->pos != c->length)
    {
        return;
    }

    b->pos = c->buf->pos + c->body_start;
    b->last = c->buf->last;
    b->start = b->pos;
    b->end = b->last;
    b->memory = 1;
    b->in_file = 0;
}
