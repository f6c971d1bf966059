/*
 * Names of keys and channels in Redis.  Each begins with the prefix, "amp:"
 * unless configured otherwise, which callers pass.  Each function appends one
 * name; AMP_KEYS_MAX bytes are enough, or for amp_keys_broken() twice as many.
 */

#ifndef AMP_KEYS_H
#define AMP_KEYS_H


#include "amp_tenant.h"


#define AMP_KEYS_PREFIX      "amp:"
#define AMP_KEYS_PREFIX_MAX  64
#define AMP_KEYS_MAX         (AMP_KEYS_PREFIX_MAX + 32 + AMP_PROJECT_ID_MAX)


/* <prefix>token:<digest>: a token record. */

void amp_keys_token(amp_span_t prefix, amp_span_t digest_hex, amp_buf_t *out);

/*
 * <prefix>tokens:<tenant>: a hash, token id -> digest in hex, for listing and
 * revoking the tenant's tokens.
 */

void amp_keys_tokens(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out);

/* <prefix>tenant:<tenant>: a tenant record. */

void amp_keys_tenant(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out);

/* <prefix>tenants: the set of all tenant ids. */

void amp_keys_tenants(amp_span_t prefix, amp_buf_t *out);

/*
 * <prefix>gen:<project id>: a hash, resource family -> generation, and the
 * project's limit, see amp_project.h.
 */

void amp_keys_gen(amp_span_t prefix, amp_span_t project_id, amp_buf_t *out);

/*
 * <prefix>limit:{<tenant>}:<limit>: the state of a limit, see lease.lua.  That
 * of a token is named by the token's id: <prefix>limit:{<tenant>}:token:<10
 * base62>; of a project it is <prefix>limit:{<project id>}:project.
 */

void amp_keys_limit(amp_span_t prefix, amp_span_t tenant, amp_limit_e limit,
    amp_buf_t *out);

/*
 * <prefix>cooldown:{<tenant>}[:<scope>]: a cool-down, which lasts as long as
 * the key exists.  scope_hex may be empty.
 */

void amp_keys_cooldown(amp_span_t prefix, amp_span_t tenant,
    amp_span_t scope_hex, amp_buf_t *out);

/* <prefix>gateways: the registry, see register.lua. */

void amp_keys_gateways(amp_span_t prefix, amp_buf_t *out);

/* <prefix>gateway:<id>: a gateway's record, see amp_gateway.h. */

void amp_keys_gateway(amp_span_t prefix, amp_span_t id, amp_buf_t *out);

/* <prefix>used:<digest>: the date of the last use of a token. */

void amp_keys_used(amp_span_t prefix, amp_span_t digest_hex, amp_buf_t *out);

/* <prefix>used:since: the date since which the keys above are written. */

void amp_keys_used_since(amp_span_t prefix, amp_buf_t *out);

/* <prefix>frozen: what is frozen for all tenants, see amp_frozen.h. */

void amp_keys_frozen(amp_span_t prefix, amp_buf_t *out);

/* <prefix>audit: a stream of what ampctl has changed. */

void amp_keys_audit(amp_span_t prefix, amp_buf_t *out);

/* <prefix>usage:<date>: what was used on a day, see usage.lua. */

void amp_keys_usage(amp_span_t prefix, amp_span_t date, amp_buf_t *out);

/* <prefix>events: the channel, see amp_event.h. */

void amp_keys_events(amp_span_t prefix, amp_buf_t *out);

/*
 * The type of a key, as TYPE of Redis names it: "hash".  NULL for a name that
 * is none of these.
 */

const char *amp_keys_type(amp_span_t prefix, amp_span_t key);

/*
 * <prefix>broken:<time>:<key>: where "ampctl repair" moves a key of another
 * type.  Both names are in one slot of a cluster: a key without a hash tag
 * becomes one, "{<key>}".
 */

void amp_keys_broken(amp_span_t prefix, amp_span_t key, amp_span_t time,
    amp_buf_t *out);

/* 1 when a prefix is 1 .. AMP_KEYS_PREFIX_MAX bytes of [A-Za-z0-9._:-]. */

int amp_keys_prefix_valid(amp_span_t prefix);


#endif /* AMP_KEYS_H */
