/*
 * The gateways that live, as the registry in Redis has them (amp_gateway.h).
 */

#ifndef CTL_GATEWAYS_H
#define CTL_GATEWAYS_H


#include "store.h"


/*
 * Reads the records of the gateways in the registry: an array in the order of
 * their ids, the caller's to release.  A gateway whose record has expired, or
 * cannot be read, has only its id.  NULL with the error filled.
 */

json_t *gateways_read(store_t *store, ctl_error_t *error);


#endif /* CTL_GATEWAYS_H */
