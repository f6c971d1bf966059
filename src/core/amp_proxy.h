/*
 * The path of the proxy API: a path of the provider's own.  The gateway checks
 * only that it cannot be taken for another path.
 */

#ifndef AMP_PROXY_H
#define AMP_PROXY_H


#include "amp_match.h"


/*
 * amp_path_match() for AMP_API_PROXY: the same arguments and results.  m is
 * cleared by the caller; fills m->rest and m->head, or m->allow.
 */

amp_reason_e amp_proxy_match(amp_span_t method, amp_span_t raw,
    unsigned char *scratch, amp_match_t *m);


#endif /* AMP_PROXY_H */
