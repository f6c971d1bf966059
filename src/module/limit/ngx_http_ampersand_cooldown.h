/*
 * Cool-downs: after a 429 of Ampersand that says until when, all gateways
 * answer 429 themselves, until then.
 *
 * Who shares a cool-down:
 *   the gateway that saw the 429      writes it to its zone, to an expiring key
 *                                     of Redis, and to amp:events
 *   the other gateways that run       receive the message
 *   gateways that start later         read the key when they look the tenant up
 *
 * Only durations are written, so the machines' clocks need not agree.  A 429 of
 * the proxy API is a provider's limit or that of one installation: there the
 * installation cools down, named by x-amp-installation-id, or by integration
 * and group; else the tenant does.
 */

#ifndef NGX_HTTP_AMPERSAND_COOLDOWN_H
#define NGX_HTTP_AMPERSAND_COOLDOWN_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "ngx_ampersand_lease.h"
#include "zone/ngx_ampersand_cooldown.h"
#include "zone/ngx_ampersand_records.h"


/* What a request would cool down. */

typedef struct {
    amp_span_t  tenant;             /* its id                                 */
    amp_span_t  owner;              /* see amp_tenant.h                       */
    amp_span_t  project;            /* its project's id                       */
    unsigned    proxy:1;            /* the proxy API: the installation, ...   */
    amp_span_t  installation;       /* ... by its id, or by ...               */
    amp_span_t  integration;        /* ... both of these                      */
    amp_span_t  group;
} ngx_http_ampersand_cooldown_scope_t;


/*
 * The ms that are left of the cool-down of the tenant or the installation, or
 * 0.  Where there is no memory an installation's is not found.
 */

ngx_msec_t ngx_http_ampersand_cooldown(ngx_http_request_t *r,
    ngx_ampersand_zone_t *zone,
    const ngx_http_ampersand_cooldown_scope_t *scope);

/*
 * r->upstream has answered 429: begins a cool-down where Retry-After (seconds
 * or a date) or X-Amp-Retry-After (a date) says until when; else changes
 * nothing.  Returns the ms until then, or 0.
 */

ngx_msec_t ngx_http_ampersand_cooldown_start(ngx_http_request_t *r,
    ngx_ampersand_leasing_t *leasing,
    const ngx_http_ampersand_cooldown_scope_t *scope);

/* Reads a tenant's cool-down from Redis into the zone. */

void ngx_http_ampersand_cooldown_read(ngx_ampersand_leasing_t *leasing,
    amp_span_t tenant);


#endif /* NGX_HTTP_AMPERSAND_COOLDOWN_H */
