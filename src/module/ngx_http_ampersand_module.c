#include "ngx_http_ampersand_defaults.h"
#include "ngx_http_ampersand_directives.h"
#include "ngx_http_ampersand_private.h"
#include "ngx_http_ampersand_reach.h"
#include "ngx_http_ampersand_settings.h"
#include "ngx_http_ampersand_worker.h"
#include "limit/ngx_http_ampersand_limit_headers.h"
#include "request/ngx_http_ampersand_access.h"
#include "request/ngx_http_ampersand_body.h"
#include "request/ngx_http_ampersand_cors.h"
#include "request/ngx_http_ampersand_location.h"
#include "request/ngx_http_ampersand_log.h"
#include "request/ngx_http_ampersand_send.h"
#include "request/ngx_http_ampersand_trace.h"
#include "request/ngx_http_ampersand_variables.h"
#include "status/ngx_http_ampersand_account.h"
#include "status/ngx_http_ampersand_ready.h"
#include "status/ngx_http_ampersand_status.h"
#include "amp_path.h"


static char *ngx_http_ampersand_check_upstream(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);
static ngx_int_t ngx_http_ampersand_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ampersand_registry(ngx_conf_t *cf,
    ngx_http_ampersand_main_conf_t *amcf);
static ngx_int_t ngx_http_ampersand_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_ampersand_handler(ngx_conf_t *cf,
    ngx_http_phases phase, ngx_http_handler_pt handler);


