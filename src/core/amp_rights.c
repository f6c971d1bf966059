#include "amp_rights.h"
#include "amp_keys.h"


#define amp_rights_on(name)  (1u << AMP_RIGHTS_##name)

#define AMP_RIGHTS_SCRIPTS                                                    \
    (amp_rights_on(TOKEN)|amp_rights_on(TENANT)|amp_rights_on(GEN)            \
     |amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS)|amp_rights_on(USAGE)       \
     |amp_rights_on(FROZEN)|amp_rights_on(DOCTOR))

/* Keys that "ampctl repair" moves. */

#define AMP_RIGHTS_MOVED                                                      \
    (amp_rights_on(TOKENS)|amp_rights_on(TENANTS)|amp_rights_on(GEN)          \
     |amp_rights_on(LIMIT)|amp_rights_on(COOLDOWN)|amp_rights_on(GATEWAY)     \
     |amp_rights_on(GATEWAYS)|amp_rights_on(AUDIT)|amp_rights_on(USAGE)       \
     |amp_rights_on(USED))


/*
 * A call fails for its arguments where the command would change something:
 * Redis looks at the rights before.  Only "sadd" adds to the key of the doctor,
 * and "srem" and "del" remove that again.
 */

static const amp_right_t  amp_rights_list[] = {
    { "asking", "", 0, AMP_RIGHTS_CLUSTER },
    { "cluster|slots", "", 0, AMP_RIGHTS_CLUSTER },
    { "del", " %", amp_rights_on(TOKEN)|amp_rights_on(TOKENS)
      |amp_rights_on(TENANT)|amp_rights_on(LIMIT)|amp_rights_on(COOLDOWN)
      |amp_rights_on(GATEWAY)|amp_rights_on(USED)|amp_rights_on(DOCTOR), 0 },
    { "eval", " return 1 %", AMP_RIGHTS_SCRIPTS, 0 },
    { "evalsha", " 0 1 %", AMP_RIGHTS_SCRIPTS, 0 },
    { "exists", " %", amp_rights_on(TOKEN), 0 },
    { "expireat", " % x", amp_rights_on(TOKEN), 0 },
    { "get", " %", amp_rights_on(TOKEN)|amp_rights_on(TENANT)
      |amp_rights_on(GATEWAY)|amp_rights_on(USED)|amp_rights_on(FROZEN), 0 },
    { "hdel", " % x", amp_rights_on(TOKENS)|amp_rights_on(GEN)
      |amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS), 0 },
    { "hget", " % x", amp_rights_on(TOKENS)|amp_rights_on(GEN)
      |amp_rights_on(USAGE), 0 },
    { "hgetall", " %", amp_rights_on(TOKENS)|amp_rights_on(GEN)
      |amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS), 0 },
    { "hincrby", " % x x", amp_rights_on(GEN)|amp_rights_on(USAGE), 0 },
    { "hlen", " %", amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS), 0 },
    { "hmget", " % x", amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS), 0 },
    { "hscan", " % 0", amp_rights_on(USAGE), 0 },
    { "hset", " % x x x", amp_rights_on(TOKENS)|amp_rights_on(GEN)
      |amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS)|amp_rights_on(USAGE), 0 },
    { "info", " server", 0, 0 },
    { "pexpire", " % x", amp_rights_on(LIMIT)|amp_rights_on(GATEWAYS)
      |amp_rights_on(USAGE), 0 },
    { "ping", "", 0, 0 },
    { "pttl", " %", amp_rights_on(COOLDOWN), 0 },
    { "publish", " % {\"v\":1,\"type\":\"doctor\"}", amp_rights_on(EVENTS), 0 },
    { "renamenx", " % %", AMP_RIGHTS_MOVED, 0 },
    { "role", "", 0, AMP_RIGHTS_SENTINEL },
    { "sadd", " % x", amp_rights_on(TENANTS), 0 },
    { "scan", " 0 COUNT 1", 0, 0 },
    { "select", " x", 0, AMP_RIGHTS_DATABASE },
    { "set", " % 1 x", amp_rights_on(TOKEN)|amp_rights_on(TENANT)
      |amp_rights_on(COOLDOWN)|amp_rights_on(GATEWAY)|amp_rights_on(USED)
      |amp_rights_on(FROZEN)|amp_rights_on(DOCTOR), 0 },
    { "srandmember", " % 1", amp_rights_on(TENANTS), 0 },
    { "srem", " % x", amp_rights_on(TENANTS), 0 },
    { "sscan", " % 0", amp_rights_on(TENANTS), 0 },
    { "subscribe", " %", amp_rights_on(EVENTS), 0 },
    { "time", "", 0, 0 },
    { "type", " %", AMP_RIGHTS_MOVED|amp_rights_on(TOKEN)
      |amp_rights_on(TENANT)|amp_rights_on(FROZEN), 0 },
    { "xadd", " % x x x", amp_rights_on(AUDIT), 0 },
    { "xrange", " % x x", amp_rights_on(AUDIT), 0 }
};


