/*
 * Queries: order, encoding, API keys, parameters for secrets and changes, and
 * what attackers send.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_path.h"
#include "amp_query.h"


#define LEN(a)  (sizeof(a) / sizeof((a)[0]))


static unsigned char  scratch[AMP_QUERY_MAX + 1];
static char           composed[3 * AMP_QUERY_MAX + 64];


/*
 * Parses a copy of exactly len bytes, so that AddressSanitizer reports a read
 * beyond it.  q is valid until the next call.
 */

static amp_reason_e
parse(const char *id, const char *raw, size_t len, amp_query_t *q)
{
    const amp_operation_t  *op;

    static unsigned char  *exact;

    op = amp_operation_find(amp_span_make(id, strlen(id)));
    assert_non_null(op);

    free(exact);
    exact = malloc(len ? len : 1);
    memcpy(exact, raw, len);

    return amp_query_parse(op, amp_span_make(exact, len), scratch, q);
}


static const char *
compose(const amp_query_t *q)
{
    amp_buf_t  out;

    amp_buf_init(&out, composed, sizeof(composed) - 1);
    amp_query_compose(q, &out);
    assert_false(out.overflow);
    *out.pos = '\0';

    return composed;
}


static void
every_declared_parameter(void **state)
{
    char                    raw[1024], expected[1024], *p;
    size_t                  i, n;
    unsigned                k;
    const char             *name, *end;
    amp_query_t             q;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        p = raw;
        raw[0] = '\0';
        k = 0;

        for (name = op->query; *name; name = end + (*end == ',')) {
            end = name + strcspn(name, ",");
            p += sprintf(p, "%s%.*s=x%%2fy", k ? "&" : "",
                         (int) strcspn(name, ",!"), name);
            k++;
        }

        assert_int_equal(parse(op->id, raw, strlen(raw), &q), AMP_OK);
        assert_int_equal(q.n, k);
        assert_int_equal(q.has_group, op->group_in == AMP_IN_QUERY);
        assert_int_equal(q.secret, op->secret_query[0] != '\0');
        assert_int_equal(q.changes, op->state_query[0] != '\0');

        if (k) {
            assert_int_equal(q.args[k - 1].order, k - 1);
            assert_int_equal(q.args[k - 1].declared, 1);
        }

        expected[0] = '\0';

        if (k) {
            sprintf(expected, "?%s", raw);

            for (p = expected; (p = strstr(p, "%2f")) != NULL; p += 3) {
                p[2] = 'F';
            }
        }

        assert_string_equal(compose(&q), expected);
    }
}


typedef struct {
    const char  *id;
    const char  *raw;
    const char  *expected;
} query_case_t;


