#include "amp_trace.h"
#include "amp_escape.h"


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


int
amp_trace_read(amp_span_t traceparent, amp_trace_t *trace)
{
    const unsigned char  *p;

    p = traceparent.data;

    /* "00-<32 digits>-<16 digits>-01" */

    if (traceparent.len < AMP_TRACE_PARENT
        || amp_unhex(p, p + 2) < 0 || memcmp(p, "ff", 2) == 0
        || p[2] != '-' || p[35] != '-' || p[52] != '-'
        || !amp_trace_field(p + 3, AMP_TRACE_ID)
        || !amp_trace_field(p + 36, AMP_TRACE_SPAN)
        || amp_unhex(p + 53, p + 55) < 0)
    {
        return -1;
    }

    if (traceparent.len > AMP_TRACE_PARENT
        && (memcmp(p, "00", 2) == 0 || p[AMP_TRACE_PARENT] != '-'))
    {
        return -1;
    }

    memcpy(trace->id, p + 3, AMP_TRACE_ID);
    memcpy(trace->span, p + 36, AMP_TRACE_SPAN);
    trace->flags = (unsigned char) amp_unhex(p + 53, p + 55) & AMP_TRACE_FLAGS;

    return 0;
}


/* The text is len hexadecimal digits, not all of them zero. */

static int
amp_trace_copy(amp_span_t text, unsigned char *out, size_t len)
{
    if (text.len != len || !amp_trace_field(text.data, len)) {
        return -1;
    }

    memcpy(out, text.data, len);

    return 0;
}


int
amp_trace_read_id(amp_span_t text, unsigned char id[AMP_TRACE_ID])
{
    return amp_trace_copy(text, id, AMP_TRACE_ID);
}


int
amp_trace_read_span(amp_span_t text, unsigned char span[AMP_TRACE_SPAN])
{
    return amp_trace_copy(text, span, AMP_TRACE_SPAN);
}


void
amp_trace_make_id(amp_trace_t *trace,
    const unsigned char random[AMP_TRACE_ID / 2])
{
    amp_hex(random, AMP_TRACE_ID / 2, trace->id);
}


void
amp_trace_make_span(amp_trace_t *trace,
    const unsigned char random[AMP_TRACE_SPAN / 2])
{
    amp_hex(random, AMP_TRACE_SPAN / 2, trace->span);
}


unsigned char *
amp_trace_write(const amp_trace_t *trace, unsigned char *out)
{
    *out++ = '0';
    *out++ = '0';
    *out++ = '-';

    memcpy(out, trace->id, AMP_TRACE_ID);
    out += AMP_TRACE_ID;
    *out++ = '-';

    memcpy(out, trace->span, AMP_TRACE_SPAN);
    out += AMP_TRACE_SPAN;
    *out++ = '-';

    amp_hex(&trace->flags, 1, out);

    return out + 2;
}
