/* The table of reasons, and the documents that are made from it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>

#include "amp_json.h"
#include "amp_problem.h"


static unsigned char  bytes[AMP_PROBLEM_MAX];


static amp_span_t
write_problem(amp_reason_e reason, const amp_problem_facts_t *facts)
{
    amp_buf_t  b;

    amp_buf_init(&b, bytes, sizeof(bytes));
    amp_problem_write(reason, facts, &b);
    assert_false(b.overflow);

    return amp_buf_written(&b);
}


static void
every_reason_has_texts_of_its_own(void **state)
{
    unsigned              i, j;
    const amp_problem_t  *p;

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        p = amp_problem((amp_reason_e) i);

        assert_non_null(p);
        assert_non_null(p->name);
        assert_true(p->status == 0 || (p->status >= 400 && p->status <= 504));
        assert_true(strlen(p->title) > 4);
        assert_true(strlen(p->detail) > 10);
        assert_true(strlen(p->remedy) > 10);
        assert_int_equal(strspn(p->name, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(p->name));
        assert_true(amp_json_printable(amp_span_make(p->detail,
                                                     strlen(p->detail))));

        for (j = 1; j < i; j++) {
            assert_string_not_equal(p->name, amp_problem((amp_reason_e) j)
                                             ->name);
            assert_string_not_equal(p->detail, amp_problem((amp_reason_e) j)
                                               ->detail);
        }
    }

    assert_null(amp_problem(AMP_OK));
    assert_null(amp_problem(AMP_REASON_COUNT));
}


/* Each reason has the status that its group in amp_reason_e names. */

static void
status_of_each_reason(void **state)
{
    unsigned              i, want;
    const amp_problem_t  *p;

    for (i = 1; i < AMP_REASON_COUNT; i++) {
        p = amp_problem((amp_reason_e) i);

        want = (i <= AMP_PLAIN_HTTP) ? 400
               : (i <= AMP_NO_IDENTITY) ? 401
               : (i <= AMP_TOKEN_ORIGIN) ? 403
               : (i == AMP_NO_OPERATION) ? 404
               : (i == AMP_NO_METHOD) ? 405
               : (i == AMP_TOO_LARGE) ? 413
               : (i == AMP_URI_TOO_LONG) ? 414
               : (i == AMP_BAD_ENCODING) ? 415
               : (i == AMP_PRECONDITION) ? 412
               : (i == AMP_RANGE) ? 416
               : (i == AMP_NOT_CACHED) ? 504
               : (i <= AMP_COOLING_DOWN) ? 429
               : (i <= AMP_NO_KEY) ? 503
               : (i == AMP_UPSTREAM_FAILED) ? 502
               : (i == AMP_UPSTREAM_TIMEOUT) ? 504
               : (i == AMP_UPSTREAM_SUSPENDED || i == AMP_UNAVAILABLE) ? 503
               : (i == AMP_REQUEST_TIMEOUT) ? 408
               : (i == AMP_HEADERS_TOO_LARGE) ? 431
               : (i == AMP_INTERNAL) ? 500
               : (i == AMP_FORBIDDEN) ? 403
               : (i == AMP_NGINX_AUTH) ? 401 : 0;

        assert_int_equal(p->status, want);
        assert_int_equal(p->retryable, i != AMP_NOT_CACHED
                                       && (i == AMP_NGINX_LIMIT
                                           || want == 408 || want == 429
                                           || (want > 501 && want < 505)));
    }
}


