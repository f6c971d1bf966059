#include "ngx_ampersand_workers.h"


/* Workers beyond NGX_AMPERSAND_WORKERS share the last place. */


void
ngx_ampersand_workers_join(ngx_ampersand_zone_t *zone)
{
    ngx_uint_t               i;
    ngx_ampersand_worker_t  *worker;

    ngx_ampersand_zone_lock(zone);

    for (i = 0; i < NGX_AMPERSAND_WORKERS - 1; i++) {
        worker = &zone->sh->workers[i];

        if (worker->pid == 0 || worker->pid == ngx_pid
            || ngx_ampersand_workers_dead(worker))
        {
            break;
        }
    }

    zone->sh->workers[i].pid = ngx_pid;
    zone->sh->workers[i].generation++;
    zone->worker = i;

    ngx_ampersand_zone_unlock(zone);
}


ngx_uint_t
ngx_ampersand_workers_leave(ngx_ampersand_zone_t *zone)
{
    ngx_uint_t               i, last;
    ngx_ampersand_worker_t  *worker;

    last = 1;

    ngx_ampersand_zone_lock(zone);

    worker = &zone->sh->workers[zone->worker];

    if (worker->pid == ngx_pid) {
        worker->pid = 0;
        worker->generation++;
    }

    for (i = 0; i < NGX_AMPERSAND_WORKERS; i++) {
        worker = &zone->sh->workers[i];

        if (worker->pid && !ngx_ampersand_workers_dead(worker)) {
            last = 0;
            break;
        }
    }

    ngx_ampersand_zone_unlock(zone);

    return last;
}


ngx_uint_t
ngx_ampersand_workers_dead(ngx_ampersand_worker_t *worker)
{
    return worker->pid && kill(worker->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}
