/*
 * The checks of all tenants.
 */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "doctor_tenants.h"
#include "frozen.h"
#include "project_limit.h"
#include "record.h"
#include "record_key.h"
#include "secret.h"
#include "tenant_list.h"
#include "token_count.h"


#define DOCTOR_NAMES    5           /* tenants named in one line              */
#define DOCTOR_EXPIRES  (14 * 86400)


/* Tenants that have the same fault. */

typedef struct {
    unsigned  n;
    char      text[(AMP_TENANT_ID_MAX + 2) * DOCTOR_NAMES + 8];
} doctor_names_t;


typedef struct {
    ctl_t           *ctl;
    int64_t          now;           /* Redis' clock, by which tokens expire   */
    unsigned         tenants;
    unsigned         opened;
    doctor_names_t   unreadable;
    doctor_names_t   keyless;
    doctor_names_t   tokenless;
    doctor_names_t   expired;       /* all of its tokens                      */
    doctor_names_t   expiring;      /* the last of them, soon                 */
    doctor_names_t   frozen;        /* by ampctl freeze --tenant              */
    doctor_names_t   unopened;      /* the active key does not open           */
    doctor_names_t   renamed;       /* another tenant has another name for the
                                       same project                           */
    doctor_names_t   twins;         /* another id differs only in case        */
    json_t          *projects;      /* id -> name                             */
    json_t          *limited;       /* an object: ids of all projects         */
    doctor_names_t   bad_limits;    /* that no gateway can read               */
    unsigned         limits;
    json_t          *lower;         /* ids in lower case                      */
} doctor_tenants_t;


static void
doctor_names_add(doctor_names_t *names, const char *id)
{
    size_t  len;

    len = strlen(names->text);

    if (names->n++ < DOCTOR_NAMES) {
        snprintf(names->text + len, sizeof(names->text) - len, "%s%s",
                 len ? ", " : "", id);

    } else if (names->n == DOCTOR_NAMES + 1) {
        snprintf(names->text + len, sizeof(names->text) - len, ", ...");
    }
}


/* A project has one name: by another one, requests are refused. */

static void
doctor_project(doctor_tenants_t *tenants, const char *id, const json_t *record)
{
    json_t      *project;
    const char  *name, *other;

    project = json_object_get(record, "project");
    name = record_text(project, "name");
    json_object_set_new(tenants->limited, record_text(project, "id"),
                        json_true());

    if (*name == '\0') {
        return;
    }

    other = record_text(tenants->projects, record_text(project, "id"));

    if (*other == '\0') {
        json_object_set_new(tenants->projects, record_text(project, "id"),
                            json_string(name));

    } else if (strcasecmp(name, other) != 0) {
        doctor_names_add(&tenants->renamed, id);
    }
}


