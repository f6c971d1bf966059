/* Isolation, grants, and bodies with another project or group. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_path.h"
#include "amp_scope.h"


#define LEN(a)  (sizeof(a) / sizeof((a)[0]))

#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"Prj-1\","       \
    "\"name\":\"my-app\"}" rest "}"


static uint64_t  free_block[AMP_TENANT_FLAT_MAX / 8];
static uint64_t  bound_block[AMP_TENANT_FLAT_MAX / 8];

static const amp_tenant_t *const  unbound = (void *) free_block;
static const amp_tenant_t *const  bound = (void *) bound_block;


static amp_span_t
text_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static const amp_operation_t *
operation(const char *id)
{
    const amp_operation_t  *op;

    op = amp_operation_find(text_span(id));
    assert_non_null(op);

    return op;
}


static void
tenant(const char *json, void *block)
{
    const char  *error;

    if (amp_tenant_decode(text_span(json), block, AMP_TENANT_FLAT_MAX,
                          &error) == 0)
    {
        fail_msg("%s", error);
    }
}


static int
init(void **state)
{
    amp_path_init();
    tenant(RECORD(""), free_block);
    tenant(RECORD(",\"groups\":[\"g1\",\"G 2\",\"\xc3\xa9\"]"), bound_block);

    return 0;
}


static void
names_of_the_project(void **state)
{
    size_t  i;

    static const char *const  ours[] = { "-", "Prj-1", "my-app", "MY-APP",
                                         "My-App" };
    static const char *const  others[] = { "", "--", "prj-1", "PRJ-1", "Prj-2",
                                           "Prj-1 ", "Prj-", "my-ap",
                                           "my-apps", "my app", "*" };

    for (i = 0; i < LEN(ours); i++) {
        assert_true(amp_scope_project(unbound, text_span(ours[i])));
    }

    for (i = 0; i < LEN(others); i++) {
        assert_false(amp_scope_project(unbound, text_span(others[i])));
    }

    assert_false(amp_scope_project(unbound, amp_span_make("Prj-1\0x", 7)));

    /* a tenant without a project name: the empty name is not its project */

    tenant("{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":\"x\"}}",
           free_block);
    assert_false(amp_scope_project(unbound, amp_span_null));
    tenant(RECORD(""), free_block);
}


static amp_reason_e
isolate(const amp_tenant_t *t, const char *id, const char *project,
    const char *group, const char *project_header, const char *group_header)
{
    amp_match_t  m;
    amp_query_t  q;

    memset(&m, 0, sizeof(m));
    memset(&q, 0, sizeof(q));

    m.op = operation(id);
    m.project = text_span(project);

    if (group) {
        q.has_group = 1;
        q.group = text_span(group);
    }

    return amp_scope_isolate(t, NULL, &m, &q, text_span(project_header),
                             group_header != NULL,
                             text_span(group_header ? group_header : ""));
}


