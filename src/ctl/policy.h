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

    /* The policy of a record for --json, and as text. */

    json_t          *(*view)(const json_t *record);
    void             (*print)(const json_t *record);
} policy_t;


/*
 * Prints the policy of the tenant that the first argument names.  CTL_DONE, or
 * -1 with ctl->error filled, also when no such tenant exists.
 */

int policy_show(ctl_t *ctl, const policy_t *policy);

/*
 * Changes the policy of that tenant, and prints it as it was and as it is now;
 * with --dry-run as it would be.  The change is tried on a record "trial"
 * first, which is released here: what fails there is wrong usage for any
 * tenant, and found without Redis.  CTL_DONE, or -1 with ctl->error filled,
 * also when no such tenant exists.
 */

int policy_set(ctl_t *ctl, const policy_t *policy, json_t *trial);

/*
 * Changes a list of the record's grants, "allow" or "deny", by what a
 * repeatable option (its id in the command's table) names, see record_grant();
 * leaves it when the option was not given.  0, or -1 with ctl->error filled.
 */

typedef enum {
    POLICY_REPLACE = 0,
    POLICY_ADD,
    POLICY_REMOVE
} policy_grants_e;

int policy_grants(ctl_t *ctl, json_t *record, const char *name, int option,
    policy_grants_e how);


#endif /* CTL_POLICY_H */
