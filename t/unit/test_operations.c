/*
 * The table of operations: compared with a list that was made from Ampersand's
 * own documents (AMPERSAND_API_DIR/operations.tsv), and checked against rules.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_operations.h"


#define TSV_FIELDS  11
#define TSV_LINE    2048


static amp_span_t
text_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static FILE *
tsv_open(void)
{
    char         name[1024];
    FILE        *f;
    const char  *dir;

    dir = getenv("AMPERSAND_API_DIR");
    snprintf(name, sizeof(name), "%s/operations.tsv",
             dir ? dir : "../shared/ampersand-api");

    f = fopen(name, "r");

    if (f == NULL) {
        print_message("%s is missing: AMPERSAND_API_DIR has to name "
                      "its folder\n", name);
        skip();
    }

    return f;
}


static int
tsv_line(FILE *f, char *line, char *fields[TSV_FIELDS])
{
    int    i;
    char  *p;

    do {
        if (fgets(line, TSV_LINE, f) == NULL) {
            return 0;
        }
    } while (line[0] == '#');

    line[strcspn(line, "\n")] = '\0';

    for (i = 0, p = line; i < TSV_FIELDS && p != NULL; i++) {
        fields[i] = strsep(&p, "\t");
    }

    assert_int_equal(i, TSV_FIELDS);

    return 1;
}


static const char *
place_name(amp_place_e place)
{
    static const char *const  names[] = { "none", "path", "query", "body",
                                          "header" };

    return names[place];
}


static const char *
dash(const char *text)
{
    return text[0] ? text : "-";
}


static void
the_table_is_that_of_the_documents(void **state)
{
    FILE                   *f;
    char                    line[TSV_LINE], *v[TSV_FIELDS];
    size_t                  n, lines;
    const amp_operation_t  *op;

    f = tsv_open();
    lines = 0;

    while (tsv_line(f, line, v)) {
        op = amp_operation_find(text_span(v[3]));

        if (op == NULL) {
            fail_msg("no operation %s", v[3]);
        }

        assert_string_equal(amp_api_name(op->api), v[0]);
        assert_string_equal(amp_method_name(op->method), v[1]);
        assert_string_equal(op->path, v[2]);
        assert_string_equal(op->tag, v[4]);
        assert_string_equal(place_name(op->project_in), v[6]);
        assert_string_equal(op->group_in == AMP_IN_NOWHERE
                            ? "-" : place_name(op->group_in), v[7]);
        assert_string_equal(dash(op->query), v[8]);
        assert_string_equal(dash(op->body), v[9]);

        if (strcmp(v[5], "bearer-only") == 0) {
            assert_int_equal(op->class, AMP_CLASS_NONE);
        }

        lines++;
    }

    fclose(f);

    (void) amp_operations(&n);
    assert_int_equal(lines, 90);
    assert_int_equal(n, lines + 1);
}


/* No operationId occurs twice, and no pair of method and path. */

static void
lines_are_unique(void **state)
{
    size_t                  i, j, n;
    const amp_operation_t  *ops;

    ops = amp_operations(&n);

    for (i = 0; i < n; i++) {
        assert_int_equal(amp_operation_index(&ops[i]), i);
        assert_ptr_equal(amp_operation_find(text_span(ops[i].id)), &ops[i]);

        for (j = 0; j < i; j++) {
            assert_string_not_equal(ops[i].id, ops[j].id);
            assert_false(ops[i].api == ops[j].api
                         && ops[i].method == ops[j].method
                         && strcmp(ops[i].path, ops[j].path) == 0);
        }
    }
}


/*
 * A project in the path is always the first parameter: cache keys are built
 * without the text before the project's id.
 */

static void
the_project_is_the_first_parameter(void **state)
{
    size_t                  i, n;
    const char             *name;
    const amp_operation_t  *ops;

    static const char  head[] = "/projects/{projectIdOrName}";

    ops = amp_operations(&n);

    for (i = 0; i < n; i++) {
        name = strstr(ops[i].path, "{projectId");

        if (ops[i].project_in == AMP_IN_PATH) {
            assert_int_equal(strncmp(ops[i].path, head, strlen(head)), 0);

        } else {
            assert_null(name);
        }
    }
}


static void
the_line_of_the_proxy_api(void **state)
{
    const amp_operation_t  *op;

    op = amp_operation_find(amp_span("proxyRequest"));

    assert_non_null(op);
    assert_int_equal(op->api, AMP_API_PROXY);
    assert_int_equal(op->method, AMP_METHOD_ANY);
    assert_string_equal(op->path, "/{path}");
    assert_string_equal(op->tag, "Proxy");
    assert_int_equal(op->class, AMP_CLASS_DATA);
    assert_int_equal(op->project_in, AMP_IN_HEADER);
    assert_int_equal(op->group_in, AMP_IN_HEADER);
    assert_int_equal(op->ttl, 0);
    assert_int_equal(op->reads, AMP_F(PROXY));
}


