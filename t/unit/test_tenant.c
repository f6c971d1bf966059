/* Tenant records: decoding, grants, limits, alphabets, malformed records. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_seal.h"
#include "amp_tenant.h"


/* thirty zero bytes, which no master key has sealed */

#define SEALED  "v1.0123abcd.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

#define HEAD  "{\"v\":1,\"rev\":7,\"id\":\"acme\",\"project\":{\"id\":\"P-1\"}"


typedef union {
    uint64_t       align;
    amp_tenant_t   tenant;
    unsigned char  bytes[AMP_TENANT_FLAT_MAX];
} block_t;


static block_t  block;


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static const amp_tenant_t *
decode(const char *json)
{
    size_t       size;
    const char  *error = NULL;

    memset(&block, 0xa5, sizeof(block));

    size = amp_tenant_decode(text(json), &block, sizeof(block), &error);

    if (size == 0) {
        fail_msg("%s: %s", error, json);
    }

    assert_null(error);
    assert_int_equal(size, block.tenant.size);

    return &block.tenant;
}


/* The record is refused; the error names the member, and not its value. */

static void
refuse(const char *json, const char *member)
{
    const char  *error = NULL;

    assert_int_equal(amp_tenant_decode(text(json), &block, sizeof(block),
                                       &error), 0);
    assert_non_null(error);
    assert_null(strstr(error, "SENTINEL"));

    if (strstr(error, member) == NULL) {
        fail_msg("\"%s\" does not say \"%s\": %s", error, member, json);
    }
}


static int
field_is(const amp_tenant_t *t, amp_field_t f, const char *value)
{
    return amp_span_eq(amp_tenant_field(t, f), text(value));
}


/* The owner differs for each tenant, project, list of groups, incarnation. */

