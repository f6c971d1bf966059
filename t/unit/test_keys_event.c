/* Names of keys and channels, and the messages of the events channel. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "amp_event.h"
#include "amp_keys.h"
#include "amp_slot.h"


#define HEX  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"


static unsigned char  bytes[AMP_EVENT_MAX];
static amp_buf_t      buf;


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static amp_buf_t *
fresh(void)
{
    amp_buf_init(&buf, bytes, sizeof(bytes));

    return &buf;
}


static void
written(const char *want)
{
    assert_false(buf.overflow);
    assert_int_equal(amp_buf_written(&buf).len, strlen(want));
    assert_memory_equal(bytes, want, strlen(want));
}


static void
names_of_keys(void **state)
{
    amp_span_t  prefix = amp_span(AMP_KEYS_PREFIX);

    amp_keys_token(prefix, text(HEX), fresh());
    written("amp:token:" HEX);

    amp_keys_tokens(prefix, text("acme"), fresh());
    written("amp:tokens:acme");

    amp_keys_tenant(prefix, text("acme"), fresh());
    written("amp:tenant:acme");

    amp_keys_tenants(prefix, fresh());
    written("amp:tenants");

    amp_keys_gen(prefix, text("P-1"), fresh());
    written("amp:gen:P-1");

    amp_keys_limit(prefix, text("acme"), AMP_LIMIT_DEFAULT, fresh());
    written("amp:limit:{acme}:default");

    amp_keys_limit(prefix, text("acme"), AMP_LIMIT_CATALOG + AMP_CLASS_SECRETS,
                   fresh());
    written("amp:limit:{acme}:secrets");

    amp_keys_gateways(prefix, fresh());
    written("amp:gateways");

    amp_keys_gateway(prefix, text("00ff"), fresh());
    written("amp:gateway:00ff");

    amp_keys_events(text("x.y:"), fresh());
    written("x.y:events");
    amp_keys_used(text("amp:"), text("0a"), fresh());
    written("amp:used:0a");

    amp_keys_used_since(text("amp:"), fresh());
    written("amp:used:since");

    amp_keys_frozen(text("amp:"), fresh());
    written("amp:frozen");
    amp_keys_limit(text("amp:"), text("acme.x3Kf0a9QzT"), AMP_LIMIT_TOKEN,
                   fresh());
    written("amp:limit:{acme}:token:x3Kf0a9QzT");
    amp_keys_limit(text("amp:"), text("P-1"), AMP_LIMIT_PROJECT, fresh());
    written("amp:limit:{P-1}:project");
}


static void
types_of_keys(void **state)
{
    size_t  i;

    static const struct {
        const char  *key;
        const char  *type;
    } cases[] = {
        { "amp:token:" HEX, "string" }, { "amp:tokens:acme", "hash" },
        { "amp:tenant:acme", "string" }, { "amp:tenants", "set" },
        { "amp:used:since", "string" }, { "amp:used:" HEX, "string" },
        { "amp:gen:P-1", "hash" }, { "amp:limit:{acme}:default", "hash" },
        { "amp:cooldown:{acme}", "string" }, { "amp:gateways", "hash" },
        { "amp:gateway:00ff", "string" }, { "amp:frozen", "string" },
        { "amp:audit", "stream" }, { "amp:usage:2026-01-31", "hash" },
        { "amp:", NULL }, { "amp:tenant:", NULL }, { "amp:tenantsx", NULL },
        { "amp:audit:1", NULL }, { "amp:broken:1:{amp:tenants}", NULL },
        { "amp", NULL }, { "xmp:tenants", NULL }, { "tenants", NULL },
        { "amp:doctor:0", NULL }, { "", NULL }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char  *type = amp_keys_type(amp_span(AMP_KEYS_PREFIX),
                                          text(cases[i].key));

        assert_int_equal(type != NULL, cases[i].type != NULL);

        if (type != NULL) {
            assert_string_equal(type, cases[i].type);
        }
    }
}


/* A cluster renames only within a slot. */

