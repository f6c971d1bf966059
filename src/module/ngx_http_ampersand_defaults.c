#include "ngx_http_ampersand_defaults.h"
#include "ngx_http_ampersand_settings.h"
#include "request/ngx_http_ampersand_location.h"
#include "request/ngx_http_ampersand_log.h"


#define NGX_HTTP_AMPERSAND_BODY_MAX  (10 * 1024 * 1024)


static char *ngx_http_ampersand_logs(ngx_conf_t *cf);
static char *ngx_http_ampersand_check(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);
static char *ngx_http_ampersand_lifetimes(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);


void *
ngx_http_ampersand_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_pcalloc(cf->pool, sizeof(*amcf));
    if (amcf == NULL) {
        return NULL;
    }

    amcf->limit.fallback = NGX_CONF_UNSET_UINT;
    amcf->status_tenants = NGX_CONF_UNSET;
    amcf->tenant_ttl = NGX_CONF_UNSET_MSEC;
    amcf->tenant_grace = NGX_CONF_UNSET_MSEC;

    return amcf;
}


char *
ngx_http_ampersand_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_ampersand_main_conf_t *amcf = conf;

    ngx_conf_init_uint_value(amcf->limit.fallback, NGX_AMPERSAND_LEASE_LOCAL);
    ngx_conf_init_msec_value(amcf->tenant_ttl, 60000);
    ngx_conf_init_msec_value(amcf->tenant_grace, 3600000);

    ngx_conf_init_value(amcf->status_tenants, NGX_AMPERSAND_METRICS_TENANTS);

    if (amcf->zone == NULL) {
        return NGX_CONF_OK;
    }

    amcf->zone->ttl = amcf->tenant_ttl;
    amcf->zone->grace = amcf->tenant_grace;

    amcf->metrics = ngx_ampersand_metrics_create(cf,
                                           (ngx_uint_t) amcf->status_tenants,
                                           &ngx_http_ampersand_module);
    if (amcf->metrics == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_ampersand_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_ampersand_srv_conf_t));
}


void *
ngx_http_ampersand_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_pcalloc(cf->pool, sizeof(*alcf));
    if (alcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     alcf->upstream = { 0, NULL };
     *     alcf->address = { 0, NULL };
     *     alcf->cache_key = { 0, NULL };
     *     alcf->ttl = NULL;
     *     alcf->ttl_missing = 0;
     */

    alcf->api = NGX_CONF_UNSET_UINT;
    alcf->identity = NGX_CONF_UNSET_PTR;
    alcf->cors = NGX_CONF_UNSET_PTR;
    alcf->observe = NGX_CONF_UNSET;
    alcf->suspend = NGX_CONF_UNSET;
    alcf->limit_hits = NGX_CONF_UNSET;
    alcf->limit_headers = NGX_CONF_UNSET_UINT;
    alcf->body_max = NGX_CONF_UNSET;
    alcf->ttls = NGX_CONF_UNSET_PTR;
    alcf->stale = NGX_CONF_UNSET;
    alcf->stale_error = NGX_CONF_UNSET;

    return alcf;
}