static void
owner_of_tenant_project_and_groups(void **state)
{
    char           json[256];
    size_t         i, j;
    unsigned char  owner[10][AMP_TENANT_OWNER];

    static const char *const  ids[10][3] = {
        { "a", "bc", "" }, { "ab", "c", "" }, { "a", "c", "" },
        { "ab", "bc", "" }, { "a", "bc", "\"g1\"" }, { "a", "bc", "\"g2\"" },
        { "a", "bc", "\"g1\",\"g2\"" }, { "a", "bc", "\"g1g2\"" },
        { "a", "bc", "],\"incarnation\":7,\"x\":[" },
        { "a", "bc", "\"g1\"],\"incarnation\":7,\"x\":[" }
    };

    for (i = 0; i < 10; i++) {
        snprintf(json, sizeof(json), "{\"v\":1,\"rev\":1,\"id\":\"%s\","
                 "\"project\":{\"id\":\"%s\"},\"groups\":[%s]}",
                 ids[i][0], ids[i][1], ids[i][2]);
        memcpy(owner[i], decode(json)->owner, AMP_TENANT_OWNER);

        for (j = 0; j < i; j++) {
            assert_memory_not_equal(owner[i], owner[j], AMP_TENANT_OWNER);
        }

        memcpy(json, owner[i], AMP_TENANT_OWNER);
        json[AMP_TENANT_OWNER] = '\0';
        assert_int_equal(strspn(json, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-_"),
                         AMP_TENANT_OWNER);
    }
}


static void
a_record_with_all_members(void **state)
{
    amp_rate_t           rate;
    const amp_tenant_t  *t;

    t = decode(
        "{\"v\":1,\"rev\":9007199254740993,\"id\":\"acme\",\"x\":{\"y\":[]},"
        "\"project\":{\"id\":\"7f0e-P\",\"name\":\"My-Project\",\"z\":1},"
        "\"keys\":["
        "{\"id\":\"k1\",\"sealed\":\"v1.a.A\",\"state\":\"retiring\"},"
        "{\"id\":\"k2\",\"sealed\":\"" SEALED "\",\"state\":\"active\","
        "\"n\":0},"
        "{\"id\":\"k3\",\"sealed\":\"v1.c.C\",\"state\":\"active\"}],"
        "\"grants\":{\"allow\":[\"read\"],\"deny\":[]},"
        "\"groups\":[\"g1\",\"\\u20ac 2\",\"a\\u0300\"],"
        "\"limits\":{\"default\":{\"rate\":\"50/s\",\"burst\":100},\"read\":{},"
        "\"data\":{\"rate\":\"600/m\"},\"nonsense\":7},"
        "\"cache\":{\"a\":1},\"disabled\":true}");

    assert_true(t->rev == UINT64_C(9007199254740993));
    assert_true(t->disabled);
    assert_true(field_is(t, t->id, "acme"));
    assert_true(field_is(t, t->project_id, "7f0e-P"));
    assert_true(field_is(t, t->project_name, "my-project"));
    assert_true(field_is(t, t->key_id, "k2"));
    assert_memory_equal(t->owner, "sBhyetbmZgslrQ67", AMP_TENANT_OWNER);
    assert_int_equal(t->sealed.len, AMP_MASTER_KEY_ID_LEN + 30);
    assert_memory_equal(amp_tenant_field(t, t->sealed).data, "0123abcd", 8);

    assert_int_equal(t->ngroups, 3);
    assert_true(amp_tenant_has_group(t, text("g1")));
    assert_true(amp_tenant_has_group(t, text("\xe2\x82\xac 2")));
    assert_true(amp_tenant_has_group(t, text("a\xcc\x80")));
    assert_false(amp_tenant_has_group(t, text("G1")));
    assert_false(amp_tenant_has_group(t, text("g")));
    assert_false(amp_tenant_has_group(t, text("g12")));
    assert_false(amp_tenant_has_group(t, text("")));

    assert_int_equal(t->limits, 1 << AMP_LIMIT_DEFAULT
                                | 1 << (AMP_LIMIT_CATALOG + AMP_CLASS_DATA));
    assert_true(amp_tenant_rate(t, AMP_LIMIT_DEFAULT, &rate));
    assert_int_equal(rate.count, 50);
    assert_int_equal(rate.period, 1);
    assert_int_equal(rate.burst, 100);
    assert_true(amp_tenant_rate(t, AMP_LIMIT_CATALOG + AMP_CLASS_DATA, &rate));
    assert_int_equal(rate.count, 600);
    assert_int_equal(rate.period, 60);
    assert_int_equal(rate.burst, 600);
    assert_false(amp_tenant_rate(t, AMP_LIMIT_CATALOG + AMP_CLASS_READ, &rate));
}


/* Precedence: operationId, class, "default". */

static void
cache_lifetimes(void **state)
{
    size_t                  i, n;
    uint32_t                seconds;
    const amp_tenant_t     *t;
    const amp_operation_t  *op;

    t = decode(HEAD ",\"cache\":{\"listTopics\":\"10s\",\"default\":\"1h\","
               "\"read\":\"5m\",\"getDestination\":\"0\",\"later\":{},"
               "\"listProviders\":\"1d\",\"createGroup\":\"1d\","
               "\"catalog\":\"1d\",\"listApiKeys\":\"1d\","
               "\"proxyRequest\":\"2s\"}}");

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        seconds = 77;

        if (amp_tenant_lifetime(t, (unsigned) i, &seconds)) {
            assert_int_equal(seconds,
                             strcmp(op->id, "listTopics") == 0 ? 10
                             : strcmp(op->id, "getDestination") == 0 ? 0
                             : strcmp(op->id, "proxyRequest") == 0 ? 2 : 300);

        } else {
            assert_int_equal(seconds, 77);
            assert_true(op->ttl == 0 || op->class == AMP_CLASS_CATALOG);
        }
    }

    t = decode(HEAD ",\"cache\":{\"getDestination\":\"9\"}}");
    assert_int_equal(t->cache.len, sizeof(seconds));

    refuse(HEAD ",\"cache\":{\"read\":\"SENTINEL\"}}", "\"cache\"");
    refuse(HEAD ",\"cache\":{\"read\":5}}", "\"cache\"");
    refuse(HEAD ",\"cache\":{\"default\":null}}", "\"cache\"");
}


static void
a_record_with_required_members_only(void **state)
{
    unsigned             limit;
    amp_rate_t           rate;
    const amp_tenant_t  *t = decode(HEAD "}");

    assert_int_equal(t->rev, 7);
    assert_false(t->disabled);
    assert_false(t->secrets);
    assert_true(t->changes);
    assert_int_equal(t->project_name.len, 0);
    assert_int_equal(t->key_id.len, 0);
    assert_int_equal(t->sealed.len, 0);
    assert_int_equal(t->cache.len, 0);
    assert_int_equal(t->ngroups, 0);
    assert_false(amp_tenant_has_group(t, text("")));

    for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
        assert_false(amp_tenant_rate(t, (amp_limit_e) limit, &rate));
    }

    t = decode("{\"v\":1,\"rev\":0,\"id\":\"a\",\"project\":{\"id\":\"P\","
               "\"name\":null},\"keys\":[],\"groups\":[],\"limits\":{}}");
    assert_int_equal(t->project_name.len, 0);
    assert_int_equal(t->limits, 0);
}