static void
project_and_group_of_a_request(void **state)
{
    size_t  i;

    static const struct {
        const char   *id;
        const char   *project;
        const char   *group;
        const char   *project_header;
        const char   *group_header;
        amp_reason_e  unbound;
        amp_reason_e  bound;
    } cases[] = {
        { "listConnections", "", NULL, "", NULL, AMP_OK, AMP_NO_GROUP },
        { "listConnections", "", "g1", "", NULL, AMP_OK, AMP_OK },
        { "listConnections", "", "G 2", "", NULL, AMP_OK, AMP_OK },
        { "listConnections", "", "g2", "", NULL, AMP_OK, AMP_OTHER_GROUP },
        { "listConnections", "", "G1", "", NULL, AMP_OK, AMP_OTHER_GROUP },
        { "listConnections", "", "", "", NULL, AMP_OK, AMP_OTHER_GROUP },
        { "listConnections", "", "g1,g2", "", NULL, AMP_OK,
          AMP_OTHER_GROUP },
        { "listConnections", "", NULL, "", "g1", AMP_OK, AMP_NO_GROUP },
        { "listConnections", "my-app", "g1", "-", NULL, AMP_OK, AMP_OK },
        { "listConnections", "Prj-1", "g1", "Prj-1", NULL, AMP_OK, AMP_OK },
        { "listConnections", "other", "g1", "", NULL, AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT },
        { "listConnections", "other", "g1", "Prj-1", NULL,
          AMP_OTHER_PROJECT, AMP_OTHER_PROJECT },
        { "listConnections", "-", "g1", "other", NULL, AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT },
        { "getConnection", "-", NULL, "", NULL, AMP_OK, AMP_NO_GROUP },
        { "getConnection", "-", "g1", "", "g1", AMP_OK, AMP_NO_GROUP },
        { "getConnection", "prj-1", NULL, "", NULL, AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT },
        { "listProjects", "", NULL, "", NULL, AMP_OK, AMP_NO_GROUP },
        { "listProviders", "", NULL, "x", NULL, AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT },
        { "createInstallation", "", NULL, "", NULL, AMP_OK, AMP_OK },
        { "oauthConnect", "", NULL, "", NULL, AMP_OK, AMP_OK },
        { "oauthConnect", "", NULL, "other", NULL, AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT },
        { "searchRecords", "", "g1", "", NULL, AMP_OK, AMP_OK },
        { "searchRecords", "", "x", "", "g1", AMP_OK, AMP_OTHER_GROUP },
        { "proxyRequest", "", NULL, "", NULL, AMP_OK, AMP_NO_GROUP },
        { "proxyRequest", "", "g1", "", NULL, AMP_OK, AMP_NO_GROUP },
        { "proxyRequest", "", NULL, "Prj-1", "g1", AMP_OK, AMP_OK },
        { "proxyRequest", "", NULL, "my-app", "\xc3\xa9", AMP_OK, AMP_OK },
        { "proxyRequest", "", NULL, "", "", AMP_OK, AMP_OTHER_GROUP },
        { "proxyRequest", "", NULL, "", "g1 ", AMP_OK, AMP_OTHER_GROUP },
        { "proxyRequest", "", NULL, "Prj-2", "g1", AMP_OTHER_PROJECT,
          AMP_OTHER_PROJECT }
    };

    for (i = 0; i < LEN(cases); i++) {
        if (isolate(unbound, cases[i].id, cases[i].project, cases[i].group,
                    cases[i].project_header, cases[i].group_header)
            != cases[i].unbound
            || isolate(bound, cases[i].id, cases[i].project, cases[i].group,
                       cases[i].project_header, cases[i].group_header)
               != cases[i].bound)
        {
            fail_msg("case %zu", i);
        }
    }
}


/*
 * A tenant that is bound to groups: each operation has to name one, in the body
 * if not in the request's other parts.
 */

static void
bound_tenants_name_a_group_everywhere(void **state)
{
    size_t                  i, n;
    amp_match_t             m;
    amp_query_t             q;
    amp_reason_e            rc;
    const amp_operation_t  *op;

    memset(&m, 0, sizeof(m));
    memset(&q, 0, sizeof(q));
    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        m.op = op;
        rc = amp_scope_isolate(bound, NULL, &m, &q, amp_span_null, 0,
                               amp_span_null);

        assert_int_equal(rc, amp_scope_needs_body(bound, NULL, op) ? AMP_OK
                                                             : AMP_NO_GROUP);
        assert_int_equal(amp_scope_needs_body(unbound, NULL, op),
                         op->project_in == AMP_IN_BODY);
    }
}


static amp_reason_e
grant(const amp_tenant_t *t, const char *id, unsigned secret,
    unsigned changes)
{
    amp_query_t  q;

    memset(&q, 0, sizeof(q));
    q.secret = secret;
    q.changes = changes;

    return amp_scope_grant(t, NULL, operation(id), &q);
}


