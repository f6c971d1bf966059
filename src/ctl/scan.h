/*
 * The keys of all servers that have a pattern, a part at a time.
 */

#ifndef CTL_SCAN_H
#define CTL_SCAN_H


#include "store.h"


/* Called for each key, for some twice; type is that of TYPE, or "". */

typedef void (*scan_each_pt)(amp_span_t key, const char *type, void *data);

/*
 * Asks each server that takes writes; not longer than time milliseconds each,
 * unless time is 0.  types: for the type of each key, too.  0, 1 when there was
 * no time for all keys, or -1 with the error filled.
 */

int scan_keys(store_t *store, ctl_error_t *error, const char *pattern,
    unsigned types, unsigned time, scan_each_pt each, void *data);


#endif /* CTL_SCAN_H */
