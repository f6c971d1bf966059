#include <jansson.h>

#include "amp_escape.h"
#include "amp_fault.h"


static const char *amp_fault_segment(amp_api_e api, amp_span_t raw,
    size_t *len);
static const char *amp_fault_decoded(amp_api_e api, amp_span_t text);
static const char *amp_fault_json(const json_error_t *error);
static int amp_fault_member(const json_t *object, const char *name,
    amp_fault_t *fault);


/* The first thing in a raw path that AMP_BAD_PATH lists. */

static const char *
amp_fault_path(amp_api_e api, amp_span_t path)
{
    size_t                n;
    const char           *text;
    const unsigned char  *p, *last, *end;

    n = 0;
    last = path.data + path.len;

    if (path.len == 0 || path.data[0] != '/') {
        return "The path does not begin with a slash.";
    }

    for (p = path.data + 1; path.len <= AMP_PATH_MAX; p = end + 1) {
        end = memchr(p, '/', (size_t) (last - p));
        end = (end != NULL) ? end : last;

        if (p == end && end < last && api != AMP_API_PROXY) {
            return "The path has an empty segment, \"//\".";
        }

        text = amp_fault_segment(api, amp_span_make(p, (size_t) (end - p)), &n);

        if (text != NULL) {
            return text;
        }

        if (end == last) {
            break;
        }
    }

    if (path.len > AMP_PATH_MAX || n > AMP_PATH_MAX) {
        return "The path is longer than 4096 bytes.";
    }

    if (api == AMP_API_PROXY) {
        return "The path has a dot segment, a backslash or a control byte once"
               " it is decoded, perhaps several times.";
    }

    return "The path has a dot segment or the verb of an operation in place of"
           " an id.";
}


/* Adds to *len what the segment takes where all of it is encoded. */

static const char *
amp_fault_segment(amp_api_e api, amp_span_t raw, size_t *len)
{
    int                   c;
    size_t                n;
    unsigned char         bytes[AMP_PATH_MAX];
    const unsigned char  *p, *last;

    n = 0;
    last = raw.data + raw.len;

    for (p = raw.data; p < last; p++) {
        c = *p;

        if (c == '\\' || amp_char_is(c, AMP_CONTROL)) {
            return "The path has a backslash or a control byte.";
        }

        if (c != '%' && !amp_char_is(c, AMP_PCHAR) && !amp_unescaped(*p)) {
            return "The path has a byte that has to be percent-encoded.";
        }

        *len += (c != '%' && amp_unescaped(*p)) ? 3 : 1;

        if (c == '%') {
            c = amp_unhex(p + 1, last);

            if (c < 0) {
                return "The path has a \"%\" without two hexadecimal digits.";
            }

            if (c == '\\' || (c == '/' && api != AMP_API_PROXY)) {
                return "The path has an encoded slash or backslash.";
            }

            if (amp_char_is(c, AMP_CONTROL)) {
                return "The path has an encoded control byte.";
            }

            p += 2;
        }

        bytes[n++] = (unsigned char) c;
    }

    *len += 1;

    return amp_fault_decoded(api, amp_span_make(bytes, n));
}


static const char *
amp_fault_decoded(amp_api_e api, amp_span_t text)
{
    int     c;
    size_t  i;

    if (amp_dot_segment(text)) {
        return "The path has a dot segment, \".\" or \"..\".";
    }

    if (amp_overlong(text)) {
        return "The path has UTF-8 in a longer form than it has to be.";
    }

    if (api == AMP_API_PROXY) {
        return NULL;
    }

    for (i = 0; i < text.len; i++) {
        c = (text.data[i] == '%') ? amp_unhex(text.data + i + 1,
                                              text.data + text.len)
                                  : -1;

        if (c >= 0 && amp_structural(c)) {
            return "The path has a segment that is encoded twice.";
        }
    }

    return NULL;
}


/* The name is what stands before "=", encoded or not: never a value. */