/* Each rate is found by its bit, whatever other limits the tenant has. */

static void
rate_of_each_limit(void **state)
{
    char                 json[1024], *p;
    unsigned             set, limit;
    amp_rate_t           rate;
    const amp_tenant_t  *t;

    for (set = 0; set < 1u << AMP_LIMIT_COUNT; set++) {
        p = json + sprintf(json, HEAD ",\"limits\":{\"x\":{}");

        for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
            if (set & 1u << limit) {
                p += sprintf(p, ",\"%s\":{\"rate\":\"%u/h\",\"burst\":%u}",
                             amp_limit_name((amp_limit_e) limit), limit + 5,
                             limit + 1);
            }
        }

        strcpy(p, "}}");
        t = decode(json);
        assert_int_equal(t->limits, set);

        for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
            assert_int_equal(amp_tenant_rate(t, (amp_limit_e) limit, &rate),
                             set >> limit & 1);

            if (set & 1u << limit) {
                assert_int_equal(rate.count, limit + 5);
                assert_int_equal(rate.period, 3600);
                assert_int_equal(rate.burst, limit + 1);
            }
        }
    }
}


static void
names_of_limits(void **state)
{
    unsigned  limit;

    for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
        assert_int_equal(amp_limit_find(text(amp_limit_name(
                                             (amp_limit_e) limit))),
                         (int) limit);
    }

    assert_int_equal(amp_limit_find(text("default")), AMP_LIMIT_DEFAULT);
    assert_int_equal(amp_limit_find(text("secrets")), AMP_LIMIT_COUNT - 1);
    assert_int_equal(amp_limit_find(text("none")), -1);
    assert_int_equal(amp_limit_find(text("")), -1);
}


/* With these grants the tenant has exactly the operations of is(). */

static void
granted_when(const char *grants, int (*is)(const amp_operation_t *op),
    int secrets, int changes)
{
    char                    json[512];
    size_t                  i, n;
    const amp_tenant_t     *t;
    const amp_operation_t  *op;

    sprintf(json, HEAD "%s%s}", grants ? ",\"grants\":" : "",
            grants ? grants : "");

    t = decode(json);
    op = amp_operations(&n);
    assert_true(n >= 1 && n <= AMP_OPERATIONS_MAX);

    for (i = 0; i < n; i++) {
        if (amp_tenant_granted(t, &op[i]) != is(&op[i])) {
            fail_msg("%s: %s has the wrong grant", json, op[i].id);
        }
    }

    assert_int_equal(t->secrets, secrets);
    assert_int_equal(t->changes, changes);
}


static int
is_default(const amp_operation_t *op)
{
    return op->class != AMP_CLASS_NONE && op->class != AMP_CLASS_SECRETS;
}


static int
is_served(const amp_operation_t *op)
{
    return op->class != AMP_CLASS_NONE;
}


static int
is_none(const amp_operation_t *op)
{
    return 0;
}


static int
is_read(const amp_operation_t *op)
{
    return op->class == AMP_CLASS_READ;
}


static int
is_list_api_keys(const amp_operation_t *op)
{
    return strcmp(op->id, "listApiKeys") == 0;
}


static int
is_provider_app(const amp_operation_t *op)
{
    return strcmp(op->tag, "Provider App") == 0;
}


static int
is_tag_write(const amp_operation_t *op)
{
    return strcmp(op->tag, "Write") == 0 && op->class != AMP_CLASS_NONE;
}


static int
is_no_provider_app(const amp_operation_t *op)
{
    return is_default(op) && !is_provider_app(op);
}


static int
is_no_get_project(const amp_operation_t *op)
{
    return is_read(op) && strcmp(op->id, "getProject") != 0;
}


