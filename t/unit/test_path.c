/* Paths: projects, methods and values, and what attackers send. */

#include "path_match.h"


static void
project_of_both_spellings(void **state)
{
    amp_match_t  m;

    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/v1", &m), AMP_OK);
    assert_string_equal(m.op->id, "getProject");
    assert_int_equal(m.short_form, 1);

    assert_int_equal(match(AMP_API_PLATFORM, "PATCH", "/v1", &m), AMP_OK);
    assert_string_equal(m.op->id, "updateProject");
    assert_string_equal(compose(&m), "/v1/projects/" PROJECT_ID);

    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/v1/projects", &m),
                     AMP_OK);
    assert_string_equal(m.op->id, "listProjects");
    assert_string_equal(compose(&m), "/v1/projects/" PROJECT_ID);

    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/v1/projects/-", &m),
                     AMP_OK);
    assert_string_equal(m.op->id, "getProject");
    assert_true(amp_span_eq(m.project, amp_span("-")));
}


static void
without_a_project_the_path_overflows(void **state)
{
    char         text[256];
    amp_buf_t    out;
    amp_match_t  m;

    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/v1/integrations", &m),
                     AMP_OK);

    amp_buf_init(&out, text, sizeof(text));
    amp_path_compose(&m, amp_span_null, &out);
    assert_true(out.overflow);

    amp_buf_init(&out, text, 20);
    amp_path_compose(&m, amp_span(PROJECT_ID), &out);
    assert_true(out.overflow);
}


