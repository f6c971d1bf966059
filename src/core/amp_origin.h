/*
 * Origins of web pages, as browsers name them in the header Origin (RFC 6454,
 * section 6.2).
 */

#ifndef AMP_ORIGIN_H
#define AMP_ORIGIN_H


#include "amp_span.h"


/*
 * NULL: a browser can send this text as the origin of a page: "https://" or
 * "http://", a host in lower case, and a port that is not the scheme's own.
 * Otherwise what to write instead, as the end of a sentence.
 */

const char *amp_origin_fault(amp_span_t origin);


#endif /* AMP_ORIGIN_H */
