#include "ngx_http_ampersand_figures.h"
#include "zone/ngx_ampersand_clock.h"


ngx_uint_t
ngx_http_ampersand_figures(ngx_http_ampersand_main_conf_t *amcf,
    ngx_http_ampersand_figure_t *f)
{
    int64_t                     clock;
    ngx_uint_t                  i, up, degraded, workers, max;
    ngx_core_conf_t            *ccf;
    ngx_ampersand_counters_t   *c;
    ngx_ampersand_zone_stat_t   zone;

    c = ngx_ampersand_zone_counters(amcf->zone);
    ngx_ampersand_zone_stat(amcf->zone, &zone);

    up = 0;
    degraded = 0;
    workers = 0;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);
    max = ngx_min((ngx_uint_t) ccf->worker_processes, NGX_AMPERSAND_WORKERS);

    for (i = 0; i < max; i++) {
        workers += (c->up[i] != 0);
        up += (c->up[i] == NGX_AMPERSAND_REDIS_UP);
        degraded += (c->up[i] == NGX_AMPERSAND_REDIS_DEGRADED);
    }

    (void) ngx_ampersand_clock_ahead(amcf->zone, &clock);

    i = 0;
    ngx_memzero(f, NGX_HTTP_AMPERSAND_FIGURES * sizeof(*f));