static void
methods_of_a_path(void **state)
{
    size_t       i;
    amp_match_t  m;

    static const struct {
        amp_api_e    api;
        const char  *method;
        const char  *path;
        unsigned     allow;             /* 0: AMP_NO_OPERATION                */
    } cases[] = {
#define M(name)  (1u << AMP_METHOD_##name)
        { AMP_API_PLATFORM, "PUT", "/v1/projects", M(GET) | M(POST) },
        { AMP_API_PLATFORM, "DELETE", "/v1", M(GET) | M(PATCH) },
        { AMP_API_PLATFORM, "get", "/v1/projects", M(GET) | M(POST) },
        { AMP_API_PLATFORM, "", "/v1/projects", M(GET) | M(POST) },
        { AMP_API_PLATFORM, "GETT", "/v1/projects", M(GET) | M(POST) },
        { AMP_API_PLATFORM, "OPTIONS", "/v1/connections/x",
          M(GET) | M(PATCH) | M(DELETE) },
        { AMP_API_PLATFORM, "TRACE", "/v1/projects/p/connections/x",
          M(GET) | M(PATCH) | M(DELETE) },
        { AMP_API_PLATFORM, "GET", "/v1/connections/x:oauth-update",
          M(PATCH) },
        { AMP_API_PLATFORM, "GET", "/v1/integrations:batch", M(PUT) },
        { AMP_API_PLATFORM, "HEAD", "/v1/connections:generate", M(POST) },
        { AMP_API_PLATFORM, "HEAD", "/v1/oauth-connect", M(POST) },
        { AMP_API_READ, "GET", "/read/v1/integrations/i/objects/o",
          M(POST) },
        { AMP_API_READ, "GET",
          "/read/v1/projects/p/integrations/i/installations/x:pause",
          M(POST) },
        { AMP_API_SEARCH, "GET", "/search/v1/integrations/i", M(POST) },
        { AMP_API_SEARCH, "GET", "/search/v1/integrations", 0 },
        { AMP_API_PLATFORM, "GET", "/v1/nothing", 0 },
        { AMP_API_PLATFORM, "TRACE", "/", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(match(cases[i].api, cases[i].method, cases[i].path,
                               &m),
                         cases[i].allow ? AMP_NO_METHOD : AMP_NO_OPERATION);
        assert_int_equal(m.allow, cases[i].allow);
        assert_null(m.op);
    }
}


typedef struct {
    const char  *path;
    const char  *expected;              /* composed; NULL: refused            */
    amp_reason_e reason;
} path_case_t;


static void
check_paths(amp_api_e api, const char *method, const path_case_t *cases,
    size_t n)
{
    size_t        i;
    amp_match_t   m;
    amp_reason_e  rc;

    for (i = 0; i < n; i++) {
        rc = match(api, method, cases[i].path, &m);

        if (rc != cases[i].reason) {
            fail_msg("\"%s\": reason %d, not %d", cases[i].path, rc,
                     cases[i].reason);
        }

        if (rc == AMP_OK) {
            assert_string_equal(compose(&m), cases[i].expected);

        } else {
            assert_null(m.op);
        }
    }
}


#define P  "/v1/projects/" PROJECT_ID
#define LEN(a)  (sizeof(a) / sizeof((a)[0]))


static void
values_of_parameters(void **state)
{
    static const path_case_t  cases[] = {
        { "/v1/integrations/a", P "/integrations/a", AMP_OK },
        { "/v1/%69ntegrations/a", P "/integrations/a", AMP_OK },
        { "/%76%31/integrations/a", P "/integrations/a", AMP_OK },
        { "/v1/projects/%2D/integrations/a", P "/integrations/a", AMP_OK },
        { "/v1/integrations/%41%7e", P "/integrations/A~", AMP_OK },
        { "/v1/integrations/a+b", P "/integrations/a%2Bb", AMP_OK },
        { "/v1/integrations/a%2bb", P "/integrations/a%2Bb", AMP_OK },
        { "/v1/integrations/a;b=c,d", P "/integrations/a%3Bb%3Dc%2Cd",
          AMP_OK },
        { "/v1/integrations/!$&'()*@", P
          "/integrations/%21%24%26%27%28%29%2A%40", AMP_OK },
        { "/v1/integrations/a%3fb%23c", P "/integrations/a%3Fb%23c", AMP_OK },
        { "/v1/integrations/%25", P "/integrations/%25", AMP_OK },
        { "/v1/integrations/100%25zz", P "/integrations/100%25zz", AMP_OK },
        { "/v1/integrations/%25%25", P "/integrations/%25%25", AMP_OK },

        /* a value with "%" and two digits, which structures no path */
        { "/v1/integrations/%2541", P "/integrations/%2541", AMP_OK },
        { "/v1/integrations/a%2520b", P "/integrations/a%2520b", AMP_OK },
        { "/v1/integrations/%25%25%34%31", P "/integrations/%25%2541", AMP_OK },

        /* bytes that clients do not escape */
        { "/v1/integrations/a\"b", P "/integrations/a%22b", AMP_OK },
        { "/v1/integrations/<a>", P "/integrations/%3Ca%3E", AMP_OK },
        { "/v1/integrations/[a]", P "/integrations/%5Ba%5D", AMP_OK },
        { "/v1/integrations/{a}", P "/integrations/%7Ba%7D", AMP_OK },
        { "/v1/integrations/a|b", P "/integrations/a%7Cb", AMP_OK },
        { "/v1/integrations/a^b", P "/integrations/a%5Eb", AMP_OK },
        { "/v1/integrations/a`b", P "/integrations/a%60b", AMP_OK },
        { "/v1/integrations/...", P "/integrations/...", AMP_OK },
        { "/v1/integrations/.a", P "/integrations/.a", AMP_OK },
        { "/v1/integrations/..a", P "/integrations/..a", AMP_OK },
        { "/v1/integrations/a..", P "/integrations/a..", AMP_OK },
        { "/v1/integrations/a%2e%2e", P "/integrations/a..", AMP_OK },
        { "/v1/integrations/-", P "/integrations/-", AMP_OK },
        { "/v1/integrations/projects", P "/integrations/projects", AMP_OK },
        { "/v1/integrations/a%3ab", P "/integrations/a%3Ab", AMP_OK },
        { "/v1/integrations/a%3Apause", P "/integrations/a%3Apause", AMP_OK },
        { "/v1/integrations/%3A", P "/integrations/%3A", AMP_OK },
        { "/v1/integrations/a%3Abatchx", P "/integrations/a%3Abatchx",
          AMP_OK },

        /* full-width ".", "/", "%" and others have no meaning */

        { "/v1/integrations/%ef%bc%8e%EF%BC%8E",
          P "/integrations/%EF%BC%8E%EF%BC%8E", AMP_OK },
        { "/v1/integrations/%ef%bc%8f", P "/integrations/%EF%BC%8F", AMP_OK },
        { "/v1/integrations/%e2%88%95", P "/integrations/%E2%88%95", AMP_OK },
        { "/v1/integrations/%e9", P "/integrations/%E9", AMP_OK },
        { "/v1/integrations/%ff%fe", P "/integrations/%FF%FE", AMP_OK },
        { "/v1/integrations/%e0%a0%80", P "/integrations/%E0%A0%80", AMP_OK },
        { "/v1/integrations/%f0%9f%98%80", P "/integrations/%F0%9F%98%80",
          AMP_OK },

        { "/v1/generate-upload-url", "/v1/generate-upload-url", AMP_OK },
        { "/v1/providers/a%20b", "/v1/providers/a%20b", AMP_OK },
        { "/v1/integrations/i/revisions/r:hydrate",
          P "/integrations/i/revisions/r:hydrate", AMP_OK },
        { "/v1/integrations/i/revisions/r%3Ax:hydrate",
          P "/integrations/i/revisions/r%3Ax:hydrate", AMP_OK }
    };

    check_paths(AMP_API_PLATFORM, "GET", cases, LEN(cases));
}


/*
 * The segments of the API's prefix are decoded like others: with any of their
 * encodings the result is the same as with the plain prefix.
 */

static void
every_spelling_of_a_prefix(void **state)
{
    char         path[256];
    size_t       i, k;
    amp_match_t  m;

    static const struct {
        amp_api_e    api;
        const char  *prefix;
    } prefixes[] = {
        { AMP_API_PLATFORM, "/v1" },
        { AMP_API_PLATFORM, "/%76%31" },
        { AMP_API_PLATFORM, "/v%31" },
        { AMP_API_READ, "/read/v1" },
        { AMP_API_READ, "/%72ead/v1" },
        { AMP_API_READ, "/read/%761" },
        { AMP_API_WRITE, "/write/v1" },
        { AMP_API_WRITE, "/writ%65/%76%31" },
        { AMP_API_SEARCH, "/search/v1" },
        { AMP_API_SEARCH, "/%73earch/v1" }
    };

    static const struct {
        const char   *path;
        amp_reason_e  reason;
    } cases[] = {
        { "/", AMP_NO_OPERATION },
        { "//", AMP_BAD_PATH },
        { "//projects", AMP_BAD_PATH },
        { "/..", AMP_BAD_PATH },
        { "/%2e%2e/v1", AMP_BAD_PATH },
        { "/.", AMP_BAD_PATH },
        { "/a%00", AMP_BAD_PATH },
        { "/a\\b", AMP_BAD_PATH },
        { "/v1", AMP_NO_OPERATION },
        { "/read/v1", AMP_NO_OPERATION },
        { "a", AMP_NO_OPERATION },
        { ":a", AMP_NO_OPERATION },
        { "%2f", AMP_BAD_PATH },
        { "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", AMP_NO_OPERATION },
        { "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/..", AMP_BAD_PATH }
    };

    for (i = 0; i < LEN(prefixes); i++) {
        for (k = 0; k < LEN(cases); k++) {
            snprintf(path, sizeof(path), "%s%s", prefixes[i].prefix,
                     cases[k].path);

            if (match(prefixes[i].api, "GET", path, &m) != cases[k].reason) {
                fail_msg("%s", path);
            }

            assert_null(m.op);
        }
    }

    assert_int_equal(match(AMP_API_READ, "POST", "/v1/projects/-/x", &m),
                     AMP_NO_OPERATION);
    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/V1/projects", &m),
                     AMP_NO_OPERATION);
    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/v1", &m), AMP_OK);
    assert_int_equal(match(AMP_API_PLATFORM, "GET", "/%761", &m), AMP_OK);
}


