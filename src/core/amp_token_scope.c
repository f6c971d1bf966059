#include "amp_json.h"
#include "amp_origin.h"
#include "amp_token_scope.h"


static const char *const  amp_token_scope_members[] = {
    "grants", "groups", "limit", "origins"
};


static int
amp_token_scope_known(const char *name)
{
    size_t  i;

    for (i = 0; i < sizeof(amp_token_scope_members)
                    / sizeof(amp_token_scope_members[0]); i++)
    {
        if (strcmp(name, amp_token_scope_members[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


/* 0, or -1: not an array of strings, or, where strict, an unknown item. */

static int
amp_token_scope_items(const json_t *list, int strict, amp_grants_t *grants)
{
    size_t       i;
    json_t      *item;
    amp_span_t   text;

    if (!json_is_array(list)) {
        return -1;
    }

    json_array_foreach(list, i, item) {
        text = amp_json_text(item);

        if (text.data == NULL
            || (amp_grants_add(grants, text) == 0 && strict))
        {
            return -1;
        }
    }

    return 0;
}


static const char *
amp_token_scope_grants(const json_t *json, amp_token_scope_t *scope)
{
    size_t        i;
    json_t       *grants, *allowed, *denied;
    unsigned      classes;
    amp_grants_t  allow, deny;

    memset(&allow, 0xff, sizeof(allow));
    memset(&deny, 0, sizeof(deny));

    grants = json_object_get(json, "grants");
    allowed = json_object_get(grants, "allow");
    denied = json_object_get(grants, "deny");

    if (grants != NULL
        && (!json_is_object(grants)
            || json_object_size(grants)
               != (size_t) (allowed != NULL) + (denied != NULL)))
    {
        return "\"scope.grants\" is not an object with allow and deny";
    }

    if (allowed != NULL) {
        memset(&allow, 0, sizeof(allow));

        if (amp_token_scope_items(allowed, 0, &allow) != 0) {
            return "\"scope.grants.allow\" is not an array of strings";
        }
    }

    if (denied != NULL && amp_token_scope_items(denied, 1, &deny) != 0) {
        return "\"scope.grants.deny\" is not an array of classes, tags and"
               " operationIds";
    }

    for (i = 0; i < AMP_GRANT_WORDS; i++) {
        scope->granted[i] = allow.operations[i] & ~deny.operations[i];
    }

    classes = allow.classes & ~deny.classes;
    scope->secrets = classes >> AMP_CLASS_SECRETS & 1;
    scope->changes = classes >> AMP_CLASS_WRITE & 1;

    return NULL;
}


static int
amp_token_scope_origin_valid(amp_span_t origin)
{
    return origin.len <= AMP_ORIGIN_MAX && amp_origin_fault(origin) == NULL;
}


/* Appends a list: 0, or -1 when it is not one of at most max valid items. */

static int
amp_token_scope_list(const json_t *json, const char *name, size_t max,
    int (*valid)(amp_span_t item), amp_token_scope_t *scope, amp_field_t *field,
    uint16_t *n, amp_buf_t *out)
{
    size_t          i;
    json_t         *list, *item;
    uint16_t        len;
    amp_span_t      text;
    unsigned char  *start = out->pos;

    list = json_object_get(json, name);

    if (list == NULL) {
        return 0;
    }

    /* an empty list would be taken for none, which is no restriction */

    if (json_array_size(list) == 0 || json_array_size(list) > max) {
        return -1;
    }

    json_array_foreach(list, i, item) {
        text = amp_json_text(item);

        if (!valid(text)) {
            return -1;
        }

        len = (uint16_t) text.len;
        amp_buf_put(out, &len, sizeof(len));
        amp_buf_span(out, text);
    }

    *n = (uint16_t) json_array_size(list);
    field->offset = (uint16_t) (start - (unsigned char *) scope);
    field->len = (uint16_t) (out->pos - start);

    return 0;
}


static const char *
amp_token_scope_read(const json_t *json, amp_token_scope_t *scope,
    amp_buf_t *out)
{
    json_t      *limit, *value;
    const char  *name, *error;

    json_object_foreach((json_t *) json, name, value) {
        if (!amp_token_scope_known(name)) {
            return "\"scope\" has a member that this version does not know";
        }
    }

    error = amp_token_scope_grants(json, scope);

    if (error != NULL) {
        return error;
    }

    limit = json_object_get(json, "limit");

    if (limit != NULL && amp_tenant_limit(limit, &scope->rate) != 1) {
        return "\"scope.limit\" is not a rate and a burst";
    }

    if (amp_token_scope_list(json, "groups", AMP_GROUPS_MAX, amp_group_valid,
                             scope, &scope->groups, &scope->ngroups, out)
        != 0)
    {
        return "\"scope.groups\" is not an array of 1 to 64 groupRefs";
    }

    if (amp_token_scope_list(json, "origins", AMP_ORIGINS_MAX,
                             amp_token_scope_origin_valid, scope,
                             &scope->origins, &scope->norigins, out)
        != 0)
    {
        return "\"scope.origins\" is not an array of 1 to 16 origins";
    }

    return out->overflow ? "\"scope\" is too large" : NULL;
}


size_t
amp_token_scope_decode(amp_span_t json, amp_span_t id, void *out, size_t cap,
    const char **error)
{
    json_t             *object;
    amp_buf_t           b;
    amp_token_scope_t  *scope = out;

    if (cap > AMP_TOKEN_SCOPE_MAX) {
        cap = AMP_TOKEN_SCOPE_MAX;
    }

    if (json.len > AMP_TOKEN_SCOPE_MAX || cap < sizeof(*scope)) {
        *error = "\"scope\" is too large";
        return 0;
    }

    object = amp_json_object(json, error);

    if (object == NULL) {
        return 0;
    }

    memset(scope, 0, sizeof(*scope));

    amp_buf_init(&b, out, cap);
    b.pos += sizeof(*scope);

    scope->id.offset = sizeof(*scope);
    scope->id.len = (uint16_t) id.len;
    amp_buf_span(&b, id);

    *error = amp_token_scope_read(object, scope, &b);

    json_decref(object);

    if (*error != NULL) {
        return 0;
    }

    scope->size = (uint32_t) amp_buf_written(&b).len;

    return scope->size;
}


int
amp_token_scope_origin(const amp_token_scope_t *scope, amp_span_t origin)
{
    return scope->norigins == 0
           || amp_list_has(amp_token_scope_field(scope, scope->origins),
                           scope->norigins, origin);
}