static void
grants_of_a_request(void **state)
{
    uint64_t       block[AMP_TENANT_FLAT_MAX / 8];
    amp_tenant_t  *t = (void *) block;

    assert_int_equal(grant(unbound, "listConnections", 0, 0), AMP_OK);
    assert_int_equal(grant(unbound, "listProviders", 0, 0), AMP_OK);
    assert_int_equal(grant(unbound, "createInstallation", 0, 0), AMP_OK);
    assert_int_equal(grant(unbound, "proxyRequest", 0, 0), AMP_OK);
    assert_int_equal(grant(unbound, "getConnection", 0, 1), AMP_OK);
    assert_int_equal(grant(unbound, "getConnection", 1, 0),
                     AMP_SECRETS_NOT_GRANTED);
    assert_int_equal(grant(unbound, "getConnection", 1, 1),
                     AMP_SECRETS_NOT_GRANTED);
    assert_int_equal(grant(unbound, "listApiKeys", 0, 0),
                     AMP_SECRETS_NOT_GRANTED);
    assert_int_equal(grant(unbound, "getMyInfo", 0, 0), AMP_NOT_SERVED);
    assert_int_equal(grant(unbound, "createProject", 1, 1), AMP_NOT_SERVED);

    tenant(RECORD(",\"grants\":{\"allow\":[\"read\",\"listApiKeys\"],"
                  "\"deny\":[\"listConnections\"]}"), block);
    assert_int_equal(grant(t, "getConnection", 0, 0), AMP_OK);
    assert_int_equal(grant(t, "getConnection", 0, 1),
                     AMP_CHANGE_NOT_GRANTED);
    assert_int_equal(grant(t, "listConnections", 0, 0), AMP_NOT_GRANTED);
    assert_int_equal(grant(t, "createInstallation", 0, 0), AMP_NOT_GRANTED);
    assert_int_equal(grant(t, "listApiKeys", 0, 0), AMP_OK);
    assert_int_equal(grant(t, "getApiKey", 0, 0), AMP_SECRETS_NOT_GRANTED);

    tenant(RECORD(",\"grants\":{\"allow\":[\"read\",\"secrets\"],"
                  "\"deny\":[\"getApiKey\"]}"), block);
    assert_int_equal(grant(t, "getConnection", 1, 0), AMP_OK);
    assert_int_equal(grant(t, "createApiKey", 0, 0), AMP_OK);
    assert_int_equal(grant(t, "getApiKey", 0, 0), AMP_NOT_GRANTED);

    memset(t->granted, 0xff, sizeof(t->granted));
    assert_int_equal(grant(t, "getOrg", 0, 0), AMP_NOT_SERVED);
}


typedef struct {
    const char   *body;
    const char   *sent;             /* NULL: unchanged, or refused            */
    amp_reason_e  reason;
} body_case_t;


static void
check_body(const amp_tenant_t *t, const char *id, amp_span_t body,
    const char *sent, amp_reason_e reason)
{
    amp_span_t      replacement;
    amp_reason_e    rc;
    unsigned char  *exact;

    exact = malloc(body.len ? body.len : 1);
    memcpy(exact, body.data, body.len);
    body.data = exact;

    rc = amp_scope_body(t, NULL, operation(id), body, &replacement);

    if (rc != reason) {
        fail_msg("%s %.*s: reason %d, not %d", id, (int) body.len, exact, rc,
                 reason);
    }

    if (sent == NULL) {
        assert_null(replacement.data);

    } else {
        assert_non_null(replacement.data);

        if (!amp_span_eq(replacement, text_span(sent))) {
            fail_msg("%.*s: %.*s", (int) body.len, exact,
                     (int) replacement.len, replacement.data);
        }
    }

    free((void *) replacement.data);
    free(exact);
}


static void
check_bodies(const amp_tenant_t *t, const char *id, const body_case_t *cases,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        check_body(t, id, text_span(cases[i].body), cases[i].sent,
                   cases[i].reason);
    }
}