static void
reason_for_a_status_of_nginx(void **state)
{
    unsigned      status;
    amp_reason_e  reason;

    static const unsigned  named[] = {
        400, 401, 403, 404, 405, 408, 413, 414, 415, 429, 431, 500, 502, 503,
        504
    };

    for (status = 0; status < sizeof(named) / sizeof(named[0]); status++) {
        reason = amp_problem_by_status(named[status]);
        assert_int_equal(amp_problem(reason)->status, named[status]);
    }

    for (status = 0; status < 1000; status++) {
        assert_non_null(amp_problem(amp_problem_by_status(status)));
    }

    assert_int_equal(amp_problem_by_status(494), AMP_HEADERS_TOO_LARGE);
    assert_int_equal(amp_problem_by_status(497), AMP_BAD_REQUEST);
    assert_int_equal(amp_problem_by_status(418), AMP_BAD_REQUEST);
    assert_int_equal(amp_problem_by_status(501), AMP_INTERNAL);
    assert_int_equal(amp_problem_by_status(503), AMP_UNAVAILABLE);
    assert_int_equal(amp_problem_by_status(429), AMP_COOLING_DOWN);
    assert_int_equal(amp_problem_by_status(200), AMP_INTERNAL);
}


/* A status that the table does not have is kept, and said in the document. */

static void
reason_for_a_refusal_by_configuration(void **state)
{
    unsigned             status;
    amp_problem_facts_t  facts;

    (void) state;

    assert_int_equal(amp_problem_by_nginx(401, 0), AMP_NGINX_AUTH);
    assert_int_equal(amp_problem_by_nginx(403, 0), AMP_FORBIDDEN);
    assert_int_equal(amp_problem_by_nginx(404, 0), AMP_NO_OPERATION);
    assert_int_equal(amp_problem_by_nginx(429, 0), AMP_NGINX_REFUSED);
    assert_int_equal(amp_problem_by_nginx(418, 0), AMP_NGINX_REFUSED);
    assert_int_equal(amp_problem_by_nginx(500, 0), AMP_NGINX_FAILED);
    assert_int_equal(amp_problem_by_nginx(507, 0), AMP_NGINX_FAILED);
    assert_int_equal(amp_problem_by_nginx(503, 0), AMP_UNAVAILABLE);
    assert_int_equal(amp_problem_by_nginx(503, 1), AMP_NGINX_LIMIT);
    assert_int_equal(amp_problem_by_nginx(403, 1), AMP_NGINX_LIMIT);

    memset(&facts, 0, sizeof(facts));

    for (status = 400; status < 600; status++) {
        assert_int_not_equal(amp_problem_by_nginx(status, 0), AMP_RATE_LIMITED);
        assert_int_not_equal(amp_problem_by_nginx(status, 0), AMP_NO_TOKEN);
    }

    memset(bytes, 0, sizeof(bytes));
    facts.status = 420;
    (void) write_problem(AMP_NGINX_LIMIT, &facts);
    assert_non_null(strstr((const char *) bytes, "\"status\":420,"));
}


static void
members_of_the_document(void **state)
{
    amp_problem_facts_t  facts;

    memset(&facts, 0, sizeof(facts));
    facts.detail = amp_span("Say \"when\".");
    facts.request_id = amp_span("r-1");
    facts.time = amp_span("2026-11-22T01:02:03Z");
    facts.retry_after = amp_span("2026-11-22T01:02:05Z");
    facts.operation = amp_span("listProjects");
    facts.tenant = amp_span("acme");

    assert_true(amp_span_eq(write_problem(AMP_RATE_LIMITED, &facts), amp_span(
        "{\"type\":\"urn:ampersand-gateway:problem:rate-limited\","
        "\"title\":\"Rate limit reached\",\"status\":429,"
        "\"detail\":\"Say \\\"when\\\".\",\"subsystem\":\"gateway\","
        "\"time\":\"2026-11-22T01:02:03Z\",\"requestId\":\"r-1\","
        "\"causes\":[\"Say \\\"when\\\".\"],"
        "\"remedy\":\"Wait as long as Retry-After says. For a higher limit ask"
        " the platform team: ampctl limit set acme --rate <rate> --burst"
        " <burst>\",\"retryable\":true,"
        "\"retryAfter\":\"2026-11-22T01:02:05Z\","
        "\"context\":{\"operation\":\"listProjects\",\"tenant\":\"acme\"}}")));

    memset(&facts, 0, sizeof(facts));

    assert_true(amp_span_eq(write_problem(AMP_UNKNOWN_TOKEN, &facts), amp_span(
        "{\"type\":\"urn:ampersand-gateway:problem:unknown-token\","
        "\"title\":\"Unknown gateway token\",\"status\":401,"
        "\"detail\":\"The gateway token is unknown, revoked or expired.\","
        "\"subsystem\":\"gateway\",\"causes\":[\"The gateway token is"
        " unknown, revoked or expired.\"],"
        "\"remedy\":\"Ask the platform team for a new token: ampctl token"
        " issue <tenant>\",\"retryable\":false}")));

    facts.tenant = amp_span("acme");
    assert_non_null(strstr((char *) write_problem(AMP_NO_KEY, &facts).data,
                           ",\"context\":{\"tenant\":\"acme\"}}"));

    /* a reason that is not in the table is AMP_INTERNAL */

    assert_non_null(strstr((char *) write_problem(AMP_OK, &facts).data,
                           ":problem:internal\""));
}


