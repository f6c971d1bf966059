/*
 * Paths of the table of operations: each operation in both spellings; no path
 * matches two operations.
 */

#include "path_match.h"


/* Writes the prefix and the template with its parameters replaced. */

static void
spell(const amp_operation_t *op, int full, const char *prefix,
    const char *project, const char *value, char *out)
{
    const char  *p;

    p = op->path;
    out += sprintf(out, "%s", prefix);

    if (!full) {
        p += strlen("/projects/{projectIdOrName}");
    }

    while (*p) {
        if (*p != '{') {
            *out++ = *p++;
            continue;
        }

        out += sprintf(out, "%s", strncmp(p, "{project", 8) ? value : project);
        p = strchr(p, '}') + 1;
    }

    *out = '\0';
}


static const char *
prefix(const amp_operation_t *op)
{
    static const char *const  prefixes[] = { "/v1", "/read/v1", "/write/v1",
                                             "/search/v1" };

    return prefixes[op->api];
}


static void
every_operation_in_both_spellings(void **state)
{
    int                     full;
    char                    path[1024], expected[1024];
    size_t                  i, n;
    unsigned                j;
    amp_match_t             m;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        if (op->api == AMP_API_PROXY) {
            continue;
        }

        for (full = 1; full >= (op->project_in != AMP_IN_PATH); full--) {
            spell(op, full, prefix(op), "my-project", VALUE, path);
            spell(op, 1, "/v1", PROJECT_ID, COMPOSED, expected);

            if (match(op->api, amp_method_name(op->method), path, &m)
                != AMP_OK)
            {
                fail_msg("%s: %s", op->id, path);
            }

            assert_string_equal(m.op->id, op->id);
            assert_int_equal(m.short_form, !full);
            assert_int_equal(m.head, 0);

            if (full && op->project_in == AMP_IN_PATH) {
                assert_true(amp_span_eq(m.project, amp_span("my-project")));

            } else {
                assert_int_equal(m.project.len, 0);
            }

            for (j = 0; j < m.nparams; j++) {
                assert_true(amp_span_eq(m.params[j], amp_span("v al-1:x")));
            }

            if (strcmp(op->id, "listProjects") == 0) {
                strcpy(expected, "/v1/projects/" PROJECT_ID);
            }

            assert_string_equal(compose(&m), expected);

            if (op->method == AMP_METHOD_GET) {
                assert_int_equal(match(op->api, "HEAD", path, &m), AMP_OK);
                assert_int_equal(m.head, 1);
                assert_ptr_equal(m.op, op);
            }

            /* neither a trailing slash nor an empty segment is ignored */

            strcat(path, "/");
            assert_int_equal(match(op->api, amp_method_name(op->method), path,
                                   &m), AMP_NO_OPERATION);
            strcat(path, "/x");
            assert_int_equal(match(op->api, amp_method_name(op->method), path,
                                   &m), AMP_BAD_PATH);
        }
    }
}


/* 1 when one text can match both segments. */

static int
segments_overlap(const char *a, size_t alen, const char *b, size_t blen)
{
    const char  *averb, *bverb;

    averb = memchr(a, '}', alen);
    bverb = memchr(b, '}', blen);

    if (averb == NULL && bverb == NULL) {
        return alen == blen && memcmp(a, b, alen) == 0;
    }

    /* a value contains no raw colon: the verbs, or their absence, must agree */

    averb = averb ? averb + 1 : memchr(a, ':', alen);
    bverb = bverb ? bverb + 1 : memchr(b, ':', blen);
    averb = averb ? averb : a + alen;
    bverb = bverb ? bverb : b + blen;

    return a + alen - averb == b + blen - bverb
           && memcmp(averb, bverb, (size_t) (a + alen - averb)) == 0;
}


static int
paths_overlap(const char *a, const char *b)
{
    size_t  alen, blen;

    while (*a && *b) {
        alen = strcspn(++a, "/");
        blen = strcspn(++b, "/");

        if (!segments_overlap(a, alen, b, blen)) {
            return 0;
        }

        a += alen;
        b += blen;
    }

    return *a == *b;
}


/* amp_path_fixed() is where paths with different parameters differ first. */

