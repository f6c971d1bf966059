/*
 * Which operation a request is, which item of the grants decides on it, and the
 * command that would change the answer.
 */

#define _GNU_SOURCE                 /* vasprintf() under -std=gnu99 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain_grant.h"
#include "record.h"


static void
explain_set_command(json_t *doc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


/* The command that would let the request pass. */

static void
explain_set_command(json_t *doc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    json_object_set_new(doc, "command", json_vsprintf(fmt, args));
    va_end(args);
}


/* Is the operation one that the item names? */

static int
explain_names(const char *item, const amp_operation_t *op)
{
    unsigned  i;
    uint64_t  set[AMP_GRANT_WORDS];

    i = amp_operation_index(op);
    memset(set, 0, sizeof(set));
    (void) amp_grant_expand(ctl_span(item), set);

    return (int) (set[i / 64] >> (i % 64) & 1);
}


static const char *
explain_listed(const json_t *list, const amp_operation_t *op)
{
    size_t       i;
    const char  *item;

    for (i = 0; i < json_array_size(list); i++) {
        item = json_string_value(json_array_get(list, i));

        if (item != NULL && explain_names(item, op)) {
            return item;
        }
    }

    return NULL;
}


const char *
explain_grant(const json_t *record, const amp_operation_t *op, int *denied)
{
    json_t      *grants;
    const char  *item;

    grants = json_object_get(record, "grants");
    item = explain_listed(json_object_get(grants, "deny"), op);
    *denied = (item != NULL);

    if (item != NULL) {
        return item;
    }

    if (json_object_get(grants, "allow") == NULL) {
        return op->class < AMP_CLASS_SECRETS ? amp_class_name(op->class) : NULL;
    }

    return explain_listed(json_object_get(grants, "allow"), op);
}


/* A class may be frozen for all tenants, for this one, or for both. */

static void
explain_thaw(explain_t *e, const char *id)
{
    unsigned     all, own;
    const char  *class;

    all = e->ex->request.frozen >> e->decision.op->class & 1;
    own = e->flat.tenant.frozen >> e->decision.op->class & 1;
    class = amp_class_name(e->decision.op->class);

    if (own) {
        explain_set_command(e->doc, "ampctl thaw --tenant %s --class %s", id,
                            class);
    } else {
        explain_set_command(e->doc, "ampctl thaw --class %s", class);
    }

    if (all && own) {
        explain_note(e->doc, "this class is frozen for all tenants, too: "
                     "ampctl thaw --class %s", class);
    }
}


/* What a refusal of this reason asks of whom manages the tenant. */

void
explain_remedy(explain_t *e)
{
    int          denied;
    const char  *id, *item;

    id = record_text(e->record, "id");

    switch (e->reason) {

    case AMP_TENANT_DISABLED:
        explain_set_command(e->doc, "ampctl tenant enable %s", id);
        return;

    case AMP_NO_KEY:
        explain_set_command(e->doc, "ampctl key set %s --key-file FILE", id);
        return;

    case AMP_COOLING_DOWN:
        explain_set_command(e->doc, "ampctl cooldown clear %s", id);
        return;

    case AMP_FROZEN:
        explain_thaw(e, id);
        return;

    case AMP_TOKEN_NOT_GRANTED:
        explain_set_command(e->doc, "ampctl token issue %s --allow %s", id,
                            e->decision.op->id);
        return;

    case AMP_NOT_GRANTED:
    case AMP_SECRETS_NOT_GRANTED:
    case AMP_CHANGE_NOT_GRANTED:
        break;

    default:
        return;
    }

    item = explain_grant(e->record, e->decision.op, &denied);

    if (denied) {
        explain_set_command(e->doc, "ampctl grant remove %s --deny %s", id,
                            item);

    } else if (item != NULL) {

        /* the operation is granted, and what a parameter asks for is not */

        explain_set_command(e->doc, "ampctl grant add %s --allow %s", id,
                            e->reason == AMP_CHANGE_NOT_GRANTED ? "write"
                                                                : "secrets");

    } else {
        explain_set_command(e->doc, "ampctl grant add %s --allow %s", id,
                            e->decision.op->id);
    }
}


void
explain_operation(explain_t *e)
{
    int                     denied;
    json_t                 *allow;
    unsigned                i;
    const char             *item;
    const amp_operation_t  *op;

    if (e->reason == AMP_NO_METHOD) {
        allow = json_array();

        for (i = 0; i < AMP_METHOD_ANY; i++) {
            if (e->decision.methods & (1u << i)) {
                json_array_append_new(allow,
                              json_string(amp_method_name((amp_method_e) i)));

                if (i == AMP_METHOD_GET) {
                    json_array_append_new(allow, json_string("HEAD"));
                }
            }
        }

        json_object_set_new(e->doc, "allow", allow);
    }

    op = e->decision.op;

    if (op == NULL) {
        return;
    }

    json_object_set_new(e->doc, "operation",
                        json_pack("{s:s, s:s, s:s, s:s}",
                                  "operationId", op->id,
                                  "api", amp_api_name(op->api),
                                  "class", amp_class_name(op->class),
                                  "tag", op->tag));

    item = explain_grant(e->record, op, &denied);

    json_object_set_new(e->doc, "grant",
                        json_pack("{s:b, s:s?, s:s?}",
                                  "granted", !denied && item != NULL,
                                  "allow", denied ? NULL : item,
                                  "deny", denied ? item : NULL));
}
