/*
 * The check of what is in Redis and in no index.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "doctor_scan.h"
#include "scan.h"
#include "tenant_list.h"


#define DOCTOR_SCAN_NAMES  5        /* tenants named in the line              */


typedef struct {
    tenant_ids_t   found;           /* ids of the records                     */
    size_t         skip;            /* of a key, to its id                    */
} doctor_scan_t;


static void
doctor_scan_key(amp_span_t key, void *data)
{
    doctor_scan_t  *scan = data;

    if (key.len > scan->skip) {
        tenant_ids_add(&scan->found, (const char *) key.data + scan->skip,
                       key.len - scan->skip);
    }
}


static void
doctor_scan_report(doctor_t *doctor, doctor_scan_t *scan,
    const tenant_ids_t *ids)
{
    char      text[(AMP_TENANT_ID_MAX + 2) * DOCTOR_SCAN_NAMES + 8];
    size_t    i, len;
    unsigned  n;

    n = 0;
    text[0] = '\0';

    /* SCAN may return a key twice */

    tenant_ids_sort(&scan->found);

    for (i = 0; i < scan->found.n; i++) {

        if (tenant_ids_has(ids, scan->found.ids[i])) {
            continue;
        }

        len = strlen(text);

        if (n++ < DOCTOR_SCAN_NAMES) {
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
                     scan->found.ids[i]);

        } else if (n == DOCTOR_SCAN_NAMES + 1) {
            snprintf(text + len, sizeof(text) - len, ", ...");
        }
    }

    if (n != 0) {
        doctor_add(doctor, "unlisted", DOCTOR_WARN,
                   "an interrupted command can leave such a record: ampctl "
                   "tenant remove ID removes it and its tokens",
                   "%u tenant records that ampctl tenant list does not show, "
                   "and whose tokens are valid: %s", n, text);
    }
}


void
doctor_scan(doctor_t *doctor)
{
    int             rc;
    char            pattern[AMP_KEYS_MAX + 1];
    ctl_t          *ctl;
    amp_buf_t       out;
    tenant_ids_t    ids;
    doctor_scan_t   scan;

    ctl = doctor->ctl;

    amp_buf_init(&out, pattern, sizeof(pattern) - 1);
    amp_keys_tenant(store_prefix(ctl->store), amp_span("*"), &out);
    *out.pos = '\0';

    memset(&scan, 0, sizeof(scan));
    scan.skip = amp_buf_written(&out).len - 1;

    rc = scan_keys(ctl->store, &ctl->error, pattern, ctl->timeout,
                   doctor_scan_key, &scan);

    /* the set is read after the records: a new tenant is in both then */

    if (rc != -1 && tenant_ids(ctl->store, &ctl->error, &ids) == 0) {
        doctor_scan_report(doctor, &scan, &ids);
        tenant_ids_free(&ids);
    }

    if (rc == 1) {
        doctor_add(doctor, "unlisted", DOCTOR_WARN,
                   "give doctor more time, e.g. --timeout 60s", "Redis has so "
                   "many keys that not all of them were looked at");
    }

    tenant_ids_free(&scan.found);
}
