/*
 * amp_query_parse() and amp_query_compose().  Input: one byte for the
 * operation, the query.
 *
 * A composed query contains only harmless bytes and no API key.  Parsed and
 * composed again it is the same, with the same flags.
 */

#include <stdio.h>
#include <stdlib.h>

#include "amp_path.h"
#include "amp_query.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


static void
check_bytes(const amp_query_t *q, amp_span_t text)
{
    size_t         i;
    const char    *allowed;
    unsigned char  c;

    allowed = q->verbatim ? "-._~!$&'()*+,;=:@/?" : "-._~&=?";

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c == '%') {
            check(i + 2 < text.len);
            check(memchr("23456789ABCDEF", text.data[i + 1], 14) != NULL
                  || memcmp(text.data + i, "%09", 3) == 0);
            check(memchr("0123456789ABCDEF", text.data[i + 2], 16) != NULL);
            i += 2;
            continue;
        }

        check((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || (c != 0 && strchr(allowed, c) != NULL));
    }

    check(text.len == 0 || text.data[0] == '?');
    check((text.len == 0) == (q->n == 0));
}


static void
check_args(const amp_query_t *q)
{
    unsigned  i;

    check(q->n <= AMP_QUERY_ARGS);

    for (i = 0; i < q->n; i++) {
        check(!amp_span_caseeq(q->args[i].name, amp_span("apikey")));
        check(q->args[i].has_value || q->args[i].value.len == 0);

        if (i && !q->verbatim) {
            check(q->args[i - 1].order <= q->args[i].order);
            check(!q->args[i].declared
                  || q->args[i - 1].order < q->args[i].order);
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                  n, room;
    amp_buf_t               out, out2;
    amp_span_t              text;
    amp_query_t             q, q2;
    amp_reason_e            rc;
    unsigned char          *scratch, *scratch2, *first, *second;
    const amp_operation_t  *op;

    if (size < 1) {
        return 0;
    }

    op = amp_operations(&n) + data[0] % n;
    data++;
    size--;

    room = amp_target_size(0, size, 0);
    scratch = malloc(size ? size : 1);
    scratch2 = malloc(room);
    first = malloc(room);
    second = malloc(3 * room);

    rc = amp_query_parse(op, amp_span_make(data, size), scratch, &q);
    check(rc == AMP_OK || rc == AMP_BAD_QUERY || rc == AMP_KEY_IN_QUERY);

    if (rc == AMP_OK) {
        check_args(&q);

        amp_buf_init(&out, first, room);
        amp_query_compose(&q, &out);
        check(!out.overflow);

        text = amp_buf_written(&out);
        check_bytes(&q, text);

        if (text.len != 0 && text.len - 1 <= AMP_QUERY_MAX) {
            text.data++;
            text.len--;
            check(amp_query_parse(op, text, scratch2, &q2) == AMP_OK);
            check(q2.n == q.n && q2.secret == q.secret
                  && q2.changes == q.changes && q2.has_group == q.has_group
                  && amp_span_eq(q2.group, q.group));

            amp_buf_init(&out2, second, 3 * room);
            amp_query_compose(&q2, &out2);
            check(!out2.overflow
                  && amp_span_eq(amp_buf_written(&out),
                                 amp_buf_written(&out2)));
        }
    }

    free(scratch);
    free(scratch2);
    free(first);
    free(second);

    return 0;
}
