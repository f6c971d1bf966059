/*
 * What a tenant may use.
 */

#include <string.h>

#include "policy.h"
#include "record.h"
#include "record_policy.h"


typedef struct {
    ctl_t           *ctl;
    json_t          *before;        /* of the last attempt to change it       */
    json_t          *record;
    const policy_t  *policy;
} policy_set_t;


/* {"tenant": ..., and the view}; with before, also that view as "before". */

static void
policy_print(ctl_t *ctl, const policy_t *policy, const json_t *before,
    const json_t *record)
{
    json_t  *doc;

    if (ctl->json) {
        doc = json_pack("{s:s}", "tenant", ctl->args[0]);
        json_object_update_new(doc, policy->view(record));

        if (before != NULL) {
            json_object_set_new(doc, "before", policy->view(before));
        }

        if (ctl_dry_run(ctl)) {
            json_object_set_new(doc, "dry_run", json_true());
        }

        (void) output_json(doc);
        return;
    }

    if (before != NULL) {
        output("before:\n");
        policy->print(before);
        output(ctl_dry_run(ctl) ? "\nwithout --dry-run:\n"
                                : "\nnow:\n");
    }

    policy->print(record);
}


int
policy_show(ctl_t *ctl, const policy_t *policy)
{
    json_t      *record;
    amp_span_t   id;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    policy_print(ctl, policy, NULL, record);
    json_decref(record);

    return CTL_DONE;
}


static int
policy_change(json_t *record, void *data, ctl_error_t *error)
{
    policy_set_t  *set = data;

    json_decref(set->before);
    set->before = json_deep_copy(record);

    json_decref(set->record);
    set->record = json_incref(record);

    if (set->policy->change(record, set->ctl, error) != 0) {
        return -1;
    }

    return ctl_dry_run(set->ctl) ? 2 : 0;
}


int
policy_set(ctl_t *ctl, const policy_t *policy, json_t *trial)
{
    int           rc;
    amp_span_t    id;
    policy_set_t  set;

    rc = ctl_tenant_id(ctl, &id);

    if (rc == 0) {
        rc = policy->change(trial, ctl, &ctl->error);
    }

    json_decref(trial);

    if (rc == -1) {
        return -1;
    }

    memset(&set, 0, sizeof(set));
    set.ctl = ctl;
    set.policy = policy;

    rc = ctl_tenant_change(ctl, policy_change, &set);

    if (rc == 0) {
        policy_print(ctl, policy, set.before, set.record);
    }

    json_decref(set.before);
    json_decref(set.record);

    return rc;
}


int
policy_grants(ctl_t *ctl, json_t *record, const char *name, int option,
    policy_grants_e how)
{
    int          rc;
    json_t      *grants, *list;
    unsigned     i;
    const char  *item;

    if (ctl_value(ctl, option) == NULL) {
        return 0;
    }

    grants = json_object_get(record, "grants");

    if (grants == NULL) {
        grants = json_object();
        json_object_set_new(record, "grants", grants);
    }

    list = how == POLICY_REPLACE ? NULL
           : json_copy(json_object_get(grants, name));

    if (list == NULL) {
        list = how != POLICY_REPLACE && strcmp(name, "allow") == 0
               ? record_default_grants() : json_array();
    }

    for (i = 0; (item = ctl_value_next(ctl, option, &i)) != NULL; ) {
        rc = how == POLICY_REMOVE
             ? record_grant_remove(list, name, item, &ctl->error)
             : record_grant(list, item, &ctl->error);

        if (rc != 0) {
            json_decref(list);
            return -1;
        }
    }

    json_object_set_new(grants, name, list);

    return 0;
}