#define ngx_http_ampersand_figure(n, t, h, v)                                 \
    f[i].name = n; f[i].type = t; f[i].help = h; f[i++].value = v

    ngx_http_ampersand_figure("redis_links_up", "gauge",
                              "Workers whose link to Redis is up", up);
    ngx_http_ampersand_figure("redis_links", "gauge",
                              "Workers that have a link to Redis", workers);
    ngx_http_ampersand_figure("redis_degraded", "gauge",
                              "Workers for which Redis, or a part of its "
                              "cluster, is out of reach", degraded);
    ngx_http_ampersand_figure("redis_events_up", "gauge",
                              "1 while subscribed to invalidations",
                              c->events_up);
    ngx_http_ampersand_figure("redis_clock_ahead_seconds", "gauge",
                              "How far the gateway's clock is ahead of that "
                              "of Redis", (ngx_atomic_uint_t) clock);
    f[i - 1].milli = 1;

    ngx_http_ampersand_figure("redis_connects_total", "counter",
                              "Attempts to connect to Redis",
                              c->redis.connects);
    ngx_http_ampersand_figure("redis_failures_total", "counter",
                              "Links lost and attempts failed",
                              c->redis.failures);
    ngx_http_ampersand_figure("redis_timeouts_total", "counter",
                              "Replies that did not come in time",
                              c->redis.timeouts);
    ngx_http_ampersand_figure("redis_commands_total", "counter",
                              "Commands sent to Redis", c->redis.commands);
    ngx_http_ampersand_figure("redis_moves_total", "counter",
                              "Links that went to another master",
                              c->redis.moves);
    ngx_http_ampersand_figure("redis_redirects_total", "counter",
                              "Redirects of a cluster that were followed",
                              c->redis.redirects);
    ngx_http_ampersand_figure("redis_slot_maps_total", "counter",
                              "Slot maps requested", c->redis.refreshes);
    ngx_http_ampersand_figure("events_total", "counter",
                              "Invalidations received", c->events);
    ngx_http_ampersand_figure("events_missed_total", "counter",
                              "Times that the subscription was lost, so that "
                              "invalidations may have been missed",
                              c->events_missed);
    ngx_http_ampersand_figure("frozen_classes", "gauge",
                              "Classes of operations that are frozen for all "
                              "tenants",
                              (ngx_uint_t) __builtin_popcountl(
                                      ngx_ampersand_zone_frozen(amcf->zone)));
    ngx_http_ampersand_figure("lookups_total", "counter",
                              "Look-ups of a tenant in Redis", c->lookups);
    ngx_http_ampersand_figure("lookup_failures_total", "counter",
                              "Look-ups without an answer from Redis",
                              c->lookup_failures);
    ngx_http_ampersand_figure("records_lost_total", "counter",
                              "Tokens and tenants that Redis has lost without "
                              "an event", c->records_lost);
    ngx_http_ampersand_figure("lookups_refused_total", "counter",
                              "Look-ups not made, above the look-up limit",
                              c->lookups_refused);
    ngx_http_ampersand_figure("stale_tenants_served_total", "counter",
                              "Requests served with a stale record since "
                              "Redis did not answer", c->stale_served);
    ngx_http_ampersand_figure("cache_hits_total", "counter",
                              "Requests answered from the cache",
                              c->cache_hits);
    ngx_http_ampersand_figure("upstream_requests_total", "counter",
                              "Requests answered by Ampersand", c->upstream);
    ngx_http_ampersand_figure("observed_total", "counter",
                              "Requests that passed only because of "
                              "ampersand_observe", c->observed);
    ngx_http_ampersand_figure("preflights_total", "counter",
                              "Preflights of browsers that ampersand_cors "
                              "answered", c->preflights);
    ngx_http_ampersand_figure("limits_degraded", "gauge",
                              "1 while limits are held without Redis",
                              ngx_ampersand_lease_degraded(amcf->zone));
    ngx_http_ampersand_figure("lease_calls_total", "counter",
                              "Calls for leases", c->lease_calls);
    ngx_http_ampersand_figure("lease_failures_total", "counter",
                              "Calls for leases without an answer",
                              c->lease_failures);
    ngx_http_ampersand_figure("lease_units_total", "counter",
                              "Units of limits that were leased",
                              c->lease_units);
    ngx_http_ampersand_figure("lease_units_returned_total", "counter",
                              "Leased units that were handed back",
                              c->lease_returned);
    ngx_http_ampersand_figure("lease_units_lapsed_total", "counter",
                              "Leased units that were neither spent nor "
                              "handed back", c->lease_lapsed);
    ngx_http_ampersand_figure("limit_fallbacks_total", "counter",
                              "Requests decided on by "
                              "ampersand_limit_fallback", c->limit_fallbacks);
    ngx_http_ampersand_figure("cooldowns_total", "counter",
                              "Cool-downs begun by a 429 of Ampersand",
                              c->cooldowns);
    ngx_http_ampersand_figure("upstream_suspensions_total", "counter",
                              "Times that a host of Ampersand was suspended",
                              c->suspensions);
    ngx_http_ampersand_figure("upstream_platform_suspended", "gauge",
                              "1 while the host of the platform API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                           AMP_API_PLATFORM));
    ngx_http_ampersand_figure("upstream_read_suspended", "gauge",
                              "1 while the host of the read API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_READ));
    ngx_http_ampersand_figure("upstream_write_suspended", "gauge",
                              "1 while the host of the write API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_WRITE));
    ngx_http_ampersand_figure("upstream_search_suspended", "gauge",
                              "1 while the host of the search API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                             AMP_API_SEARCH));
    ngx_http_ampersand_figure("upstream_proxy_suspended", "gauge",
                              "1 while the host of the proxy API gets no "
                              "requests",
                              ngx_ampersand_breaker_count(amcf->zone,
                                                               AMP_API_PROXY));
    ngx_http_ampersand_figure("zone_size_bytes", "gauge",
                              "Size of the zone", zone.size);
    ngx_http_ampersand_figure("zone_free_bytes", "gauge",
                              "Free pages of the zone", zone.free_bytes);
    ngx_http_ampersand_figure("zone_tenants", "gauge",
                              "Tenants in the zone", zone.tenants);
    ngx_http_ampersand_figure("zone_tokens", "gauge",
                              "Tokens in the zone", zone.tokens);
    ngx_http_ampersand_figure("zone_unknown_tokens", "gauge",
                              "Tokens and tenants that do not exist",
                              zone.negative);
    ngx_http_ampersand_figure("zone_evictions_total", "counter",
                              "Entries evicted from the zone",
                              c->evictions);
    ngx_http_ampersand_figure("zone_no_memory_total", "counter",
                              "Entries not stored, the zone had no room",
                              c->no_memory);

    return i;
}


void
ngx_http_ampersand_figure_write(ngx_http_ampersand_text_t *text,
    const ngx_http_ampersand_figure_t *f)
{
    ngx_atomic_int_t  n;

    n = (ngx_atomic_int_t) f->value;

    if (!f->milli) {
        ngx_http_ampersand_text(text, "%uA", f->value);
        return;
    }

    ngx_http_ampersand_text(text, "%s%A.%03A", n < 0 ? "-" : "",
                            ngx_abs(n) / 1000, ngx_abs(n) % 1000);
}
