/*
 * The Ampersand key of a tenant record.
 */

#ifndef AMP_TENANT_KEY_H
#define AMP_TENANT_KEY_H


#include "amp_seal.h"
#include "amp_tenant.h"


/*
 * Decrypts the tenant's active key into out, which has AMP_SECRET_MAX bytes and
 * is the caller's to wipe.  Where tenant->opened is set, the sealed text was
 * authenticated before, so it is only decrypted.  Returns the key's length; -1,
 * -2, -3 as amp_seal_open() does, and -1 for a key that cannot stand in an HTTP
 * header (amp_secret_valid()).
 */

int amp_tenant_key(amp_keyring_t *keyring, const amp_tenant_t *tenant,
    unsigned char *out);


#endif /* AMP_TENANT_KEY_H */
