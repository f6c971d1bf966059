#include <jansson.h>

#include "amp_json.h"
#include "amp_scope.h"


#define AMP_NPROJECT_MEMBERS  2

/* The first one is added to a body that names no project. */

static const char *const  amp_project_members[AMP_NPROJECT_MEMBERS] = {
    "projectIdOrName",
    "projectId"
};


static amp_reason_e amp_scope_group(const amp_tenant_t *t,
    const amp_token_scope_t *scope, int has_group, amp_span_t group);
static int amp_scope_bound(const amp_tenant_t *t,
    const amp_token_scope_t *scope);
static amp_reason_e amp_scope_load(amp_span_t body, size_t flags,
    json_t **object);
static amp_reason_e amp_scope_member(const json_t *object, const char *name,
    int *found, amp_span_t *value);
static amp_reason_e amp_scope_body_project(const amp_tenant_t *t,
    json_t *object);
static amp_reason_e amp_scope_body_group(const amp_tenant_t *t,
    const amp_token_scope_t *scope, const json_t *object);


int
amp_scope_project(const amp_tenant_t *t, amp_span_t project)
{
    amp_span_t  name;

    if (amp_span_eq(project, amp_span("-"))
        || amp_span_eq(project, amp_tenant_field(t, t->project_id)))
    {
        return 1;
    }

    name = amp_tenant_field(t, t->project_name);

    return name.len != 0 && amp_span_caseeq(project, name);
}


amp_reason_e
amp_scope_grant(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const amp_operation_t *op, const amp_query_t *q)
{
    unsigned  i;

    if (op->class == AMP_CLASS_NONE) {
        return AMP_NOT_SERVED;
    }

    if (!amp_tenant_granted(t, op)) {
        return (op->class == AMP_CLASS_SECRETS && !t->secrets)
               ? AMP_SECRETS_NOT_GRANTED : AMP_NOT_GRANTED;
    }

    /* of the proxy API it is the provider's parameter */

    if (q->secret && !t->secrets && op->api != AMP_API_PROXY) {
        return AMP_SECRETS_NOT_GRANTED;
    }

    if (q->changes && !t->changes) {
        return AMP_CHANGE_NOT_GRANTED;
    }

    if (scope == NULL) {
        return AMP_OK;
    }

    i = amp_operation_index(op);

    if (!(scope->granted[i / 64] >> (i % 64) & 1)
        || (q->secret && !scope->secrets && op->api != AMP_API_PROXY)
        || (q->changes && !scope->changes))
    {
        return AMP_TOKEN_NOT_GRANTED;
    }

    return AMP_OK;
}


amp_reason_e
amp_scope_isolate(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const amp_match_t *m, const amp_query_t *q, amp_span_t project_header,
    int has_group_header, amp_span_t group_header)
{
    if (m->project.len != 0 && !amp_scope_project(t, m->project)) {
        return AMP_OTHER_PROJECT;
    }

    if (project_header.len != 0 && !amp_scope_project(t, project_header)) {
        return AMP_OTHER_PROJECT;
    }

    switch (m->op->group_in) {

    case AMP_IN_QUERY:
        return amp_scope_group(t, scope, q->has_group, q->group);

    case AMP_IN_HEADER:
        return amp_scope_group(t, scope, has_group_header, group_header);

    case AMP_IN_BODY:
        return AMP_OK;

    default:
        return amp_scope_group(t, scope, 0, amp_span_null);
    }
}


static amp_reason_e
amp_scope_group(const amp_tenant_t *t, const amp_token_scope_t *scope,
    int has_group, amp_span_t group)
{
    if (t->ngroups != 0 && !has_group) {
        return AMP_NO_GROUP;
    }

    if (t->ngroups != 0 && !amp_tenant_has_group(t, group)) {
        return AMP_OTHER_GROUP;
    }

    if (scope != NULL && scope->ngroups != 0
        && (!has_group
            || !amp_list_has(amp_token_scope_field(scope, scope->groups),
                             scope->ngroups, group)))
    {
        return AMP_TOKEN_GROUP;
    }

    return AMP_OK;
}


static int
amp_scope_bound(const amp_tenant_t *t, const amp_token_scope_t *scope)
{
    return t->ngroups != 0 || (scope != NULL && scope->ngroups != 0);
}


int
amp_scope_needs_body(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const amp_operation_t *op)
{
    return op->project_in == AMP_IN_BODY
           || (op->group_in == AMP_IN_BODY && amp_scope_bound(t, scope));
}


