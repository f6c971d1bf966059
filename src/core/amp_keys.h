/*
 * Names in Redis.  Every name is prefix + kind + ":" + id; the prefix is
 * "amp:" unless configured otherwise and is given by the caller.
 */

#ifndef AMP_KEYS_H
#define AMP_KEYS_H


#include "amp_tenant.h"


#define AMP_KEYS_PREFIX      "amp:"
#define AMP_KEYS_PREFIX_MAX  64
#define AMP_KEYS_MAX         (AMP_KEYS_PREFIX_MAX + 32 + AMP_PROJECT_ID_MAX)


void amp_keys_token(amp_span_t prefix, amp_span_t digest_hex, amp_buf_t *out);
void amp_keys_tokens(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out);
                                    /* <prefix>tokens:<id>: hash, token id ->
                                       digest hex, for listing and revoking  */
void amp_keys_tenant(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out);
void amp_keys_tenants(amp_span_t prefix, amp_buf_t *out);
void amp_keys_gen(amp_span_t prefix, amp_span_t project_id, amp_buf_t *out);
void amp_keys_limit(amp_span_t prefix, amp_span_t tenant, amp_limit_e limit,
    amp_buf_t *out);                /* <prefix>limit:{<tenant>}:<limit>      */
void amp_keys_cooldown(amp_span_t prefix, amp_span_t tenant,
    amp_span_t scope_hex, amp_buf_t *out);
                                    /* <prefix>cooldown:{<tenant>}[:<scope>]:
                                       its time to live is what counts        */
void amp_keys_events(amp_span_t prefix, amp_buf_t *out);

/* A prefix: 1 .. AMP_KEYS_PREFIX_MAX bytes of [A-Za-z0-9._:-]. */

int amp_keys_prefix_valid(amp_span_t prefix);


#endif /* AMP_KEYS_H */
