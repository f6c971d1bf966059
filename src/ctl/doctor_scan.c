/*
 * The check of what is in Redis: keys of another type, and records that no
 * index names.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "doctor_scan.h"
#include "inventory.h"


#define DOCTOR_SCAN_NAMES  5        /* tenants and keys named in a line       */


static void
doctor_scan_unlisted(doctor_t *doctor, const tenant_ids_t *records,
    const tenant_ids_t *ids)
{
    char      text[(AMP_TENANT_ID_MAX + 2) * DOCTOR_SCAN_NAMES + 8];
    size_t    i, len;
    unsigned  n;

    n = 0;
    text[0] = '\0';

    for (i = 0; i < records->n; i++) {

        if (tenant_ids_has(ids, records->ids[i])) {
            continue;
        }

        len = strlen(text);

        if (n++ < DOCTOR_SCAN_NAMES) {
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
                     records->ids[i]);

        } else if (n == DOCTOR_SCAN_NAMES + 1) {
            snprintf(text + len, sizeof(text) - len, ", ...");
        }
    }

    if (n != 0) {
        doctor_add(doctor, "unlisted", DOCTOR_WARN,
                   "ampctl repair lists them again; ampctl tenant remove ID "
                   "removes one and its tokens",
                   "%u tenant records that ampctl tenant list does not show, "
                   "and whose tokens are valid: %s", n, text);
    }
}


/* A line for each of the first keys of another type, and one for the rest. */

static void
doctor_scan_types(doctor_t *doctor, json_t *wrong)
{
    size_t       n;
    json_t      *type;
    const char  *key;

    n = 0;

    json_object_foreach(wrong, key, type) {

        if (n++ == DOCTOR_SCAN_NAMES) {
            break;
        }

        doctor_add(doctor, "keys in redis", DOCTOR_FAIL,
                   "ampctl repair mends it or says what does; --dry-run shows "
                   "that first", "\"%s\" is of type %s, and should be %s", key,
                   json_string_value(type),
                   amp_keys_type(store_prefix(doctor->ctl->store),
                                 ctl_span(key)));
    }

    if (n > DOCTOR_SCAN_NAMES) {
        doctor_add(doctor, "keys in redis", DOCTOR_FAIL,
                   "ampctl repair --dry-run names all of them", "%u more are "
                   "of another type", (unsigned) (json_object_size(wrong)
                                                  - DOCTOR_SCAN_NAMES));
    }
}


void
doctor_scan(doctor_t *doctor)
{
    int            rc;
    ctl_t         *ctl;
    inventory_t    inventory;
    tenant_ids_t   ids;

    ctl = doctor->ctl;

    rc = inventory_read(ctl->store, &ctl->error, ctl->timeout, &inventory);

    doctor_scan_types(doctor, inventory.wrong);

    /* the set is read after the records: a new tenant is in both then */

    if (rc != -1 && tenant_ids(ctl->store, &ctl->error, &ids) == 0) {
        doctor_scan_unlisted(doctor, &inventory.records, &ids);
        tenant_ids_free(&ids);
    }

    if (rc == 1) {
        doctor_add(doctor, "keys in redis", DOCTOR_WARN,
                   "give doctor more time, e.g. --timeout 60s", "Redis has so "
                   "many keys that not all of them were looked at");
    }

    inventory_free(&inventory);
}
