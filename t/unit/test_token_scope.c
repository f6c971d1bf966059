/* What a token may do of what its tenant may: never more. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_decide.h"
#include "amp_token.h"


#define LEN(a)  (sizeof(a) / sizeof((a)[0]))

#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"p-1\"}" rest "}"


static uint64_t  tenant_block[AMP_TENANT_FLAT_MAX / 8];
static uint64_t  scope_block[AMP_TOKEN_SCOPE_MAX / 8];

static amp_tenant_t *const       tenant = (void *) tenant_block;
static amp_token_scope_t *const  scope = (void *) scope_block;


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static const char *
decode(const char *json)
{
    const char  *error = NULL;

    if (amp_token_scope_decode(text(json), text("acme.x3Kf0a9QzT"), scope_block,
                               sizeof(scope_block), &error)
        != 0)
    {
        return NULL;
    }

    assert_non_null(error);

    return error;
}


static void
record(const char *json)
{
    const char  *error;

    if (amp_tenant_decode(text(json), tenant_block, sizeof(tenant_block),
                          &error) == 0)
    {
        fail_msg("%s", error);
    }
}


static int
init(void **state)
{
    amp_path_init();

    return 0;
}


static void
scopes_that_cannot_be_held_are_refused(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "", "[]", "{\"more\":1}", "{\"grants\":[]}",
        "{\"grants\":{\"allow\":\"read\"}}", "{\"grants\":{\"allow\":[1]}}",
        "{\"grants\":{\"except\":[\"read\"]}}",
        "{\"grants\":{\"deny\":[\"somethingNew\"]}}",
        "{\"groups\":[]}", "{\"groups\":\"g1\"}", "{\"groups\":[\"\"]}",
        "{\"limit\":{}}", "{\"limit\":{\"rate\":\"50\"}}",
        "{\"limit\":{\"rate\":\"5/s\",\"burst\":0}}",
        "{\"origins\":[]}", "{\"origins\":[\"*\"]}", "{\"origins\":[\"null\"]}",
        "{\"groups\":[\"g\"],\"groups\":[\"h\"]}"
    };

    static const char *const  good[] = {
        "{}", "{\"grants\":{}}", "{\"grants\":{\"allow\":[]}}",
        "{\"grants\":{\"allow\":[\"read\",\"somethingNew\"]}}",
        "{\"groups\":[\"g1\"]}", "{\"limit\":{\"rate\":\"5/s\"}}",
        "{\"origins\":[\"https://app.example.com\"]}"
    };

    for (i = 0; i < LEN(bad); i++) {
        if (decode(bad[i]) == NULL) {
            fail_msg("%s", bad[i]);
        }
    }

    for (i = 0; i < LEN(good); i++) {
        if (decode(good[i]) != NULL) {
            fail_msg("%s", good[i]);
        }
    }

    assert_true(amp_span_eq(amp_token_scope_field(scope, scope->id),
                            text("acme.x3Kf0a9QzT")));
}


static void
too_large_a_scope_is_refused(void **state)
{
    int   i;
    char  json[AMP_TOKEN_SCOPE_MAX + 64], *p;

    p = json + sprintf(json, "{\"groups\":[\"%0200d\"", 0);

    for (i = 1; i < 21; i++) {
        p += sprintf(p, ",\"%0190d\"", i);
    }

    strcpy(p, "]}");
    assert_non_null(decode(json));
}


static void
origins(void **state)
{
    assert_null(decode("{\"origins\":[\"https://a.example\","
                       "\"https://b.example\"]}"));
    assert_true(amp_token_scope_origin(scope, text("https://b.example")));
    assert_false(amp_token_scope_origin(scope, text("https://b.exampl")));
    assert_false(amp_token_scope_origin(scope, text("https://b.example:8443")));
    assert_false(amp_token_scope_origin(scope, text("https://B.example")));
    assert_false(amp_token_scope_origin(scope, text("null")));
    assert_false(amp_token_scope_origin(scope, amp_span_null));

    assert_null(decode("{}"));
    assert_true(amp_token_scope_origin(scope, amp_span_null));
}


static void
a_scope_makes_version_2_of_a_record(void **state)
{
    amp_buf_t            out;
    const char          *error;
    unsigned char        json[512], buf[512];
    amp_token_record_t   r, back;

    memset(&r, 0, sizeof(r));
    r.tenant = text("acme");
    r.id = text("acme.x3Kf0a9QzT");
    r.scope = text("{\"groups\":[\"g1\"]}");

    amp_buf_init(&out, json, sizeof(json));
    amp_token_record_write(&r, &out);

    /* a gateway that knows no scopes takes version 1 for all */

    assert_memory_equal(json, "{\"v\":2,", 7);
    assert_int_equal(amp_token_record_decode(amp_buf_written(&out), buf,
                                             sizeof(buf), &back, &error), 0);
    assert_true(amp_span_eq(back.scope, r.scope));

    /* what was meant to restrict restricts in version 1, too */

    assert_int_equal(amp_token_record_decode(text("{\"v\":1,\"tenant\":\"acme\""
                     ",\"id\":\"acme.x3Kf0a9QzT\",\"scope\":{\"groups\":[\"g\"]"
                     "}}"), buf, sizeof(buf), &back, &error), 0);
    assert_true(amp_span_eq(back.scope, text("{\"groups\":[\"g\"]}")));
    assert_int_equal(amp_token_record_decode(text("{\"v\":1,\"tenant\":\"acme\""
                     ",\"id\":\"acme.x3Kf0a9QzT\",\"scope\":null}"),
                     buf, sizeof(buf), &back, &error), -1);
    assert_int_equal(amp_token_record_decode(text("{\"v\":3,\"tenant\":\"acme\""
                     ",\"id\":\"acme.x3Kf0a9QzT\",\"scope\":{}}"),
                     buf, sizeof(buf), &back, &error), -1);
}


