#include "ngx_ampersand_resolver.h"


static ngx_int_t ngx_ampersand_resolver_literal(
    ngx_ampersand_resolver_t *resolver);
static ngx_int_t ngx_ampersand_resolver_query(
    ngx_ampersand_resolver_t *resolver, ngx_resolver_t *nginx,
    ngx_msec_t timeout);
static void ngx_ampersand_resolver_query_handler(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_ampersand_resolver_directive(
    ngx_ampersand_resolver_t *resolver);
static ngx_int_t ngx_ampersand_resolver_alloc(
    ngx_ampersand_resolver_t *resolver, ngx_uint_t n);
static void ngx_ampersand_resolver_add(ngx_ampersand_resolver_t *resolver,
    struct sockaddr *sockaddr, socklen_t socklen);
static void ngx_ampersand_resolver_order(ngx_ampersand_resolver_t *resolver);


ngx_int_t
ngx_ampersand_resolver_find(ngx_ampersand_resolver_t *resolver,
    ngx_ampersand_redis_conf_t *conf, const amp_redis_host_t *host,
    ngx_msec_t timeout, ngx_ampersand_resolver_pt handler, void *data)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    ngx_ampersand_resolver_clear(resolver);

    resolver->host = *host;
    resolver->handler = handler;
    resolver->data = data;
    resolver->directive = NULL;

    rc = ngx_ampersand_resolver_literal(resolver);

    if (rc == NGX_DECLINED) {

        /* by name only: Sentinels and nodes share hosts, not ports */

        for (i = 0; i < conf->nhosts; i++) {
            if (ngx_strcasecmp((u_char *) conf->hosts[i].host.host,
                               (u_char *) host->host)
                == 0)
            {
                resolver->directive = &conf->hosts[i];
                break;
            }
        }

        resolver->why = "has a name that cannot be resolved: add \"resolver\" "
                        "to http{}";

        if (conf->resolver && ngx_strncmp(host->host, "unix:", 5) != 0) {
            rc = ngx_ampersand_resolver_query(resolver, conf->resolver,
                                              timeout);

        } else {
            rc = ngx_ampersand_resolver_directive(resolver);
        }
    }

    if (rc == NGX_OK) {
        ngx_ampersand_resolver_order(resolver);
    }

    return rc;
}


ngx_ampersand_address_t *
ngx_ampersand_resolver_address(ngx_ampersand_resolver_t *resolver)
{
    return &resolver->addrs[(resolver->first + resolver->tried)
                            % resolver->naddrs];
}


ngx_uint_t
ngx_ampersand_resolver_more(ngx_ampersand_resolver_t *resolver)
{
    return resolver->tried + 1 < resolver->naddrs;
}


ngx_int_t
ngx_ampersand_resolver_next(ngx_ampersand_resolver_t *resolver)
{
    if (!ngx_ampersand_resolver_more(resolver)) {
        return NGX_DECLINED;
    }

    resolver->tried++;

    return NGX_OK;
}


void
ngx_ampersand_resolver_worked(ngx_ampersand_resolver_t *resolver)
{
    resolver->worked = *ngx_ampersand_resolver_address(resolver);
    resolver->begin = 0;
}


void
ngx_ampersand_resolver_failed(ngx_ampersand_resolver_t *resolver)
{
    if (resolver->naddrs) {
        resolver->begin = (resolver->first + 1) % resolver->naddrs + 1;
    }
}


void
ngx_ampersand_resolver_clear(ngx_ampersand_resolver_t *resolver)
{
    if (resolver->ctx) {
        ngx_resolve_name_done(resolver->ctx);
        resolver->ctx = NULL;
    }

    if (resolver->addrs) {
        ngx_free(resolver->addrs);
        resolver->addrs = NULL;
    }

    resolver->naddrs = 0;
    resolver->tried = 0;
}


/* NGX_DECLINED: the host is no IP address. */

