/*
 * The key of a cached answer: whose it is, the operation, the generations of
 * what the operation reads, path and query, and the headers that select the
 * answer.
 */

#ifndef AMP_CACHE_KEY_H
#define AMP_CACHE_KEY_H


#include "amp_tenant.h"
#include "amp_token.h"


/* Bytes of target and selecting headers that stand in a key as they are. */

#define AMP_CACHE_KEY_LONG  1024

/* Bytes that are enough for the key of an operation. */

size_t amp_cache_key_size(const amp_operation_t *op, size_t target_len,
    size_t selects_len);

/*
 * Writes the key, and returns its end; NULL when OpenSSL fails.
 *
 * target: what amp_decision_compose() wrote.  gens: AMP_FAMILY_COUNT
 * generations; bumps: likewise, 0 but where the zone has given one.  selects:
 * the value of Accept; for the proxy API amp_cache_key_headers().
 *
 * A key shares proxy_buffer_size with the head of the answer: a long one has
 * "#" and the digest of target and headers instead.  No path has a "#".
 */

unsigned char *amp_cache_key(const amp_operation_t *op, const amp_tenant_t *t,
    amp_span_t target, const uint32_t *gens, const uint32_t *bumps,
    amp_span_t selects, unsigned char *out);

/*
 * The headers of a request to the proxy API that select its answer: "#" and the
 * digest of text, which has "name:value\n" for each header, in lower case and
 * in the client's order, that is forwarded and amp_header_selects() names.
 * 0, or -1 when OpenSSL fails.
 */

#define AMP_CACHE_KEY_HEADERS  (1 + AMP_TOKEN_DIGEST_HEX)

int amp_cache_key_headers(amp_span_t text,
    unsigned char out[AMP_CACHE_KEY_HEADERS]);


#endif /* AMP_CACHE_KEY_H */