amp_reason_e
amp_scope_body(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const amp_operation_t *op, amp_span_t body, amp_span_t *replacement)
{
    char          *text;
    size_t         flags;
    json_t        *object;
    amp_reason_e   rc;

    *replacement = amp_span_null;

    if (!amp_scope_needs_body(t, scope, op)) {
        return AMP_OK;
    }

    if (body.len > AMP_BODY_CHECK_MAX) {
        return AMP_TOO_LARGE;
    }

    /* a body that is sent as it came may contain numbers of any size */

    flags = (op->project_in == AMP_IN_BODY) ? 0 : JSON_DECODE_INT_AS_REAL;

    rc = amp_scope_load(body, flags, &object);
    if (rc != AMP_OK) {
        return rc;
    }

    if (op->project_in == AMP_IN_BODY) {
        rc = amp_scope_body_project(t, object);
    }

    if (rc == AMP_OK && op->group_in == AMP_IN_BODY
        && amp_scope_bound(t, scope))
    {
        rc = amp_scope_body_group(t, scope, object);
    }

    if (rc == AMP_OK && op->project_in == AMP_IN_BODY) {
        text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER
                                  | JSON_REAL_PRECISION(17));

        if (text == NULL) {
            rc = AMP_INTERNAL;

        } else {
            *replacement = amp_span_make(text, strlen(text));
        }
    }

    json_decref(object);

    return rc;
}


/* Decodes a body, which the caller json_decref()s: AMP_OK with *object set. */

static amp_reason_e
amp_scope_load(amp_span_t body, size_t flags, json_t **object)
{
    json_error_t  error;

    if (body.len == 0) {
        return AMP_BAD_BODY;
    }

    *object = json_loadb((const char *) body.data, body.len,
                         JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | flags,
                         &error);

    if (*object == NULL) {
        return (json_error_code(&error) == json_error_out_of_memory)
               ? AMP_INTERNAL : AMP_BAD_BODY;
    }

    if (!json_is_object(*object)) {
        json_decref(*object);
        return AMP_BAD_BODY;
    }

    return AMP_OK;
}


/*
 * Finds a member and its string: AMP_OK with *found 0 or 1, or AMP_BAD_BODY
 * when the name has another case or the value another type.  Only ASCII case
 * is folded: of all ASCII letters, only "k" and "s" equal a non-ASCII one
 * without regard to case (U+212A, U+017F), and the names have neither.
 */

static amp_reason_e
amp_scope_member(const json_t *object, const char *name, int *found,
    amp_span_t *value)
{
    json_t      *member;
    amp_span_t   wanted, key;
    const char  *text;

    *found = 0;
    wanted = amp_span_make(name, strlen(name));

    json_object_foreach((json_t *) object, text, member) {
        key = amp_span_make(text, strlen(text));

        if (!amp_span_caseeq(key, wanted)) {
            continue;
        }

        if (!amp_span_eq(key, wanted) || !json_is_string(member)) {
            return AMP_BAD_BODY;
        }

        *value = amp_json_text(member);
        *found = 1;
    }

    return AMP_OK;
}


/* Checks the project members and sets them to the project's id. */

static amp_reason_e
amp_scope_body_project(const amp_tenant_t *t, json_t *object)
{
    int           i, n, ours;
    int           found[AMP_NPROJECT_MEMBERS];
    json_t       *id;
    amp_span_t    value[AMP_NPROJECT_MEMBERS], project;
    amp_reason_e  rc;

    for (i = 0, n = 0, ours = 0; i < AMP_NPROJECT_MEMBERS; i++) {
        rc = amp_scope_member(object, amp_project_members[i], &found[i],
                              &value[i]);
        if (rc != AMP_OK) {
            return rc;
        }

        n += found[i];
        ours += found[i] && amp_scope_project(t, value[i]);
    }

    if (ours < n) {
        return (n == 2 && !amp_span_eq(value[0], value[1]))
               ? AMP_BAD_BODY : AMP_OTHER_PROJECT;
    }

    found[0] |= (n == 0);
    project = amp_tenant_field(t, t->project_id);

    for (i = 0; i < AMP_NPROJECT_MEMBERS; i++) {
        if (!found[i]) {
            continue;
        }

        id = json_stringn((const char *) project.data, project.len);

        if (json_object_set_new(object, amp_project_members[i], id) != 0) {
            return AMP_INTERNAL;
        }
    }

    return AMP_OK;
}


static amp_reason_e
amp_scope_body_group(const amp_tenant_t *t, const amp_token_scope_t *scope,
    const json_t *object)
{
    int           found;
    amp_span_t    group;
    amp_reason_e  rc;

    group = amp_span_null;

    rc = amp_scope_member(object, "groupRef", &found, &group);
    if (rc != AMP_OK) {
        return rc;
    }

    return amp_scope_group(t, scope, found, group);
}
