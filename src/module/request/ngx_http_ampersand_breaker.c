#include "ngx_http_ampersand_breaker.h"
#include "zone/ngx_ampersand_breaker.h"


static void ngx_http_ampersand_breaker_works(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf);
static void ngx_http_ampersand_breaker_fails(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_uint_t probe);


time_t
ngx_http_ampersand_breaker_left(ngx_http_request_t *r)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->breaker == NULL) {
        return 0;
    }

    return (time_t) ((ngx_ampersand_breaker_left(alcf->breaker) + 999) / 1000);
}


time_t
ngx_http_ampersand_breaker_admit(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker)
{
    amp_breaker_e                    rc;
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->breaker == NULL) {
        return 0;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    rc = ngx_ampersand_breaker_admit(amcf->zone, alcf->breaker);

    if (rc == AMP_BREAKER_REFUSE) {
        return ngx_max(ngx_http_ampersand_breaker_left(r), 1);
    }

    breaker->admitted = 1;
    breaker->probe = (rc == AMP_BREAKER_IS_PROBE);

    return 0;
}


void
ngx_http_ampersand_breaker_answered(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker, ngx_uint_t status)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    if (!breaker->admitted) {
        return;
    }

    breaker->admitted = 0;
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (alcf->api != AMP_API_PROXY
        && (status == NGX_HTTP_BAD_GATEWAY
            || status == NGX_HTTP_SERVICE_UNAVAILABLE
            || status == NGX_HTTP_GATEWAY_TIME_OUT))
    {
        ngx_http_ampersand_breaker_fails(r, alcf, breaker->probe);

    } else {
        ngx_http_ampersand_breaker_works(r, alcf);
    }
}


void
ngx_http_ampersand_breaker_ended(ngx_http_request_t *r,
    ngx_http_ampersand_breaker_t *breaker, ngx_uint_t failed)
{
    ngx_http_ampersand_loc_conf_t   *alcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (!breaker->admitted) {
        return;
    }

    breaker->admitted = 0;
    alcf = ngx_http_get_module_loc_conf(r, ngx_http_ampersand_module);

    if (failed && alcf->api == AMP_API_PROXY && r->upstream->request_sent) {
        ngx_http_ampersand_breaker_works(r, alcf);
        return;
    }

    if (failed) {
        ngx_http_ampersand_breaker_fails(r, alcf, breaker->probe);
        return;
    }

    if (breaker->probe) {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
        ngx_ampersand_breaker_released(amcf->zone, alcf->breaker);
    }
}


static void
ngx_http_ampersand_breaker_works(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    if (ngx_ampersand_breaker_answered(amcf->zone, alcf->breaker)) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "ampersand: upstream \"%V\" (%s) answers again",
                      &alcf->target->host, amp_api_name(alcf->api));
    }
}


static void
ngx_http_ampersand_breaker_fails(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_uint_t probe)
{
    ngx_msec_t                       pause;
    ngx_ampersand_counters_t        *counters;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    pause = ngx_ampersand_breaker_failed(amcf->zone, alcf->breaker, probe);

    if (pause == 0) {
        return;
    }

    counters = ngx_ampersand_zone_counters(amcf->zone);
    ngx_ampersand_count(counters, suspensions);

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "ampersand: upstream \"%V\" (%s) fails, no request is sent "
                  "there for %M ms", &alcf->target->host,
                  amp_api_name(alcf->api), pause);
}