static void
amp_fault_query(amp_reason_e reason, amp_span_t arg, amp_fault_t *fault)
{
    size_t  i;

    if (arg.len == 0) {
        fault->text = "The query is too long, or has too many parameters.";
        return;
    }

    for (i = 0; i < arg.len && arg.data[i] != '='; i++) {
        if (arg.data[i] == '%'
            && amp_unhex(arg.data + i + 1, arg.data + arg.len) == '=')
        {
            break;
        }
    }

    arg.len = i;
    fault->name = arg;

    if (reason == AMP_BAD_QUERY) {
        fault->text = "The query parameter \"%\" is malformed, occurs twice,"
                      " or differs from a documented one only in case.";

    } else if (amp_span_caseeq(arg, amp_span("apikey"))) {
        fault->text = "The query parameter \"%\" is named like an API key.";

    } else {
        fault->text = "A part of the query is named like an API key.";
    }
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


/* What the token may not, though its tenant may. */

static const char *
amp_fault_token(const amp_request_t *request, const amp_decision_t *decision)
{
    unsigned                  i;
    const amp_token_scope_t  *scope;

    scope = request->scope;
    i = amp_operation_index(decision->op);

    if (!(scope->granted[i / 64] >> (i % 64) & 1)) {
        return "This token is not issued for the operation \"%\".";
    }

    if (decision->query.secret && !scope->secrets
        && request->api != AMP_API_PROXY)
    {
        return "A query parameter of \"%\" asks for credentials, which this"
               " token may not.";
    }

    return "A query parameter makes \"%\" change something, which this token"
           " may not.";
}


static void
amp_fault_token_group(const amp_request_t *request,
    const amp_decision_t *decision, amp_fault_t *fault)
{
    int                     named;
    amp_span_t              group;
    const amp_operation_t  *op;

    op = decision->op;
    named = 0;
    group = request->group;

    if (op->group_in == AMP_IN_QUERY) {
        named = decision->query.has_group;
        group = decision->query.group;

    } else if (op->group_in == AMP_IN_HEADER && !request->installation) {
        named = request->has_group;
    }

    if (!named) {
        fault->text = amp_fault_no_group(request, op);
        return;
    }

    fault->text = "The group \"%\" is not one of this token's groups.";
    fault->name = group;
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
        fault->text = amp_fault_path(request->api, request->path);
        fault->name = amp_span("%");
        return;

    case AMP_NO_METHOD:
        fault->text = "The path exists, but not with the method \"%\".";
        fault->name = request->method;
        return;

    case AMP_KEY_IN_QUERY:
    case AMP_BAD_QUERY:
        amp_fault_query(reason, decision->query.fault, fault);
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

    case AMP_TOKEN_NOT_GRANTED:
        fault->text = (op != NULL) ? amp_fault_token(request, decision) : NULL;
        return;

    case AMP_TOKEN_GROUP:
        if (op != NULL) {
            amp_fault_token_group(request, decision, fault);
        }

        return;

    case AMP_TOKEN_ORIGIN:
        fault->name = request->origin;
        fault->text = request->origin.len
                      ? "The Origin \"%\" is not one of this token's origins."
                      : "The request has no Origin, or more than one.";
        return;

    default:
        return;
    }
}


void
amp_fault_body(amp_reason_e reason, const amp_tenant_t *t,
    const amp_token_scope_t *scope, const amp_operation_t *op, amp_span_t body,
    amp_fault_t *fault)
{
    int            project, group;
    json_t        *object;
    json_error_t   error;

    fault->text = NULL;
    fault->name = amp_span_null;

    switch (reason) {

    case AMP_OTHER_PROJECT:
        fault->text = "The body names another project, in projectIdOrName or"
                      " projectId.";
        return;

    case AMP_OTHER_GROUP:
        fault->text = "groupRef in the body is not one of the tenant's groups.";
        return;

    case AMP_NO_GROUP:
        fault->text = "The body has no groupRef.";
        return;

    case AMP_TOKEN_GROUP:
        fault->text = "The body has no groupRef, or one that is not of this"
                      " token's groups.";
        return;

    case AMP_BAD_BODY:
        break;

    default:
        return;
    }

    if (body.len == 0) {
        fault->text = "The body is empty.";
        return;
    }

    project = (op->project_in == AMP_IN_BODY);
    group = (op->group_in == AMP_IN_BODY
             && (t->ngroups != 0 || (scope != NULL && scope->ngroups != 0)));

    /* as amp_scope_body() reads it */

    object = json_loadb((const char *) body.data, body.len,
                        JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL
                        | (project ? 0 : JSON_DECODE_INT_AS_REAL), &error);

    if (object == NULL) {
        fault->text = amp_fault_json(&error);

    } else if (!json_is_object(object)) {
        fault->text = "The body is JSON, but not an object.";

    } else if (!(project && amp_fault_member(object, "projectIdOrName", fault))
               && !(project && amp_fault_member(object, "projectId", fault))
               && !(group && amp_fault_member(object, "groupRef", fault)))
    {
        fault->text = "projectIdOrName and projectId are different projects.";
    }

    json_decref(object);
}


/* The texts of jansson have bytes of the body. */

static const char *
amp_fault_json(const json_error_t *error)
{
    switch (json_error_code(error)) {

    case json_error_invalid_utf8:
        return "The body is not in UTF-8.";

    case json_error_premature_end_of_input:
        return "The body ends before its JSON is complete.";

    case json_error_end_of_input_expected:
        return "Something follows the JSON object in the body.";

    case json_error_duplicate_key:
        return "An object in the body has the same member twice.";

    case json_error_null_byte_in_key:
        return "The name of a member in the body has a NUL.";

    case json_error_numeric_overflow:
        return "A number in the body is too large.";

    case json_error_stack_overflow:
        return "The body has too many objects or arrays in each other.";

    default:
        return "The body is not JSON.";
    }
}


/* 1: a member of this name, in any case, is the fault. */

static int
amp_fault_member(const json_t *object, const char *name, amp_fault_t *fault)
{
    json_t      *member;
    amp_span_t   wanted, key;
    const char  *text;

    wanted = amp_span_make(name, strlen(name));

    json_object_foreach((json_t *) object, text, member) {
        key = amp_span_make(text, strlen(text));

        if (!amp_span_caseeq(key, wanted)
            || (amp_span_eq(key, wanted) && json_is_string(member)))
        {
            continue;
        }

        fault->name = wanted;
        fault->text = amp_span_eq(key, wanted)
                      ? "The member \"%\" of the body has to be a string."
                      : "The member \"%\" of the body has to be spelt exactly"
                        " so.";
        return 1;
    }

    return 0;
}
