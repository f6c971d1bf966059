/*
 * What a tenant record allows: limits, grants, groups and cache lifetimes, from
 * the texts of the command line.
 *
 * Each function returns 0, or -1 with the error filled; a record whose change
 * failed must not be written.
 */

#ifndef CTL_RECORD_POLICY_H
#define CTL_RECORD_POLICY_H


#include "output.h"


/*
 * Sets the rate and burst of a class, or of all requests when class is NULL.
 * A NULL rate or burst stays as it is; the rate "none" removes the limit.
 */

int record_limit(json_t *record, const char *class, const char *rate,
    const char *burst, ctl_error_t *error);

/* Whether a limit may have this class; NULL, for all requests, may. */

int record_limit_class(const char *class, ctl_error_t *error);

/* Sets how many requests may be in flight; "none" removes the limit. */

int record_concurrency(json_t *record, const char *text, ctl_error_t *error);

/*
 * Adds a class, tag or operationId to a list of grants; "default" adds every
 * class but secrets, "none" adds nothing.
 */

int record_grant(json_t *list, const char *item, ctl_error_t *error);

/*
 * Removes an item, or "default", from a list of grants, whose name is "allow"
 * or "deny".  An error where the item is not in the list, and others in the
 * list name some of its operations: they would still be allowed, or denied.
 */

int record_grant_remove(json_t *list, const char *name, const char *item,
    ctl_error_t *error);

/* Sets the note for people that a tenant has; "" removes it.  0, or -1. */

#define RECORD_LABEL_MAX  128       /* bytes                                  */

int record_label(json_t *record, const char *label, ctl_error_t *error);

/* Adds a group to those that the tenant is bound to. */

int record_group(json_t *record, const char *group, ctl_error_t *error);

/*
 * Sets the cache lifetime of an operation or class, or the tenant's default
 * when name is NULL; the time "none" removes it.
 */

int record_lifetime(json_t *record, const char *name, const char *time,
    ctl_error_t *error);


#endif /* CTL_RECORD_POLICY_H */
