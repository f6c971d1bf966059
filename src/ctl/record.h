/*
 * Edits of a tenant's record as JSON, without Redis: what "tenant add" and the
 * later commands of keys, limits and grants have in common.  Texts come from
 * the command line and are judged here.
 *
 * Edits answer 0, or -1 with the error filled and the record to be dropped.
 */

#ifndef CTL_RECORD_H
#define CTL_RECORD_H


#include "../core/amp_seal.h"
#include "../core/amp_tenant.h"
#include "output.h"


/* A record with all members of version 1 and the default grants. */

json_t *record_new(const char *id, const char *project, const char *name);

/* The text of a member, empty where there is none. */

const char *record_text(const json_t *object, const char *name);

static inline amp_span_t
record_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


/* A record as people see it: without sealed texts.  A new reference. */

json_t *record_view(const json_t *record);

/* The key that the gateway uses, or NULL; the key of an id, or NULL. */

json_t *record_active_key(const json_t *record);
json_t *record_key(const json_t *record, const char *id);

/* "id" of the key that record_key_add() would make: k1, k2, ... */

void record_next_key_id(const json_t *record, char id[AMP_KEY_ID_MAX + 1]);

/* Seals a secret into a new active key; the one before becomes "retired". */

int record_key_add(json_t *record, amp_keyring_t *ring, amp_span_t secret,
    ctl_error_t *error);

/* Seals the secret of a key anew with the first master key. */

int record_key_reseal(const json_t *record, json_t *key, amp_keyring_t *ring,
    ctl_error_t *error);

/* Drops a key that is not the active one. */

int record_key_drop(json_t *record, const char *id, ctl_error_t *error);

/*
 * Opens a key into secret (AMP_SECRET_MAX bytes, the caller's to wipe).  Its
 * length, or -1 with the error filled.
 */

int record_key_open(const json_t *record, const json_t *key,
    amp_keyring_t *ring, unsigned char *secret, ctl_error_t *error);

/*
 * Sets the limit of a class, or the tenant's own for NULL.  What is NULL of
 * rate and burst stays as it is; the rate "none" takes the limit away.
 */

int record_limit(json_t *record, const char *class, const char *rate,
    const char *burst, ctl_error_t *error);

/* Sets how many requests may be in flight; "none" takes that away. */

int record_concurrency(json_t *record, const char *text, ctl_error_t *error);

/* A class of limits is named rightly (NULL is). */

int record_limit_class(const char *class, ctl_error_t *error);

/*
 * Sets the cache lifetime of an operation or class, or the tenant's default for
 * NULL; the time "none" takes it away.
 */

int record_lifetime(json_t *record, const char *name, const char *time,
    ctl_error_t *error);

/*
 * Adds an item to a list of grants; "default" stands for every class but
 * secrets, "none" adds nothing.  Unknown items are refused.
 */

int record_grant(json_t *list, const char *item, ctl_error_t *error);

/* Binds to one group more. */

int record_group(json_t *record, const char *group, ctl_error_t *error);


#endif /* CTL_RECORD_H */