static void
malformed_paths(void **state)
{
    size_t  i;

    static const char *const  paths[] = {
        "",
        "v1/projects",
        "*",
        "http://h/v1/projects",
        "\\v1\\projects",

        /* empty segments */
        "//",
        "//v1/projects",
        "/v1//projects",
        "/v1//",
        "/v1/projects//",
        "/v1/projects//integrations",
        "/v1/projects/p//integrations",
        "/v1/integrations//installations",
        "/x//y",

        /* dot segments */
        "/.",
        "/..",
        "/./v1/projects",
        "/../v1/projects",
        "/v1/.",
        "/v1/..",
        "/v1/./projects",
        "/v1/../v1/projects",
        "/v1/projects/.",
        "/v1/projects/..",
        "/v1/projects/./integrations",
        "/v1/projects/p/../q/integrations",
        "/v1/projects/p/integrations/..",
        "/v1/projects/p/integrations/../",
        "/v1/projects/p/integrations/x/..",
        "/v1/projects/p/integrations/./..",
        "/v1/integrations/.",
        "/v1/integrations/..",
        "/v1/integrations/%2e",
        "/v1/integrations/%2E%2e",
        "/v1/integrations/.%2e",
        "/v1/integrations/%2e.",
        "/v1/integrations/..;",
        "/v1/integrations/..;x=y",
        "/v1/integrations/..%3bx",
        "/v1/integrations/%2e%2e;/installations",
        "/v1/integrations/.;/installations",
        "/v1/integrations/.;..",
        "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/..",
        "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/%2e%2e/x",
        "/unknown/../v1",

        /* encoded slashes and backslashes */
        "/v1/integrations/a%2fb",
        "/v1/integrations/a%2Fb",
        "/v1/integrations/..%2f..%2fprojects%2fother",
        "/v1/projects/p%2fintegrations",
        "/v1%2fprojects",
        "/v1/integrations/%2f",
        "/v1/integrations/a%5cb",
        "/v1/integrations/a%5Cb",
        "/v1/integrations/a\\b",
        "/v1/integrations/..\\..",
        "/v1/integrations/..%5c..",

        /* encoded twice */
        "/v1/integrations/%252e%252e",
        "/v1/integrations/%252e",
        "/v1/integrations/a%252fb",
        "/v1/integrations/%25%32%65",
        "/v1/integrations/%25%32e",
        "/v1/integrations/%252%65",
        "/v1/integrations/%25252e",
        "/v1/integrations/x%2500",
        "/v1/integrations/x%253abatch",
        "/v1/integrations/x%253Bb",
        "/v1/integrations/x%253fb",
        "/v1/integrations/x%2523b",
        "/v1/integrations/x%257f",
        "/v1/integrations/%25c0%25ae",

        /* overlong UTF-8 */
        "/v1/integrations/%c0%ae%c0%ae",
        "/v1/integrations/%C0%AF",
        "/v1/integrations/..%c0%afx",
        "/v1/integrations/%c1%9c",
        "/v1/integrations/%e0%80%ae",
        "/v1/integrations/%e0%80%af",
        "/v1/integrations/%f0%80%80%ae",
        "/v1/integrations/%f8%80%80%80%ae",
        "/v1/integrations/%fc%80%80%80%80%ae",
        "/v1/projects/%c0%ad/integrations",

        /* control bytes */
        "/v1/integrations/%00",
        "/v1/integrations/x%00.json",
        "/v1/integrations/%0a",
        "/v1/integrations/a%0d%0aHost:x",
        "/v1/integrations/%1f",
        "/v1/integrations/%7f",
        "/v1/integrations/%09",
        "/v1/integrations/a\tb",
        "/v1/integrations/a\nb",
        "/v1/integrations/a\r\nb",
        "/v1/integrations/a\x7f",
        "/v1/integrations/a\x01",

        /* "%" without two hex digits */
        "/v1/integrations/%",
        "/v1/integrations/%2",
        "/v1/integrations/%2/x",
        "/v1/integrations/%zz",
        "/v1/integrations/%2g",
        "/v1/integrations/%g2",
        "/v1/integrations/%u002e%u002e",
        "/v1/integrations/%%32%65",
        "/v1/integrations/%-1",
        "/v1/integrations/% 41",

        /* bytes that are not allowed in a path */
        "/v1/integrations/a b",
        "/v1/integrations/a#b",
        "/v1/integrations/a?b",
        "/v1/integrations/\xc3\xa9",
        "/v1/integrations/\xc0\xae",
        "/v1/integrations/\xff",

        /* encoded colons before a verb */
        "/v1/integrations/x%3Abatch",
        "/v1/integrations%3Abatch",
        "/v1/integrations%3abatch",
        "/v1/connections/x%3Aoauth-update",
        "/v1/connections/x%3aoauth%2Dupdate",
        "/v1/connections/x%3A%67enerate",
        "/v1/connections%3Agenerate",
        "/v1/projects/p%3Abatch",
        "/v1/projects/p%3Abatch/integrations",
        "/v1/invites%3Aaccept",
        "/v1/integrations/i/revisions/r%3Ahydrate",
        "/v1/integrations/i/revisions/r%3Ahydrate:hydrate",
        "/v1/integrations/i/revisions/r:x%3Ahydrate",
        "/v1/integrations/i/revisions/..:hydrate",
        "/v1/integrations/i/revisions/%2e%2e:hydrate",
        "/v1/integrations/i/revisions/.:hydrate"
    };

    for (i = 0; i < LEN(paths); i++) {
        path_case_t  one = { paths[i], NULL, AMP_BAD_PATH };

        check_paths(AMP_API_PLATFORM, "GET", &one, 1);
    }
}