static void
project_in_the_body(void **state)
{
    static const body_case_t  cases[] = {
        { "{}", "{\"projectIdOrName\":\"Prj-1\"}", AMP_OK },
        { " {\"a\" : 1 } \n", "{\"a\":1,\"projectIdOrName\":\"Prj-1\"}",
          AMP_OK },
        { "{\"projectIdOrName\":\"my-app\"}",
          "{\"projectIdOrName\":\"Prj-1\"}", AMP_OK },
        { "{\"projectIdOrName\":\"MY-App\",\"z\":0,\"a\":[1,2]}",
          "{\"projectIdOrName\":\"Prj-1\",\"z\":0,\"a\":[1,2]}", AMP_OK },
        { "{\"b\":null,\"projectId\":\"-\",\"a\":true}",
          "{\"b\":null,\"projectId\":\"Prj-1\",\"a\":true}", AMP_OK },
        { "{\"projectId\":\"Prj-1\",\"projectIdOrName\":\"my-app\"}",
          "{\"projectId\":\"Prj-1\",\"projectIdOrName\":\"Prj-1\"}", AMP_OK },
        { "{\"project\\u0049d\":\"Prj-1\"}", "{\"projectId\":\"Prj-1\"}",
          AMP_OK },
        { "{\"metadata\":{\"projectId\":\"x\",\"PROJECTID\":1}}",
          "{\"metadata\":{\"projectId\":\"x\",\"PROJECTID\":1},"
          "\"projectIdOrName\":\"Prj-1\"}", AMP_OK },
        { "{\"projectId\":\"-\",\"n\":9223372036854775807,\"r\":0.1,"
          "\"t\":\"\\u00e9\\u0000\\\"\\/\"}",
          "{\"projectId\":\"Prj-1\",\"n\":9223372036854775807,"
          "\"r\":0.10000000000000001,\"t\":\"\xc3\xa9\\u0000\\\"/\"}",
          AMP_OK },
        { "{\"projectId\":\"-\",\"GroupRef\":1}",
          "{\"projectId\":\"Prj-1\",\"GroupRef\":1}", AMP_OK },
        { "{\"pro\xc5\xbf\":1,\"projectId\":\"-\"}",
          "{\"pro\xc5\xbf\":1,\"projectId\":\"Prj-1\"}", AMP_OK },

        { "{\"projectIdOrName\":\"other\"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"other\"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"prj-1\"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"\"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"Prj-1\\u0000\"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"my-app \"}", NULL, AMP_OTHER_PROJECT },
        { "{\"projectId\":\"x\",\"projectIdOrName\":\"x\"}", NULL,
          AMP_OTHER_PROJECT },

        { "{\"projectId\":\"x\",\"projectIdOrName\":\"-\"}", NULL,
          AMP_BAD_BODY },
        { "{\"projectId\":\"-\",\"projectIdOrName\":\"x\"}", NULL,
          AMP_BAD_BODY },
        { "{\"projectId\":\"x\",\"projectIdOrName\":\"y\"}", NULL,
          AMP_BAD_BODY },
        { "{\"projectId\":null}", NULL, AMP_BAD_BODY },
        { "{\"projectId\":1}", NULL, AMP_BAD_BODY },
        { "{\"projectId\":true}", NULL, AMP_BAD_BODY },
        { "{\"projectIdOrName\":[\"Prj-1\"]}", NULL, AMP_BAD_BODY },
        { "{\"projectIdOrName\":{\"x\":\"Prj-1\"}}", NULL, AMP_BAD_BODY },
        { "{\"ProjectId\":\"Prj-1\"}", NULL, AMP_BAD_BODY },
        { "{\"projectid\":\"Prj-1\"}", NULL, AMP_BAD_BODY },
        { "{\"PROJECTIDORNAME\":\"Prj-1\"}", NULL, AMP_BAD_BODY },
        { "{\"projectId\":\"-\",\"projectID\":\"x\"}", NULL, AMP_BAD_BODY },
        { "{\"\\u0050rojectId\":\"x\"}", NULL, AMP_BAD_BODY },
        { "{\"projectId\":\"-\",\"projectId\":\"-\"}", NULL, AMP_BAD_BODY },
        { "{\"projectId\":\"-\",\"project\\u0049d\":\"x\"}", NULL,
          AMP_BAD_BODY },
        { "{\"a\":{\"b\":1,\"b\":2}}", NULL, AMP_BAD_BODY },
        { "{\"a\":[{\"b\":1,\"\\u0062\":2}]}", NULL, AMP_BAD_BODY },
        { "", NULL, AMP_BAD_BODY },
        { " ", NULL, AMP_BAD_BODY },
        { "[]", NULL, AMP_BAD_BODY },
        { "[{\"projectId\":\"-\"}]", NULL, AMP_BAD_BODY },
        { "null", NULL, AMP_BAD_BODY },
        { "\"x\"", NULL, AMP_BAD_BODY },
        { "1", NULL, AMP_BAD_BODY },
        { "{", NULL, AMP_BAD_BODY },
        { "{}{}", NULL, AMP_BAD_BODY },
        { "{} x", NULL, AMP_BAD_BODY },
        { "{},", NULL, AMP_BAD_BODY },
        { "{\"a\":1,}", NULL, AMP_BAD_BODY },
        { "{'a':1}", NULL, AMP_BAD_BODY },
        { "{a:1}", NULL, AMP_BAD_BODY },
        { "{\"a\":01}", NULL, AMP_BAD_BODY },
        { "{\"a\":NaN}", NULL, AMP_BAD_BODY },
        { "{\"a\":1e999}", NULL, AMP_BAD_BODY },
        { "{\"a\":99999999999999999999}", NULL, AMP_BAD_BODY },
        { "{/**/}", NULL, AMP_BAD_BODY },
        { "{\"a\":\"\xff\"}", NULL, AMP_BAD_BODY },
        { "{\"a\":\"\xc0\xae\"}", NULL, AMP_BAD_BODY },
        { "{\"a\":\"\xed\xa0\x80\"}", NULL, AMP_BAD_BODY },
        { "{\"a\":\"\\ud800\"}", NULL, AMP_BAD_BODY },
        { "{\"a\":\"\n\"}", NULL, AMP_BAD_BODY },
        { "{\"a\\u0000\":1}", NULL, AMP_BAD_BODY },
        { "\xef\xbb\xbf{}", NULL, AMP_BAD_BODY },
        { "projectId=Prj-1", NULL, AMP_BAD_BODY }
    };

    check_bodies(unbound, "oauthConnect", cases, LEN(cases));
    check_bodies(unbound, "customAuthConnect", cases, LEN(cases));
    check_body(unbound, "oauthConnect", amp_span("{}\0"), NULL, AMP_BAD_BODY);
    check_body(unbound, "oauthConnect", amp_span("{}\0{\"projectId\":1}"),
               NULL, AMP_BAD_BODY);
}


