/* The cause of a refusal: a sentence for each reason, with the right name. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_fault.h"
#include "amp_json.h"


#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"p-1\","         \
    "\"name\":\"alpha\"}" rest "}"
#define GROUPS      ",\"groups\":[\"g1\"]"
#define READ_ONLY   ",\"grants\":{\"allow\":[\"read\"]}"


static uint64_t        block[AMP_TENANT_FLAT_MAX / 8];
static uint64_t        scope_block[AMP_TOKEN_SCOPE_MAX / 8];
static unsigned char   scratch[AMP_PATH_SCRATCH(AMP_PATH_MAX) + 16384];
static unsigned char   document[AMP_PROBLEM_MAX];

static amp_tenant_t *const       tenant = (void *) block;
static amp_token_scope_t *const  scope = (void *) scope_block;


/* What a request is, and what its refusal says; path and query are text. */

typedef struct {
    amp_reason_e   reason;
    const char    *cause;       /* NULL: the detail of the problem            */
    const char    *path;
    const char    *query;
    amp_request_t  request;
} case_t;


static amp_span_t
text_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static void
decode(const char *record, const char *token)
{
    const char  *error;

    if (amp_tenant_decode(text_span(record), block, sizeof(block), &error) == 0)
    {
        fail_msg("%s", error);
    }

    if (token != NULL
        && amp_token_scope_decode(text_span(token), amp_span("acme.0123456789"),
                                  scope_block, sizeof(scope_block), &error)
           == 0)
    {
        fail_msg("%s", error);
    }
}


/* The sentence as the problem has it. */

static void
check_cause(amp_reason_e reason, const amp_fault_t *fault, const char *cause)
{
    json_t               *json;
    amp_buf_t             out;
    const char           *error, *said;
    amp_problem_facts_t   facts;

    memset(&facts, 0, sizeof(facts));
    facts.fault = *fault;
    facts.status = 400;

    amp_buf_init(&out, document, sizeof(document));
    amp_problem_write(reason, &facts, &out);
    assert_false(out.overflow);

    json = amp_json_object(amp_buf_written(&out), &error);
    assert_non_null(json);

    said = json_string_value(json_array_get(json_object_get(json, "causes"),
                                            0));
    assert_non_null(said);
    assert_string_equal(said, cause ? cause : amp_problem(reason)->detail);

    json_decref(json);
}


static void
check_cases(case_t *cases, size_t n)
{
    size_t          i;
    amp_fault_t     fault;
    amp_reason_e    reason;
    amp_request_t  *request;
    amp_decision_t  decision;

    for (i = 0; i < n; i++) {
        request = &cases[i].request;
        request->path = text_span(cases[i].path);
        request->query = text_span(cases[i].query ? cases[i].query : "");

        if (request->method.len == 0) {
            request->method = text_span("GET");
        }

        reason = amp_decide(request, tenant, scratch, &decision);

        if (reason != cases[i].reason) {
            fail_msg("%s: reason %d, not %d", cases[i].path, reason,
                     cases[i].reason);
        }

        amp_fault_find(reason, request, tenant, &decision, &fault);
        check_cause(reason, &fault, cases[i].cause);
    }
}


#define check_all(cases)  check_cases(cases, sizeof(cases) / sizeof(cases[0]))


