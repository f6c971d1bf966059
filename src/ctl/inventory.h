/*
 * What is in Redis under the prefix: keys that hold another type than their
 * name says, and tenant records.
 */

#ifndef CTL_INVENTORY_H
#define CTL_INVENTORY_H


#include <jansson.h>

#include "tenant_list.h"


typedef struct {
    json_t        *wrong;           /* of each key of another type: its type  */
    tenant_ids_t   records;         /* ids of the tenant records, sorted      */
} inventory_t;


/*
 * Reads it, as scan_keys() does: 0, 1 when there was no time for all keys, or
 * -1 with the error filled.  inventory_free() in any case.
 */

int inventory_read(store_t *store, ctl_error_t *error, unsigned time,
    inventory_t *inventory);

void inventory_free(inventory_t *inventory);


#endif /* CTL_INVENTORY_H */