/* A key of each family, after the prefix; no tenant or token has that name. */

static const char *const  amp_rights_names[AMP_RIGHTS_NAMES] = {
    [AMP_RIGHTS_TOKEN] = "token:doctor",
    [AMP_RIGHTS_TOKENS] = "tokens:%doctor",
    [AMP_RIGHTS_TENANT] = "tenant:%doctor",
    [AMP_RIGHTS_TENANTS] = "tenants",
    [AMP_RIGHTS_GEN] = "gen:%doctor",
    [AMP_RIGHTS_LIMIT] = "limit:{%doctor}:default",
    [AMP_RIGHTS_COOLDOWN] = "cooldown:{%doctor}",
    [AMP_RIGHTS_GATEWAY] = "gateway:doctor",
    [AMP_RIGHTS_GATEWAYS] = "gateways",
    [AMP_RIGHTS_AUDIT] = "audit",
    [AMP_RIGHTS_USAGE] = "usage:%doctor",
    [AMP_RIGHTS_USED] = "used:doctor",
    [AMP_RIGHTS_FROZEN] = "frozen",
    [AMP_RIGHTS_DOCTOR] = "doctor:0",
    [AMP_RIGHTS_EVENTS] = "events"
};


const amp_right_t *
amp_rights(size_t *n)
{
    *n = sizeof(amp_rights_list) / sizeof(amp_rights_list[0]);

    return amp_rights_list;
}


static void
amp_rights_put(amp_buf_t *out, const char *text)
{
    amp_buf_put(out, text, strlen(text));
}


void
amp_rights_call(const amp_right_t *right, amp_rights_name_e name,
    amp_span_t prefix, amp_span_t node, amp_buf_t *out)
{
    const char  *p;

    for (p = right->command; *p != '\0'; p++) {
        amp_buf_byte(out, *p == '|' ? ' ' : (unsigned char) *p);
    }

    for (p = right->arguments; *p != '\0'; p++) {

        if (*p != '%') {
            amp_buf_byte(out, (unsigned char) *p);

        } else if (name == AMP_RIGHTS_DOCTOR && node.len != 0) {
            amp_buf_span(out, node);

        } else {
            amp_buf_span(out, prefix);
            amp_rights_put(out, amp_rights_names[name]);
        }
    }
}


void
amp_rights_name(amp_rights_name_e name, amp_span_t prefix, amp_buf_t *out)
{
    const char  *p;

    amp_buf_span(out, prefix);

    for (p = amp_rights_names[name]; *p != '\0'; p++) {
        amp_buf_byte(out, (unsigned char) *p);

        if (*p == ':') {
            amp_buf_byte(out, '*');
            break;
        }
    }
}


void
amp_rights_acl(amp_span_t user, amp_span_t prefix, amp_buf_t *out)
{
    size_t  i, n;

    amp_buf_text(out, "ACL SETUSER ");
    amp_buf_span(out, user);
    amp_buf_text(out, " ~");
    amp_buf_span(out, prefix);
    amp_buf_text(out, "* &");
    amp_keys_events(prefix, out);

    n = sizeof(amp_rights_list) / sizeof(amp_rights_list[0]);

    for (i = 0; i < n; i++) {
        amp_buf_text(out, " +");
        amp_rights_put(out, amp_rights_list[i].command);
    }
}
