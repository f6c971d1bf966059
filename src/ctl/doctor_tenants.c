/*
 * The checks of all tenants.
 */

#include <stdio.h>
#include <string.h>

#include "doctor_tenants.h"
#include "record_key.h"
#include "secret.h"
#include "tenant_list.h"
#include "token_store.h"


#define DOCTOR_NAMES  5             /* tenants named in one line              */


/* Tenants that have the same fault. */

typedef struct {
    unsigned  n;
    char      names[(AMP_TENANT_ID_MAX + 2) * DOCTOR_NAMES + 8];
} doctor_group_t;


typedef struct {
    ctl_t           *ctl;
    unsigned         tenants;
    unsigned         opened;
    doctor_group_t   unreadable;
    doctor_group_t   keyless;
    doctor_group_t   tokenless;
    doctor_group_t   sealed;        /* the active key does not open           */
} doctor_tenants_t;


static void
doctor_group_add(doctor_group_t *group, const char *id)
{
    size_t  len;

    len = strlen(group->names);

    if (group->n++ < DOCTOR_NAMES) {
        snprintf(group->names + len, sizeof(group->names) - len, "%s%s",
                 len ? ", " : "", id);

    } else if (group->n == DOCTOR_NAMES + 1) {
        snprintf(group->names + len, sizeof(group->names) - len, ", ...");
    }
}


static void
doctor_tenant(const char *id, json_t *record, const char *why, void *data)
{
    int                len;
    json_t            *key;
    unsigned char      secret[AMP_SECRET_MAX];
    doctor_tenants_t  *tenants = data;

    tenants->tenants++;

    if (record == NULL) {
        doctor_group_add(&tenants->unreadable, id);
        return;
    }

    key = record_active_key(record);

    if (key == NULL) {
        doctor_group_add(&tenants->keyless, id);
        return;
    }

    if (tenants->ctl->ring == NULL) {
        return;
    }

    len = record_key_open(record, key, tenants->ctl->ring, secret,
                          &tenants->ctl->error);
    secret_clean(secret, sizeof(secret));

    if (len == -1) {
        doctor_group_add(&tenants->sealed, id);
    } else {
        tenants->opened++;
    }
}


static void
doctor_group_report(doctor_t *doctor, const char *name, doctor_e state,
    const doctor_group_t *group, const char *what, const char *remedy)
{
    if (group->n != 0) {
        doctor_add(doctor, name, state, remedy, "%u %s: %s", group->n, what,
                   group->names);
    }
}


/* Tenants without a token: reads each tenant's index of tokens. */

static int
doctor_tokens(doctor_tenants_t *tenants)
{
    size_t         i;
    ctl_t         *ctl;
    token_list_t   tokens;
    tenant_ids_t   ids;

    ctl = tenants->ctl;

    if (tenant_ids(ctl->store, &ctl->error, &ids) != 0) {
        return -1;
    }

    for (i = 0; i < ids.n; i++) {
        if (token_list(ctl->store, &ctl->error, ctl_span(ids.ids[i]), &tokens)
            != 0)
        {
            tenant_ids_free(&ids);
            return -1;
        }

        if (tokens.n == 0) {
            doctor_group_add(&tenants->tokenless, ids.ids[i]);
        }

        token_list_free(&tokens);
    }

    tenant_ids_free(&ids);

    return 0;
}


void
doctor_tenants(doctor_t *doctor)
{
    ctl_t             *ctl;
    doctor_tenants_t   tenants;

    ctl = doctor->ctl;

    memset(&tenants, 0, sizeof(tenants));
    tenants.ctl = ctl;

    if (tenant_each(ctl->store, &ctl->error, doctor_tenant, &tenants) != 0
        || doctor_tokens(&tenants) != 0)
    {
        doctor_error(doctor, "tenants");
        return;
    }

    doctor_add(doctor, "tenants", tenants.tenants ? DOCTOR_OK : DOCTOR_WARN,
               "add a tenant: ampctl tenant add ID --project PROJECT_ID",
               "%u in Redis, %u with an active key that opens", tenants.tenants,
               tenants.opened);

    doctor_group_report(doctor, "records", DOCTOR_FAIL, &tenants.unreadable,
                        "cannot be read", "repair the records in Redis, or "
                        "remove the tenants (ampctl tenant remove ID) and add "
                        "them again");

    doctor_group_report(doctor, "sealed keys", DOCTOR_FAIL, &tenants.sealed,
                        "have an active key that none of the given master keys "
                        "opens", "add the missing master key with --master-key "
                        "FILE, or set the Ampersand key again: ampctl key set "
                        "ID --key-file FILE");

    doctor_group_report(doctor, "keys", DOCTOR_WARN, &tenants.keyless,
                        "have no active key", "set the Ampersand key: ampctl "
                        "key set ID --key-file FILE");

    doctor_group_report(doctor, "tokens", DOCTOR_WARN, &tenants.tokenless,
                        "have no token", "issue a token (ampctl token issue "
                        "ID) or remove the tenant (ampctl tenant remove ID)");
}