static void
paths(void **state)
{
    size_t       i;
    static char  deep[AMP_PATH_MAX + 2], wide[AMP_PATH_MAX];

    case_t  cases[] = {
        { AMP_BAD_PATH, "The path does not begin with a slash.", "v1", NULL,
          { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has an empty segment, \"//\".",
          "/v1/.well//x", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has a dot segment, \".\" or \"..\".",
          "/v1/topics/%2e%2E;x", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has a backslash or a control byte.",
          "/v1/a\\b", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has a byte that has to be percent-encoded.",
          "/v1/.x/\xc3\xa4", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH,
          "The path has a \"%\" without two hexadecimal digits.", "/v1/a%2",
          NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has an encoded slash or backslash.",
          "/v1/.x/a%2Fb", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has an encoded control byte.", "/v1/a%09",
          NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path has a segment that is encoded twice.",
          "/v1/topics/a%252Fb", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH,
          "The path has UTF-8 in a longer form than it has to be.",
          "/v1/topics/%C0%AF", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH,
          "The path has a dot segment or the verb of an operation in place of"
          " an id.", "/read/v1/integrations/i/installations/x%3Apause", NULL,
          { .api = AMP_API_READ, .method = text_span("POST") } },
        { AMP_BAD_PATH, "The path is longer than 4096 bytes.", deep, NULL,
          { .api = AMP_API_PLATFORM } },
        { AMP_BAD_PATH, "The path is longer than 4096 bytes.", wide, NULL,
          { .api = AMP_API_PROXY } },
        { AMP_BAD_PATH, "The path has a dot segment, \".\" or \"..\".",
          "/proxy//a/..", NULL, { .api = AMP_API_PROXY } },
        { AMP_BAD_PATH,
          "The path has a dot segment, a backslash or a control byte once it is"
          " decoded, perhaps several times.", "/proxy//a%252f..%252f", NULL,
          { .api = AMP_API_PROXY } },
        { AMP_BAD_PATH,
          "The path has a \"%\" without two hexadecimal digits.",
          "/proxy/a%2Fb/%x", NULL, { .api = AMP_API_PROXY } },
        { AMP_NO_OPERATION, NULL, "/v1/none", NULL,
          { .api = AMP_API_PLATFORM } },
        { AMP_NO_METHOD,
          "The path exists, but not with the method \"PURGE\".", "/v1/topics",
          NULL, { .api = AMP_API_PLATFORM, .method = text_span("PURGE") } }
    };

    (void) state;

    memset(deep, 'a', sizeof(deep) - 1);
    deep[0] = '/';

    memcpy(wide, "/proxy/", 7);

    for (i = 7; i < 2000; i++) {
        wide[i] = '|';
    }

    decode(RECORD(""), NULL);
    check_all(cases);
}


static void
queries(void **state)
{
    static char  many[8300];

    case_t  cases[] = {
        { AMP_BAD_QUERY,
          "The query parameter \"groupRef\" is malformed, occurs twice, or"
          " differs from a documented one only in case.", "/v1/connections",
          "groupRef=a&groupRef=b", { .api = AMP_API_PLATFORM } },
        { AMP_BAD_QUERY,
          "The query parameter \"x\" is malformed, occurs twice, or differs"
          " from a documented one only in case.", "/v1/connections",
          "y=1&x%3D%00secret", { .api = AMP_API_PLATFORM } },
        { AMP_BAD_QUERY, "The query is too long, or has too many parameters.",
          "/v1/connections", many, { .api = AMP_API_PLATFORM } },
        { AMP_KEY_IN_QUERY,
          "The query parameter \"ApiKey\" is named like an API key.",
          "/v1/connections", "ApiKey=secret", { .api = AMP_API_PLATFORM } },
        { AMP_KEY_IN_QUERY,
          "A part of the query is named like an API key.", "/proxy/x",
          "a=1;apiKey=secret", { .api = AMP_API_PROXY } }
    };

    (void) state;

    memset(many, 'a', sizeof(many) - 1);

    decode(RECORD(""), NULL);
    check_all(cases);
}


static void
what_the_tenant_may_not(void **state)
{
    case_t  cases[] = {
        { AMP_OTHER_PROJECT, "The path names another project.",
          "/v1/projects/p-2/topics", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_OTHER_PROJECT,
          "The header x-amp-project-id names another project.",
          "/v1/projects/p-1/topics", NULL,
          { .api = AMP_API_PLATFORM, .project = text_span("p-2") } },
        { AMP_NO_GROUP,
          "The query has no groupRef, which \"listConnections\" takes.",
          "/v1/connections", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_OTHER_GROUP,
          "The group \"g2\" is not one of the tenant's groups.",
          "/v1/connections", "groupRef=g2", { .api = AMP_API_PLATFORM } },
        { AMP_NO_GROUP,
          "The operation \"listTopics\" cannot name a group.", "/v1/topics",
          NULL, { .api = AMP_API_PLATFORM } },
        { AMP_NO_GROUP, "The header x-amp-group-ref is missing.", "/proxy/x",
          NULL, { .api = AMP_API_PROXY } },
        { AMP_OTHER_GROUP,
          "The group \"g\xc3\xa4\" is not one of the tenant's groups.",
          "/proxy/x", NULL,
          { .api = AMP_API_PROXY, .has_group = 1,
            .group = text_span("g\xc3\xa4") } },
        { AMP_NO_GROUP,
          "The header x-amp-installation-id may name an installation of another"
          " group.", "/proxy/x", NULL,
          { .api = AMP_API_PROXY, .installation = 1, .has_group = 1,
            .group = text_span("g1") } }
    };

    case_t  grants[] = {
        { AMP_NOT_SERVED,
          "The operation \"getMyInfo\" is never served to tenants.",
          "/v1/my-info", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_NOT_GRANTED,
          "The tenant's grants do not include the operation \"createTopic\".",
          "/v1/topics", NULL,
          { .api = AMP_API_PLATFORM, .method = text_span("POST") } },
        { AMP_SECRETS_NOT_GRANTED,
          "The answer to the operation \"listApiKeys\" has credentials.",
          "/v1/api-keys", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_SECRETS_NOT_GRANTED,
          "A query parameter of \"getConnection\" asks for credentials.",
          "/v1/connections/c", "includeCreds=true",
          { .api = AMP_API_PLATFORM } },
        { AMP_CHANGE_NOT_GRANTED,
          "A query parameter makes \"getConnection\" change something.",
          "/v1/connections/c", "refresh=true", { .api = AMP_API_PLATFORM } }
    };

    (void) state;

    decode(RECORD(GROUPS), NULL);
    check_all(cases);

    decode(RECORD(READ_ONLY), NULL);
    check_all(grants);
}


static void
what_the_token_may_not(void **state)
{
    case_t  cases[] = {
        { AMP_TOKEN_ORIGIN, "The request has no Origin, or more than one.",
          "/v1/topics", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_TOKEN_ORIGIN,
          "The Origin \"https://b.example\" is not one of this token's"
          " origins.", "/v1/topics", NULL,
          { .api = AMP_API_PLATFORM,
            .origin = text_span("https://b.example") } }
    };

    case_t  groups[] = {
        { AMP_TOKEN_GROUP,
          "The query has no groupRef, which \"listConnections\" takes.",
          "/v1/connections", NULL, { .api = AMP_API_PLATFORM } },
        { AMP_TOKEN_GROUP,
          "The group \"g2\" is not one of this token's groups.",
          "/v1/connections", "groupRef=g2", { .api = AMP_API_PLATFORM } },
        { AMP_TOKEN_GROUP,
          "The operation \"listTopics\" cannot name a group.", "/v1/topics",
          NULL, { .api = AMP_API_PLATFORM } },
        { AMP_TOKEN_GROUP,
          "The group \"g2\" is not one of this token's groups.", "/proxy/x",
          NULL,
          { .api = AMP_API_PROXY, .has_group = 1, .group = text_span("g2") } },
        { AMP_TOKEN_GROUP,
          "The header x-amp-installation-id may name an installation of another"
          " group.", "/proxy/x", NULL,
          { .api = AMP_API_PROXY, .has_group = 1, .installation = 1,
            .group = text_span("g1") } }
    };

    case_t  grants[] = {
        { AMP_TOKEN_NOT_GRANTED,
          "This token is not issued for the operation \"createTopic\".",
          "/v1/topics", NULL,
          { .api = AMP_API_PLATFORM, .method = text_span("POST") } },
        { AMP_TOKEN_NOT_GRANTED,
          "A query parameter of \"getConnection\" asks for credentials, which"
          " this token may not.", "/v1/connections/c", "includeCreds",
          { .api = AMP_API_PLATFORM } },
        { AMP_TOKEN_NOT_GRANTED,
          "A query parameter makes \"getConnection\" change something, which"
          " this token may not.", "/v1/connections/c", "refresh=1",
          { .api = AMP_API_PLATFORM } }
    };

    size_t  i;

    (void) state;

    for (i = 0; i < 5; i++) {
        cases[i % 2].request.scope = scope;
        groups[i].request.scope = scope;
        grants[i % 3].request.scope = scope;
    }

    decode(RECORD(",\"grants\":{\"allow\":[\"read\",\"write\",\"secrets\"]}"),
           "{\"origins\":[\"https://a.example\"]}");
    check_all(cases);

    decode(RECORD(",\"grants\":{\"allow\":[\"read\",\"write\",\"secrets\"]}"),
           "{\"grants\":{\"allow\":[\"read\"]}}");
    check_all(grants);

    decode(RECORD(""), "{\"groups\":[\"g1\"]}");
    check_all(groups);
}


static void
bodies(void **state)
{
    size_t                   i;
    amp_span_t               body, sent;
    amp_fault_t              fault;
    amp_reason_e             reason;
    const amp_operation_t   *op;

    static const struct {
        const char    *id;
        const char    *body;
        amp_reason_e   reason;
        const char    *cause;
    } cases[] = {
        { "oauthConnect", "", AMP_BAD_BODY, "The body is empty." },
        { "oauthConnect", "x=y", AMP_BAD_BODY, "The body is not JSON." },
        { "oauthConnect", "[]", AMP_BAD_BODY,
          "The body is JSON, but not an object." },
        { "oauthConnect", "{\"a\":1", AMP_BAD_BODY,
          "The body ends before its JSON is complete." },
        { "oauthConnect", "{\"a\":\"\xff\"}", AMP_BAD_BODY,
          "The body is not in UTF-8." },
        { "oauthConnect", "{} {}", AMP_BAD_BODY,
          "Something follows the JSON object in the body." },
        { "oauthConnect", "{\"a\":{\"b\":1,\"b\":2}}", AMP_BAD_BODY,
          "An object in the body has the same member twice." },
        { "oauthConnect", "{\"a\\u0000\":1}", AMP_BAD_BODY,
          "The name of a member in the body has a NUL." },
        { "oauthConnect", "{\"a\":1e999}", AMP_BAD_BODY,
          "A number in the body is too large." },
        { "oauthConnect", "{\"ProjectId\":\"p-1\"}", AMP_BAD_BODY,
          "The member \"projectId\" of the body has to be spelt exactly so." },
        { "oauthConnect", "{\"projectIdOrName\":1}", AMP_BAD_BODY,
          "The member \"projectIdOrName\" of the body has to be a string." },
        { "oauthConnect", "{\"projectIdOrName\":\"p-1\",\"projectId\":\"p-2\"}",
          AMP_BAD_BODY,
          "projectIdOrName and projectId are different projects." },
        { "oauthConnect", "{\"projectId\":\"p-2\"}", AMP_OTHER_PROJECT,
          "The body names another project, in projectIdOrName or projectId." },
        { "writeRecords", "{\"groupRef\":1}", AMP_BAD_BODY,
          "The member \"groupRef\" of the body has to be a string." },
        { "writeRecords", "{\"groupref\":\"g1\"}", AMP_BAD_BODY,
          "The member \"groupRef\" of the body has to be spelt exactly so." },
        { "writeRecords", "{}", AMP_NO_GROUP, "The body has no groupRef." },
        { "writeRecords", "{\"groupRef\":\"g3\"}", AMP_OTHER_GROUP,
          "groupRef in the body is not one of the tenant's groups." },
        { "writeRecords", "{\"groupRef\":\"g2\"}", AMP_TOKEN_GROUP,
          "The body has no groupRef, or one that is not of this token's"
          " groups." }
    };

    (void) state;

    decode(RECORD(",\"groups\":[\"g1\",\"g2\"]"), "{\"groups\":[\"g1\"]}");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        op = amp_operation_find(text_span(cases[i].id));
        body = text_span(cases[i].body);

        reason = amp_scope_body(tenant, scope, op, body, &sent);

        if (reason != cases[i].reason) {
            fail_msg("%s: reason %d", cases[i].body, reason);
        }

        amp_fault_body(reason, tenant, scope, op, body, &fault);
        check_cause(reason, &fault, cases[i].cause);
    }
}


static int
init(void **state)
{
    (void) state;

    amp_path_init();

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(queries),
        cmocka_unit_test(what_the_tenant_may_not),
        cmocka_unit_test(what_the_token_may_not),
        cmocka_unit_test(bodies)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