/* A random list of grants, as JSON, or nothing. */

static const char *const  items[] = {
    "catalog", "read", "write", "data", "secrets", "listTopics",
    "getConnection", "listConnections", "createTopic", "tag:connection",
    "provider-app", "oauthConnect"
};


static char *
random_list(char *p, const char *name, int *first)
{
    int  i, n;

    if (rand() % 3 == 0) {
        return p;
    }

    p += sprintf(p, "%s\"%s\":[", *first ? "" : ",", name);
    *first = 0;

    for (i = 0, n = rand() % 4; i < n; i++) {
        p += sprintf(p, "%s\"%s\"", i ? "," : "",
                     items[(size_t) rand() % LEN(items)]);
    }

    return p + sprintf(p, "]");
}


static char *
random_grants(char *p)
{
    int  first = 1;

    p += sprintf(p, "\"grants\":{");
    p = random_list(p, "allow", &first);
    p = random_list(p, "deny", &first);

    return p + sprintf(p, "}");
}


static char *
random_groups(char *p)
{
    if (rand() % 2) {
        p += sprintf(p, ",\"groups\":[\"g%d\",\"g%d\"]", rand() % 3,
                     rand() % 3);
    }

    return p;
}


/* What the tenant alone, and the scope alone, say of a request. */

static void
for_each_request(amp_reason_e (*check)(const amp_request_t *request,
    const amp_token_scope_t *s))
{
    size_t          i;
    amp_request_t   request;

    static const struct { amp_api_e api; const char *method, *path, *query; }
    calls[] = {
        { AMP_API_PLATFORM, "GET", "/v1/providers", "" },
        { AMP_API_PLATFORM, "GET", "/v1/topics", "" },
        { AMP_API_PLATFORM, "POST", "/v1/topics", "" },
        { AMP_API_PLATFORM, "GET", "/v1/connections", "groupRef=g1" },
        { AMP_API_PLATFORM, "GET", "/v1/connections", "groupRef=g2" },
        { AMP_API_PLATFORM, "GET", "/v1/connections", "" },
        { AMP_API_PLATFORM, "GET", "/v1/connections/c", "" },
        { AMP_API_PLATFORM, "GET", "/v1/connections/c", "includeCreds=true" },
        { AMP_API_PLATFORM, "GET", "/v1/destinations/d", "rotate=true" },
        { AMP_API_PLATFORM, "GET", "/v1/api-keys", "" },
        { AMP_API_PLATFORM, "GET", "/v1/projects/p-2/topics", "" },
        { AMP_API_WRITE, "POST", "/v1/integrations/i/objects/o", "" },
        { AMP_API_PROXY, "GET", "/x", "" }
    };

    for (i = 0; i < LEN(calls); i++) {
        memset(&request, 0, sizeof(request));
        request.api = calls[i].api;
        request.method = text(calls[i].method);
        request.path = text(calls[i].path);
        request.query = text(calls[i].query);

        if (rand() % 2) {
            request.group = text("g1");
            request.has_group = 1;
        }

        request.installation = rand() % 4 == 0;
        request.observe = rand() % 8 == 0;

        (void) check(&request, scope);
    }
}


