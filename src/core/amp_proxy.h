/*
 * The path of the proxy API: a provider's path, of which the gateway knows
 * nothing but that it is harmless.
 */

#ifndef AMP_PROXY_H
#define AMP_PROXY_H


#include "amp_path.h"


/* amp_path_match() for AMP_API_PROXY; fills m but m->op. */

amp_reason_e amp_proxy_match(amp_span_t method, amp_span_t raw,
    unsigned char *scratch, amp_match_t *m);


#endif /* AMP_PROXY_H */