static void
unknown_paths(void **state)
{
    size_t  i;

    static const char *const  paths[] = {
        "/",
        "/v1/",
        "/v2",
        "/V1/projects",
        "/v1/projects/",
        "/v1/projects/p/",
        "/v1/Projects",
        "/v1/integrations/",
        "/v1/integrations/x/",
        "/v1/integrations/x/y",
        "/v1/projects/p/projects/q",
        "/v1/projects/p/providers",
        "/v1/projects/p/orgs",
        "/read/v1/integrations/x",
        "/projects",
        "/projects/p/integrations",
        "/v1/v1/projects",
        "/v1;/projects",
        "/v1/integrations;x",
        "/v1/projects/a:b/integrations",
        "/v1/integrations/a:b",
        "/v1/integrations/a:",
        "/v1/integrations/:",
        "/v1/integrations/x:batch",
        "/v1/integrations/x:hydrate",
        "/v1/integrations:Batch",
        "/v1/integrations:batch2",
        "/v1/integrations:bat",
        "/v1/integrations::batch",
        "/v1/integrations:batch:batch",
        "/v1/integrations/i/revisions/r",
        "/v1/integrations/i/revisions/:hydrate",
        "/v1/integrations/i/revisions/r:Hydrate",
        "/v1/integrations/i/revisions/r:hydrat",
        "/v1/integrations/i/revisions/r:hydratee",
        "/v1/integrations/i/revisions/r::hydrate",
        "/v1/integrations/i/revisions/r:x:hydrate",
        "/v1/integrations/i/revisions/r:hydrate:hydrate",
        "/v1/integrations/i/revisions/r:hydrate;x",
        "/v1/integrations/i/installations/x:pause",
        "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t",
        "/v1/projects/p/integrations/i/installations/x/objects/o/logs",
        "/v1/projects/p/operations/o/logs/x/y/z/1/2/3/4/5"
    };

    for (i = 0; i < LEN(paths); i++) {
        path_case_t  one = { paths[i], NULL, AMP_NO_OPERATION };

        check_paths(AMP_API_PLATFORM, "GET", &one, 1);
    }
}