static void
forms_of_arguments(void **state)
{
    size_t       i;
    amp_query_t  q;

    static const query_case_t  cases[] = {
        { "listProjects", "", "" },
        { "listProjects", "&", "" },
        { "listProjects", "&&&", "" },
        { "listProjects", "a", "?a" },
        { "listProjects", "a=", "?a=" },
        { "listProjects", "=", "?=" },
        { "listProjects", "=a", "?=a" },
        { "listProjects", "a=b=c", "?a=b%3Dc" },
        { "listProjects", "b=1&a=2&b=0", "?a=2&b=1&b=0" },
        { "listProjects", "aa=1&a=2&ab=3", "?a=2&aa=1&ab=3" },
        { "listProjects", "&&d=4&c&&b=%2d2&a=1&", "?a=1&b=-2&c&d=4" },
        { "listProjects", "a=1&b=2&c=3&d", "?a=1&b=2&c=3&d" },
        { "listProjects", "a=1+2%2b3%20", "?a=1%202%2B3%20" },
        { "listProjects", "a=1;b=2", "?a=1%3Bb%3D2" },
        { "listProjects", "a=%26b=1", "?a=%26b%3D1" },
        { "listProjects", "a%3d1=2", "?a%3D1=2" },
        { "listProjects", "a=\xc3\xa9<>\"", "?a=%C3%A9%3C%3E%22" },
        { "listProjects", "a=%ff%c0%ae", "?a=%FF%C0%AE" },
        { "listProjects", "a=%25", "?a=%25" },
        { "listProjects", "a=b%09c", "?a=b%09c" },
        { "proxyRequest", "a=b%09c", "?a=b%09c" },
        { "listProjects", "a=%252e%252E", "?a=%252e%252E" },
        { "listProjects", "a=../../x", "?a=..%2F..%2Fx" },
        { "listProjects", "a=/?:@-._~!$'()*,",
          "?a=%2F%3F%3A%40-._~%21%24%27%28%29%2A%2C" },
        { "listProjects", "md5=x&apiKeys=1&xapiKey=1&api_key=1",
          "?apiKeys=1&api_key=1&md5=x&xapiKey=1" },
        { "listProjects", "q=apiKey", "?q=apiKey" },

        { "listConnections", "consumerRef=c&zz&groupRef=g&aa&provider=p",
          "?provider=p&groupRef=g&consumerRef=c&aa&zz" },
        { "listConnections", "%70rovider=p", "?provider=p" },
        { "listConnections", "providers=a&providers=b",
          "?providers=a&providers=b" },
        { "getProject", "x=1&includeEntitlements=true",
          "?includeEntitlements=true&x=1" },

        { "proxyRequest", "b=1&a=2&b=0&", "?b=1&a=2&b=0" },
        { "proxyRequest", "&&b&&a=%2d&c=", "?b&a=-&c=" },
        { "proxyRequest", "q=1+2%2b3%20", "?q=1+2%2B3%20" },
        { "proxyRequest", "$filter=a eq 'b'", "?$filter=a%20eq%20'b'" },
        { "proxyRequest", "f[x]=1,2;3&%5b=%41", "?f%5Bx%5D=1,2;3&%5B=A" },
        { "proxyRequest", "a=b=c/d?e:@", "?a=b=c/d?e:@" },
        { "proxyRequest", "a=%2f%25%26%3d%23", "?a=%2F%25%26%3D%23" },
        { "proxyRequest", "a=%252525", "?a=%252525" },
        { "proxyRequest", "a=\xc3\xa9\"<>\\^`{|}#",
          "?a=%C3%A9%22%3C%3E%5C%5E%60%7B%7C%7D%23" }
    };

    for (i = 0; i < LEN(cases); i++) {
        if (parse(cases[i].id, cases[i].raw, strlen(cases[i].raw), &q)
            != AMP_OK)
        {
            fail_msg("\"%s\"", cases[i].raw);
        }

        assert_string_equal(compose(&q), cases[i].expected);
    }
}


static void
api_keys_are_refused(void **state)
{
    size_t       i;
    amp_query_t  q;

    static const char *const  raws[] = {
        "apiKey=k",
        "apiKey",
        "apiKey=",
        "apikey=k",
        "APIKEY=k",
        "ApIkEy=k",
        "a=b&apiKey=k",
        "apiKey=k&a=b",
        "&&apiKey=k",
        "api%4bey=k",
        "api%4Bey=k",
        "%61%70%69%4b%65%79=k",
        "%61piKey",
        "api%254bey=k",
        "api%25254bey=k",
        "%2561%2570%2569%254b%2565%2579=k",
        "%252561%252570%252569%25254b%252565%252579=k"
    };

    for (i = 0; i < LEN(raws); i++) {
        if (parse("listProjects", raws[i], strlen(raws[i]), &q)
            != AMP_KEY_IN_QUERY
            || parse("proxyRequest", raws[i], strlen(raws[i]), &q)
               != AMP_KEY_IN_QUERY)
        {
            fail_msg("\"%s\"", raws[i]);
        }
    }
}