static ngx_conf_enum_t  ngx_http_ampersand_limit_header_sets[] = {
    { ngx_string("off"), NGX_HTTP_AMPERSAND_LIMIT_HEADERS_OFF },
    { ngx_string("on"), NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ON },
    { ngx_string("all"), NGX_HTTP_AMPERSAND_LIMIT_HEADERS_ALL },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_ampersand_limit_fallbacks[] = {
    { ngx_string("local"), NGX_AMPERSAND_LEASE_LOCAL },
    { ngx_string("allow"), NGX_AMPERSAND_LEASE_ALLOW },
    { ngx_string("deny"), NGX_AMPERSAND_LEASE_DENY },
    { ngx_null_string, 0 }
};


static ngx_conf_num_bounds_t  ngx_http_ampersand_status_tenants_bounds = {
    ngx_conf_check_num_bounds, 1, NGX_AMPERSAND_METRICS_TENANTS_MAX
};


static ngx_command_t  ngx_http_ampersand_commands[] = {

    { ngx_string("ampersand_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ampersand_set_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_master_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_master_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_tenant_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ampersand_main_conf_t, tenant_ttl),
      NULL },

    { ngx_string("ampersand_tenant_grace"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ampersand_main_conf_t, tenant_grace),
      NULL },

    { ngx_string("ampersand"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("proxy_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_word,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, address),
      NULL },

    { ngx_string("proxy_cache_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_word,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, cache_key),
      NULL },

    { ngx_string("rewrite"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_SIF_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
      |NGX_CONF_TAKE23,
      ngx_http_ampersand_set_rewrite,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_upstream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ampersand_set_upstream,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ampersand_ready,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_server"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_http_ampersand_set_server,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_identity"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_ampersand_set_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ampersand_set_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_observe"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, observe),
      NULL },

    { ngx_string("ampersand_limit_default"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_ampersand_set_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_limit_fallback"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ampersand_main_conf_t, limit.fallback),
      &ngx_http_ampersand_limit_fallbacks },

    { ngx_string("ampersand_suspend"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, suspend),
      NULL },

    { ngx_string("ampersand_limit_hits"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, limit_hits),
      NULL },

    { ngx_string("ampersand_limit_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, limit_headers),
      &ngx_http_ampersand_limit_header_sets },

    { ngx_string("ampersand_body_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_off_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ampersand_loc_conf_t, body_max),
      NULL },

    { ngx_string("ampersand_cache_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_ampersand_set_ttl,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_cache_stale"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_ampersand_set_stale,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ampersand_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ampersand_status_tenants"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ampersand_main_conf_t, status_tenants),
      &ngx_http_ampersand_status_tenants_bounds },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ampersand_module_ctx = {
    ngx_http_ampersand_add_variables,      /* preconfiguration */
    ngx_http_ampersand_init,               /* postconfiguration */

    ngx_http_ampersand_create_main_conf,   /* create main configuration */
    ngx_http_ampersand_init_main_conf,     /* init main configuration */

    ngx_http_ampersand_create_srv_conf,    /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ampersand_create_loc_conf,    /* create location configuration */
    ngx_http_ampersand_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_ampersand_module = {
    NGX_MODULE_V1,
    &ngx_http_ampersand_module_ctx,        /* module context */
    ngx_http_ampersand_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_ampersand_init_module,        /* init module */
    ngx_http_ampersand_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ampersand_exit_process,       /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * The key is sent to this upstream{} only, and keepalive stands in it, so the
 * upstream of a gateway location has to be one.
 */

static char *
ngx_http_ampersand_check_upstream(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    u_char                          *name;
    size_t                           len;
    ngx_str_t                       *upstream;
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_upstream_main_conf_t   *umcf;

    upstream = &alcf->upstream;
    name = ngx_strlchr(upstream->data, upstream->data + upstream->len, '/') + 2;
    len = upstream->data + upstream->len - name;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if (us[i]->srv_conf && us[i]->host.len == len
            && ngx_strncasecmp(us[i]->host.data, name, len) == 0)
        {
            alcf->schema = name - upstream->data;
            alcf->target = us[i];

            ascf = ngx_http_conf_upstream_srv_conf(us[i],
                                                   ngx_http_ampersand_module);
            ascf->apis |= (ngx_uint_t) 1 << alcf->api;

            return NGX_CONF_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"ampersand\" in %s:%ui: there is no \"upstream %*s "
                  "{ ... }\", include ampersand/upstreams.conf in http{}, or "
                  "name another one with ampersand_upstream",
                  alcf->file, alcf->line, len, name);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_ampersand_init(ngx_conf_t *cf)
{
    ngx_uint_t                        i;
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_ampersand_loc_conf_t   **alcf;
    ngx_http_ampersand_main_conf_t   *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (!amcf->used) {
        return NGX_OK;
    }

    if (ngx_http_ampersand_private_check(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    amcf->redis_conf->resolver = clcf->resolver;

    if (amcf->unresolved && clcf->resolver
        && clcf->resolver->connections.nelts)
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "ampersand: \"resolver\" has no effect on the hosts of "
                      "Ampersand, since it stands after their upstream{}: "
                      "write it before \"include ampersand/upstreams.conf\"");
    }

    amp_path_init();

    alcf = amcf->upstreams->elts;

    for (i = 0; i < amcf->upstreams->nelts; i++) {
        if (ngx_http_ampersand_check_upstream(cf, alcf[i]) != NGX_CONF_OK
            || ngx_http_ampersand_settings_check(cf, alcf[i]) != NGX_OK
            || ngx_http_ampersand_cache_files_add(cf, &amcf->cache_files,
                                                  alcf[i]->settings)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_ampersand_reach_check(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_handler(cf, NGX_HTTP_POST_READ_PHASE,
                                   ngx_http_ampersand_post_read_handler)
        != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_REWRITE_PHASE,
                                      ngx_http_ampersand_subrequest_handler)
           != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_REWRITE_PHASE,
                                      ngx_http_ampersand_location_handler)
           != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_PREACCESS_PHASE,
                                      ngx_http_ampersand_cors_handler)
           != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_ACCESS_PHASE,
                                      ngx_http_ampersand_access_handler)
           != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_PRECONTENT_PHASE,
                                      ngx_http_ampersand_precontent_handler)
           != NGX_OK
        || ngx_http_ampersand_handler(cf, NGX_HTTP_LOG_PHASE,
                                      ngx_http_ampersand_account_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_ampersand_body_init(cf) != NGX_OK
        || ngx_http_ampersand_trace_init(cf, amcf) != NGX_OK
        || ngx_http_ampersand_registry(cf, amcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_send_init(cf);
}


/*
 * The file is where nginx's workers may write anyway; its name tells several
 * stores apart.
 */

static ngx_int_t
ngx_http_ampersand_registry(ngx_conf_t *cf,
    ngx_http_ampersand_main_conf_t *amcf)
{
    uint32_t                   store;
    ngx_str_t                  dir, *file;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_body_temp_path) {
        dir = clcf->client_body_temp_path->name;

    } else {
        ngx_str_set(&dir, NGX_HTTP_CLIENT_TEMP_PATH);

        if (ngx_conf_full_name(cf->cycle, &dir, 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_crc32_init(store);
    ngx_crc32_update(&store, amcf->redis_conf->display.data,
                     amcf->redis_conf->display.len);
    ngx_crc32_update(&store, amcf->redis_conf->prefix.data,
                     amcf->redis_conf->prefix.len);
    ngx_crc32_final(store);

    file = &amcf->gateways;

    file->data = ngx_pnalloc(cf->pool, dir.len + sizeof("/ampersand-gateways-")
                                       + 2 * sizeof(store));
    if (file->data == NULL) {
        return NGX_ERROR;
    }

    file->len = ngx_sprintf(file->data, "%V/ampersand-gateways-%08xD%Z", &dir,
                            store)
                - file->data - 1;

    return ngx_http_ampersand_status_address(cf, &amcf->status_address);
}


static ngx_int_t
ngx_http_ampersand_handler(ngx_conf_t *cf, ngx_http_phases phase,
    ngx_http_handler_pt handler)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_init_module(ngx_cycle_t *cycle)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_ampersand_module);

    if (amcf && amcf->used) {
        ngx_http_ampersand_cache_files_check(&amcf->cache_files, cycle);
    }

    return ngx_http_ampersand_log_init_module(cycle);
}
