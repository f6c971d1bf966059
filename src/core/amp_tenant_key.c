#include <openssl/crypto.h>

#include "amp_tenant_key.h"


int
amp_tenant_key(amp_keyring_t *keyring, const amp_tenant_t *tenant,
    unsigned char *out)
{
    int         n;
    amp_span_t  sealed;

    sealed = amp_tenant_field(tenant, tenant->sealed);

    if (tenant->opened) {
        return amp_seal_reveal(keyring, sealed, out);
    }

    n = amp_seal_open_decoded(keyring, amp_tenant_field(tenant, tenant->id),
                              amp_tenant_field(tenant, tenant->key_id),
                              sealed, out);

    return (n <= 0 || amp_secret_valid(amp_span_make(out, n))) ? n : -1;
}


int
amp_tenant_key_opens(amp_keyring_t *keyring, const amp_tenant_t *tenant)
{
    int            n;
    unsigned char  secret[AMP_SECRET_MAX];

    n = amp_tenant_key(keyring, tenant, secret);

    OPENSSL_cleanse(secret, sizeof(secret));

    return n > 0;
}