static void
malformed_queries(void **state)
{
    size_t       i;
    amp_query_t  q;

    static const query_case_t  cases[] = {
        { "listProjects", "%", NULL },
        { "listProjects", "a=%", NULL },
        { "listProjects", "a=%4", NULL },
        { "listProjects", "a=%4&b", NULL },
        { "listProjects", "a=%zz", NULL },
        { "listProjects", "a=%%41", NULL },
        { "listProjects", "%g1=1", NULL },
        { "listProjects", "a=%u0041", NULL },
        { "listProjects", "a=%00", NULL },
        { "listProjects", "a%00=1", NULL },
        { "listProjects", "a%09=1", NULL },
        { "listProjects", "a%09", NULL },
        { "listProjects", "a=\t", NULL },
        { "proxyRequest", "a%09=1", NULL },
        { "listProjects", "a=%0a", NULL },
        { "listProjects", "a=%0d%0aX:%20y", NULL },
        { "listProjects", "a=%1f", NULL },
        { "listProjects", "a=%7F", NULL },
        { "listProjects", "a=\n", NULL },
        { "listProjects", "a=\r", NULL },
        { "listProjects", "a\x01", NULL },
        { "listProjects", "\x7f=a", NULL },
        { "proxyRequest", "a=%", NULL },
        { "proxyRequest", "a=%00", NULL },
        { "proxyRequest", "a=%0D%0A", NULL },
        { "proxyRequest", "a=\t", NULL },

        { "listConnections", "groupRef=a&groupRef=b", NULL },
        { "listConnections", "groupRef=a&groupRef=a", NULL },
        { "listConnections", "groupRef&groupRef", NULL },
        { "listConnections", "groupRef=a&%67roupRef=b", NULL },
        { "listConnections", "groupref=a", NULL },
        { "listConnections", "GROUPREF=a", NULL },
        { "listConnections", "groupRef=a&groupref=b", NULL },
        { "listConnections", "group%52%45f=a", NULL },
        { "listConnections", "Provider=x", NULL },
        { "getConnection", "IncludeCreds=true", NULL },
        { "getConnection", "includecreds=false", NULL },
        { "getConnection", "includeCreds=false&includeCreds=true", NULL },
        { "getConnection", "Refresh=force", NULL },
        { "getDestination", "ROTATE=true", NULL },
        { "getObjectMetadataForConnection", "GroupRef=x", NULL },
        { "searchRecords", "groupRef=x&groupRef=y", NULL }
    };

    for (i = 0; i < LEN(cases); i++) {
        if (parse(cases[i].id, cases[i].raw, strlen(cases[i].raw), &q)
            != AMP_BAD_QUERY)
        {
            fail_msg("\"%s\"", cases[i].raw);
        }
    }

    assert_int_equal(parse("listProjects", "a=\0b", 4, &q), AMP_BAD_QUERY);
}


static void
parameters_for_secrets_and_changes(void **state)
{
    size_t       i;
    amp_query_t  q;

    static const struct {
        const char  *id;
        const char  *raw;
        unsigned     secret;
        unsigned     changes;
    } cases[] = {
        { "getConnection", "", 0, 0 },
        { "getConnection", "includeCreds=false", 0, 0 },
        { "getConnection", "includeCreds=%66alse", 0, 0 },
        { "getConnection", "includeCreds=true", 1, 0 },
        { "getConnection", "includeCreds", 1, 0 },
        { "getConnection", "includeCreds=", 1, 0 },
        { "getConnection", "includeCreds=False", 1, 0 },
        { "getConnection", "includeCreds=0", 1, 0 },
        { "getConnection", "includeCreds=false%20", 1, 0 },
        { "getConnection", "%69ncludeCreds=1", 1, 0 },
        { "getConnection", "includeRefreshToken=true", 1, 0 },
        { "getConnection", "refresh=force", 0, 1 },
        { "getConnection", "refresh=ifExpired&includeCreds=true", 1, 1 },
        { "getDestination", "includeSecrets=true", 1, 0 },
        { "getDestination", "rotate=true", 0, 1 },
        { "getDestination", "rotate=false&includeSecrets=false", 0, 0 },
        { "listConnections", "provider=includeCreds", 0, 0 }
    };

    for (i = 0; i < LEN(cases); i++) {
        assert_int_equal(parse(cases[i].id, cases[i].raw,
                               strlen(cases[i].raw), &q), AMP_OK);

        if (q.secret != cases[i].secret || q.changes != cases[i].changes) {
            fail_msg("\"%s\": %u, %u", cases[i].raw, q.secret, q.changes);
        }
    }
}