static ngx_int_t
ngx_ampersand_resolver_literal(ngx_ampersand_resolver_t *resolver)
{
    u_char              *text;
    size_t               len;
    socklen_t            socklen;
    in_addr_t            addr;
    ngx_sockaddr_t       sa;

    text = (u_char *) resolver->host.host;
    len = ngx_strlen(text);
    socklen = 0;

    ngx_memzero(&sa, sizeof(sa));

    addr = ngx_inet_addr(text, len);

    if (addr != INADDR_NONE) {
        sa.sockaddr_in.sin_family = AF_INET;
        sa.sockaddr_in.sin_addr.s_addr = addr;
        socklen = sizeof(struct sockaddr_in);
    }

#if (NGX_HAVE_INET6)
    if (socklen == 0
        && ngx_inet6_addr(text, len, sa.sockaddr_in6.sin6_addr.s6_addr)
           == NGX_OK)
    {
        sa.sockaddr_in6.sin6_family = AF_INET6;
        socklen = sizeof(struct sockaddr_in6);
    }
#endif

    if (socklen == 0) {
        return NGX_DECLINED;
    }

    if (ngx_ampersand_resolver_alloc(resolver, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_ampersand_resolver_add(resolver, &sa.sockaddr, socklen);

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_resolver_query(ngx_ampersand_resolver_t *resolver,
    ngx_resolver_t *nginx, ngx_msec_t timeout)
{
    ngx_resolver_ctx_t  *ctx;

    ctx = ngx_resolve_start(nginx, NULL);

    /* without "resolver" http{} has one without name servers */

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return ngx_ampersand_resolver_directive(resolver);
    }

    resolver->why = "has a name that the resolver of http{} does not resolve";

    ctx->name.data = (u_char *) resolver->host.host;
    ctx->name.len = ngx_strlen(resolver->host.host);
    ctx->handler = ngx_ampersand_resolver_query_handler;
    ctx->data = resolver;
    ctx->timeout = resolver->directive ? ngx_max(timeout / 2, 1) : timeout;
    ctx->cancelable = 1;

    resolver->ctx = ctx;
    resolver->finding = 1;

    /* calls the handler at once where the name is cached */

    if (ngx_resolve_name(ctx) != NGX_OK) {
        resolver->ctx = NULL;
    }

    resolver->finding = 0;

    if (resolver->ctx) {
        return NGX_AGAIN;
    }

    return resolver->naddrs ? NGX_OK
                            : ngx_ampersand_resolver_directive(resolver);
}


static void
ngx_ampersand_resolver_query_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_ampersand_resolver_t  *resolver;

    resolver = ctx->data;

    if (ctx->state == NGX_OK && ctx->naddrs
        && ngx_ampersand_resolver_alloc(resolver, ctx->naddrs) == NGX_OK)
    {
        for (i = 0; i < ctx->naddrs; i++) {
            ngx_ampersand_resolver_add(resolver, ctx->addrs[i].sockaddr,
                                       ctx->addrs[i].socklen);
        }
    }

    resolver->ctx = NULL;
    ngx_resolve_name_done(ctx);

    if (resolver->finding) {
        return;
    }

    rc = resolver->naddrs ? NGX_OK : ngx_ampersand_resolver_directive(resolver);

    if (rc == NGX_OK) {
        ngx_ampersand_resolver_order(resolver);
    }

    resolver->handler(resolver->data, rc);
}


static ngx_int_t
ngx_ampersand_resolver_directive(ngx_ampersand_resolver_t *resolver)
{
    ngx_uint_t                   i;
    ngx_ampersand_redis_host_t  *directive;

    directive = resolver->directive;

    if (directive == NULL
        || ngx_ampersand_resolver_alloc(resolver, directive->naddrs) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < directive->naddrs; i++) {
        ngx_ampersand_resolver_add(resolver, directive->addrs[i].sockaddr,
                                   directive->addrs[i].socklen);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_resolver_alloc(ngx_ampersand_resolver_t *resolver, ngx_uint_t n)
{
    resolver->addrs = ngx_alloc(n * sizeof(*resolver->addrs), resolver->log);

    if (resolver->addrs == NULL) {
        resolver->why = "cannot be resolved, no memory";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_ampersand_resolver_add(ngx_ampersand_resolver_t *resolver,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_ampersand_address_t  *address;

    address = &resolver->addrs[resolver->naddrs++];

    ngx_memcpy(&address->sockaddr, sockaddr, socklen);
    address->socklen = socklen;

    if (sockaddr->sa_family != AF_UNIX) {
        ngx_inet_set_port(&address->sockaddr.sockaddr,
                          (in_port_t) resolver->host.port);
    }
}


/* Chooses the address to begin with. */

static void
ngx_ampersand_resolver_order(ngx_ampersand_resolver_t *resolver)
{
    ngx_uint_t                i;
    ngx_ampersand_address_t  *address, *worked;

    worked = &resolver->worked;
    resolver->tried = 0;
    resolver->first = 0;

    if (resolver->begin) {
        /* a host has one address at least */
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
        resolver->first = (resolver->begin - 1) % resolver->naddrs;
        return;
    }

    if (worked->socklen == 0) {
        return;
    }

    for (i = 0; i < resolver->naddrs; i++) {
        address = &resolver->addrs[i];

        if (ngx_cmp_sockaddr(&address->sockaddr.sockaddr, address->socklen,
                             &worked->sockaddr.sockaddr, worked->socklen, 1)
            == NGX_OK)
        {
            resolver->first = i;
            return;
        }
    }
}
