#include "ngx_http_ampersand_peer.h"


static ngx_int_t ngx_http_ampersand_peer_get(ngx_peer_connection_t *pc,
    void *data);
static ngx_uint_t ngx_http_ampersand_peer_usable(
    ngx_http_ampersand_peer_t *peer, ngx_connection_t *c);
static void ngx_http_ampersand_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void ngx_http_ampersand_peer_notify(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t type);
static ngx_pool_cleanup_t *ngx_http_ampersand_peer_mark(ngx_connection_t *c);
static void ngx_http_ampersand_peer_marked(void *data);
static void ngx_http_ampersand_peer_close(ngx_connection_t *c);

#if (NGX_HTTP_SSL)
static ngx_uint_t ngx_http_ampersand_peer_shared(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us, ngx_uint_t api);
static ngx_int_t ngx_http_ampersand_peer_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_ampersand_peer_save_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_ampersand_peer_wipe(ngx_connection_t *c, size_t head);
#endif


void
ngx_http_ampersand_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us, ngx_http_ampersand_peer_t *peer,
    size_t head)
{
    ngx_peer_connection_t          *pc;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);
    pc = &r->upstream->peer;

    peer->upstream = r->upstream;
    peer->head = head;
    peer->api = alcf->api;
    peer->shared = 0;
    peer->data = pc->data;
    peer->get = pc->get;
    peer->free = pc->free;
    peer->notify = pc->notify;

    pc->data = peer;
    pc->get = ngx_http_ampersand_peer_get;
    pc->free = ngx_http_ampersand_peer_free;

    if (pc->notify) {
        pc->notify = ngx_http_ampersand_peer_notify;
    }

#if (NGX_HTTP_SSL)

    peer->set_session = pc->set_session;
    peer->save_session = pc->save_session;

    pc->set_session = ngx_http_ampersand_peer_set_session;
    pc->save_session = ngx_http_ampersand_peer_save_session;

    peer->shared = ngx_http_ampersand_peer_shared(r, us, alcf->api);

#endif
}


#if (NGX_HTTP_SSL)

static ngx_uint_t
ngx_http_ampersand_peer_shared(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us, ngx_uint_t api)
{
    ngx_http_ampersand_srv_conf_t  *ascf;

    if (us->srv_conf == NULL || !r->upstream->ssl) {
        return 0;
    }

    ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);

    return ascf->apis != ((ngx_uint_t) 1 << api);
}

#endif


static ngx_int_t
ngx_http_ampersand_peer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_ampersand_peer_t *peer = data;

    ngx_int_t  rc;

    rc = peer->get(pc, peer->data);

    if (rc != NGX_DONE || pc->connection == NULL
        || ngx_http_ampersand_peer_usable(peer, pc->connection))
    {
        return rc;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "ampersand: kept connection is not used");

    ngx_http_ampersand_peer_close(pc->connection);

    /* the address is set: ngx_event_connect_peer() connects to it */

    pc->connection = NULL;
    pc->cached = 0;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_ampersand_peer_usable(ngx_http_ampersand_peer_t *peer,
    ngx_connection_t *c)
{
    u_char               byte;
    ssize_t              n;
    ngx_pool_cleanup_t  *mark;

    if (peer->upstream->request_sent) {
        return 0;
    }

    if (peer->shared) {
        mark = ngx_http_ampersand_peer_mark(c);

        if (mark == NULL || *(ngx_uint_t *) mark->data != peer->api) {
            return 0;
        }
    }

    /* as ngx_http_upstream_keepalive_close_handler(), before its event */

    n = recv(c->fd, &byte, 1, MSG_PEEK);

    return n == -1 && ngx_socket_errno == NGX_EAGAIN;
}


/* The balancer may keep the connection now. */

static void
ngx_http_ampersand_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_ampersand_peer_t *peer = data;

    ngx_connection_t    *c;
    ngx_pool_cleanup_t  *mark;

    c = pc->connection;

    if (peer->shared && c && c->pool
        && ngx_http_ampersand_peer_mark(c) == NULL)
    {
        mark = ngx_pool_cleanup_add(c->pool, sizeof(ngx_uint_t));

        /* without memory: no mark, so that it is not used again */

        if (mark) {
            mark->handler = ngx_http_ampersand_peer_marked;
            *(ngx_uint_t *) mark->data = peer->api;
        }
    }

#if (NGX_HTTP_SSL)
    ngx_http_ampersand_peer_wipe(c, peer->head);
#endif

    if (state == NGX_PEER_FAILED && peer->upstream->request_sent) {
        peer->upstream->keepalive = 0;
        state = NGX_PEER_NEXT;
    }

    peer->free(pc, peer->data, state);
}


static void
ngx_http_ampersand_peer_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_ampersand_peer_t *peer = data;

    peer->notify(pc, peer->data, type);
}


#if (NGX_HTTP_SSL)

static ngx_int_t
ngx_http_ampersand_peer_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_ampersand_peer_t *peer = data;

    return peer->shared ? NGX_OK : peer->set_session(pc, peer->data);
}


static void
ngx_http_ampersand_peer_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_ampersand_peer_t *peer = data;

    if (!peer->shared) {
        peer->save_session(pc, peer->data);
    }
}


/* nginx's buffer in front of TLS has the head first, and is empty by now. */

static void
ngx_http_ampersand_peer_wipe(ngx_connection_t *c, size_t head)
{
    ngx_buf_t  *b;

    b = (c && c->ssl) ? c->ssl->buf : NULL;

    if (b && b->start) {
        ngx_explicit_memzero(b->start,
                             ngx_min(head, (size_t) (b->end - b->start)));
    }
}

#endif


/* The API whose host the connection was verified for; NULL: not marked. */

static ngx_pool_cleanup_t *
ngx_http_ampersand_peer_mark(ngx_connection_t *c)
{
    ngx_pool_cleanup_t  *cln;

    if (c->pool == NULL) {
        return NULL;
    }

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_ampersand_peer_marked) {
            return cln;
        }
    }

    return NULL;
}


static void
ngx_http_ampersand_peer_marked(void *data)
{
}


/* As ngx_http_upstream_keepalive_close(). */

static void
ngx_http_ampersand_peer_close(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

#endif

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}