static unsigned  allowed, narrowed;


static amp_reason_e
never_wider(const amp_request_t *request, const amp_token_scope_t *s)
{
    char            json[1024];
    uint64_t        saved[AMP_TENANT_FLAT_MAX / 8];
    amp_reason_e    wide, both, alone;
    unsigned char   scratch[2048];
    amp_request_t   narrow;
    amp_decision_t  decision, second;

    wide = amp_decide(request, tenant, scratch, &decision);

    narrow = *request;
    narrow.scope = s;
    both = amp_decide(&narrow, tenant, scratch, &second);

    if (both == AMP_OK) {
        allowed++;
        assert_int_equal(wide, AMP_OK);
        assert_true(amp_scope_needs_body(tenant, s, second.op)
                    >= amp_scope_needs_body(tenant, NULL, second.op));
    }

    /* the tenant's own reason is never replaced by the token's */

    if (wide != AMP_OK) {
        assert_int_equal(both, wide);
        return both;
    }

    /* exactly the intersection: what a tenant with all and this scope may */

    memcpy(saved, tenant_block, sizeof(saved));
    strcpy(json, RECORD(",\"grants\":{\"allow\":[\"catalog\",\"read\","
                        "\"write\",\"data\",\"secrets\"]}"));
    record(json);
    alone = amp_decide(&narrow, tenant, scratch, &second);
    memcpy(tenant_block, saved, sizeof(saved));

    assert_int_equal(both, alone);

    if (both != AMP_OK) {
        narrowed++;
        assert_true(both == AMP_TOKEN_NOT_GRANTED || both == AMP_TOKEN_GROUP);
    }

    return both;
}


static void
a_token_may_what_both_may_and_no_more(void **state)
{
    int    i;
    char   json[1024], *p;

    srand(19);

    for (i = 0; i < 4000; i++) {
        p = json + sprintf(json, "{\"v\":1,\"rev\":1,\"id\":\"acme\","
                                 "\"project\":{\"id\":\"p-1\"},");
        p = random_grants(p);
        p = random_groups(p);
        strcpy(p, "}");
        record(json);

        p = random_grants(json + sprintf(json, "{"));
        p = random_groups(p);
        strcpy(p, "}");
        assert_null(decode(json));

        for_each_request(never_wider);
    }

    assert_true(allowed > 2000 && narrowed > 2000);
}


static amp_reason_e
body(const char *json)
{
    amp_span_t    sent;
    amp_reason_e  rc;

    rc = amp_scope_body(tenant, scope, amp_operation_find(text("writeRecords")),
                        text(json), &sent);
    free((void *) sent.data);

    return rc;
}


static void
a_body_names_a_group_of_both(void **state)
{
    if (amp_operation_find(text("writeRecords")) == NULL) {
        fail_msg("the operation has another name");
    }

    record(RECORD(",\"groups\":[\"g1\",\"g2\"]"));
    assert_null(decode("{\"groups\":[\"g2\",\"g3\"]}"));

    assert_int_equal(body("{\"groupRef\":\"g2\"}"), AMP_OK);
    assert_int_equal(body("{\"groupRef\":\"g1\"}"), AMP_TOKEN_GROUP);
    assert_int_equal(body("{\"groupRef\":\"g3\"}"), AMP_OTHER_GROUP);
    assert_int_equal(body("{}"), AMP_NO_GROUP);

    record(RECORD(""));
    assert_int_equal(body("{\"groupRef\":\"g3\"}"), AMP_OK);
    assert_int_equal(body("{\"groupRef\":\"g1\"}"), AMP_TOKEN_GROUP);
    assert_int_equal(body("{}"), AMP_TOKEN_GROUP);
    assert_int_equal(body("{\"groupref\":\"g3\"}"), AMP_BAD_BODY);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(scopes_that_cannot_be_held_are_refused),
        cmocka_unit_test(too_large_a_scope_is_refused),
        cmocka_unit_test(origins),
        cmocka_unit_test(a_scope_makes_version_2_of_a_record),
        cmocka_unit_test(a_token_may_what_both_may_and_no_more),
        cmocka_unit_test(a_body_names_a_group_of_both)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
