/*
 * What a tenant may use.
 */

#include "policy.h"
#include "record_policy.h"


typedef struct {
    ctl_t           *ctl;
    json_t          *record;        /* of the last attempt to change it       */
    const policy_t  *policy;
} policy_set_t;


int
policy_show(ctl_t *ctl, const policy_t *policy)
{
    int          rc;
    json_t      *record;
    amp_span_t   id;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    rc = policy->print(ctl, record);
    json_decref(record);

    return rc;
}


static int
policy_change(json_t *record, void *data, ctl_error_t *error)
{
    policy_set_t  *set = data;

    json_decref(set->record);
    set->record = json_incref(record);

    return set->policy->change(record, set->ctl, error);
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

    set.ctl = ctl;
    set.record = NULL;
    set.policy = policy;

    rc = ctl_tenant_change(ctl, policy_change, &set);

    if (rc == 0) {
        rc = policy->print(ctl, set.record);
    }

    json_decref(set.record);

    return rc;
}


int
policy_grants(ctl_t *ctl, json_t *record, const char *name, int option)
{
    json_t      *grants, *list;
    unsigned     i;
    const char  *item;

    if (ctl_value(ctl, option) == NULL) {
        return 0;
    }

    list = json_array();

    for (i = 0; (item = ctl_value_next(ctl, option, &i)) != NULL; ) {
        if (record_grant(list, item, &ctl->error) != 0) {
            json_decref(list);
            return -1;
        }
    }

    grants = json_object_get(record, "grants");

    if (grants == NULL) {
        grants = json_object();
        json_object_set_new(record, "grants", grants);
    }

    json_object_set_new(grants, name, list);

    return 0;
}