static void
granted_operations(void **state)
{
    granted_when(NULL, is_default, 0, 1);
    granted_when("{}", is_default, 0, 1);
    granted_when("{\"deny\":[]}", is_default, 0, 1);
    granted_when("{\"allow\":[]}", is_none, 0, 0);
    granted_when("{\"allow\":[\"read\"]}", is_read, 0, 0);
    granted_when("{\"allow\":[\"READ\",\"no-such\"]}", is_read, 0, 0);
    granted_when("{\"allow\":[\"catalog\",\"read\",\"write\",\"data\","
                 "\"secrets\"]}", is_served, 1, 1);

    granted_when("{\"allow\":[\"listApiKeys\"]}", is_list_api_keys, 0, 0);
    granted_when("{\"allow\":[\"listapikeys\"]}", is_none, 0, 0);
    granted_when("{\"allow\":[\"Provider App\"]}", is_provider_app, 0, 0);
    granted_when("{\"allow\":[\"provider-app\"]}", is_provider_app, 0, 0);
    granted_when("{\"allow\":[\"tag:provider-APP\"]}", is_provider_app, 0, 0);
    granted_when("{\"allow\":[\"tag:Write\"]}", is_tag_write, 0, 0);
    granted_when("{\"allow\":[\"tag:secrets\",\"tag:\",\"\"]}", is_none, 0, 0);

    granted_when("{\"deny\":[\"provider-app\"]}", is_no_provider_app, 0, 1);
    granted_when("{\"allow\":[\"read\"],\"deny\":[\"getProject\"]}",
                 is_no_get_project, 0, 0);
    granted_when("{\"allow\":[\"read\"],\"deny\":[\"read\"]}", is_none, 0, 0);
    granted_when("{\"allow\":[\"secrets\",\"write\"],"
                 "\"deny\":[\"Secrets\",\"Write\"]}", is_none, 0, 0);

    /* operations that are never served, by operationId, tag and class */

    granted_when("{\"allow\":[\"createProject\",\"createOrg\",\"tag:Org\","
                 "\"org\",\"none\",\"User\",\"Billing Account\"]}", is_none,
                 0, 0);
}


static void
operations_of_a_grant_item(void **state)
{
    size_t    i, n, want = 0;
    uint64_t  set[AMP_OPERATIONS_MAX / 64] = { 0 };

    const amp_operation_t  *op = amp_operations(&n);

    for (i = 0; i < n; i++) {
        want += is_read(&op[i]);
    }

    assert_int_equal(amp_grant_expand(text("read"), set), want);
    assert_int_equal(__builtin_popcountll(set[0])
                     + __builtin_popcountll(set[1]), want);

    assert_int_equal(amp_grant_expand(text("read"), set), want);
    assert_int_equal(amp_grant_expand(text("getProject"), set), 1);
    assert_int_equal(amp_grant_expand(text("createOrg"), set), 0);
    assert_int_equal(amp_grant_expand(text("no-such"), set), 0);
    assert_int_equal(amp_grant_expand(amp_span_null, set), 0);
    assert_int_equal(__builtin_popcountll(set[0])
                     + __builtin_popcountll(set[1]), want);
}


static void
malformed_records(void **state)
{
    refuse("", "JSON");
    refuse("SENTINEL", "JSON");
    refuse("[]", "object");
    refuse(HEAD "} SENTINEL", "JSON");
    refuse(HEAD ",\"SENTINEL\":1,\"SENTINEL\":2}", "duplicate");
    refuse(HEAD ",\"limits\":{\"read\":{},\"read\":{}}}", "duplicate");
    refuse(HEAD ",\"x\":\"\xff SENTINEL\"}", "JSON");

    refuse("{\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"P\"}}", "\"v\"");
    refuse("{\"v\":2,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"P\"}}",
           "\"v\"");
    refuse("{\"v\":true,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"P\"}}",
           "\"v\"");
    refuse("{\"v\":1,\"id\":\"a\",\"project\":{\"id\":\"P\"}}", "\"rev\"");
    refuse(HEAD ",\"incarnation\":\"1\"}", "\"incarnation\"");
    refuse("{\"v\":1,\"rev\":-1,\"id\":\"a\",\"project\":{\"id\":\"P\"}}",
           "\"rev\"");
    refuse("{\"v\":1,\"rev\":1,\"project\":{\"id\":\"P\"}}", "\"id\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"SENTINEL/\",\"project\":{}}", "\"id\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"a\"}", "\"project\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":\"SENTINEL\"}",
           "\"project\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"../x\"}}",
           "\"project\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"P\","
           "\"name\":\"SENTINEL x\"}}", "\"project.name\"");
    refuse("{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"P\","
           "\"name\":1}}", "\"project.name\"");

    refuse(HEAD ",\"disabled\":\"SENTINEL\"}", "\"disabled\"");
    refuse(HEAD ",\"disabled\":null}", "\"disabled\"");
    refuse(HEAD ",\"cache\":[]}", "\"cache\"");
}