static void
fixed_part_of_a_path(void **state)
{
    char                    path[1024], one[1024];
    size_t                  i, n, len;
    const char             *other;
    amp_match_t             m;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        if (op->api == AMP_API_PROXY) {
            assert_int_equal(amp_path_fixed(op, 7), 1);
            continue;
        }

        spell(op, 1, prefix(op), PROJECT_ID, "one", path);
        assert_int_equal(match(op->api, amp_method_name(op->method), path, &m),
                         AMP_OK);
        strcpy(one, compose(&m));

        spell(op, 1, prefix(op), PROJECT_ID, "two", path);
        assert_int_equal(match(op->api, amp_method_name(op->method), path, &m),
                         AMP_OK);
        other = compose(&m);

        for (len = 0; one[len] && one[len] == other[len]; len++) { /* void */ }

        assert_int_equal(amp_path_fixed(op, strlen(PROJECT_ID)), len);
    }
}


static void
no_path_matches_two_operations(void **state)
{
    int                     afull, bfull;
    size_t                  i, j, n, cut;
    const char             *a, *b;
    const amp_operation_t  *ops;

    ops = amp_operations(&n);
    cut = strlen("/projects/{projectIdOrName}");

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            if (ops[i].api != ops[j].api || ops[i].method != ops[j].method) {
                continue;
            }

            for (afull = 0; afull < 2; afull++) {
                for (bfull = 0; bfull < 2; bfull++) {
                    if ((i == j && afull == bfull)
                        || (!afull && ops[i].project_in != AMP_IN_PATH)
                        || (!bfull && ops[j].project_in != AMP_IN_PATH))
                    {
                        continue;
                    }

                    a = ops[i].path + (afull ? 0 : cut);
                    b = ops[j].path + (bfull ? 0 : cut);

                    if (paths_overlap(a, b)) {
                        fail_msg("%s and %s: %s, %s", ops[i].id, ops[j].id, a,
                                 b);
                    }
                }
            }
        }
    }

    assert_true(paths_overlap("/a/{x}", "/{y}/b"));
    assert_true(paths_overlap("/a/{x}:v", "/{y}/b:v"));
    assert_false(paths_overlap("/a/{x}:v", "/a/{x}"));
    assert_false(paths_overlap("/a/{x}", "/a/b/c"));
}


static void
each_path_can_begin_as_it_begins(void **state)
{
    int                     full;
    char                    path[1024];
    size_t                  i, n, len;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        if (op->api == AMP_API_PROXY) {
            continue;
        }

        for (full = (op->project_in != AMP_IN_PATH); full < 2; full++) {
            spell(op, full, prefix(op), "p-1", "a:b", path);

            for (len = 0; len <= strlen(path); len++) {
                if (!amp_path_begins(op->api, amp_span_make(path, len))) {
                    fail_msg("%s: %.*s", op->id, (int) len, path);
                }
            }

            strcat(path, "/x/y/z/x/y/z/x/y/z");
            assert_false(amp_path_begins(op->api, text_span(path)));
        }
    }
}


static void
no_path_begins_so(void **state)
{
    size_t  i;

    static const struct {
        amp_api_e    api;
        const char  *text;
    } texts[] = {
        { AMP_API_PLATFORM, "v1" },
        { AMP_API_PLATFORM, "/v2" },
        { AMP_API_PLATFORM, "/v1x" },
        { AMP_API_PLATFORM, "/v1/none" },
        { AMP_API_PLATFORM, "/v1/integ/" },
        { AMP_API_PLATFORM, "/v1/integrationsx" },
        { AMP_API_PLATFORM, "/v1//integrations" },
        { AMP_API_PLATFORM, "/v1/projects/p/none" },
        { AMP_API_PLATFORM, "/v1/projects/p/operations/o/logs/" },
        { AMP_API_READ, "/v1" },
        { AMP_API_READ, "/read/v1/none" },
        { AMP_API_WRITE, "/write/v1/integrations/i/installations" },
        { AMP_API_SEARCH, "/search/v1/integrations/i/" }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (amp_path_begins(texts[i].api, text_span(texts[i].text))) {
            fail_msg("%s", texts[i].text);
        }
    }

    assert_true(amp_path_begins(AMP_API_PLATFORM, text_span("/v1/integ")));
    assert_true(amp_path_begins(AMP_API_PROXY, text_span("/proxy/any//%")));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_operation_in_both_spellings),
        cmocka_unit_test(fixed_part_of_a_path),
        cmocka_unit_test(no_path_matches_two_operations),
        cmocka_unit_test(each_path_can_begin_as_it_begins),
        cmocka_unit_test(no_path_begins_so)
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