/* A verb of one API is an ordinary value in another. */

static void
verbs_of_one_api(void **state)
{
    static const path_case_t  cases[] = {
        { "/read/v1/integrations/i/objects/o%3Apause", NULL, AMP_BAD_PATH },
        { "/read/v1/integrations/i/objects/o%3AdeliverResults", NULL,
          AMP_BAD_PATH },
        { "/read/v1/integrations/i/installations/x%3Aunpause", NULL,
          AMP_BAD_PATH },
        { "/read/v1/integrations/i/objects/o%3Abatch",
          P "/integrations/i/objects/o%3Abatch", AMP_OK },
        { "/read/v1/integrations/i/objects/o",
          P "/integrations/i/objects/o", AMP_OK },
        { "/read/v1/integrations/i/objects/o:deliverResults",
          P "/integrations/i/objects/o:deliverResults", AMP_OK },
        { "/read/v1/integrations/i/objects/o:deliverresults", NULL,
          AMP_NO_OPERATION },
        { "/v1/integrations/i/objects/o", NULL, AMP_NO_OPERATION },
        { "/write/v1/integrations/i/objects/o", NULL, AMP_NO_OPERATION },
        { "/read/v1", NULL, AMP_NO_OPERATION },
        { "/read", NULL, AMP_NO_OPERATION },
        { "/read/../write/v1/integrations/i/objects/o", NULL, AMP_BAD_PATH }
    };

    check_paths(AMP_API_READ, "POST", cases, LEN(cases));
}