static void
malformed_keys_grants_groups_and_limits(void **state)
{
    refuse(HEAD ",\"keys\":{}}", "\"keys\"");
    refuse(HEAD ",\"keys\":[1]}", "\"keys\"");
    refuse(HEAD ",\"keys\":[{\"sealed\":\"a\",\"state\":\"active\"}]}",
           "\"id\"");
    refuse(HEAD ",\"keys\":[{\"id\":\"k1\",\"state\":\"active\"}]}",
           "\"sealed\"");
    refuse(HEAD ",\"keys\":[{\"id\":\"k1\",\"sealed\":\"SENTINEL\\u000a\","
           "\"state\":\"active\"}]}", "\"sealed\"");
    refuse(HEAD ",\"keys\":[{\"id\":\"k1\",\"sealed\":\"a\"}]}", "\"state\"");
    refuse(HEAD ",\"keys\":[{\"id\":\"k1\",\"sealed\":\"v1.0123abcd.A\","
           "\"state\":\"active\"}]}", "damaged");

    refuse(HEAD ",\"grants\":[]}", "\"grants\"");
    refuse(HEAD ",\"grants\":null}", "\"grants\"");
    refuse(HEAD ",\"grants\":{\"allow\":\"SENTINEL\"}}", "\"grants.allow\"");
    refuse(HEAD ",\"grants\":{\"allow\":null}}", "\"grants.allow\"");
    refuse(HEAD ",\"grants\":{\"deny\":[1]}}", "\"grants.deny\"");

    refuse(HEAD ",\"groups\":null}", "\"groups\"");
    refuse(HEAD ",\"groups\":[\"\"]}", "\"groups\"");
    refuse(HEAD ",\"groups\":[\"SENTINEL\\u0009\"]}", "\"groups\"");

    refuse(HEAD ",\"limits\":[]}", "\"limits\"");
    refuse(HEAD ",\"limits\":{\"default\":\"50/s\"}}", "\"limits.default\"");
    refuse(HEAD ",\"limits\":{\"catalog\":{\"rate\":\"SENTINEL\"}}}",
           "\"limits.catalog\"");
    refuse(HEAD ",\"limits\":{\"read\":{\"burst\":1}}}", "\"limits.read\"");
    refuse(HEAD ",\"limits\":{\"concurrency\":\"5\"}}",
           "\"limits.concurrency\"");
    refuse(HEAD ",\"limits\":{\"concurrency\":10000001}}",
           "\"limits.concurrency\"");
    refuse(HEAD ",\"limits\":{\"write\":{\"rate\":\"5/s\",\"burst\":0}}}",
           "\"limits.write\"");
    refuse(HEAD ",\"limits\":{\"data\":{\"rate\":\"5/s\",\"burst\":10000001}}}",
           "\"limits.data\"");
    refuse(HEAD ",\"limits\":{\"secrets\":{\"rate\":\"5/s\",\"burst\":1.5}}}",
           "\"limits.secrets\"");
}


/* A record with n groups of len bytes; the caller frees it. */

static char *
with_groups(size_t n, size_t len)
{
    char    *json, *p;
    size_t   i;

    json = malloc(AMP_TENANT_JSON_MAX);
    p = json + sprintf(json, HEAD ",\"groups\":[");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s\"", i ? "," : "");
        memset(p, (int) ('A' + i % 26), len);
        p += len;
        *p++ = '"';
    }

    strcpy(p, "]}");

    return json;
}


static void
size_of_the_block(void **state)
{
    char        *json, *big;
    size_t       size, cap;
    uint64_t     area[64];
    const char  *error;

    json = with_groups(64, 240);
    assert_int_equal(decode(json)->ngroups, 64);
    free(json);

    json = with_groups(65, 2);
    refuse(json, "\"groups\"");
    free(json);

    json = with_groups(64, 256);
    refuse(json, "too large");
    free(json);

    json = with_groups(1, 257);
    refuse(json, "\"groups\"");
    free(json);

    /* a block that is too small is refused, and nothing is written behind it */

    size = decode(HEAD "}")->size;
    assert_true(size >= sizeof(amp_tenant_t) && size <= sizeof(area));

    for (cap = 0; cap <= size; cap++) {
        memset(area, 0x77, sizeof(area));
        assert_int_equal(amp_tenant_decode(text(HEAD "}"), area, cap, &error),
                         cap == size ? size : 0);
        assert_int_equal(((unsigned char *) area)[cap], 0x77);
    }

    big = malloc(AMP_TENANT_JSON_MAX + 2);
    memset(big, ' ', AMP_TENANT_JSON_MAX + 1);
    memcpy(big, HEAD "}", sizeof(HEAD));
    big[AMP_TENANT_JSON_MAX + 1] = '\0';
    refuse(big, "large");
    big[AMP_TENANT_JSON_MAX] = '\0';
    decode(big);
    free(big);
}