/* The families that an operation's own resource belongs to, by its tag. */

static uint32_t
own_family(const amp_operation_t *op)
{
    size_t  i;

    static const struct {
        const char  *tag;
        uint32_t     families;
    } tags[] = {
        { "Project", AMP_F(PROJECTS) },
        { "Provider App", AMP_F(PROVIDER_APPS) },
        { "Integration", AMP_F(INTEGRATIONS) },
        { "Revision", AMP_F(REVISIONS) },
        { "Installation", AMP_F(INSTALLATIONS) },
        { "Objects & Fields", AMP_F(OBJECTS) },
        { "Operation", AMP_F(OPERATIONS) },
        { "Provider", AMP_F(PROVIDERS) },
        { "API Key", AMP_F(API_KEYS) },
        { "Connection", AMP_F(CONNECTIONS) },
        { "OAuth", AMP_F(CONNECTIONS) },
        { "Destination",
          AMP_F(DESTINATIONS) | AMP_F(TOPICS) | AMP_F(ROUTES) },
        { "Notification", AMP_F(ROUTES) },
        { "JWT Key", AMP_F(JWT_KEYS) },
        { "Read", AMP_F(OPERATIONS) },
        { "Write", AMP_F(OPERATIONS) },
        { "Group", AMP_F(GROUPS) },
        { "Consumer", AMP_F(GROUPS) }
    };

    for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (strcmp(tags[i].tag, op->tag) == 0) {
            return tags[i].families;
        }
    }

    fail_msg("no family for tag %s", op->tag);

    return 0;
}


static void
lifetimes_and_families(void **state)
{
    int                     served;
    size_t                  i, n;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        served = (op->class != AMP_CLASS_NONE);

        assert_int_equal((op->reads | op->writes) & AMP_F(ALL), 0);
        assert_int_equal((op->reads | op->writes) >> AMP_FAMILY_COUNT, 0);

        if (op->api == AMP_API_PROXY) {
            continue;
        }

        if (op->method != AMP_METHOD_GET || op->class == AMP_CLASS_SECRETS
            || op->class == AMP_CLASS_WRITE || !served)
        {
            assert_int_equal(op->ttl, 0);
        }

        if (op->method == AMP_METHOD_GET) {
            assert_int_equal(op->writes != 0, *op->state_query != '\0');

            if (op->writes) {
                assert_int_equal(op->writes & ~own_family(op), 0);
            }

            if (op->class == AMP_CLASS_READ
                || op->class == AMP_CLASS_CATALOG)
            {
                assert_int_not_equal(op->ttl, 0);
            }

            if (served && strcmp(op->id, "generateUploadUrl") != 0) {
                assert_int_not_equal(op->reads & own_family(op), 0);
            }

        } else {
            assert_int_equal(op->reads, 0);

            if (served && strcmp(op->id, "searchRecords") != 0) {
                assert_int_not_equal(op->writes & own_family(op), 0);
            }
        }
    }
}


static void
class_of_each_operation(void **state)
{
    size_t                  i, n, count[AMP_CLASS_COUNT + 1] = { 0 };
    amp_class_e             class;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        count[op->class]++;

        if (strcmp(op->tag, "API Key") == 0
            || strcmp(op->tag, "JWT Key") == 0)
        {
            class = AMP_CLASS_SECRETS;

        } else if (strcmp(op->tag, "Org") == 0 || strcmp(op->tag, "User") == 0
                   || strcmp(op->tag, "Billing Account") == 0
                   || strcmp(op->id, "createProject") == 0)
        {
            class = AMP_CLASS_NONE;

        } else if (strcmp(op->tag, "Provider") == 0) {
            class = AMP_CLASS_CATALOG;

        } else if (op->api != AMP_API_PLATFORM) {
            class = AMP_CLASS_DATA;

        } else if (op->method == AMP_METHOD_GET
                   && strcmp(op->id, "generateUploadUrl") != 0)
        {
            class = AMP_CLASS_READ;

        } else {
            class = AMP_CLASS_WRITE;
        }

        if (op->class != class) {
            fail_msg("%s has class %s", op->id, amp_class_name(op->class));
        }
    }

    assert_int_equal(count[AMP_CLASS_CATALOG], 2);
    assert_int_equal(count[AMP_CLASS_SECRETS], 10);
    assert_int_equal(count[AMP_CLASS_DATA], 7);
}


