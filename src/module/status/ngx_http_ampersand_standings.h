/*
 * How tenants stand, as the status shows it: limits, cool-downs, keys, tokens
 * that expire.  Of the tenants with a place in ngx_ampersand_metrics.h, as far
 * as the zone has their records.
 */

#ifndef NGX_HTTP_AMPERSAND_STANDINGS_H
#define NGX_HTTP_AMPERSAND_STANDINGS_H


#include "ngx_http_ampersand_text.h"
#include "request/ngx_http_ampersand_conf.h"


/* Members of the JSON object of a tenant, each with a comma before it. */

void ngx_http_ampersand_standing_json(ngx_http_ampersand_text_t *text,
    ngx_ampersand_zone_t *zone, const ngx_ampersand_metrics_tenant_t *tenant);

/* The metrics. */

void ngx_http_ampersand_standings(ngx_http_ampersand_text_t *text,
    ngx_http_ampersand_main_conf_t *amcf);


#endif /* NGX_HTTP_AMPERSAND_STANDINGS_H */
