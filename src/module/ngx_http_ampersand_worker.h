/*
 * What a worker starts and ends with: its link to Redis, its look-ups, limits
 * and invalidations; in one worker of a machine the subscription to amp:events,
 * too.
 */

#ifndef NGX_HTTP_AMPERSAND_WORKER_H
#define NGX_HTTP_AMPERSAND_WORKER_H


#include "request/ngx_http_ampersand_conf.h"


/* ngx_module_t's. */

ngx_int_t ngx_http_ampersand_init_process(ngx_cycle_t *cycle);
void ngx_http_ampersand_exit_process(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_AMPERSAND_WORKER_H */