/* All bytes in a fact: the document is JSON, and AMP_PROBLEM_MAX is enough. */

static void
facts_are_escaped(void **state)
{
    json_t               *json, *context;
    size_t                i;
    unsigned              c, reason;
    amp_span_t            all, back, worst;
    unsigned char         fact[256], controls[256];
    amp_problem_facts_t   facts;

    for (c = 0; c < 256; c++) {
        fact[c] = (unsigned char) c;
    }

    memset(controls, 0x01, sizeof(controls));
    memset(&facts, 0, sizeof(facts));

    all = amp_span_make(fact, sizeof(fact));
    worst = amp_span_make(controls, sizeof(controls));

    for (reason = 1; reason < AMP_REASON_COUNT; reason++) {
        facts.detail = facts.request_id = facts.time = worst;
        facts.retry_after = facts.operation = facts.tenant = worst;
        write_problem((amp_reason_e) reason, &facts);

        facts.detail = amp_span_null;
        facts.tenant = amp_span_make(fact + 1, sizeof(fact) - 1);
        facts.operation = all;

        /* without JSON_ALLOW_NUL jansson refuses \u0000 */

        json = json_loadb((char *) bytes,
                          write_problem((amp_reason_e) reason, &facts).len,
                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        context = json_object_get(json, "context");

        back = amp_json_text(json_object_get(context, "operation"));
        assert_int_equal(back.len, 128 + 3 * 128);

        for (i = 0; i < 128; i++) {
            assert_int_equal(back.data[i], i);
        }

        for (i = 128; i < back.len; i += 3) {
            assert_memory_equal(back.data + i, "\xef\xbf\xbd", 3);
        }

        json_decref(json);
    }
}


static void
json_strings_and_numbers(void **state)
{
    size_t         i;
    amp_buf_t      b;
    unsigned char  out[64];

    static const struct {
        amp_span_t   in;
        const char  *out;
    } texts[] = {
        { { 0, NULL }, "\"\"" },
        { { 3, (const unsigned char *) "\"\\/" }, "\"\\\"\\\\/\"" },
        { { 7, (const unsigned char *) "\b\f\n\r\t\0\x1f" },
          "\"\\b\\f\\n\\r\\t\\u0000\\u001f\"" },
        { { 1, (const unsigned char *) "\x7f" }, "\"\x7f\"" },
        { { 3, (const unsigned char *) "\xe2\x82\xac" }, "\"\xe2\x82\xac\"" },
        { { 4, (const unsigned char *) "\xf0\x9f\x8e\x82" },
          "\"\xf0\x9f\x8e\x82\"" },
        { { 3, (const unsigned char *) "a\xff" "b" }, "\"a\xef\xbf\xbd" "b\"" },
        { { 2, (const unsigned char *) "\xc3\"" }, "\"\xef\xbf\xbd\\\"\"" },
        { { 3, (const unsigned char *) "\xed\xa0\x80" },
          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { { 2, (const unsigned char *) "\xc0\x80" },
          "\"\xef\xbf\xbd\xef\xbf\xbd\"" }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        amp_buf_init(&b, out, sizeof(out));
        amp_json_string(texts[i].in, &b);
        assert_int_equal(amp_buf_written(&b).len, strlen(texts[i].out));
        assert_memory_equal(out, texts[i].out, strlen(texts[i].out));
    }

    amp_buf_init(&b, out, sizeof(out));
    amp_json_number(UINT64_MAX, &b);
    amp_buf_byte(&b, ' ');
    amp_json_number(0, &b);
    assert_true(amp_span_eq(amp_buf_written(&b),
                            amp_span("18446744073709551615 0")));
}


static void
cause_and_remedy_name_what_they_are_about(void **state)
{
    char                 name[100];
    amp_problem_facts_t  facts;

    (void) state;

    memset(&facts, 0, sizeof(facts));
    memset(name, 'x', sizeof(name));
    facts.fault.text = "Not \"%\".";
    facts.fault.name = amp_span("a\"b");
    facts.tenant = amp_span("acme");
    facts.operation = amp_span("createTopic");

    memset(bytes, 0, sizeof(bytes));
    (void) write_problem(AMP_NOT_GRANTED, &facts);
    assert_non_null(strstr((const char *) bytes,
                           "\"causes\":[\"Not \\\"a\\\"b\\\".\"]"));
    assert_non_null(strstr((const char *) bytes,
                           "grant add acme --allow createTopic\""));

    facts.fault.name = amp_span_make(name, sizeof(name));
    facts.operation = amp_span_null;

    memset(bytes, 0, sizeof(bytes));
    (void) write_problem(AMP_NOT_GRANTED, &facts);
    assert_non_null(strstr((const char *) bytes, "xxxx...\\\".\"]"));
    assert_non_null(strstr((const char *) bytes, "--allow <operationId>\""));

    facts.fault.text = "Plain.";
    (void) write_problem(AMP_NOT_GRANTED, &facts);
    assert_non_null(strstr((const char *) bytes, "\"causes\":[\"Plain.\"]"));
}


static void
a_buffer_that_is_too_small(void **state)
{
    size_t               n, size;
    amp_buf_t            b;
    amp_problem_facts_t  facts;

    memset(&facts, 0, sizeof(facts));
    facts.tenant = amp_span("acme");

    size = write_problem(AMP_NO_TOKEN, &facts).len;

    for (n = 0; n <= size; n++) {
        memset(bytes, 0x77, sizeof(bytes));
        amp_buf_init(&b, bytes, n);
        amp_problem_write(AMP_NO_TOKEN, &facts, &b);
        assert_int_equal(b.overflow, n < size);
        assert_int_equal(bytes[n], 0x77);
    }
}


static void
an_unknown_outcome_is_not_retryable(void **state)
{
    amp_problem_facts_t  facts;

    (void) state;

    memset(bytes, 0, sizeof(bytes));
    memset(&facts, 0, sizeof(facts));

    (void) write_problem(AMP_UPSTREAM_TIMEOUT, &facts);
    assert_non_null(strstr((const char *) bytes, "\"retryable\":true"));

    facts.unknown = 1;

    (void) write_problem(AMP_UPSTREAM_TIMEOUT, &facts);
    assert_non_null(strstr((const char *) bytes, "\"retryable\":false"));

    (void) write_problem(AMP_NO_TOKEN, &facts);
    assert_non_null(strstr((const char *) bytes, "\"retryable\":false"));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_reason_has_texts_of_its_own),
        cmocka_unit_test(status_of_each_reason),
        cmocka_unit_test(reason_for_a_status_of_nginx),
        cmocka_unit_test(reason_for_a_refusal_by_configuration),
        cmocka_unit_test(members_of_the_document),
        cmocka_unit_test(facts_are_escaped),
        cmocka_unit_test(json_strings_and_numbers),
        cmocka_unit_test(cause_and_remedy_name_what_they_are_about),
        cmocka_unit_test(a_buffer_that_is_too_small),
        cmocka_unit_test(an_unknown_outcome_is_not_retryable)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