static void
equal_records_are_equal_bytes(void **state)
{
    size_t   size;
    block_t  first;

    size = decode(HEAD ",\"groups\":[\"g\"],\"disabled\":false}")->size;
    memcpy(&first, &block, size);
    assert_int_equal(decode(HEAD ",\"disabled\":false,\"groups\":[\"g\"]}")
                     ->size, size);
    assert_memory_equal(&first, &block, size);
}


static void
alphabets_of_ids_and_names(void **state)
{
    int            alnum, word;
    unsigned       c;
    unsigned char  id[300];

    memset(id, 'a', sizeof(id));

    assert_true(amp_tenant_id_valid(amp_span_make(id, 64)));
    assert_false(amp_tenant_id_valid(amp_span_make(id, 65)));
    assert_true(amp_project_id_valid(amp_span_make(id, 128)));
    assert_false(amp_project_id_valid(amp_span_make(id, 129)));
    assert_true(amp_project_name_valid(amp_span_make(id, 128)));
    assert_false(amp_project_name_valid(amp_span_make(id, 129)));
    assert_true(amp_key_id_valid(amp_span_make(id, 32)));
    assert_false(amp_key_id_valid(amp_span_make(id, 33)));
    assert_true(amp_group_valid(amp_span_make(id, 256)));
    assert_false(amp_group_valid(amp_span_make(id, 257)));

    assert_false(amp_tenant_id_valid(amp_span_null));
    assert_false(amp_project_id_valid(amp_span_null));
    assert_false(amp_project_name_valid(amp_span_null));
    assert_false(amp_key_id_valid(amp_span_null));
    assert_false(amp_group_valid(amp_span_null));

    for (c = 0; c < 256; c++) {
        alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
                || (c >= 'a' && c <= 'z');
        word = alnum || c == '.' || c == '_' || c == '-';

        id[0] = (unsigned char) c;
        assert_int_equal(amp_tenant_id_valid(amp_span_make(id, 3)), alnum);
        assert_int_equal(amp_project_id_valid(amp_span_make(id, 3)), alnum);
        assert_int_equal(amp_key_id_valid(amp_span_make(id, 3)), alnum);
        assert_int_equal(amp_project_name_valid(amp_span_make(id, 3)), word);
        assert_int_equal(amp_group_valid(amp_span_make(id, 3)),
                         c >= 0x20 && c < 0x7f);
        id[0] = 'a';

        id[2] = (unsigned char) c;
        assert_int_equal(amp_tenant_id_valid(amp_span_make(id, 3)), word);
        assert_int_equal(amp_project_id_valid(amp_span_make(id, 3)), word);
        assert_int_equal(amp_key_id_valid(amp_span_make(id, 3)), word);
        id[2] = 'a';
    }
}


/* UTF-8 without overlong forms, surrogates and code points > U+10FFFF. */

static void
text_of_a_group(void **state)
{
    size_t  i;

    static const char *const  good[] = {
        "a b", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"
    };

    static const char *const  bad[] = {
        "\x7f", "\x1f", "\xc2\x80", "\xc2\x9f", "\x80", "\xc0\x80", "\xc1\xbf",
        "\xc2", "\xc2" "A", "\xe0\x9f\xbf", "\xe2\x82", "\xe2\x82" "A",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "ok\xfe"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(amp_group_valid(text(good[i])));
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(amp_group_valid(text(bad[i])));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(owner_of_tenant_project_and_groups),
        cmocka_unit_test(a_record_with_all_members),
        cmocka_unit_test(cache_lifetimes),
        cmocka_unit_test(a_record_with_required_members_only),
        cmocka_unit_test(rate_of_each_limit),
        cmocka_unit_test(names_of_limits),
        cmocka_unit_test(granted_operations),
        cmocka_unit_test(operations_of_a_grant_item),
        cmocka_unit_test(malformed_records),
        cmocka_unit_test(malformed_keys_grants_groups_and_limits),
        cmocka_unit_test(size_of_the_block),
        cmocka_unit_test(equal_records_are_equal_bytes),
        cmocka_unit_test(alphabets_of_ids_and_names),
        cmocka_unit_test(text_of_a_group)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
