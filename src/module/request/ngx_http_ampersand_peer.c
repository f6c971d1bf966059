#include "ngx_http_ampersand_peer.h"


#if (NGX_HTTP_SSL)


/* What the balancer (with keepalive) has set; its data stays its own. */

typedef struct {
    ngx_uint_t                     api;
    void                          *data;
    ngx_event_get_peer_pt          get;
    ngx_event_free_peer_pt         free;
    ngx_event_notify_peer_pt       notify;
} ngx_http_ampersand_peer_data_t;


static ngx_int_t ngx_http_ampersand_peer_get(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_ampersand_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void ngx_http_ampersand_peer_notify(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t type);
static ngx_int_t ngx_http_ampersand_peer_no_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_ampersand_peer_forget_session(ngx_peer_connection_t *pc,
    void *data);
static ngx_pool_cleanup_t *ngx_http_ampersand_peer_mark(ngx_connection_t *c);
static void ngx_http_ampersand_peer_marked(void *data);
static void ngx_http_ampersand_peer_close(ngx_connection_t *c);


ngx_int_t
ngx_http_ampersand_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_peer_connection_t           *pc;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_peer_data_t  *peer;

    if (us->srv_conf == NULL || !r->upstream->ssl) {
        return NGX_OK;
    }

    ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (ascf->apis == ((ngx_uint_t) 1 << alcf->api)) {
        return NGX_OK;
    }

    peer = ngx_palloc(r->pool, sizeof(*peer));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    pc = &r->upstream->peer;

    peer->api = alcf->api;
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

    pc->set_session = ngx_http_ampersand_peer_no_session;
    pc->save_session = ngx_http_ampersand_peer_forget_session;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_peer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_ampersand_peer_data_t *peer = data;

    ngx_int_t            rc;
    ngx_pool_cleanup_t  *mark;

    rc = peer->get(pc, peer->data);

    if (rc != NGX_DONE || pc->connection == NULL) {
        return rc;
    }

    mark = ngx_http_ampersand_peer_mark(pc->connection);

    if (mark && *(ngx_uint_t *) mark->data == peer->api) {
        return rc;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "ampersand: kept connection was verified for another host");

    ngx_http_ampersand_peer_close(pc->connection);

    /* the address is set: ngx_event_connect_peer() connects to it */

    pc->connection = NULL;
    pc->cached = 0;

    return NGX_OK;
}


/* The balancer may keep the connection now. */

static void
ngx_http_ampersand_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_ampersand_peer_data_t *peer = data;

    ngx_connection_t    *c;
    ngx_pool_cleanup_t  *mark;

    c = pc->connection;

    if (c && c->pool && ngx_http_ampersand_peer_mark(c) == NULL) {
        mark = ngx_pool_cleanup_add(c->pool, sizeof(ngx_uint_t));

        /* without memory: no mark, so that it is not used again */

        if (mark) {
            mark->handler = ngx_http_ampersand_peer_marked;
            *(ngx_uint_t *) mark->data = peer->api;
        }
    }

    peer->free(pc, peer->data, state);
}


static void
ngx_http_ampersand_peer_notify(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_ampersand_peer_data_t *peer = data;

    peer->notify(pc, peer->data, type);
}


static ngx_int_t
ngx_http_ampersand_peer_no_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_http_ampersand_peer_forget_session(ngx_peer_connection_t *pc, void *data)
{
}


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
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}


#else

ngx_int_t
ngx_http_ampersand_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    return NGX_OK;
}

#endif