static void
doctor_twin(doctor_tenants_t *tenants, const char *id)
{
    char    lower[AMP_TENANT_ID_MAX + 1];
    size_t  i;

    for (i = 0; i < AMP_TENANT_ID_MAX && id[i] != '\0'; i++) {
        lower[i] = (char) amp_lower((unsigned char) id[i]);
    }

    lower[i] = '\0';

    if (json_object_get(tenants->lower, lower) != NULL) {
        doctor_names_add(&tenants->twins, id);
    } else {
        json_object_set_new(tenants->lower, lower, json_true());
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
    doctor_twin(tenants, id);

    if (record == NULL) {
        doctor_names_add(&tenants->unreadable, id);
        return;
    }

    if (json_array_size(json_object_get(record, "frozen")) != 0) {
        doctor_names_add(&tenants->frozen, id);
    }

    doctor_project(tenants, id, record);

    key = record_active_key(record);

    if (key == NULL) {
        doctor_names_add(&tenants->keyless, id);
        return;
    }

    if (tenants->ctl->ring == NULL) {
        return;
    }

    len = record_key_open(record, key, tenants->ctl->ring, secret,
                          &tenants->ctl->error);
    secret_clean(secret, sizeof(secret));

    if (len == -1) {
        doctor_names_add(&tenants->unopened, id);
    } else {
        tenants->opened++;
    }
}


static void
doctor_names_report(doctor_t *doctor, const char *name, doctor_e state,
    const doctor_names_t *names, const char *what, const char *remedy)
{
    if (names->n != 0) {
        doctor_add(doctor, name, state, remedy, "%u %s: %s", names->n, what,
                   names->text);
    }
}


/* What ampctl freeze has stopped. */

static void
doctor_frozen(doctor_t *doctor, const doctor_names_t *tenants)
{
    char       words[128];
    json_t    *list;
    uint64_t   rev;
    unsigned   classes;

    if (frozen_load(doctor->ctl->store, &doctor->ctl->error, &classes, &rev)
        != 0)
    {
        doctor_error(doctor, "freeze");
        return;
    }

    if (classes != 0) {
        list = frozen_list(classes);
        doctor_add(doctor, "freeze", DOCTOR_WARN, "end it when the incident is "
                   "over: ampctl thaw", "frozen for all tenants: %s",
                   output_words(list, words, sizeof(words)));
        json_decref(list);
    }

    doctor_names_report(doctor, "freeze", DOCTOR_WARN, tenants, "are frozen",
                        "end it when the incident is over: ampctl thaw "
                        "--tenant ID");
}


/* Tenants that nobody can call, now or soon. */

static int
doctor_tokens(doctor_tenants_t *tenants, char *const *ids, size_t n)
{
    ctl_t          *ctl;
    size_t          i;
    token_count_t   counts[TENANT_BATCH];

    ctl = tenants->ctl;

    if (token_counts(ctl->store, &ctl->error, tenants->now, ids, n, counts)
        != 0)
    {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (counts[i].active == 0) {
            doctor_names_add(counts[i].expired ? &tenants->expired
                                               : &tenants->tokenless, ids[i]);

        } else if (counts[i].ends - tenants->now < DOCTOR_EXPIRES) {
            doctor_names_add(&tenants->expiring, ids[i]);
        }
    }

    return 0;
}


/* Reads all tenants and their tokens, a part at a time. */

static int
doctor_walk(doctor_tenants_t *tenants)
{
    int            rc;
    ctl_t         *ctl;
    size_t         i, n;
    int64_t        now;
    tenant_ids_t   ids;

    ctl = tenants->ctl;

    if (store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
        != 0
        || tenant_ids(ctl->store, &ctl->error, &ids) != 0)
    {
        return -1;
    }

    tenants->now = now / 1000000;

    for (rc = 0, i = 0; rc == 0 && i < ids.n; i += n) {
        n = ids.n - i < TENANT_BATCH ? ids.n - i : TENANT_BATCH;

        output_progress("tenants", i, ids.n);
        rc = tenant_read(ctl->store, &ctl->error, ids.ids + i, n, doctor_tenant,
                         tenants);

        if (rc == 0) {
            rc = doctor_tokens(tenants, ids.ids + i, n);
        }
    }

    output_progress(NULL, 0, 0);
    tenant_ids_free(&ids);

    return rc;
}


static void
doctor_limit(const char *project, const project_limit_t *limit, void *data)
{
    doctor_tenants_t *tenants = data;

    tenants->limits++;

    if (limit->malformed) {
        doctor_names_add(&tenants->bad_limits, project);
    }
}


/* The limits of projects. */

static void
doctor_limits(doctor_t *doctor, doctor_tenants_t *tenants)
{
    ctl_t  *ctl;

    ctl = doctor->ctl;

    if (project_limit_each(ctl->store, &ctl->error, tenants->limited,
                           doctor_limit, tenants)
        != 0)
    {
        doctor_error(doctor, "limits");
        return;
    }

    if (tenants->limits != 0 && tenants->bad_limits.n == 0) {
        doctor_add(doctor, "limits", DOCTOR_OK, "", "%u of projects, which "
                   "their tenants share", tenants->limits);
    }

    doctor_names_report(doctor, "limits", DOCTOR_FAIL, &tenants->bad_limits,
                        "of projects cannot be read, so their tenants get 503",
                        "set them again: ampctl limit set --project PROJECT_ID "
                        "--rate RATE");
}


void
doctor_tenants(doctor_t *doctor)
{
    int                rc;
    ctl_t             *ctl;
    doctor_tenants_t   tenants;

    ctl = doctor->ctl;

    memset(&tenants, 0, sizeof(tenants));
    tenants.ctl = ctl;
    tenants.projects = json_object();
    tenants.lower = json_object();
    tenants.limited = json_object();

    rc = doctor_walk(&tenants);

    json_decref(tenants.projects);
    json_decref(tenants.lower);

    if (rc != 0) {
        json_decref(tenants.limited);
        doctor_error(doctor, "tenants");
        return;
    }

    doctor_limits(doctor, &tenants);
    json_decref(tenants.limited);

    if (tenants.tenants != 0 && ctl->ring == NULL) {
        doctor_add(doctor, "tenants", DOCTOR_WARN, "name the gateway's master "
                   "key file with --master-key", "%u in Redis, whose keys "
                   "could not be checked without a master key",
                   tenants.tenants);

    } else {
        doctor_add(doctor, "tenants",
                   tenants.tenants ? DOCTOR_OK : DOCTOR_WARN,
                   "add a tenant: ampctl tenant add ID --project PROJECT_ID",
                   "%u in Redis, %u with an active key that opens",
                   tenants.tenants, tenants.opened);
    }

    doctor_frozen(doctor, &tenants.frozen);

    doctor_names_report(doctor, "records", DOCTOR_FAIL, &tenants.unreadable,
                        "cannot be read", "ampctl tenant show ID says what to "
                        "do: repair or remove them");

    doctor_names_report(doctor, "sealed keys", DOCTOR_FAIL, &tenants.unopened,
                        "with an active key that none of the given master keys "
                        "opens", "add the missing master key with --master-key "
                        "FILE, or set the Ampersand key again: ampctl key set "
                        "ID --key-file FILE");

    doctor_names_report(doctor, "keys", DOCTOR_WARN, &tenants.keyless,
                        "without an active key", "set the Ampersand key: "
                        "ampctl key set ID --key-file FILE");

    doctor_names_report(doctor, "projects", DOCTOR_WARN, &tenants.renamed,
                        "with another name for a project than another tenant "
                        "has", "a project has one name in Ampersand: ampctl "
                        "tenant set ID --project-name NAME");

    doctor_names_report(doctor, "tenant ids", DOCTOR_WARN, &tenants.twins,
                        "whose id differs from another one only in case",
                        "people take one for the other: remove one of them "
                        "(ampctl tenant remove ID)");

    doctor_names_report(doctor, "tokens", DOCTOR_WARN, &tenants.tokenless,
                        "have no token", "issue a token (ampctl token issue "
                        "ID) or remove the tenant (ampctl tenant remove ID)");

    doctor_names_report(doctor, "tokens", DOCTOR_WARN, &tenants.expired,
                        "have no token that is valid, since all have expired",
                        "issue a token (ampctl token issue ID) or remove the "
                        "tenant (ampctl tenant remove ID)");

    doctor_names_report(doctor, "tokens", DOCTOR_WARN, &tenants.expiring,
                        "whose last token expires within 14 days", "issue "
                        "another one: ampctl token issue ID --expires 90d");
}
