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
        "content-encoding", "user-agent"
    };
    static const char *const kept[] = {
        "", "x", "accep", "x-api-key", "authorization", "cookie", "host",
        "connection", "te", "traceparent", "tracestate", "traceparents",
        "user-agent-x", "x-forwarded-for",
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
        "sforce-query-options", "x-amz-date", "x-client-id",
        "cf-access-client-id", "x_custom", "x.custom",
        "x-amp-proxy-version", "x-amp-installation-id",
        "x-amp-integration-name", "x-amp-group-ref", "x-amp-rate-limiter-mode"
    };
    static const char *const kept[] = {
        "x-api-key", "authorization", "cookie", "host", "connection", "te",
        "transfer-encoding", "upgrade", "forwarded", "via", "x-real-ip",
        "x-request-id", "x-amp-project-id", "x-amp-anything",
        "x-accel-redirect", "x-forwarded", "x-forwarded-for",
        "x-gateway-source", "proxy-authorization", "forwarded-for",
        "x-forward-for", "x-original-forwarded-for", "x-original-uri",
        "x-original-method", "x-scheme", "x-envoy-external-address",
        "x-envoy-peer-metadata", "cf-connecting-ip", "cf-connecting-ipv6",
        "cf-ipcountry", "fastly-client-ip", "x-azure-clientip",
        "x-appengine-user-ip", "x-proxyuser-ip", "client-ip", "x-remote-addr",
        "wl-proxy-client-ip", "x-goog-iap-jwt-assertion", "x-amzn-oidc-data",
        "ssl-client-subject-dn", "x-ssl-client-cert"
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
a_spelling_that_servers_fold_is_like_the_name(void **state)
{
    static const char *const kept[] = {
        "x_api_key", "x.api.key", "x_amp_project_id", "x.amp.project.id",
        "x_amp-project_id", "x~amp!project|id", "x_amp_group_ref",
        "x_amp_anything", "x_forwarded_for", "x_real_ip", "transfer_encoding",
        "transfer.encoding", "proxy_authorization", "keep_alive",
        "x_amp_of_a_name_that_is_longer_than_all_names_of_the_deny_list_are"
    };
    static const char *const malformed[] = {
        "x api key", "x:y", "x@y", "x\x80y", "x\x01y", "(x)"
    };
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_false(forwarded(&proxy, kept[i]));
    }

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_false(forwarded(&proxy, malformed[i]));
    }

    assert_false(forwarded(&platform, "accept_encoding"));
    assert_false(forwarded(&platform, "accept.x"));
    assert_false(forwarded(&platform, "content-length_"));
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


static void
the_state_of_a_trace_goes_with_the_trace(void **state)
{
    amp_header_policy_t  policy;

    (void) state;

    for (policy = platform; /* void */ ; policy = proxy) {
        policy.tracestate = 0;
        assert_false(forwarded(&policy, "tracestate"));
        assert_false(forwarded(&policy, "traceparent"));

        policy.tracestate = 1;
        assert_true(forwarded(&policy, "tracestate"));
        assert_false(forwarded(&policy, "traceparent"));

        if (policy.proxy) {
            break;
        }
    }
}


static void
selects(void **state)
{
    size_t  i;

    static const char *const  do_select[] = {
        "accept", "accept-language", "user-agent", "x-amp-installation-id",
        "x-amp-group-ref", "xero-tenant-id", "x-custom", "traceparents", "i"
    };
    static const char *const  do_not[] = {
        "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid",
        "x-correlation-id", "cache-control", "pragma", "range", "if-range",
        "if-none-match"
    };

    (void) state;

    for (i = 0; i < sizeof(do_select) / sizeof(do_select[0]); i++) {
        assert_true(amp_header_selects(amp_span_make(do_select[i],
                                                     strlen(do_select[i]))));
    }

    for (i = 0; i < sizeof(do_not) / sizeof(do_not[0]); i++) {
        assert_false(amp_header_selects(amp_span_make(do_not[i],
                                                      strlen(do_not[i]))));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(allow_list_apis_get_only_listed_headers),
        cmocka_unit_test(the_state_of_a_trace_goes_with_the_trace),
        cmocka_unit_test(no_accept_encoding_for_edited_answers),
        cmocka_unit_test(the_proxy_api_gets_all_but_the_denied_headers),
        cmocka_unit_test(what_connection_names_is_not_forwarded),
        cmocka_unit_test(a_spelling_that_servers_fold_is_like_the_name),
        cmocka_unit_test(a_list_is_read_word_by_word),
        cmocka_unit_test(selects)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
