#include "ngx_http_ampersand_cache_body.h"


static u_char *ngx_http_ampersand_cache_body_read(ngx_http_cache_t *c,
    ngx_buf_t *b);
static u_char *ngx_http_ampersand_cache_body_written(ngx_http_upstream_t *u,
    ngx_buf_t *b);


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
    u_char     *file;
    ngx_buf_t  *b;

    b = in->buf;

    if (!b->in_file || b->file_pos != (off_t) r->cache->body_start) {
        return;
    }

    file = r->cached ? ngx_http_ampersand_cache_body_read(r->cache, b)
                     : ngx_http_ampersand_cache_body_written(r->upstream, b);

    if (file == NULL) {
        return;
    }

    b->pos = file + b->file_pos;
    b->last = file + b->file_last;
    b->start = b->pos;
    b->end = b->last;
    b->memory = 1;
    b->in_file = 0;
}


/* The bytes of the file that b ends; NULL: not all of them have been read. */

static u_char *
ngx_http_ampersand_cache_body_read(ngx_http_cache_t *c, ngx_buf_t *b)
{
    if (b->file->fd != c->file.fd || b->file_last != c->length
        || c->buf->last - c->buf->pos != c->length)
    {
        return NULL;
    }

    return c->buf->pos;
}


/*
 * As above, of the file that nginx has just written out of u->buffer: the body
 * came with its head, and nothing more is read into that buffer.
 */

static u_char *
ngx_http_ampersand_cache_body_written(ngx_http_upstream_t *u, ngx_buf_t *b)
{
    off_t              size;
    ngx_event_pipe_t  *p;

    p = u->pipe;

    if (p == NULL || p->temp_file == NULL || b->file != &p->temp_file->file
        || !p->upstream_done)
    {
        return NULL;
    }

    size = (off_t) p->preread_size;

    if (p->read_length != size || b->file_last - b->file_pos != size) {
        return NULL;
    }

    return u->buffer.start;
}
