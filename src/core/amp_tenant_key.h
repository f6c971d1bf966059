/*
 * The Ampersand key of a tenant record.
 */

#ifndef AMP_TENANT_KEY_H
#define AMP_TENANT_KEY_H


#include "amp_seal.h"
#include "amp_tenant.h"


/*
 * Decrypts the tenant's active key into out, which has AMP_SECRET_MAX bytes;
 * the caller wipes it.  When tenant->opened is set, the tag was verified
 * before, and the key is only decrypted.  Returns the key's length, or -1, -2,
 * -3 as amp_seal_open(); also -1 for a key that must not be sent in an HTTP
 * header (amp_secret_valid()).
 */

int amp_tenant_key(amp_keyring_t *keyring, const amp_tenant_t *tenant,
    unsigned char *out);

/* 1 where amp_tenant_key() has a key, which is wiped, else 0. */

int amp_tenant_key_opens(amp_keyring_t *keyring, const amp_tenant_t *tenant);


#endif /* AMP_TENANT_KEY_H */