static void
a_broken_key_stays_in_its_slot(void **state)
{
    size_t  i;

    static const char *const  keys[] = {
        "amp:tenants", "amp:limit:{acme}:default", "amp:gen:P-1", "amp:audit",
        "amp:cooldown:{acme}:00ff"
    };

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        amp_keys_broken(amp_span(AMP_KEYS_PREFIX), text(keys[i]),
                        amp_span("1796000000"), fresh());
        assert_false(buf.overflow);
        assert_int_equal(amp_slot(amp_buf_written(&buf)),
                         amp_slot(text(keys[i])));
    }

    amp_keys_broken(amp_span(AMP_KEYS_PREFIX), text("amp:tenants"),
                    amp_span("1796000000"), fresh());
    written("amp:broken:1796000000:{amp:tenants}");
    amp_keys_broken(amp_span(AMP_KEYS_PREFIX), text("amp:limit:{acme}:default"),
                    amp_span("1796000000"), fresh());
    written("amp:broken:1796000000:amp:limit:{acme}:default");
}


/* AMP_KEYS_MAX bytes are enough for every name. */

static void
the_longest_names_fit(void **state)
{
    unsigned char  p[AMP_KEYS_PREFIX_MAX], id[AMP_PROJECT_ID_MAX];

    amp_span_t  prefix = amp_span_make(p, sizeof(p));
    amp_span_t  project = amp_span_make(id, sizeof(id));
    amp_span_t  tenant = amp_span_make(id, AMP_TENANT_ID_MAX);

    memset(p, 'p', sizeof(p));
    memset(id, 'i', sizeof(id));

    amp_buf_init(&buf, bytes, AMP_KEYS_MAX);
    amp_keys_gen(prefix, project, &buf);
    assert_false(buf.overflow);

    amp_buf_init(&buf, bytes, AMP_KEYS_MAX);
    amp_keys_limit(prefix, tenant, AMP_LIMIT_DEFAULT, &buf);
    assert_false(buf.overflow);

    amp_buf_init(&buf, bytes, AMP_KEYS_MAX);
    amp_keys_limit(prefix, project, AMP_LIMIT_PROJECT, &buf);
    assert_false(buf.overflow);

    amp_buf_init(&buf, bytes, AMP_KEYS_MAX);
    amp_keys_token(prefix, text(HEX), &buf);
    assert_false(buf.overflow);

    amp_buf_init(&buf, bytes, AMP_KEYS_MAX);
    amp_keys_tokens(prefix, tenant, &buf);
    assert_false(buf.overflow);
}