static void
paths_of_the_proxy_api(void **state)
{
    static const path_case_t  cases[] = {
        { "/proxy/", "/", AMP_OK },
        { "/proxy/a", "/a", AMP_OK },
        { "/%70roxy/a", "/a", AMP_OK },
        { "/proxy/a/", "/a/", AMP_OK },
        { "/proxy/a//b", "/a//b", AMP_OK },
        { "/proxy//a", "//a", AMP_OK },
        { "/proxy/projects/g%2fr/x", "/projects/g%2Fr/x", AMP_OK },
        { "/proxy/v1/doc:batchUpdate", "/v1/doc:batchUpdate", AMP_OK },
        { "/proxy/v1/doc%3abatchUpdate", "/v1/doc%3AbatchUpdate", AMP_OK },
        { "/proxy/A(1)/me@x;y=z,w+v'!$&*",
          "/A(1)/me@x;y=z,w+v'!$&*", AMP_OK },
        { "/proxy/a%20b%41", "/a%20bA", AMP_OK },
        { "/proxy/100%25", "/100%25", AMP_OK },
        { "/proxy/a%2520b", "/a%2520b", AMP_OK },
        { "/proxy/a|b[0]{x}^`\"<>", "/a%7Cb%5B0%5D%7Bx%7D%5E%60%22%3C%3E", AMP_OK },
        { "/proxy/a%3f%23", "/a%3F%23", AMP_OK },
        { "/proxy/%c3%a9", "/%C3%A9", AMP_OK },
        { "/proxy/...", "/...", AMP_OK },
        { "/proxy/..a", "/..a", AMP_OK },

        { "/proxy", NULL, AMP_NO_OPERATION },
        { "/", NULL, AMP_NO_OPERATION },
        { "/proxyx/a", NULL, AMP_NO_OPERATION },
        { "//proxy/a", NULL, AMP_NO_OPERATION },
        { "/proxy%2fa", NULL, AMP_NO_OPERATION },
        { "/Proxy/a", NULL, AMP_NO_OPERATION },

        { "", NULL, AMP_BAD_PATH },
        { "proxy/a", NULL, AMP_BAD_PATH },
        { "/proxy/.", NULL, AMP_BAD_PATH },
        { "/proxy/..", NULL, AMP_BAD_PATH },
        { "/proxy/../v1/projects", NULL, AMP_BAD_PATH },
        { "/proxy/a/../b", NULL, AMP_BAD_PATH },
        { "/proxy/a/./b", NULL, AMP_BAD_PATH },
        { "/proxy/%2e%2e/b", NULL, AMP_BAD_PATH },
        { "/proxy/..%2fb", NULL, AMP_BAD_PATH },
        { "/proxy/a%2f..%2fb", NULL, AMP_BAD_PATH },
        { "/proxy/a%2f%2e", NULL, AMP_BAD_PATH },
        { "/proxy/..;x/b", NULL, AMP_BAD_PATH },
        { "/proxy/..%3bx/b", NULL, AMP_BAD_PATH },
        { "/proxy/%252e%252e/b", NULL, AMP_BAD_PATH },
        { "/proxy/%25252e%25252e/b", NULL, AMP_BAD_PATH },
        { "/proxy/%2525252e%2525252e/b", NULL, AMP_BAD_PATH },
        { "/proxy/%252525252525252541", NULL, AMP_BAD_PATH },
        { "/proxy/a%252f..%252fb", NULL, AMP_BAD_PATH },
        { "/proxy/%25%32e%252e", NULL, AMP_BAD_PATH },
        { "/proxy/a%5cb", NULL, AMP_BAD_PATH },
        { "/proxy/a%255cb", NULL, AMP_BAD_PATH },
        { "/proxy/a\\b", NULL, AMP_BAD_PATH },
        { "/proxy/%00", NULL, AMP_BAD_PATH },
        { "/proxy/%2500", NULL, AMP_BAD_PATH },
        { "/proxy/%0d%0a", NULL, AMP_BAD_PATH },
        { "/proxy/%250d%250a", NULL, AMP_BAD_PATH },
        { "/proxy/%7f", NULL, AMP_BAD_PATH },
        { "/proxy/%c0%ae%c0%ae/", NULL, AMP_BAD_PATH },
        { "/proxy/%25c0%25ae/", NULL, AMP_BAD_PATH },
        { "/proxy/%", NULL, AMP_BAD_PATH },
        { "/proxy/%4", NULL, AMP_BAD_PATH },
        { "/proxy/%zz", NULL, AMP_BAD_PATH },
        { "/proxy/a b", NULL, AMP_BAD_PATH },
        { "/proxy/a#b", NULL, AMP_BAD_PATH },
        { "/proxy/a?b", NULL, AMP_BAD_PATH },
        { "/proxy/\xc3\xa9", NULL, AMP_BAD_PATH }
    };

    check_paths(AMP_API_PROXY, "GET", cases, LEN(cases));
}


