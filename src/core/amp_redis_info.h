/*
 * The reply to INFO: lines "field:value" under headings (Redis documentation,
 * INFO).
 */

#ifndef AMP_REDIS_INFO_H
#define AMP_REDIS_INFO_H


#include "amp_span.h"


/*
 * The value of the first line of this field, without its line's end; it is a
 * part of the text.  0, or -1 where there is no such line.
 */

int amp_redis_info(amp_span_t text, amp_span_t field, amp_span_t *value);


#endif /* AMP_REDIS_INFO_H */