static void
group_in_the_body(void **state)
{
    size_t  i;

    static const char *const  ids[] = { "triggerRead", "writeRecords",
                                        "createInstallation",
                                        "generateConnection",
                                        "deliverResults", "createGroup" };

    static const body_case_t  cases[] = {
        { "{\"groupRef\":\"g1\"}", NULL, AMP_OK },
        { "{\"groupRef\":\"G 2\"}", NULL, AMP_OK },
        { "{\"groupRef\":\"\\u00e9\"}", NULL, AMP_OK },
        { "{\"group\\u0052ef\":\"g1\"}", NULL, AMP_OK },
        { "{\"record\":{\"groupRef\":\"x\",\"GROUPREF\":1},"
          "\"groupRef\":\"g1\"}", NULL, AMP_OK },
        { "{\"groupRef\":\"g1\",\"n\":99999999999999999999}", NULL, AMP_OK },
        { "{\"groupRef\":\"g1\",\"n\":-99999999999999999999999.5e10}", NULL,
          AMP_OK },
        { "{\"groupRef\":\"g1\",\"t\":\"\\u0000\"}", NULL, AMP_OK },
        { "{\"groupRef\":\"g1\",\"projectId\":\"other\"}", NULL, AMP_OK },

        { "{}", NULL, AMP_NO_GROUP },
        { "{\"record\":{\"groupRef\":\"g1\"}}", NULL, AMP_NO_GROUP },
        { "{\"group_ref\":\"g1\"}", NULL, AMP_NO_GROUP },
        { "{\"groupRef \":\"g1\"}", NULL, AMP_NO_GROUP },

        { "{\"groupRef\":\"g2\"}", NULL, AMP_OTHER_GROUP },
        { "{\"groupRef\":\"G1\"}", NULL, AMP_OTHER_GROUP },
        { "{\"groupRef\":\"\"}", NULL, AMP_OTHER_GROUP },
        { "{\"groupRef\":\"g1 \"}", NULL, AMP_OTHER_GROUP },
        { "{\"groupRef\":\"g1\\u0000\"}", NULL, AMP_OTHER_GROUP },
        { "{\"groupRef\":\"e\\u0301\"}", NULL, AMP_OTHER_GROUP },

        { "{\"groupRef\":null}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":1}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":[\"g1\"]}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":{}}", NULL, AMP_BAD_BODY },
        { "{\"groupref\":\"g1\"}", NULL, AMP_BAD_BODY },
        { "{\"GroupRef\":\"g1\"}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":\"g1\",\"GROUPREF\":\"g2\"}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":\"g1\",\"group\\u0072ef\":\"g2\"}", NULL,
          AMP_BAD_BODY },
        { "{\"groupRef\":\"g1\",\"groupRef\":\"g2\"}", NULL, AMP_BAD_BODY },
        { "{\"groupRef\":\"g1\"}{\"groupRef\":\"g2\"}", NULL, AMP_BAD_BODY },
        { "[{\"groupRef\":\"g1\"}]", NULL, AMP_BAD_BODY },
        { "groupRef=g1", NULL, AMP_BAD_BODY },
        { "", NULL, AMP_BAD_BODY }
    };

    for (i = 0; i < LEN(ids); i++) {
        check_bodies(bound, ids[i], cases, LEN(cases));

        /* for a tenant without groups the body is not read */

        check_body(unbound, ids[i], amp_span("{not JSON"), NULL, AMP_OK);
    }

    check_body(bound, "getConnection", amp_span("{not JSON"), NULL, AMP_OK);
}


