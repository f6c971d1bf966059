#include <strings.h>

#include "amp_cache_key.h"
#include "amp_escape.h"
#include "amp_path.h"


#define AMP_CACHE_KEY_NUMBER      10        /* digits of a uint32_t           */
#define AMP_CACHE_KEY_GENERATION  (2 * AMP_CACHE_KEY_NUMBER + 3)


size_t
amp_cache_key_size(const amp_operation_t *op, size_t target_len,
    size_t selects_len)
{
    uint32_t  reads;

    reads = op->reads | AMP_F(ALL);

    return sizeof("|||") + AMP_CACHE_KEY_NUMBER + AMP_TENANT_OWNER
           + (size_t) __builtin_popcount(reads) * AMP_CACHE_KEY_GENERATION
           + target_len + selects_len;
}


static unsigned char *
amp_cache_key_put(unsigned char *out, amp_span_t s)
{
    if (s.len != 0) {
        memcpy(out, s.data, s.len);
    }

    return out + s.len;
}


int
amp_cache_key_headers(amp_span_t text, unsigned char out[AMP_CACHE_KEY_HEADERS])
{
    unsigned char  digest[AMP_TOKEN_DIGEST];

    if (amp_token_digest(text, digest) != 0) {
        return -1;
    }

    *out = '#';
    amp_hex(digest, sizeof(digest), out + 1);

    return 0;
}


unsigned char *
amp_cache_key(const amp_operation_t *op, const amp_tenant_t *t,
    amp_span_t target, const uint32_t *gens, const uint32_t *bumps,
    amp_span_t selects, unsigned char *out)
{
    size_t          fixed;
    uint32_t        reads;
    unsigned        i;
    amp_span_t      owner, rest;
    unsigned char  *p, digest[AMP_CACHE_KEY_HEADERS];

    owner = amp_span_make(t->owner, AMP_TENANT_OWNER);
    reads = op->reads | AMP_F(ALL);

    fixed = amp_path_fixed(op, t->project_id.len);
    rest = amp_span_make(target.data + fixed, target.len - fixed);

    if (op->class == AMP_CLASS_CATALOG) {
        owner = amp_span("*");
        reads = 0;
    }

    if (rest.len + selects.len > AMP_CACHE_KEY_LONG) {
        p = amp_cache_key_put(out, rest);
        *p++ = '\0';
        p = amp_cache_key_put(p, selects);

        if (amp_cache_key_headers(amp_span_make(out, p - out), digest) != 0) {
            return NULL;
        }

        rest = amp_span_make(digest, sizeof(digest));
        selects = amp_span("application/json");
    }

    p = amp_cache_key_put(out, owner);
    *p++ = '|';
    p = amp_decimal(p, amp_operation_index(op) + 1);

    for ( /* void */ ; reads; reads &= reads - 1) {
        i = (unsigned) ffs((int) reads) - 1;

        if (gens[i] | bumps[i]) {
            *p++ = (unsigned char) ('a' + i);
            p = gens[i] ? amp_decimal(p, gens[i]) : p;
            *p++ = '.';
            p = bumps[i] ? amp_decimal(p, bumps[i]) : p;
            *p++ = ',';
        }
    }

    *p++ = '|';
    p = amp_cache_key_put(p, rest);

    if (!amp_span_eq(selects, amp_span("application/json"))) {
        *p++ = '|';
        p = amp_cache_key_put(p, selects);
    }

    return p;
}
