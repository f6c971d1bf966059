#include "ngx_http_ampersand.h"


/*
 * Limits are charged for what reaches Ampersand.  Whether a cacheable GET does
 * is known only after proxy_cache has looked: nginx then makes the upstream
 * request and calls the upstream{}'s peer.init.  The module stands in front of
 * each of them, so answers from the cache cost nothing, a background refresh
 * is charged, and no directive has to be remembered in an upstream{}.
 *
 * The same moment ends the life of the plaintext key in r->variables: the
 * upstream request holds its copy by now.
 */


static ngx_int_t ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);


amp_reason_e
ngx_http_ampersand_limit(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    uint64_t                         wait;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->charged) {
        return AMP_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    wait = ngx_ampersand_zone_take(amcf->zone, ctx->known.tenant,
                                   ctx->op->class);
    ctx->charged = 1;

    if (wait == 0) {
        return AMP_OK;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->observe) {
        ctx->reason = AMP_RATE_LIMITED;
        ctx->observed = 1;
        return AMP_OK;
    }

    /* rounded up: whoever comes back then is admitted */

    ctx->retry = (time_t) ((wait + 999999999) / 1000000000);

    return AMP_RATE_LIMITED;
}


ngx_int_t
ngx_http_ampersand_limit_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **us;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    us = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        /* "proxy_pass http://address" makes upstreams without a block */

        if (us[i]->srv_conf == NULL) {
            continue;
        }

        ascf = ngx_http_conf_upstream_srv_conf(us[i],
                                               ngx_http_ampersand_module);
        ascf->init_peer = us[i]->peer.init;
        us[i]->peer.init = ngx_http_ampersand_init_peer;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    amp_reason_e                    reason;
    ngx_http_ampersand_ctx_t       *ctx;
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_conf_upstream_srv_conf(us, ngx_http_ampersand_module);
    ctx = ngx_http_ampersand_ctx(r);

    if (ctx == NULL || ctx->state != NGX_HTTP_AMPERSAND_PASSED
        || !ngx_http_ampersand_own(r))
    {
        return ascf->init_peer(r, us);
    }

    ngx_http_ampersand_wipe_key(r);
    ctx->key_used = 1;

    reason = ctx->late;

    /* a key that does not open, or a location that does not set X-Api-Key */

    if (reason == AMP_OK && !ctx->key_ok) {
        reason = AMP_NO_KEY;
    }

    if (reason == AMP_OK && ctx->headers.only_if_cached) {
        reason = AMP_NOT_CACHED;
    }

    if (reason == AMP_OK) {
        reason = ngx_http_ampersand_limit(r, ctx);
    }

    if (reason != AMP_OK) {

        /* nginx answers 500, which the response filter turns into the problem */

        ctx->late = reason;
        ctx->keepalive = r->main->keepalive;
        return NGX_ERROR;
    }

    ngx_http_ampersand_writing(r, ctx);

    return ascf->init_peer(r, us);
}
