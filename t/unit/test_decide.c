/* The order of the checks of a request, and the key of its cached answer. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_cache_key.h"
#include "amp_decide.h"


#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"p-1\","         \
    "\"name\":\"alpha\"}" rest "}"


static uint64_t        block[AMP_TENANT_FLAT_MAX / 8];
static unsigned char   scratch[4096];

static amp_tenant_t *const  tenant = (void *) block;


static amp_span_t
text_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static void
record(const char *json)
{
    const char  *error;

    if (amp_tenant_decode(text_span(json), block, sizeof(block), &error) == 0) {
        fail_msg("%s", error);
    }
}


static amp_reason_e
decide(amp_request_t *request, const char *path, const char *query,
    amp_decision_t *decision)
{
    if (request->method.len == 0) {
        request->method = text_span("GET");
    }

    request->path = text_span(path);
    request->query = text_span(query);

    return amp_decide(request, tenant, scratch, decision);
}


static int
init(void **state)
{
    amp_path_init();

    return 0;
}


static void
a_disabled_tenant_is_refused_first(void **state)
{
    amp_request_t   request = { .api = AMP_API_PLATFORM };
    amp_decision_t  decision;

    record(RECORD(",\"disabled\":true"));
    assert_int_equal(decide(&request, "/nowhere", "", &decision),
                     AMP_TENANT_DISABLED);
    assert_null(decision.op);
}


static void
the_first_fault_in_the_order_is_the_reason(void **state)
{
    amp_request_t   request = { .api = AMP_API_PLATFORM };
    amp_decision_t  decision;

    record(RECORD(",\"grants\":{\"allow\":[]}"));

    assert_int_equal(decide(&request, "/v1/nowhere", "apiKey=1", &decision),
                     AMP_NO_OPERATION);
    assert_null(decision.op);

    request.malformed = 1;
    assert_int_equal(decide(&request, "/v1/projects/other/integrations",
                            "apiKey=1", &decision),
                     AMP_KEY_IN_QUERY);
    assert_string_equal(decision.op->id, "listIntegrations");

    assert_int_equal(decide(&request, "/v1/projects/other/integrations", "",
                            &decision),
                     AMP_BAD_HEADER);

    request.malformed = 0;
    assert_int_equal(decide(&request, "/v1/projects/other/integrations", "",
                            &decision),
                     AMP_OTHER_PROJECT);
    assert_int_equal(decide(&request, "/v1/integrations", "", &decision),
                     AMP_NOT_GRANTED);

    request.method = text_span("DELETE");
    assert_int_equal(decide(&request, "/v1/integrations", "", &decision),
                     AMP_NO_METHOD);
    assert_int_equal(decision.methods,
                     1 << AMP_METHOD_GET | 1 << AMP_METHOD_POST);
}


static void
observe_lets_grants_pass_and_nothing_else(void **state)
{
    amp_request_t   request = { .api = AMP_API_PLATFORM, .observe = 1 };
    amp_decision_t  decision;

    record(RECORD(",\"grants\":{\"allow\":[]}"));

    assert_int_equal(decide(&request, "/v1/integrations", "", &decision),
                     AMP_OK);
    assert_int_equal(decision.observed, AMP_NOT_GRANTED);

    assert_int_equal(decide(&request, "/v1/projects/other/integrations", "",
                            &decision),
                     AMP_OTHER_PROJECT);

    request.method = text_span("POST");
    assert_int_equal(decide(&request, "/v1/projects", "", &decision),
                     AMP_NOT_SERVED);
}


static void
a_tenant_of_groups_names_no_installation(void **state)
{
    amp_request_t   request = { .api = AMP_API_PROXY, .installation = 1,
                                .has_group = 1, .group = text_span("g1") };
    amp_decision_t  decision;

    record(RECORD(",\"groups\":[\"g1\"]"));
    assert_int_equal(decide(&request, "/proxy/x", "", &decision), AMP_NO_GROUP);

    request.installation = 0;
    assert_int_equal(decide(&request, "/proxy/x", "", &decision), AMP_OK);
    assert_int_equal(amp_decision_writes(&decision, 0, 60), AMP_F(PROXY));
    assert_int_equal(amp_decision_writes(&decision, 0, 0), 0);
    assert_int_equal(amp_decision_writes(&decision, 1, 60), 0);
}


/* The key of GET /v1/installations?groupRef=... */

static amp_span_t
key(const char *query, const char *accept, const uint32_t *gens)
{
    amp_buf_t              out;
    amp_request_t          request = { .api = AMP_API_PLATFORM };
    unsigned char         *last;
    amp_decision_t         decision;
    static unsigned char   target[8192], text[8192];

    static const uint32_t  none[AMP_FAMILY_COUNT];

    assert_int_equal(decide(&request, "/v1/installations", query, &decision),
                     AMP_OK);
    amp_buf_init(&out, target, sizeof(target));
    amp_decision_compose(&decision, tenant, &out);

    last = amp_cache_key(decision.op, tenant, amp_buf_written(&out), gens, none,
                         text_span(accept), text);
    assert_non_null(last);
    assert_true((size_t) (last - text)
                <= amp_cache_key_size(decision.op, amp_buf_written(&out).len,
                                      strlen(accept)));
    *last = '\0';

    return amp_span_make(text, (size_t) (last - text));
}


static const char *
key_text(const char *query, const char *accept, const uint32_t *gens)
{
    return (const char *) key(query, accept, gens).data;
}


static void
a_key_has_owner_generations_and_what_selects(void **state)
{
    char      expected[256], query[2048];
    uint32_t  gens[AMP_FAMILY_COUNT] = { 0 };

    record(RECORD(""));
    gens[AMP_FAMILY_INSTALLATIONS] = 4294967295u;
    gens[AMP_FAMILY_PROVIDERS] = 7;             /* the operation reads none   */

    snprintf(expected, sizeof(expected), "%.*s|%u%c4294967295.,|?groupRef=g1",
             AMP_TENANT_OWNER, (const char *) tenant->owner,
             amp_operation_index(amp_operation_find(
                                 text_span("listInstallationsForProject"))) + 1,
             'a' + AMP_FAMILY_INSTALLATIONS);

    assert_string_equal(key_text("groupRef=g1", "application/json", gens),
                        expected);

    strcat(expected, "|text/csv");
    assert_string_equal(key_text("groupRef=g1", "text/csv", gens), expected);

    memset(query, 'x', sizeof(query));
    memcpy(query, "groupRef=", sizeof("groupRef=") - 1);
    query[1100] = '\0';

    assert_non_null(strstr(key_text(query, "", gens), ",|#"));
    assert_true(key(query, "", gens).len < 200);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_disabled_tenant_is_refused_first),
        cmocka_unit_test(the_first_fault_in_the_order_is_the_reason),
        cmocka_unit_test(observe_lets_grants_pass_and_nothing_else),
        cmocka_unit_test(a_tenant_of_groups_names_no_installation),
        cmocka_unit_test(a_key_has_owner_generations_and_what_selects)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