static void
project_and_group_in_the_body(void **state)
{
    static const body_case_t  cases[] = {
        { "{\"groupRef\":\"g1\"}",
          "{\"groupRef\":\"g1\",\"projectIdOrName\":\"Prj-1\"}", AMP_OK },
        { "{\"projectId\":\"my-app\",\"groupRef\":\"g1\"}",
          "{\"projectId\":\"Prj-1\",\"groupRef\":\"g1\"}", AMP_OK },
        { "{\"projectId\":\"my-app\"}", NULL, AMP_NO_GROUP },
        { "{\"projectId\":\"my-app\",\"groupRef\":\"x\"}", NULL,
          AMP_OTHER_GROUP },
        { "{\"projectId\":\"x\",\"groupRef\":\"x\"}", NULL,
          AMP_OTHER_PROJECT },
        { "{\"projectId\":\"-\",\"groupref\":\"g1\"}", NULL, AMP_BAD_BODY }
    };

    check_bodies(bound, "oauthConnect", cases, LEN(cases));
    check_bodies(bound, "customAuthConnect", cases, LEN(cases));
}


static void
large_and_deep_bodies(void **state)
{
    char    *body;
    size_t   i, n;

    n = AMP_BODY_CHECK_MAX + 1;
    body = malloc(n);
    memset(body, ' ', n);
    memcpy(body, "{\"groupRef\":\"g1\"}", 17);

    check_body(bound, "triggerRead", amp_span_make(body, n - 1), NULL, AMP_OK);
    check_body(bound, "triggerRead", amp_span_make(body, n), NULL,
               AMP_TOO_LARGE);
    check_body(bound, "oauthConnect", amp_span_make(body, n), NULL,
               AMP_TOO_LARGE);

    memset(body, '[', n);
    memcpy(body, "{\"a\":", 5);
    check_body(bound, "triggerRead", amp_span_make(body, n - 1), NULL,
               AMP_BAD_BODY);

    for (i = 0; i + 5 <= n; i += 5) {
        memcpy(body + i, "{\"a\":", 5);
    }

    check_body(unbound, "oauthConnect", amp_span_make(body, i), NULL,
               AMP_BAD_BODY);
    free(body);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(names_of_the_project),
        cmocka_unit_test(project_and_group_of_a_request),
        cmocka_unit_test(bound_tenants_name_a_group_everywhere),
        cmocka_unit_test(grants_of_a_request),
        cmocka_unit_test(project_in_the_body),
        cmocka_unit_test(group_in_the_body),
        cmocka_unit_test(project_and_group_in_the_body),
        cmocka_unit_test(large_and_deep_bodies)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
