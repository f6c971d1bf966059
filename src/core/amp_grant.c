#include "amp_grant.h"


/*
 * The class that an item names, or -1.  Case does not matter: "Write" is also
 * a tag, of a single operation, and must not grant less than the class does.
 */

static int
amp_grant_class(amp_span_t item)
{
    int          class;
    const char  *name;

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        name = amp_class_name((amp_class_e) class);

        if (amp_span_caseeq(item, amp_span_make(name, strlen(name)))) {
            return class;
        }
    }

    return -1;
}


/* Compares a tag: without regard to case, "-" equals a space. */

static int
amp_grant_tag_eq(amp_span_t item, const char *tag)
{
    size_t         i;
    unsigned char  a, b;

    if (item.len != strlen(tag)) {
        return 0;
    }

    for (i = 0; i < item.len; i++) {
        a = amp_lower(item.data[i]);
        b = amp_lower((unsigned char) tag[i]);

        if ((a == ' ' ? '-' : a) != (b == ' ' ? '-' : b)) {
            return 0;
        }
    }

    return 1;
}


unsigned
amp_grant_expand(amp_span_t item, uint64_t set[AMP_OPERATIONS_MAX / 64])
{
    int                     class;
    size_t                  i, n;
    unsigned                index, named = 0;
    amp_span_t              tag = item;
    const amp_operation_t  *op, *one;

    class = amp_grant_class(item);
    one = amp_operation_find(item);
    op = amp_operations(&n);

    if (tag.len > 4 && memcmp(tag.data, "tag:", 4) == 0) {
        tag.data += 4;
        tag.len -= 4;
    }

    for (i = 0; i < n; i++, op++) {
        if (op->class == AMP_CLASS_NONE
            || !((class >= 0) ? (int) op->class == class
                 : (one != NULL) ? op == one
                 : amp_grant_tag_eq(tag, op->tag)))
        {
            continue;
        }

        index = amp_operation_index(op);
        set[index / 64] |= UINT64_C(1) << (index % 64);
        named++;
    }

    return named;
}


unsigned
amp_grants_add(amp_grants_t *grants, amp_span_t item)
{
    int  class;

    class = amp_grant_class(item);

    if (class >= 0) {
        grants->classes |= 1u << class;
    }

    return amp_grant_expand(item, grants->operations);
}


void
amp_grants_default(amp_grants_t *grants)
{
    int          class;
    const char  *name;

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        if (class != AMP_CLASS_SECRETS) {
            name = amp_class_name((amp_class_e) class);
            (void) amp_grants_add(grants, amp_span_make(name, strlen(name)));
        }
    }
}
