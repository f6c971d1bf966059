#include "amp_escape.h"
#include "amp_fault.h"


/* The first thing in a raw path that AMP_BAD_PATH lists, or NULL. */

static const char *
amp_fault_path(amp_span_t path)
{
    int                   c;
    const unsigned char  *p, *last;

    if (path.len > AMP_PATH_MAX) {
        return "The path is longer than 4096 bytes.";
    }

    last = path.data + path.len;

    for (p = path.data; p < last; p++) {

        if (*p == '/' && p + 1 < last && p[1] == '/') {
            return "The path has an empty segment, \"//\".";
        }

        if (*p == '/' && p + 1 < last && p[1] == '.') {
            return "The path has a segment that begins with a dot.";
        }

        if (*p == '\\' || amp_char_is(*p, AMP_CONTROL)) {
            return "The path has a backslash or a control byte.";
        }

        if (*p != '%') {
            continue;
        }

        c = amp_unhex(p + 1, last);

        if (c < 0) {
            return "The path has a \"%\" without two hexadecimal digits.";
        }

        if (c == '/' || c == '\\') {
            return "The path has an encoded slash or backslash.";
        }

        if (amp_char_is(c, AMP_CONTROL)) {
            return "The path has an encoded control byte.";
        }
    }

    return NULL;
}


static void
amp_fault_query(amp_span_t arg, amp_fault_t *fault)
{
    const unsigned char  *equals;

    if (arg.len == 0) {
        fault->text = "The query is too long, or has too many parameters.";
        return;
    }

    equals = memchr(arg.data, '=', arg.len);

    if (equals != NULL) {
        arg.len = (size_t) (equals - arg.data);
    }

    fault->text = "The query parameter \"%\" is malformed, occurs twice, or"
                  " differs from a documented one only in case.";
    fault->name = arg;
}


static void
amp_fault_project(const amp_tenant_t *t, const amp_match_t *match,
    amp_fault_t *fault)
{
    if (match->project.len != 0 && !amp_scope_project(t, match->project)) {
        fault->text = "The path names another project.";

    } else {
        fault->text = "The header x-amp-project-id names another project.";
    }
}


static const char *
amp_fault_no_group(const amp_request_t *request, const amp_operation_t *op)
{
    if (request->api == AMP_API_PROXY && request->installation) {
        return "The header x-amp-installation-id may name an installation of"
               " another group.";
    }

    switch (op->group_in) {

    case AMP_IN_QUERY:
        return "The query has no groupRef, which \"%\" takes.";

    case AMP_IN_HEADER:
        return "The header x-amp-group-ref is missing.";

    default:
        return "The operation \"%\" cannot name a group.";
    }
}


void
amp_fault_find(amp_reason_e reason, const amp_request_t *request,
    const amp_tenant_t *t, const amp_decision_t *decision, amp_fault_t *fault)
{
    const amp_operation_t  *op = decision->op;

    fault->text = NULL;
    fault->name = (op != NULL) ? amp_span_make(op->id, strlen(op->id))
                               : amp_span_null;

    switch (reason) {

    case AMP_BAD_PATH:
        fault->text = amp_fault_path(request->path);
        fault->name = amp_span("%");
        return;

    case AMP_NO_METHOD:
        fault->text = "The path exists, but not with the method \"%\".";
        fault->name = request->method;
        return;

    case AMP_KEY_IN_QUERY:
    case AMP_BAD_QUERY:
        amp_fault_query(decision->query.fault, fault);

        if (reason == AMP_KEY_IN_QUERY) {
            fault->text = "The query parameter \"%\" is named like an API key.";
        }

        return;

    case AMP_OTHER_PROJECT:
        amp_fault_project(t, &decision->match, fault);
        return;

    case AMP_OTHER_GROUP:
        fault->text = "The group \"%\" is not one of the tenant's groups.";
        fault->name = (op != NULL && op->group_in == AMP_IN_QUERY)
                      ? decision->query.group : request->group;
        return;

    case AMP_NO_GROUP:
        fault->text = (op != NULL) ? amp_fault_no_group(request, op) : NULL;
        return;

    case AMP_NOT_SERVED:
        fault->text = "The operation \"%\" is never served to tenants.";
        return;

    case AMP_NOT_GRANTED:
        fault->text = "The tenant's grants do not include the operation \"%\".";
        return;

    case AMP_SECRETS_NOT_GRANTED:
        if (op != NULL && op->class == AMP_CLASS_SECRETS) {
            fault->text = "The answer to the operation \"%\" has credentials.";

        } else {
            fault->text = "A query parameter of \"%\" asks for credentials.";
        }

        return;

    case AMP_CHANGE_NOT_GRANTED:
        fault->text = "A query parameter makes \"%\" change something.";
        return;

    default:
        return;
    }
}
