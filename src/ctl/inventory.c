/*
 * What is in Redis under the prefix.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "inventory.h"
#include "scan.h"


typedef struct {
    inventory_t  *inventory;
    amp_span_t    prefix;
    amp_span_t    tenant;           /* the name before a tenant's id          */
} inventory_walk_t;


static void
inventory_key(amp_span_t key, const char *type, void *data)
{
    char              name[AMP_KEYS_MAX + 1];
    size_t            skip;
    const char       *wanted;
    inventory_walk_t *walk = data;

    wanted = amp_keys_type(walk->prefix, key);
    skip = walk->tenant.len;

    /* "none": it is gone meanwhile */

    if (wanted == NULL || key.len > AMP_KEYS_MAX || strcmp(type, "none") == 0) {
        return;
    }

    if (strcmp(type, wanted) != 0) {
        memcpy(name, key.data, key.len);
        name[key.len] = '\0';
        json_object_set_new(walk->inventory->wrong, name, json_string(type));

    } else if (key.len > skip && memcmp(key.data, walk->tenant.data, skip) == 0)
    {
        tenant_ids_add(&walk->inventory->records,
                       (const char *) key.data + skip, key.len - skip);
    }
}


int
inventory_read(store_t *store, ctl_error_t *error, unsigned time,
    inventory_t *inventory)
{
    int               rc;
    char              pattern[AMP_KEYS_PREFIX_MAX + 2];
    amp_buf_t         name;
    unsigned char     buf[AMP_KEYS_MAX];
    inventory_walk_t  walk;

    memset(inventory, 0, sizeof(*inventory));
    inventory->wrong = json_object();

    amp_buf_init(&name, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), amp_span_null, &name);

    walk.inventory = inventory;
    walk.prefix = store_prefix(store);
    walk.tenant = amp_buf_written(&name);

    snprintf(pattern, sizeof(pattern), "%.*s*", (int) walk.prefix.len,
             (const char *) walk.prefix.data);

    rc = scan_keys(store, error, pattern, 1, time, inventory_key, &walk);

    /* SCAN may return a key twice */

    tenant_ids_sort(&inventory->records);

    return rc;
}


void
inventory_free(inventory_t *inventory)
{
    json_decref(inventory->wrong);
    tenant_ids_free(&inventory->records);
}
