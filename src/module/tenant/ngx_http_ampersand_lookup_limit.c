#include "ngx_http_ampersand_lookup.h"
#include "amp_rate.h"


/*
 * Made-up tokens must cost Redis a bounded number of look-ups, and nothing in a
 * token tells a made-up one from one that this machine has not met yet.  So
 * those look-ups are charged that come to nothing: so many a second for one
 * client address, and for the whole worker; and those under way are counted.
 * Who is over gets 503 with Retry-After, which is what can be said of a token
 * that nobody has asked for.
 *
 * Never charged nor refused: tokens known here, also where their records have
 * changed, run out or were pushed out in part; tokens that turn out real, so
 * that a gateway may start into the traffic of all its tenants.  A new token
 * suffers only from a flood of its own address, or of so many that the worker
 * is over; then it shares what is left by chance, and comes through on a later
 * try.
 *
 * Addresses share NGX_HTTP_AMPERSAND_PLACES places by hash; an IPv6 address
 * counts by its /64.  Behind a balancer "set_real_ip_from" tells them apart.
 */


#define NGX_HTTP_AMPERSAND_STRANGERS  1024      /* under way, a worker        */
#define NGX_HTTP_AMPERSAND_TOLD       60        /* s between lines in the log */


static const amp_rate_t  ngx_http_ampersand_lookup_limit_worker = { 2000, 1, 4000 };
static const amp_rate_t  ngx_http_ampersand_lookup_limit_address = {
    1000, 1, 2000
};


#define ngx_http_ampersand_lookup_limit_now()                                     \
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

    return ngx_murmur_hash2(address, len) % NGX_HTTP_AMPERSAND_PLACES;
}


ngx_uint_t
ngx_http_ampersand_lookup_limit_admit(ngx_http_ampersand_main_conf_t *amcf,
    ngx_uint_t place)
{
    uint64_t                          now;
    ngx_http_ampersand_lookup_limit_t   *strangers;

    strangers = &amcf->strangers;
    now = ngx_http_ampersand_lookup_limit_now();

    if (strangers->n < NGX_HTTP_AMPERSAND_STRANGERS
        && amp_rate_peek(&ngx_http_ampersand_lookup_limit_worker,
                         strangers->worker, now) == 0
        && amp_rate_peek(&ngx_http_ampersand_lookup_limit_address,
                         strangers->places[place], now) == 0)
    {
        return 1;
    }

    ngx_http_ampersand_count_up(amcf, lookups_refused);

    if (ngx_time() - strangers->told >= NGX_HTTP_AMPERSAND_TOLD) {
        strangers->told = ngx_time();
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ampersand: too many unknown tokens, some get 503 "
                      "without a look-up; known tenants are served");
    }

    return 0;
}


void
ngx_http_ampersand_lookup_limit_charge(ngx_http_ampersand_main_conf_t *amcf,
    ngx_uint_t place)
{
    uint64_t  now;

    now = ngx_http_ampersand_lookup_limit_now();

    (void) amp_rate_take(&ngx_http_ampersand_lookup_limit_worker,
                         &amcf->strangers.worker, now);
    (void) amp_rate_take(&ngx_http_ampersand_lookup_limit_address,
                         &amcf->strangers.places[place], now);
}
