#include "amp_trace.h"
#include "amp_escape.h"


/* "00-<32 digits>-<16 digits>-01" */

#define AMP_TRACE_PARENT  (2 + 1 + AMP_TRACE_ID + 1 + 16 + 1 + 2)


/* Lower-case hex digits, not all of them zero. */

static int
amp_trace_field(const unsigned char *p, size_t len)
{
    int     zero;
    size_t  i;

    zero = 1;

    for (i = 0; i < len; i++) {
        if (!amp_char_is(p[i], AMP_HEX) || (p[i] >= 'A' && p[i] <= 'F')) {
            return 0;
        }

        zero &= p[i] == '0';
    }

    return !zero;
}


amp_span_t
amp_trace_id(amp_span_t traceparent)
{
    const unsigned char  *p;

    p = traceparent.data;

    if (traceparent.len < AMP_TRACE_PARENT
        || amp_unhex(p, p + 2) < 0 || memcmp(p, "ff", 2) == 0
        || p[2] != '-' || p[35] != '-' || p[52] != '-'
        || !amp_trace_field(p + 3, AMP_TRACE_ID)
        || !amp_trace_field(p + 36, 16)
        || amp_unhex(p + 53, p + 55) < 0)
    {
        return amp_span_null;
    }

    if (traceparent.len > AMP_TRACE_PARENT
        && (memcmp(p, "00", 2) == 0 || p[AMP_TRACE_PARENT] != '-'))
    {
        return amp_span_null;
    }

    return amp_span_make(p + 3, AMP_TRACE_ID);
}
