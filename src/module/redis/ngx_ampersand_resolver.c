#include "ngx_ampersand_resolver.h"


static ngx_int_t ngx_ampersand_resolver_literal(
    ngx_ampersand_resolver_t *address);
static ngx_int_t ngx_ampersand_resolver_known(ngx_ampersand_resolver_t *address);
static void ngx_ampersand_resolver_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_ampersand_resolver_set(ngx_ampersand_resolver_t *address,
    struct sockaddr *sockaddr, socklen_t socklen);


ngx_int_t
ngx_ampersand_resolver_find(ngx_ampersand_resolver_t *address,
    ngx_ampersand_redis_conf_t *conf, const amp_redis_host_t *host,
    ngx_ampersand_resolver_pt handler, void *data)
{
    ngx_uint_t           i;
    ngx_resolver_ctx_t  *ctx;

    address->host = *host;
    address->handler = handler;
    address->data = data;
    address->known = NULL;
    address->socklen = 0;

    if (ngx_ampersand_resolver_literal(address) == NGX_OK) {
        return NGX_OK;
    }

    /* the port may be another one: Sentinels and nodes share hosts */

    for (i = 0; i < conf->nhosts; i++) {
        if (ngx_strcasecmp((u_char *) conf->hosts[i].host.host,
                           (u_char *) host->host)
            == 0)
        {
            address->known = &conf->hosts[i];
            break;
        }
    }

    if (conf->resolver == NULL || ngx_strncmp(host->host, "unix:", 5) == 0) {
        return ngx_ampersand_resolver_known(address);
    }

    ctx = ngx_resolve_start(conf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return ngx_ampersand_resolver_known(address);
    }

    ctx->name.data = (u_char *) address->host.host;
    ctx->name.len = ngx_strlen(address->host.host);
    ctx->handler = ngx_ampersand_resolver_resolved;
    ctx->data = address;
    ctx->timeout = conf->timeout;
    ctx->cancelable = 1;

    /* the resolver may know, and call at once */

    address->ctx = ctx;
    address->calling = 1;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        address->ctx = NULL;
    }

    address->calling = 0;

    if (address->ctx) {
        return NGX_AGAIN;
    }

    return address->socklen ? NGX_OK : ngx_ampersand_resolver_known(address);
}


void
ngx_ampersand_resolver_cancel(ngx_ampersand_resolver_t *address)
{
    if (address->ctx) {
        ngx_resolve_name_done(address->ctx);
        address->ctx = NULL;
    }
}


static ngx_int_t
ngx_ampersand_resolver_literal(ngx_ampersand_resolver_t *address)
{
    u_char              *text;
    size_t               len;
    in_addr_t            addr;
    struct sockaddr_in   sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  sin6;
#endif

    text = (u_char *) address->host.host;
    len = ngx_strlen(text);

    addr = ngx_inet_addr(text, len);

    if (addr != INADDR_NONE) {
        ngx_memzero(&sin, sizeof(sin));
        sin.sin_family = AF_INET;
        sin.sin_addr.s_addr = addr;
        ngx_ampersand_resolver_set(address, (struct sockaddr *) &sin,
                                  sizeof(sin));
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)
    ngx_memzero(&sin6, sizeof(sin6));

    if (ngx_inet6_addr(text, len, sin6.sin6_addr.s6_addr) == NGX_OK) {
        sin6.sin6_family = AF_INET6;
        ngx_ampersand_resolver_set(address, (struct sockaddr *) &sin6,
                                  sizeof(sin6));
        return NGX_OK;
    }
#endif

    return NGX_DECLINED;
}


static ngx_int_t
ngx_ampersand_resolver_known(ngx_ampersand_resolver_t *address)
{
    ngx_addr_t  *addr;

    if (address->known == NULL) {
        address->why = "is named, not addressed, and its name cannot be "
                       "resolved: add \"resolver\" to http{}";
        return NGX_ERROR;
    }

    addr = &address->known->addrs[address->turn % address->known->naddrs];
    ngx_ampersand_resolver_set(address, addr->sockaddr, addr->socklen);

    return NGX_OK;
}


static void
ngx_ampersand_resolver_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_resolver_addr_t      *addr;
    ngx_ampersand_resolver_t  *address;

    address = ctx->data;

    if (ctx->state == NGX_OK && ctx->naddrs) {
        addr = &ctx->addrs[address->turn % ctx->naddrs];
        ngx_ampersand_resolver_set(address, addr->sockaddr, addr->socklen);
    }

    address->ctx = NULL;
    ngx_resolve_name_done(ctx);

    if (address->calling) {
        return;
    }

    rc = address->socklen ? NGX_OK : ngx_ampersand_resolver_known(address);

    address->handler(address->data, rc);
}


static void
ngx_ampersand_resolver_set(ngx_ampersand_resolver_t *address,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_memcpy(&address->sockaddr, sockaddr, socklen);
    address->socklen = socklen;

    if (sockaddr->sa_family != AF_UNIX) {
        ngx_inet_set_port(&address->sockaddr.sockaddr,
                          (in_port_t) address->host.port);
    }
}
