/*
 * Which headers of a client are forwarded upstream (core/amp_header.h).
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "amp_header.h"


static const amp_header_policy_t  platform;
static const amp_header_policy_t  edited = { .identity = 1 };
static const amp_header_policy_t  proxy = { .proxy = 1 };


static int
forwarded(const amp_header_policy_t *policy, const char *name)
{
    return amp_header_forwarded(policy, amp_span_make(name, strlen(name)));
}


static void
allow_list_apis_get_only_listed_headers(void **state)
{
    static const char *const sent[] = {
        "accept", "accept-encoding", "accept-language", "content-type",
        "content-encoding", "traceparent", "tracestate", "user-agent"
    };
    static const char *const kept[] = {
        "", "x", "accep", "x-api-key", "authorization", "cookie", "host",
        "connection", "te", "traceparents", "user-agent-x", "x-forwarded-for",
        "x-amp-project-id", "x-amp-proxy-version", "x-request-id", "x-custom"
    };
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        assert_true(forwarded(&platform, sent[i]));
    }

    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_false(forwarded(&platform, kept[i]));
    }
}


static void
no_accept_encoding_for_edited_answers(void **state)
{
    (void) state;

    assert_false(forwarded(&edited, "accept-encoding"));
    assert_true(forwarded(&edited, "accept"));
    assert_true(forwarded(&edited, "accept-encoding-x"));
}


static void
the_proxy_api_gets_all_but_the_denied_headers(void **state)
{
    static const char *const sent[] = {
        "accept", "accept-encoding", "x-custom", "x-goog-user-project",
        "sforce-query-options", "x-amp-proxy-version", "x-amp-installation-id",
        "x-amp-integration-name", "x-amp-group-ref", "x-amp-rate-limiter-mode"
    };
    static const char *const kept[] = {
        "x-api-key", "authorization", "cookie", "host", "connection", "te",
        "transfer-encoding", "upgrade", "forwarded", "via", "x-real-ip",
        "x-request-id", "x-amp-project-id", "x-amp-anything",
        "x-accel-redirect", "x-forwarded", "x-forwarded-for",
        "x-gateway-source",
        "proxy-authorization"
    };
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        assert_true(forwarded(&proxy, sent[i]));
    }

    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_false(forwarded(&proxy, kept[i]));
    }
}


static void
what_connection_names_is_not_forwarded(void **state)
{
    amp_header_policy_t  policy = { .proxy = 1 };

    (void) state;

    policy.connection = amp_span(" close ,\tX-Hop,x-other ");

    assert_false(forwarded(&policy, "x-hop"));
    assert_false(forwarded(&policy, "x-other"));
    assert_true(forwarded(&policy, "x-ho"));
    assert_true(forwarded(&policy, "x-hops"));
}


static void
a_list_is_read_word_by_word(void **state)
{
    amp_span_t  rest = amp_span(", a\t,,bc , ");

    (void) state;

    assert_true(amp_span_eq(amp_header_word(&rest), amp_span("a")));
    assert_true(amp_span_eq(amp_header_word(&rest), amp_span("bc")));
    assert_int_equal(amp_header_word(&rest).len, 0);
    assert_int_equal(amp_header_word(&rest).len, 0);
    assert_int_equal(rest.len, 0);

    rest = amp_span_null;
    assert_int_equal(amp_header_word(&rest).len, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(allow_list_apis_get_only_listed_headers),
        cmocka_unit_test(no_accept_encoding_for_edited_answers),
        cmocka_unit_test(the_proxy_api_gets_all_but_the_denied_headers),
        cmocka_unit_test(what_connection_names_is_not_forwarded),
        cmocka_unit_test(a_list_is_read_word_by_word)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
