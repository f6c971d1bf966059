/*
 * Requests in flight: how many of a tenant's this machine has sent upstream and
 * not finished.  Each worker counts its own, in shared memory, so that a worker
 * that dies takes nothing but its own count with it.
 */

#ifndef NGX_AMPERSAND_CONCURRENCY_H
#define NGX_AMPERSAND_CONCURRENCY_H


#include "ngx_ampersand_zone.h"


/* For init_process: the worker takes a place among those that count. */

void ngx_ampersand_concurrency_init(ngx_ampersand_zone_t *zone);

/*
 * 1: one more of the tenant's, to be given back with leave() by this worker.
 * 0: there are max already.
 */

ngx_uint_t ngx_ampersand_concurrency_enter(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, uint32_t max);

void ngx_ampersand_concurrency_leave(ngx_ampersand_zone_t *zone,
    amp_span_t tenant);


#endif /* NGX_AMPERSAND_CONCURRENCY_H */
