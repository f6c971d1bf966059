/*
 * Any bytes as a tenant record.  A decoded block fits into its buffer, its
 * fields are within the block, and the same text gives the same block.
 *
 * Byte 0 chooses the size of the buffer, and whether the input is the whole
 * record or follows a valid beginning.
 */

#include <stdlib.h>

#include "amp_tenant.h"


#define HEAD  "{\"v\":1,\"rev\":7,\"id\":\"acme\",\"project\":{\"id\":\"P-1\"},"


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_field(const amp_tenant_t *t, amp_field_t f, size_t max)
{
    check(f.len <= max && (size_t) f.offset + f.len <= t->size);
}


static void
check_block(const amp_tenant_t *t)
{
    uint32_t    seconds;
    unsigned    i, limit, n;
    amp_rate_t  rate;

    check_field(t, t->id, AMP_TENANT_ID_MAX);
    check_field(t, t->project_id, AMP_PROJECT_ID_MAX);
    check_field(t, t->project_name, AMP_PROJECT_NAME_MAX);
    check_field(t, t->key_id, AMP_KEY_ID_MAX);
    check_field(t, t->sealed, 768);
    check_field(t, t->groups, AMP_TENANT_FLAT_MAX);
    check_field(t, t->rates, AMP_LIMIT_COUNT * sizeof(amp_rate_t));
    check_field(t, t->cache, AMP_OPERATIONS_MAX * sizeof(uint32_t));

    for (i = 0, n = 0; i < AMP_OPERATIONS_MAX; i++) {
        if (amp_tenant_lifetime(t, i, &seconds)) {
            check(seconds <= AMP_LIFETIME_MAX);
            n++;
        }
    }

    check(t->cache.len == n * sizeof(seconds));

    check(amp_tenant_id_valid(amp_tenant_field(t, t->id)));
    check(amp_project_id_valid(amp_tenant_field(t, t->project_id)));
    check(t->ngroups <= AMP_GROUPS_MAX);
    check(!amp_tenant_has_group(t, amp_span_null));

    for (limit = 0, n = 0; limit < AMP_LIMIT_COUNT; limit++) {
        if (amp_tenant_rate(t, (amp_limit_e) limit, &rate)) {
            check(rate.count > 0 && rate.period > 0);
            check(rate.burst > 0 && rate.burst <= AMP_BURST_MAX);
            n++;
        }
    }

    check(t->rates.len == n * sizeof(amp_rate_t));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n, cap, len;
    uint8_t        *json;
    const char     *error = NULL;
    amp_tenant_t   *a, *b;

    if (size == 0) {
        return 0;
    }

    /* exactly size bytes: AddressSanitizer reports a read beyond */

    len = (data[0] & 1) ? sizeof(HEAD) - 1 : 0;
    cap = (data[0] & 2) ? AMP_TENANT_FLAT_MAX : (size_t) (data[0] >> 2) * 8;

    json = malloc(len + size);
    a = malloc(cap + 1);
    b = malloc(cap + 1);

    check(json != NULL && a != NULL && b != NULL);

    memcpy(json, HEAD, len);
    memcpy(json + len, data + 1, size - 1);
    len += size - 1;

    memset(a, 0x5a, cap);
    memset(b, 0xa5, cap);

    n = amp_tenant_decode(amp_span_make(json, len), a, cap, &error);

    check(n <= cap && n <= AMP_TENANT_FLAT_MAX && (n == 0) == (error != NULL));
    check(amp_tenant_decode(amp_span_make(json, len), b, cap, &error) == n);

    if (n != 0) {
        check(a->size == n && memcmp(a, b, n) == 0);
        check_block(a);
    }

    free(json);
    free(a);
    free(b);

    return 0;
}