char *
ngx_http_ampersand_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ampersand_loc_conf_t *prev = parent;
    ngx_http_ampersand_loc_conf_t *conf = child;

    u_char                    *p;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* an "if" has a configuration of its own, and changes its location's URI */

    prev->rewrites |= (conf->rewrites && clcf->noname);

    ngx_conf_merge_uint_value(conf->api, prev->api, NGX_HTTP_AMPERSAND_OFF);

    if (conf->file == NULL) {
        conf->file = prev->file;
        conf->line = prev->line;
    }

    ngx_conf_merge_str_value(conf->upstream, prev->upstream, "");
    ngx_conf_merge_str_value(conf->cache_key, prev->cache_key, "");
    ngx_conf_merge_ptr_value(conf->identity, prev->identity, NULL);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);
    ngx_conf_merge_value(conf->observe, prev->observe, 0);
    ngx_conf_merge_value(conf->suspend, prev->suspend, 1);
    ngx_conf_merge_value(conf->limit_hits, prev->limit_hits, 0);
    ngx_conf_merge_uint_value(conf->limit_headers, prev->limit_headers,
                              NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ON);
    ngx_conf_merge_off_value(conf->body_max, prev->body_max,
                             NGX_HTTP_AMPERSAND_BODY_MAX);
    ngx_conf_merge_ptr_value(conf->ttls, prev->ttls, NULL);
    ngx_conf_merge_sec_value(conf->stale, prev->stale,
                             NGX_HTTP_AMPERSAND_CACHE_STALE_DEFAULT);
    ngx_conf_merge_sec_value(conf->stale_error, prev->stale_error,
                             NGX_HTTP_AMPERSAND_CACHE_STALE_ERROR);

    if (ngx_http_ampersand_logs(cf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->api == NGX_HTTP_AMPERSAND_OFF) {
        return NGX_CONF_OK;
    }

    if (conf->upstream.len == 0) {
        ngx_str_set(&conf->upstream, "https://");
    }

    if (conf->upstream.data[conf->upstream.len - 1] == '/') {
        p = ngx_pnalloc(cf->pool, conf->upstream.len + 64);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        conf->upstream.len = ngx_sprintf(p, "%V%s", &conf->upstream,
                                         amp_api_host(conf->api)) - p;
        conf->upstream.data = p;
    }

    conf->skip = prev->skip;
    conf->host = prev->host;
    ngx_http_ampersand_location_conf(cf, conf);

    conf->settings = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf;

    /* within another gateway location that one's settings are inherited */

    if (prev->api == NGX_HTTP_AMPERSAND_OFF
        && ngx_http_ampersand_settings_pin(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ampersand_check(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_ampersand_lifetimes(cf, conf);
}


/*
 * Each server{} can get a client's token, before nginx knows whose it is; and
 * each location{} of a gateway's server a client that has none.
 */

static char *
ngx_http_ampersand_logs(ngx_conf_t *cf)
{
    ngx_str_t                        html = ngx_string("html");
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);
    ascf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ampersand_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* nginx's default, where nothing of a gateway's is */

    if (ngx_conf_full_name(cf->cycle, &html, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (clcf->name.len == 0 && !clcf->noname) {
        ascf->rootless = (clcf->root.len == html.len
                          && ngx_memcmp(clcf->root.data, html.data, html.len)
                             == 0);
    }

    if (amcf->used && ngx_http_ampersand_log_conf(cf, &clcf->error_log,
                                                  ascf->gateway)
                      != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Checks what a gateway location needs from http{} and server{}. */

static char *
ngx_http_ampersand_check(ngx_conf_t *cf, ngx_http_ampersand_loc_conf_t *alcf)
{
    const char                       *missing;
    ngx_http_core_srv_conf_t         *cscf;
    ngx_http_ampersand_loc_conf_t   **checked;
    ngx_http_ampersand_main_conf_t   *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);
    missing = NULL;

    if (amcf->zone == NULL) {
        missing = "ampersand_zone 16m";

    } else if (amcf->redis_conf == NULL) {
        missing = "ampersand_redis redis://127.0.0.1:6379/0";

    } else if (amcf->keyring == NULL) {
        missing = "ampersand_master_key /etc/ampersand/master.key";
    }

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ampersand\" in %s:%ui needs, in http{}, for example "
                      "\"%s;\"", alcf->file, alcf->line, missing);
        return NGX_CONF_ERROR;
    }

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (cscf->underscores_in_headers == 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ampersand\" in %s:%ui: with \"underscores_in_headers "
                      "on\" X_Amp_Project_Id would pass for another header, "
                      "write \"off\"", alcf->file, alcf->line);
        return NGX_CONF_ERROR;
    }

    if (ngx_ampersand_body_early(cscf)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"ampersand\" in %s:%ui: with "
                      "\"client_body_early_read\" anybody could send a body, "
                      "remove it from server{} and http{}",
                      alcf->file, alcf->line);
        return NGX_CONF_ERROR;
    }

    /* upstream{} blocks may follow, so the check comes after them */

    if (amcf->upstreams == NULL) {
        amcf->upstreams = ngx_array_create(cf->pool, 5, sizeof(alcf));
        if (amcf->upstreams == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    checked = ngx_array_push(amcf->upstreams);
    if (checked == NULL) {
        return NGX_CONF_ERROR;
    }

    *checked = alcf;

    return NGX_CONF_OK;
}


static char *
ngx_http_ampersand_lifetimes(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    size_t                     n;
    ngx_uint_t                 i, j, rank, best;
    const amp_operation_t     *op;
    ngx_http_ampersand_ttl_t  *ttl;

    op = amp_operations(&n);

    alcf->ttl = ngx_pcalloc(cf->pool, n * sizeof(*alcf->ttl));
    if (alcf->ttl == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < n; i++) {
        alcf->ttl[i] = op[i].ttl;
    }

    if (alcf->ttls == NULL) {
        return NGX_CONF_OK;
    }

    ttl = alcf->ttls->elts;

    for (i = 0; i < n; i++) {
        best = 0;

        for (j = 0; j < alcf->ttls->nelts; j++) {
            rank = amp_lifetime_rank(ngx_ampersand_span(ttl[j].name),
                                     &op[i]);
            if (rank > best) {
                best = rank;
                alcf->ttl[i] = (uint32_t) ttl[j].ttl;
            }

            if (ttl[j].missing) {
                alcf->ttl_missing = ttl[j].ttl;
            }
        }
    }

    return NGX_CONF_OK;
}
