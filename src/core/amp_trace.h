/*
 * The header traceparent (W3C Trace Context, section 3.2).
 */

#ifndef AMP_TRACE_H
#define AMP_TRACE_H


#include "amp_span.h"


#define AMP_TRACE_ID  32        /* hex digits                                 */


/*
 * The id of the trace, within the header's value; amp_span_null where the value
 * is malformed, has an id of zeros, or has the version "ff", which is none.
 * Later versions may append to the value, after another "-".
 */

amp_span_t amp_trace_id(amp_span_t traceparent);


#endif /* AMP_TRACE_H */
