#include "ngx_http_ampersand_lookup_limit.h"
#include "ngx_ampersand_log.h"
#include "amp_rate.h"


#define NGX_HTTP_AMPERSAND_LOOKUP_MAX   1024    /* under way in a worker      */
#define NGX_HTTP_AMPERSAND_LOOKUP_LOG   60      /* s between log lines        */


static const amp_rate_t  ngx_http_ampersand_lookup_limit_worker = {
    2000, 1, 4000
};

static const amp_rate_t  ngx_http_ampersand_lookup_limit_address = {
    1000, 1, 2000
};


#define ngx_http_ampersand_lookup_limit_now()                                 \
    ((uint64_t) ngx_current_msec * 1000000)


ngx_uint_t
ngx_http_ampersand_lookup_limit_place(ngx_http_request_t *r)
{
    u_char               *address;
    size_t                len;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif
    struct sockaddr_in   *sin;

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        address = (u_char *) &sin6->sin6_addr;
        len = 8;
        break;
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        address = (u_char *) &sin->sin_addr;
        len = sizeof(sin->sin_addr);
        break;

    default: /* AF_UNIX */
        return 0;
    }

    return ngx_murmur_hash2(address, len) % NGX_HTTP_AMPERSAND_LOOKUP_PLACES;
}


ngx_uint_t
ngx_http_ampersand_lookup_limit_admit(
    ngx_http_ampersand_lookup_limit_t *limit, ngx_uint_t place)
{
    uint64_t  now;

    now = ngx_http_ampersand_lookup_limit_now();

    if (limit->n < NGX_HTTP_AMPERSAND_LOOKUP_MAX
        && amp_rate_peek(&ngx_http_ampersand_lookup_limit_worker,
                         limit->worker, now) == 0
        && amp_rate_peek(&ngx_http_ampersand_lookup_limit_address,
                         limit->places[place], now) == 0)
    {
        return 1;
    }

    if (ngx_ampersand_log_due(&limit->logged, NGX_HTTP_AMPERSAND_LOOKUP_LOG)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ampersand: too many unknown tokens, some get 503 "
                      "without a look-up; tenants in the zone are served");
    }

    return 0;
}


void
ngx_http_ampersand_lookup_limit_charge(
    ngx_http_ampersand_lookup_limit_t *limit, ngx_uint_t place)
{
    uint64_t  now;

    now = ngx_http_ampersand_lookup_limit_now();

    (void) amp_rate_take(&ngx_http_ampersand_lookup_limit_worker,
                         &limit->worker, now);
    (void) amp_rate_take(&ngx_http_ampersand_lookup_limit_address,
                         &limit->places[place], now);
}
