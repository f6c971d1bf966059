/*
 * A pass over the document of ampctl config import.
 */

#include <stdio.h>
#include <string.h>

#include "config_pass.h"
#include "record.h"


int
import_fault(import_t *im, const import_tenant_t *tenant,
    const schema_fault_t *fault)
{
    return config_fault(&im->file, tenant->start, tenant->n, fault,
                        &im->ctl->error);
}


json_t *
import_merged(import_t *im, const import_tenant_t *tenant)
{
    json_t          *record;
    schema_fault_t   fault;

    record = tenant->record ? json_deep_copy(tenant->record)
                            : record_new(record_text(tenant->doc, "id"), "",
                                         "");
    fault.pointer[0] = '\0';

    if (config_merge(im->ctl, tenant->doc, im->directory, im->prune, record,
                     &fault)
        != 0)
    {
        json_decref(record);
        (void) import_fault(im, tenant, &fault);
        return NULL;
    }

    return record;
}


json_t *
import_find(const json_t *tokens, const char *id)
{
    size_t   i;
    json_t  *token;

    json_array_foreach(tokens, i, token) {
        if (strcmp(record_text(token, "id"), id) == 0) {
            return token;
        }
    }

    return NULL;
}


static void
import_record(const char *id, json_t *record, const char *why, void *data)
{
    size_t     i;
    import_t  *im = data;

    for (i = 0; im->names[i] != id; i++) { /* void */ }

    im->tenants[i].record = json_incref(record);

    if (record == NULL) {
        im->unreadable = id;
    }
}


/* The next tenants of the document.  1, 0 at the end, -1. */

static int
import_read(import_t *im)
{
    int               rc;
    import_tenant_t  *tenant;

    for (im->n = 0, rc = 1; rc == 1 && im->n < TENANT_BATCH; /* void */ ) {
        tenant = &im->tenants[im->n];
        memset(tenant, 0, sizeof(*tenant));

        rc = config_next(&im->file, &tenant->doc, &im->ctl->error);

        if (rc == 1) {
            tenant->start = im->file.start;
            tenant->n = im->file.n;
            im->names[im->n++] = (char *) record_text(tenant->doc, "id");
        }
    }

    return rc;
}


/* What Redis has of them, and for each im->run().  0, or -1. */

static int
import_part(import_t *im)
{
    int      rc;
    ctl_t   *ctl;
    size_t   i;
    json_t  *tokens[TENANT_BATCH];

    ctl = im->ctl;

    rc = tenant_read(ctl->store, &ctl->error, im->names, im->n, import_record,
                     im);

    if (rc == 0 && im->unreadable != NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "bad_record", "the record of "
                  "tenant \"%s\" in Redis cannot be read", im->unreadable);
        rc = ctl_remedy(&ctl->error, "remove the tenant (ampctl tenant remove "
                        "%s); the import adds it again", im->unreadable);
    }

    if (rc == 0) {
        rc = config_tokens(ctl, im->names, im->n, tokens);
    }

    for (i = 0; rc == 0 && i < im->n; i++) {
        im->tenants[i].tokens = tokens[i];
    }

    for (i = 0; rc == 0 && i < im->n; i++) {
        rc = im->run(im, &im->tenants[i]);
    }

    return rc;
}


int
import_pass(import_t *im, const char *what,
    int (*run)(import_t *im, import_tenant_t *tenant))
{
    int     rc, more;
    size_t  i, done;

    im->run = run;

    if (config_rewind(&im->file, &im->ctl->error) != 0) {
        return -1;
    }

    for (rc = 0, done = 0, more = 1; rc == 0 && more == 1; done += im->n) {
        more = import_read(im);
        rc = more == -1 ? -1 : import_part(im);

        for (i = 0; i < im->n; i++) {
            json_decref(im->tenants[i].doc);
            json_decref(im->tenants[i].record);
            json_decref(im->tenants[i].tokens);
        }

        output_progress(what, done, im->ids.n);
    }

    output_progress(NULL, 0, 0);

    return rc;
}
