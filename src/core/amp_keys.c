#include "amp_keys.h"
#include "amp_token.h"


void
amp_keys_token(amp_span_t prefix, amp_span_t digest_hex, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "token:");
    amp_buf_span(out, digest_hex);
}


void
amp_keys_tokens(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "tokens:");
    amp_buf_span(out, tenant);
}


void
amp_keys_tenant(amp_span_t prefix, amp_span_t tenant, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "tenant:");
    amp_buf_span(out, tenant);
}


void
amp_keys_tenants(amp_span_t prefix, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "tenants");
}


void
amp_keys_gen(amp_span_t prefix, amp_span_t project_id, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "gen:");
    amp_buf_span(out, project_id);
}


void
amp_keys_limit(amp_span_t prefix, amp_span_t tenant, amp_limit_e limit,
    amp_buf_t *out)
{
    amp_span_t   holder = tenant;
    const char  *name = amp_limit_name(limit);

    if (limit == AMP_LIMIT_TOKEN) {
        tenant = amp_token_id_tenant(holder);
    }

    amp_buf_span(out, prefix);
    amp_buf_text(out, "limit:{");
    amp_buf_span(out, tenant);
    amp_buf_text(out, "}:");
    amp_buf_put(out, name, strlen(name));

    if (limit == AMP_LIMIT_TOKEN) {
        amp_buf_byte(out, ':');
        amp_buf_put(out, holder.data + tenant.len + 1,
                    holder.len - tenant.len - 1);
    }
}


void
amp_keys_cooldown(amp_span_t prefix, amp_span_t tenant, amp_span_t scope_hex,
    amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "cooldown:{");
    amp_buf_span(out, tenant);
    amp_buf_byte(out, '}');

    if (scope_hex.len) {
        amp_buf_byte(out, ':');
        amp_buf_span(out, scope_hex);
    }
}


void
amp_keys_gateways(amp_span_t prefix, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "gateways");
}


void
amp_keys_gateway(amp_span_t prefix, amp_span_t id, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "gateway:");
    amp_buf_span(out, id);
}


void
amp_keys_used(amp_span_t prefix, amp_span_t digest_hex, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "used:");
    amp_buf_span(out, digest_hex);
}


void
amp_keys_used_since(amp_span_t prefix, amp_buf_t *out)
{
    amp_keys_used(prefix, amp_span("since"), out);
}


void
amp_keys_frozen(amp_span_t prefix, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "frozen");
}


void
amp_keys_audit(amp_span_t prefix, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "audit");
}


void
amp_keys_usage(amp_span_t prefix, amp_span_t date, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "usage:");
    amp_buf_span(out, date);
}


void
amp_keys_events(amp_span_t prefix, amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "events");
}


const char *
amp_keys_type(amp_span_t prefix, amp_span_t key)
{
    size_t      i, len;
    amp_span_t  name;

    /* a name with a colon at its end is followed by something */

    static const struct {
        const char  *name;
        const char  *type;
    } types[] = {
        { "token:", "string" },
        { "tokens:", "hash" },
        { "used:", "string" },
        { "tenant:", "string" },
        { "tenants", "set" },
        { "gen:", "hash" },
        { "limit:", "hash" },
        { "cooldown:", "string" },
        { "gateways", "hash" },
        { "gateway:", "string" },
        { "frozen", "string" },
        { "audit", "stream" },
        { "usage:", "hash" }
    };

    if (key.len < prefix.len || memcmp(key.data, prefix.data, prefix.len) != 0)
    {
        return NULL;
    }

    name = amp_span_make(key.data + prefix.len, key.len - prefix.len);

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        len = strlen(types[i].name);

        if (name.len >= len && memcmp(name.data, types[i].name, len) == 0
            && (name.len > len) == (types[i].name[len - 1] == ':'))
        {
            return types[i].type;
        }
    }

    return NULL;
}


void
amp_keys_broken(amp_span_t prefix, amp_span_t key, amp_span_t time,
    amp_buf_t *out)
{
    amp_buf_span(out, prefix);
    amp_buf_text(out, "broken:");
    amp_buf_span(out, time);
    amp_buf_byte(out, ':');

    if (memchr(key.data, '{', key.len) != NULL) {
        amp_buf_span(out, key);

    } else {
        amp_buf_byte(out, '{');
        amp_buf_span(out, key);
        amp_buf_byte(out, '}');
    }
}


int
amp_keys_prefix_valid(amp_span_t prefix)
{
    size_t         i;
    unsigned char  c;

    if (prefix.len == 0 || prefix.len > AMP_KEYS_PREFIX_MAX) {
        return 0;
    }

    for (i = 0; i < prefix.len; i++) {
        c = amp_lower(prefix.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
              || c == '.' || c == '_' || c == ':' || c == '-'))
        {
            return 0;
        }
    }

    return 1;
}
