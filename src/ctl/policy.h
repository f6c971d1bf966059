/*
 * "set" and "show" of what a tenant may use: the limits, the grants and the
 * cache lifetimes of its record.
 */

#ifndef CTL_POLICY_H
#define CTL_POLICY_H


#include "command.h"


typedef struct {
    /* Changes a record as the options say; data is the ctl_t. */

    tenant_change_pt   change;

    /* Prints the policy of a record and returns CTL_DONE. */

    int              (*print)(ctl_t *ctl, const json_t *record);
} policy_t;


/*
 * Prints the policy of the tenant that the first argument names.  CTL_DONE, or
 * -1 with ctl->error filled, also when no such tenant exists.
 */

int policy_show(ctl_t *ctl, const policy_t *policy);

/*
 * Changes the policy of that tenant, and prints what was written.  The change
 * is tried on a record "trial" first, which is released here: what fails there
 * is wrong usage for any tenant, and found without Redis.  CTL_DONE, or -1 with
 * ctl->error filled, also when no such tenant exists.
 */

int policy_set(ctl_t *ctl, const policy_t *policy, json_t *trial);

/*
 * Replaces a list of the record's grants, "allow" or "deny", by what a
 * repeatable option (its id in the command's table) names, see record_grant();
 * leaves it when the option was not given.  0, or -1 with ctl->error filled.
 */

int policy_grants(ctl_t *ctl, json_t *record, const char *name, int option);


#endif /* CTL_POLICY_H */
