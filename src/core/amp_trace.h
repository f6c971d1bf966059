/*
 * The headers traceparent and tracestate (W3C Trace Context).
 */

#ifndef AMP_TRACE_H
#define AMP_TRACE_H


#include "amp_span.h"


#define AMP_TRACE_ID       32       /* hex digits                             */
#define AMP_TRACE_SPAN     16
#define AMP_TRACE_PARENT   (2 + 1 + AMP_TRACE_ID + 1 + AMP_TRACE_SPAN + 1 + 2)

/* Of the flags: the caller may have recorded it; the id is a random one. */

#define AMP_TRACE_SAMPLED  0x01
#define AMP_TRACE_FLAGS    0x03


typedef struct {
    unsigned char  id[AMP_TRACE_ID];
    unsigned char  span[AMP_TRACE_SPAN];
    unsigned char  flags;
} amp_trace_t;


/*
 * Reads a traceparent (section 3.2).  0, or -1 where the value is malformed,
 * has an id of zeros, or has the version "ff", which is none.  Later versions
 * may append to the value, after another "-"; of the flags those of
 * AMP_TRACE_FLAGS are kept.
 */

int amp_trace_read(amp_span_t traceparent, amp_trace_t *trace);

/* 0 where the text is a trace's or a span's id, which is copied; else -1. */

int amp_trace_read_id(amp_span_t text, unsigned char id[AMP_TRACE_ID]);
int amp_trace_read_span(amp_span_t text, unsigned char span[AMP_TRACE_SPAN]);

/*
 * A new trace, and a new span of a trace, from random bytes; one of them is not
 * zero.
 */

void amp_trace_make_id(amp_trace_t *trace,
    const unsigned char random[AMP_TRACE_ID / 2]);
void amp_trace_make_span(amp_trace_t *trace,
    const unsigned char random[AMP_TRACE_SPAN / 2]);

/* Writes AMP_TRACE_PARENT bytes, of version 00, and returns their end. */

unsigned char *amp_trace_write(const amp_trace_t *trace, unsigned char *out);


#endif /* AMP_TRACE_H */
