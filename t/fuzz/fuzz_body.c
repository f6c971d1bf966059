/*
 * amp_scope_body().  Input: one byte for operation and tenant, the body.
 *
 * An accepted body is one JSON object; the body that is sent instead names only
 * this tenant's project, and is accepted unchanged.
 */

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <jansson.h>

#include "amp_scope.h"


#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"Prj-1\","       \
    "\"name\":\"my-app\"}" rest "}"

#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


static const char *const  ids[] = { "oauthConnect", "customAuthConnect",
                                    "triggerRead", "generateConnection" };

static uint64_t  blocks[2][AMP_TENANT_FLAT_MAX / 8];


static void
init(void)
{
    const char  *error;

    check(amp_tenant_decode(amp_span(RECORD("")), blocks[0],
                            sizeof(blocks[0]), &error) != 0);
    check(amp_tenant_decode(amp_span(RECORD(",\"groups\":[\"g1\"]")),
                            blocks[1], sizeof(blocks[1]), &error) != 0);
}


static void
check_project(const json_t *value)
{
    if (value != NULL) {
        check(json_is_string(value)
              && strcmp(json_string_value(value), "Prj-1") == 0);
    }
}


/* 1 for each spelling that Go's decoder would accept. */

static void
check_object(const json_t *object, int project, int group)
{
    json_t      *value;
    const char  *name;

    json_object_foreach((json_t *) object, name, value) {
        if (project && (strcasecmp(name, "projectIdOrName") == 0
                        || strcasecmp(name, "projectId") == 0))
        {
            check_project(value);
        }

        if (group && strcasecmp(name, "groupRef") == 0) {
            check(strcmp(name, "groupRef") == 0);
            check(strcmp(json_string_value(value), "g1") == 0);
        }
    }

    if (project) {
        check(json_object_get(object, "projectIdOrName") != NULL
              || json_object_get(object, "projectId") != NULL);
    }

    if (group) {
        check(json_object_get(object, "groupRef") != NULL);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                     group, project;
    json_t                 *object;
    amp_span_t              body, sent, again;
    amp_reason_e            rc;
    const amp_tenant_t     *t;
    const amp_operation_t  *op;

    if (size < 1) {
        return 0;
    }

    if (blocks[0][0] == 0) {
        init();
    }

    t = (const amp_tenant_t *) blocks[data[0] >> 2 & 1];
    op = amp_operation_find(amp_span_make(ids[data[0] & 3],
                                          strlen(ids[data[0] & 3])));
    body = amp_span_make(data + 1, size - 1);
    group = (t->ngroups != 0);
    project = (op->project_in == AMP_IN_BODY);

    rc = amp_scope_body(t, NULL, op, body, &sent);
    check((rc == AMP_OK && project) == (sent.data != NULL));

    if (rc == AMP_OK && amp_scope_needs_body(t, NULL, op)) {
        if (project) {
            check(amp_scope_body(t, NULL, op, sent, &again) == AMP_OK);
            check(amp_span_eq(sent, again));
            free((void *) again.data);
            body = sent;
        }

        object = json_loadb((const char *) body.data, body.len,
                            JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        check(json_is_object(object));
        check_object(object, project, group);
        json_decref(object);
    }

    free((void *) sent.data);

    return 0;
}
