/*
 * ampctl operations: the gateway's table of operations.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_operations.h"
#include "ampctl.h"
#include "nearest.h"


enum {
    OPERATIONS_API = CTL_OPTION
};


static const ctl_option_t  operations_options[] = {

    { OPERATIONS_API, "api", "A",
      "one API only: platform, read, write, search, proxy", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


static const char *const  operations_places[] = {
    [AMP_IN_NOWHERE] = "none",
    [AMP_IN_PATH] = "path",
    [AMP_IN_QUERY] = "query",
    [AMP_IN_BODY] = "body",
    [AMP_IN_HEADER] = "header"
};


/* "a!,b" as [ "a", "b" ] */

static json_t *
operations_words(const char *text)
{
    size_t   len, name;
    json_t  *list;

    list = json_array();

    for ( /* void */ ; text != NULL && *text != '\0'; text += len) {
        text += (*text == ',');
        len = strcspn(text, ",");
        name = (len != 0 && text[len - 1] == '!') ? len - 1 : len;
        json_array_append_new(list, json_stringn(text, name));
    }

    return list;
}


static json_t *
operations_families(uint32_t set)
{
    int      i;
    json_t  *list;

    list = json_array();

    for (i = 0; i < AMP_FAMILY_COUNT; i++) {
        if (set & (1u << i)) {
            json_array_append_new(list, json_string(amp_family_name(i)));
        }
    }

    return list;
}


static json_t *
operations_json(const amp_operation_t *op)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:o, "
                     "s:o, s:o, s:o, s:o}",
                     "api", amp_api_name(op->api),
                     "method", amp_method_name(op->method),
                     "path", op->path,
                     "operationId", op->id,
                     "tag", op->tag,
                     "class", amp_class_name(op->class),
                     "project_in", operations_places[op->project_in],
                     "group_in", operations_places[op->group_in],
                     "ttl", (int) op->ttl,
                     "reads", operations_families(op->reads),
                     "writes", operations_families(op->writes),
                     "query", operations_words(op->query),
                     "secret_query", operations_words(op->secret_query),
                     "state_query", operations_words(op->state_query),
                     "body", operations_words(op->body));
}


static void
operations_row(output_table_t *table, const amp_operation_t *op)
{
    char  ttl[24];

    snprintf(ttl, sizeof(ttl), "%us", op->ttl);

    output_row(table, op->id, amp_class_name(op->class), op->tag,
               amp_api_name(op->api), op->ttl ? ttl : NULL,
               amp_method_name(op->method), op->path);
}


static int
operations_list(ctl_t *ctl)
{
    int                        api;
    char                       near[NEAREST_MAX];
    size_t                     i, n;
    json_t                    *list;
    nearest_t                  nearest;
    const char                *text;
    output_table_t            *table;
    const amp_operation_t     *ops;
    static const char *const   heads[] = {
        "OPERATION", "CLASS", "TAG", "API", "CACHED", "METHOD", "PATH"
    };

    api = -1;
    text = ctl_value(ctl, OPERATIONS_API);

    if (text != NULL) {
        api = amp_api_find(ctl_span(text));

        if (api < 0) {
            nearest_begin(&nearest, text);

            for (i = 0; i < AMP_API_COUNT; i++) {
                nearest_try(&nearest, amp_api_name((amp_api_e) i));
            }

            ctl_error(&ctl->error, CTL_USAGE, "usage",
                      "\"%s\" is not an API%s", text,
                      nearest_text(&nearest, near));
            return ctl_remedy(&ctl->error, "give platform, read, write, search "
                              "or proxy, e.g. --api platform");
        }
    }

    list = json_array();
    table = ctl->json ? NULL : output_table(7, heads);
    ops = amp_operations(&n);

    for (i = 0; i < n; i++) {
        if (api >= 0 && (int) ops[i].api != api) {
            continue;
        }

        if (table != NULL) {
            operations_row(table, &ops[i]);
        } else {
            json_array_append_new(list, operations_json(&ops[i]));
        }
    }

    if (table == NULL) {
        return output_json(list);
    }

    output_table_print(table);
    json_decref(list);

    return CTL_DONE;
}


const ctl_command_t  ctl_operations_commands[] = {

    { "operations", NULL, "", "list the operations of the Ampersand API",
      "Operations of class \"none\" are never served. A grant names a class,\n"
      "a tag or an operation of this list. For example:\n"
      "  ampctl operations --api read",
      operations_options, operations_list },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
