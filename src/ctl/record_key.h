/*
 * The Ampersand keys of a tenant record: sealed, opened, added, dropped.  At
 * most one key is active, which is the one that the gateway uses.
 */

#ifndef CTL_RECORD_KEY_H
#define CTL_RECORD_KEY_H


#include "../core/amp_seal.h"
#include "../core/amp_tenant.h"
#include "output.h"


/* The active key, a part of the record; or NULL. */

json_t *record_active_key(const json_t *record);

/*
 * Seals a secret with the first master key as a new active key "k<n>"; the key
 * that was active becomes "retired".  0, or -1 with the error filled.
 */

int record_key_add(json_t *record, amp_keyring_t *ring, amp_span_t secret,
    ctl_error_t *error);

/*
 * Opens a key of the record and seals it with the first master key.  0, or -1
 * with the error filled and the key unchanged.
 */

int record_key_reseal(const json_t *record, json_t *key, amp_keyring_t *ring,
    ctl_error_t *error);

/*
 * A secret sealed with the first master key as the key id of the record: the
 * text that the record has, or else "given" (may be NULL), where that is the
 * same secret and master key.  A new string, or NULL with the error filled.
 */

json_t *record_key_sealed(const json_t *record, const char *id,
    amp_keyring_t *ring, amp_span_t secret, json_t *given,
    ctl_error_t *error);

/*
 * Drops a key.  0, or -1 with the error filled: there is no such key, or it is
 * the active one.
 */

int record_key_drop(json_t *record, const char *id, ctl_error_t *error);

/*
 * Opens a key into secret (AMP_SECRET_MAX bytes, the caller's to wipe).
 * Returns its length, or -1 with the error filled.
 */

int record_key_open(const json_t *record, const json_t *key,
    amp_keyring_t *ring, unsigned char *secret, ctl_error_t *error);


#endif /* CTL_RECORD_KEY_H */
