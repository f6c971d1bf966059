/*
 * Any bytes as what a token may do, alone or in a token's record.  A decoded
 * block fits into its buffer, its fields are within the block, its lists have
 * valid items, and the same text gives the same block.
 *
 * Byte 0 chooses the size of the buffer, and whether the input is the scope, or
 * the rest of a record.
 */

#include <stdlib.h>

#include "amp_origin.h"
#include "amp_token.h"
#include "amp_token_scope.h"


#define HEAD  "{\"v\":2,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_list(const amp_token_scope_t *scope, amp_field_t f, size_t n, size_t max,
    int origins)
{
    size_t       i;
    uint16_t     len;
    amp_span_t   list, item;

    check((size_t) f.offset + f.len <= scope->size && n <= max);
    check((n == 0) == (f.len == 0));

    list = amp_token_scope_field(scope, f);

    for (i = 0; i < n; i++) {
        check(list.len >= sizeof(len));
        memcpy(&len, list.data, sizeof(len));
        check(list.len - sizeof(len) >= len);

        item = amp_span_make(list.data + sizeof(len), len);
        check(origins ? len <= AMP_ORIGIN_MAX && amp_origin_fault(item) == NULL
                      : amp_group_valid(item));
        check(amp_list_has(amp_token_scope_field(scope, f), n, item));
        check(!origins || amp_token_scope_origin(scope, item));

        list = amp_span_make(item.data + len, list.len - sizeof(len) - len);
    }

    check(list.len == 0);
}


static void
check_block(const amp_token_scope_t *scope, amp_span_t id)
{
    check(amp_span_eq(amp_token_scope_field(scope, scope->id), id));
    check_list(scope, scope->groups, scope->ngroups, AMP_GROUPS_MAX, 0);
    check_list(scope, scope->origins, scope->norigins, AMP_ORIGINS_MAX, 1);
    check(amp_token_scope_origin(scope, amp_span_null)
          == (scope->norigins == 0));

    if (scope->rate.count != 0) {
        check(scope->rate.period > 0);
        check(scope->rate.burst > 0 && scope->rate.burst <= AMP_BURST_MAX);
    }
}


static void
check_scope(amp_span_t json, amp_span_t id, size_t cap)
{
    size_t              n;
    const char         *error = NULL;
    amp_token_scope_t  *a, *b;

    /* exactly cap bytes: AddressSanitizer reports a write beyond */

    a = malloc(cap);
    b = malloc(cap);
    check((a != NULL && b != NULL) || cap == 0);

    memset(a, 0x5a, cap);
    memset(b, 0xa5, cap);

    n = amp_token_scope_decode(json, id, a, cap, &error);

    check(n <= cap && n <= AMP_TOKEN_SCOPE_MAX && (n == 0) == (error != NULL));
    check(amp_token_scope_decode(json, id, b, cap, &error) == n);

    if (n != 0) {
        check(a->size == n && memcmp(a, b, n) == 0);
        check_block(a, id);
    }

    free(a);
    free(b);
}


static void
check_record(amp_span_t json, size_t cap)
{
    char                *buf;
    const char          *error = NULL;
    amp_token_record_t   record;

    buf = malloc(AMP_TOKEN_RECORD_MAX);
    check(buf != NULL);

    if (amp_token_record_decode(json, buf, AMP_TOKEN_RECORD_MAX, &record,
                                &error)
        == 0)
    {
        check(amp_span_eq(amp_token_id_tenant(record.id), record.tenant));
        check(record.id.len <= AMP_TOKEN_ID_MAX);
        check(record.label.len <= AMP_TOKEN_LABEL_MAX);

        if (record.scope.len != 0) {
            check_scope(record.scope, record.id, cap);
        }

    } else {
        check(error != NULL && record.tenant.len == 0 && record.scope.len == 0);
    }

    free(buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    cap, len;
    uint8_t  *json;

    if (size == 0) {
        return 0;
    }

    len = (data[0] & 1) ? sizeof(HEAD) - 1 : 0;
    cap = (data[0] & 2) ? AMP_TOKEN_SCOPE_MAX : (size_t) (data[0] >> 2) * 8;

    json = malloc(len + size);
    check(json != NULL);

    memcpy(json, HEAD, len);
    memcpy(json + len, data + 1, size - 1);
    len += size - 1;

    if (data[0] & 1) {
        check_record(amp_span_make(json, len), cap);
    } else {
        check_scope(amp_span_make(json, len), amp_span("acme.x3Kf0a9QzT"), cap);
    }

    free(json);

    return 0;
}
