/*
 * Redis behind Sentinels ("Guidelines for Redis clients with support for Redis
 * Sentinel").
 */

#ifndef CTL_SENTINEL_H
#define CTL_SENTINEL_H


#include "route.h"


/*
 * The connection to the master.  Sentinels are asked in turn for its address,
 * beginning with the one that answered last; who stands there has to say that
 * it is the master.  NULL with the error and route->later filled: set while a
 * fail-over may be under way, clear when no Sentinel answers or knows the name.
 */

connection_t *sentinel_connection(route_t *route, int64_t deadline,
    ctl_error_t *error);

/*
 * Asks one of the URL's Sentinels for the master.  1, 0 when it knows none of
 * that name, or -1 with the error filled.
 */

int sentinel_ask(route_t *route, unsigned i, int64_t deadline,
    amp_redis_host_t *master, ctl_error_t *error);


#endif /* CTL_SENTINEL_H */
