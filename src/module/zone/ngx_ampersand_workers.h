/*
 * The workers of a gateway, those of the configuration before included while
 * they shut down: each has a place in the zone, with its pid.
 */

#ifndef NGX_AMPERSAND_WORKERS_H
#define NGX_AMPERSAND_WORKERS_H


#include "ngx_ampersand_zone.h"


/* For init_process: gives this worker a place, zone->worker. */

void ngx_ampersand_workers_join(ngx_ampersand_zone_t *zone);

/*
 * For exit_process: gives the place back, and what was counted there is void.
 * 1: no other worker of this gateway lives.
 */

ngx_uint_t ngx_ampersand_workers_leave(ngx_ampersand_zone_t *zone);

/*
 * With the lock held: 1 where the worker died.  (Where another process has its
 * pid, it counts as alive until that process ends.)
 */

ngx_uint_t ngx_ampersand_workers_dead(ngx_ampersand_worker_t *worker);


#endif /* NGX_AMPERSAND_WORKERS_H */