static void
group_in_the_query(void **state)
{
    amp_query_t  q;

    assert_int_equal(parse("listConnections", "groupRef=a%20b", 14, &q),
                     AMP_OK);
    assert_int_equal(q.has_group, 1);
    assert_true(amp_span_eq(q.group, amp_span("a b")));

    assert_int_equal(parse("listConnections", "groupRef=", 9, &q), AMP_OK);
    assert_int_equal(q.has_group, 1);
    assert_int_equal(q.group.len, 0);

    assert_int_equal(parse("listConnections", "groupRef", 8, &q), AMP_OK);
    assert_int_equal(q.has_group, 1);

    assert_int_equal(parse("listConnections", "provider=x", 10, &q), AMP_OK);
    assert_int_equal(q.has_group, 0);

    /* a groupRef in the query of an operation that takes none there */

    assert_int_equal(parse("getInstallation", "groupRef=x", 10, &q), AMP_OK);
    assert_int_equal(q.has_group, 0);

    assert_int_equal(parse("proxyRequest", "groupRef=x", 10, &q), AMP_OK);
    assert_int_equal(q.has_group, 0);
}


static void
longest_queries(void **state)
{
    char         raw[AMP_QUERY_MAX + 1];
    size_t       i;
    amp_query_t  q;

    for (i = 0; i < AMP_QUERY_ARGS; i++) {
        memcpy(raw + 2 * i, "a&", 2);
    }

    assert_int_equal(parse("listProjects", raw, 2 * i, &q), AMP_OK);
    assert_int_equal(q.n, AMP_QUERY_ARGS);

    raw[2 * i] = 'a';
    assert_int_equal(parse("listProjects", raw, 2 * i + 1, &q),
                     AMP_BAD_QUERY);

    memset(raw, '/', sizeof(raw));
    assert_int_equal(parse("listProjects", raw, AMP_QUERY_MAX, &q), AMP_OK);
    assert_int_equal(strlen(compose(&q)), 3 * AMP_QUERY_MAX + 1);
    assert_int_equal(parse("listProjects", raw, AMP_QUERY_MAX + 1, &q),
                     AMP_BAD_QUERY);

    memset(raw, '&', sizeof(raw));
    assert_int_equal(parse("listProjects", raw, AMP_QUERY_MAX, &q), AMP_OK);
    assert_int_equal(q.n, 0);
    assert_string_equal(compose(&q), "");

    assert_int_equal(amp_query_parse(amp_operation_find(
                                         amp_span("listProjects")),
                                     amp_span_null, scratch, &q), AMP_OK);
    assert_int_equal(q.n, 0);
}


/* Arguments in reverse order, the slowest case of the sort. */

static void
reverse_order_is_sorted(void **state)
{
    char         raw[1024], *p;
    unsigned     i;
    amp_query_t  q;

    for (i = AMP_QUERY_ARGS, p = raw; i > 0; i--) {
        p += sprintf(p, "x%02u=%u&", i, i);
    }

    assert_int_equal(parse("listProjects", raw, (size_t) (p - raw), &q),
                     AMP_OK);

    for (i = 1; i < q.n; i++) {
        assert_true(memcmp(q.args[i - 1].name.data, q.args[i].name.data, 3)
                    < 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_declared_parameter),
        cmocka_unit_test(forms_of_arguments),
        cmocka_unit_test(api_keys_are_refused),
        cmocka_unit_test(malformed_queries),
        cmocka_unit_test(parameters_for_secrets_and_changes),
        cmocka_unit_test(group_in_the_query),
        cmocka_unit_test(longest_queries),
        cmocka_unit_test(reverse_order_is_sorted)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