static void
methods_of_the_proxy_api(void **state)
{
    size_t       i;
    amp_match_t  m;

    static const char *const  good[] = { "GET", "POST", "PROPFIND", "M-SEARCH",
                                         "get", "x!#$%&'*+.^_`|~9" };
    static const char *const  bad[] = { "", "GET ", "A B", "A/B", "\xc3\xa9",
                                        "A\r\n", "A:", "(A)" };

    for (i = 0; i < LEN(good); i++) {
        assert_int_equal(match(AMP_API_PROXY, good[i], "/proxy/a", &m),
                         AMP_OK);
        assert_string_equal(m.op->id, "proxyRequest");
        assert_int_equal(m.head, 0);
    }

    for (i = 0; i < LEN(bad); i++) {
        assert_int_equal(match(AMP_API_PROXY, bad[i], "/proxy/a", &m),
                         AMP_NO_METHOD);
        assert_int_not_equal(m.allow, 0);
        assert_null(m.op);
    }

    assert_int_equal(amp_path_match(AMP_API_PROXY, amp_span_make("A\0B", 3),
                                    amp_span("/proxy/a"), scratch, &m),
                     AMP_NO_METHOD);

    assert_int_equal(match(AMP_API_PROXY, "HEAD", "/proxy/a", &m), AMP_OK);
    assert_int_equal(m.head, 1);
}


static void
longest_paths(void **state)
{
    char         path[AMP_PATH_MAX + 2];
    amp_match_t  m;

    memset(path, 'a', sizeof(path));
    memcpy(path, "/v1/integrations/", 17);

    path[AMP_PATH_MAX] = '\0';
    assert_int_equal(match(AMP_API_PLATFORM, "GET", path, &m), AMP_OK);
    assert_int_equal(strlen(compose(&m)),
                     AMP_PATH_MAX + strlen("/projects/" PROJECT_ID));

    path[AMP_PATH_MAX] = 'a';
    path[AMP_PATH_MAX + 1] = '\0';
    assert_int_equal(match(AMP_API_PLATFORM, "GET", path, &m), AMP_BAD_PATH);

    memcpy(path, "/proxy/", 7);
    assert_int_equal(match(AMP_API_PROXY, "GET", path, &m), AMP_BAD_PATH);
    path[AMP_PATH_MAX] = '\0';
    assert_int_equal(match(AMP_API_PROXY, "GET", path, &m), AMP_OK);

    /* a NUL does not end a path */

    assert_int_equal(amp_path_match(AMP_API_PLATFORM, amp_span("GET"),
                                    amp_span("/v1/projects\0"), scratch, &m),
                     AMP_BAD_PATH);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(project_of_both_spellings),
        cmocka_unit_test(without_a_project_the_path_overflows),
        cmocka_unit_test(methods_of_a_path),
        cmocka_unit_test(values_of_parameters),
        cmocka_unit_test(every_spelling_of_a_prefix),
        cmocka_unit_test(malformed_paths),
        cmocka_unit_test(unknown_paths),
        cmocka_unit_test(verbs_of_one_api),
        cmocka_unit_test(paths_of_the_proxy_api),
        cmocka_unit_test(methods_of_the_proxy_api),
        cmocka_unit_test(longest_paths)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