/* Each name of the list is a declared query parameter. */

static void
assert_declared(const amp_operation_t *op, const char *list)
{
    char  name[64], query[512];

    snprintf(query, sizeof(query), ",%s,", op->query);

    while (*list) {
        snprintf(name, sizeof(name), ",%.*s,", (int) strcspn(list, ","), list);
        assert_non_null(strstr(query, name));
        list += strcspn(list, ",");
        list += (*list == ',');
    }
}


static void
parameters_for_secrets_and_changes(void **state)
{
    size_t                  i, n;
    const amp_operation_t  *op;

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        assert_declared(op, op->secret_query);
        assert_declared(op, op->state_query);

        if (strstr(op->query, "include") && strstr(op->query, "Entitlements")
                                            == NULL)
        {
            assert_string_not_equal(op->secret_query, "");
        }

        if (op->group_in == AMP_IN_QUERY) {
            assert_non_null(strstr(op->query, "groupRef"));
        }

        if (op->group_in == AMP_IN_BODY) {
            assert_non_null(strstr(op->body, "groupRef"));
        }
    }

    op = amp_operation_find(amp_span("getConnection"));
    assert_string_equal(op->secret_query, "includeCreds,includeRefreshToken");
    assert_string_equal(op->state_query, "refresh");

    op = amp_operation_find(amp_span("getDestination"));
    assert_string_equal(op->secret_query, "includeSecrets");
    assert_string_equal(op->state_query, "rotate");
}


static void
writes_to_more_than_one_family(void **state)
{
    size_t  i;

    static const struct {
        const char  *id;
        uint32_t     writes;
    } cases[] = {
        { "deleteIntegration", AMP_F(INTEGRATIONS) | AMP_F(INSTALLATIONS)
                               | AMP_F(REVISIONS) },
        { "updateConnection", AMP_F(CONNECTIONS) | AMP_F(INSTALLATIONS) },
        { "deleteProviderApp", AMP_F(PROVIDER_APPS) | AMP_F(CONNECTIONS) },
        { "deleteDestination", AMP_F(DESTINATIONS) | AMP_F(ROUTES) },
        { "deleteTopic", AMP_F(TOPICS) | AMP_F(ROUTES) },
        { "triggerRead", AMP_F(OPERATIONS) },
        { "createGroup", AMP_F(GROUPS) },
        { "createConsumer", AMP_F(GROUPS) }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(amp_operation_find(text_span(cases[i].id))->writes
                         & cases[i].writes, cases[i].writes);
    }
}


static void
names_in_configuration(void **state)
{
    int  i;

    for (i = 0; i < AMP_API_COUNT; i++) {
        assert_int_equal(amp_api_find(text_span(amp_api_name(i))), i);
        assert_non_null(strstr(amp_api_host(i), ".withampersand.com"));
    }

    for (i = 0; i < AMP_CLASS_COUNT; i++) {
        assert_int_equal(amp_class_find(text_span(amp_class_name(i))), i);
    }

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        assert_int_equal(amp_family_find(text_span(amp_family_name(i))), i);
    }

    assert_string_equal(amp_class_name(AMP_CLASS_NONE), "none");
    assert_string_equal(amp_method_name(AMP_METHOD_ANY), "*");
    assert_string_equal(amp_family_name(AMP_FAMILY_ALL), "*");
    assert_string_equal(amp_family_name(AMP_FAMILY_PROVIDER_APPS),
                        "provider-apps");
    assert_string_equal(amp_api_host(AMP_API_PLATFORM),
                        "api.withampersand.com");

    assert_int_equal(amp_class_find(amp_span("none")), -1);
    assert_int_equal(amp_class_find(amp_span("")), -1);
    assert_int_equal(amp_class_find(amp_span("Read")), -1);
    assert_int_equal(amp_api_find(amp_span("platforms")), -1);
    assert_int_equal(amp_family_find(amp_span("connection")), -1);
    assert_null(amp_operation_find(amp_span("listprojects")));
    assert_null(amp_operation_find(amp_span_null));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_documents),
        cmocka_unit_test(lines_are_unique),
        cmocka_unit_test(the_project_is_the_first_parameter),
        cmocka_unit_test(the_line_of_the_proxy_api),
        cmocka_unit_test(lifetimes_and_families),
        cmocka_unit_test(class_of_each_operation),
        cmocka_unit_test(parameters_for_secrets_and_changes),
        cmocka_unit_test(writes_to_more_than_one_family),
        cmocka_unit_test(names_in_configuration)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