static void
alphabet_of_the_prefix(void **state)
{
    unsigned       c;
    unsigned char  p[AMP_KEYS_PREFIX_MAX + 1];

    memset(p, 'A', sizeof(p));

    assert_true(amp_keys_prefix_valid(amp_span_make(p, AMP_KEYS_PREFIX_MAX)));
    assert_false(amp_keys_prefix_valid(amp_span_make(p, sizeof(p))));
    assert_false(amp_keys_prefix_valid(amp_span_null));

    for (c = 0; c < 256; c++) {
        p[1] = (unsigned char) c;
        assert_int_equal(amp_keys_prefix_valid(amp_span_make(p, 3)),
                         c != 0 && strchr("abcdefghijklmnopqrstuvwxyz"
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789._:-", (int) c) != NULL);
    }
}


/* Decodes a message; the event is written as the same text. */

static void
canonical(const char *json, amp_event_t *event)
{
    memset(event, 0xa5, sizeof(*event));
    assert_int_equal(amp_event_decode(text(json), event), 0);

    amp_event_write(event, fresh());
    written(json);
}


static void
each_type_of_event(void **state)
{
    amp_event_t  e;

    canonical("{\"v\":1,\"type\":\"tenant\",\"tenant\":\"acme\",\"rev\":8}",
              &e);
    assert_int_equal(e.type, AMP_EVENT_TENANT);
    assert_int_equal(e.rev, 8);
    assert_int_equal(e.tenant_len, 4);
    assert_memory_equal(e.tenant, "acme", 4);
    assert_int_equal(e.project_len, 0);

    canonical("{\"v\":1,\"type\":\"token\",\"tenant\":\"acme\",\"token\":\""
              HEX "\"}", &e);
    assert_int_equal(e.type, AMP_EVENT_TOKEN);
    assert_int_equal(e.digest[0], 0x00);
    assert_int_equal(e.digest[30], 0x1e);
    assert_int_equal(e.digest[31], 0xff);
    assert_int_equal(e.rev, 0);

    canonical("{\"v\":1,\"type\":\"generation\",\"project\":\"P-1\","
              "\"family\":\"provider-apps\",\"rev\":9223372036854775807}", &e);
    assert_int_equal(e.type, AMP_EVENT_GENERATION);
    assert_int_equal(e.family, AMP_FAMILY_PROVIDER_APPS);
    assert_true(e.rev == INT64_MAX);
    assert_int_equal(e.tenant_len, 0);
    assert_memory_equal(e.project, "P-1", 3);

    canonical("{\"v\":1,\"type\":\"purge\",\"project\":\"P-1\","
              "\"family\":\"*\",\"rev\":0}", &e);
    assert_int_equal(e.type, AMP_EVENT_PURGE);
    assert_int_equal(e.family, AMP_FAMILY_ALL);

    canonical("{\"v\":1,\"type\":\"cooldown\",\"tenant\":\"acme\","
              "\"ms\":30000}", &e);
    assert_int_equal(e.type, AMP_EVENT_COOLDOWN);
    assert_int_equal(e.rev, 30000);
    assert_false(e.scoped);
    assert_memory_equal(e.tenant, "acme", 4);

    canonical("{\"v\":1,\"type\":\"cooldown\",\"tenant\":\"acme\",\"scope\":\""
              HEX "\",\"ms\":0}", &e);
    assert_true(e.scoped);
    assert_int_equal(e.digest[31], 0xff);

    canonical("{\"v\":1,\"type\":\"mark\",\"rev\":4711}", &e);
    assert_int_equal(e.type, AMP_EVENT_MARK);
    assert_int_equal(e.rev, 4711);

    canonical("{\"v\":1,\"type\":\"freeze\",\"classes\":[\"read\",\"write\"],"
              "\"rev\":7}", &e);
    assert_int_equal(e.type, AMP_EVENT_FREEZE);
    assert_int_equal(e.classes, 1u << AMP_CLASS_READ | 1u << AMP_CLASS_WRITE);

    canonical("{\"v\":1,\"type\":\"freeze\",\"classes\":[],\"rev\":8}", &e);
    assert_int_equal(e.classes, 0);

    canonical("{\"v\":1,\"type\":\"limit\",\"project\":\"P-1\","
              "\"limit\":{\"rate\":\"600/m\",\"burst\":7}}", &e);
    assert_int_equal(e.type, AMP_EVENT_LIMIT);
    assert_memory_equal(e.project, "P-1", 3);
    assert_int_equal(e.rate.count, 600);
    assert_int_equal(e.rate.period, 60);
    assert_int_equal(e.rate.burst, 7);

    canonical("{\"v\":1,\"type\":\"limit\",\"project\":\"P-1\","
              "\"limit\":{}}", &e);
    assert_int_equal(e.rate.count, 0);

    assert_int_equal(amp_event_decode(text("{\"new\":[],\"rev\":1,\"v\":1,"
                                           "\"tenant\":\"a\","
                                           "\"type\":\"tenant\"}"), &e), 0);
}


/* The longest event fits into AMP_EVENT_MAX; a longer text is refused. */

static void
longest_event(void **state)
{
    amp_event_t    e;
    unsigned char  big[AMP_EVENT_MAX + 1];

    static const char  json[] =
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":1}";

    memset(&e, 0, sizeof(e));
    e.type = AMP_EVENT_GENERATION;
    e.family = AMP_FAMILY_PROVIDER_APPS;
    e.rev = UINT64_MAX;
    e.project_len = AMP_PROJECT_ID_MAX;
    memset(e.project, 'x', sizeof(e.project));
    amp_event_write(&e, fresh());
    assert_false(buf.overflow);

    memset(big, ' ', sizeof(big));
    memcpy(big, json, sizeof(json) - 1);
    assert_int_equal(amp_event_decode(amp_span_make(big, AMP_EVENT_MAX), &e),
                     0);
    assert_int_equal(amp_event_decode(amp_span_make(big, sizeof(big)), &e), -1);
}


static void
malformed_events_are_refused(void **state)
{
    size_t       i;
    amp_event_t  e;

    static const char *const  bad[] = {
        "", "1", "[]", "{}", "nonsense",
        "{\"v\":2,\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":1}",
        "{\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":1}",
        "{\"v\":1,\"tenant\":\"a\",\"rev\":1}",
        "{\"v\":1,\"type\":\"tenants\",\"tenant\":\"a\",\"rev\":1}",
        "{\"v\":1,\"type\":0,\"tenant\":\"a\",\"rev\":1}",
        "{\"v\":1,\"type\":\"tenant\",\"rev\":1}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a b\",\"rev\":1}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"\",\"rev\":1}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a\"}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":-1}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":\"1\"}",
        "{\"v\":1,\"type\":\"tenant\",\"tenant\":\"a\",\"rev\":1,\"rev\":2}",
        "{\"v\":1,\"type\":\"limit\",\"project\":\"p\"}",
        "{\"v\":1,\"type\":\"limit\",\"limit\":{}}",
        "{\"v\":1,\"type\":\"limit\",\"project\":\"p\",\"limit\":7}",
        "{\"v\":1,\"type\":\"limit\",\"project\":\"p\",\"limit\":"
        "{\"rate\":\"7\"}}",
        "{\"v\":1,\"type\":\"limit\",\"project\":\"p\",\"limit\":"
        "{\"burst\":7}}",
        "{\"v\":1,\"type\":\"token\",\"tenant\":\"a\"}",
        "{\"v\":1,\"type\":\"mark\"}",
        "{\"v\":1,\"type\":\"cooldown\",\"tenant\":\"a\"}",
        "{\"v\":1,\"type\":\"cooldown\",\"ms\":1}",
        "{\"v\":1,\"type\":\"cooldown\",\"tenant\":\"a\",\"ms\":-1}",
        "{\"v\":1,\"type\":\"cooldown\",\"tenant\":\"a\",\"ms\":1,"
            "\"scope\":\"\"}",
        "{\"v\":1,\"type\":\"token\",\"token\":\"" HEX "\"}",
        "{\"v\":1,\"type\":\"token\",\"tenant\":\"a\",\"token\":\"" HEX "0\"}",
        "{\"v\":1,\"type\":\"token\",\"tenant\":\"a\",\"token\":\"F001020304050"
            "60708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff\"}",
        "{\"v\":1,\"type\":\"purge\",\"project\":\"P\",\"rev\":1}",
        "{\"v\":1,\"type\":\"purge\",\"project\":\"P\",\"family\":\"all\","
            "\"rev\":1}",
        "{\"v\":1,\"type\":\"purge\",\"project\":\"/\",\"family\":\"*\","
            "\"rev\":1}",
        "{\"v\":1,\"type\":\"generation\",\"project\":\"P\",\"family\":\"*\"}"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (amp_event_decode(text(bad[i]), &e) != -1) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(names_of_keys),
        cmocka_unit_test(types_of_keys),
        cmocka_unit_test(a_broken_key_stays_in_its_slot),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(alphabet_of_the_prefix),
        cmocka_unit_test(each_type_of_event),
        cmocka_unit_test(longest_event),
        cmocka_unit_test(malformed_events_are_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
