#include <string.h>

#include "amp_lifetime.h"


amp_lifetime_e
amp_lifetime_name(amp_span_t name)
{
    int                     class;
    const amp_operation_t  *op;

    op = amp_operation_find(name);
    class = op ? (int) op->class : amp_class_find(name);

    if (op == NULL && class < 0) {
        return amp_span_eq(name, amp_span("default")) ? AMP_LIFETIME_OWN
                                                      : AMP_LIFETIME_UNKNOWN;
    }

    if (class == AMP_CLASS_CATALOG) {
        return AMP_LIFETIME_SHARED;
    }

    if (class == AMP_CLASS_READ) {
        return AMP_LIFETIME_OWN;
    }

    /* the proxy API; generateUploadUrl is a GET, but of the class "write" */

    if (op != NULL && class == AMP_CLASS_DATA
        && (op->method == AMP_METHOD_GET || op->method == AMP_METHOD_ANY))
    {
        return AMP_LIFETIME_OWN;
    }

    return AMP_LIFETIME_NEVER;
}


unsigned
amp_lifetime_rank(amp_span_t name, const amp_operation_t *op)
{
    if (amp_span_eq(name, amp_span_make(op->id, strlen(op->id)))) {
        return 3;
    }

    if (op->ttl == 0) {
        return 0;
    }

    if (amp_class_find(name) == (int) op->class) {
        return 2;
    }

    return amp_span_eq(name, amp_span("default"));
}


int
amp_lifetime_polled(const amp_operation_t *op)
{
    return (op->reads & AMP_F(OPERATIONS)) != 0;
}


int
amp_lifetime_parse(amp_span_t text, uint32_t *seconds)
{
    size_t    i;
    uint64_t  n, unit;

    for (i = 0, n = 0; i < text.len && i < AMP_LIFETIME_TEXT_MAX; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            break;
        }

        n = n * 10 + (uint64_t) (text.data[i] - '0');
    }

    if (i == 0 || i + 1 < text.len) {
        return -1;
    }

    unit = 1;

    if (i < text.len) {
        switch (text.data[i]) {

        case 's':
            break;

        case 'm':
            unit = 60;
            break;

        case 'h':
            unit = 3600;
            break;

        case 'd':
            unit = 86400;
            break;

        default:
            return -1;
        }
    }

    if (n > AMP_LIFETIME_MAX / unit) {
        return -1;
    }

    *seconds = (uint32_t) (n * unit);

    return 0;
}
