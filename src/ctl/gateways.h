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

/*
 * Publishes a mark (amp_event.h) at one server of the store's route.  0, or -1
 * with the error filled.
 */

int gateways_mark(store_t *store, unsigned node, unsigned timeout,
    uint64_t mark, ctl_error_t *error);

/* Whether a gateway has received a mark, as its record says. */

int gateways_marked(const json_t *record, uint64_t mark);


#endif /* CTL_GATEWAYS_H */
