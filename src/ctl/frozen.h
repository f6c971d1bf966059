/*
 * What is frozen for all tenants, in Redis: see core/amp_frozen.h.
 */

#ifndef CTL_FROZEN_H
#define CTL_FROZEN_H


#include "../core/amp_frozen.h"
#include "store.h"


#define FROZEN_NONE  UINT64_MAX     /* as a revision: there is no record      */

/*
 * Reads it, and the record's revision; that of a malformed record is 0, and
 * nothing is frozen then; so it is, with a warning, for a key of another type.
 * 0, or -1 with the error filled.
 */

int frozen_load(store_t *store, ctl_error_t *error, unsigned *classes,
    uint64_t *rev);

/* The names of classes, the caller's to release. */

json_t *frozen_list(unsigned classes);


#endif /* CTL_FROZEN_H */
