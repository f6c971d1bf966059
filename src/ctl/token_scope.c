/*
 * The scope of a token, as options and as text.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_origin.h"
#include "../core/amp_token.h"
#include "../core/amp_token_scope.h"
#include "policy.h"
#include "record.h"
#include "record_policy.h"
#include "token_scope.h"


static int
token_scope_grants(ctl_t *ctl, json_t *scope)
{
    if (ctl_value(ctl, TOKEN_ALLOW) == NULL
        && ctl_value(ctl, TOKEN_DENY) == NULL)
    {
        return 0;
    }

    json_object_set_new(scope, "grants", json_object());

    return policy_grants(ctl, scope, "allow", TOKEN_ALLOW, POLICY_REPLACE) != 0
           || policy_grants(ctl, scope, "deny", TOKEN_DENY, POLICY_REPLACE) != 0
           ? -1 : 0;
}


static int
token_scope_groups(ctl_t *ctl, json_t *scope)
{
    unsigned     i;
    const char  *group;

    for (i = 0; (group = ctl_value_next(ctl, TOKEN_GROUP, &i)) != NULL; ) {

        if (json_object_get(scope, "groups") == NULL) {
            json_object_set_new(scope, "groups", json_array());
        }

        if (record_group(scope, group, &ctl->error) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
token_scope_limit(ctl_t *ctl, json_t *scope)
{
    int          rc;
    json_t      *limits;
    const char  *rate, *burst;

    rate = ctl_value(ctl, TOKEN_RATE);
    burst = ctl_value(ctl, TOKEN_BURST);

    if (rate == NULL && burst == NULL) {
        return 0;
    }

    limits = json_object();
    rc = record_limit(limits, NULL, rate, burst, &ctl->error);

    if (rc == 0) {
        json_object_set(scope, "limit",
                        json_object_get(json_object_get(limits, "limits"),
                                        "default"));
    }

    json_decref(limits);

    return rc;
}


static int
token_scope_origins(ctl_t *ctl, json_t *scope)
{
    json_t      *origins;
    unsigned     i;
    const char  *origin, *fault;

    origins = json_array();

    for (i = 0; (origin = ctl_value_next(ctl, TOKEN_ORIGIN, &i)) != NULL; ) {

        fault = amp_origin_fault(ctl_span(origin));

        if (fault != NULL) {
            json_decref(origins);
            ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not an "
                      "origin", origin);
            return ctl_remedy(&ctl->error, "%s", fault);
        }

        json_array_append_new(origins, json_string(origin));
    }

    if (json_array_size(origins) != 0) {
        json_object_set(scope, "origins", origins);
    }

    json_decref(origins);

    return 0;
}


/* The text of a scope that the gateway can read, or NULL with the error. */

static char *
token_scope_text(ctl_t *ctl, const json_t *scope)
{
    char           *text;
    uint64_t        flat[AMP_TOKEN_SCOPE_MAX / sizeof(uint64_t)];
    const char     *why;
    unsigned char   id[AMP_TOKEN_ID_MAX] = { 0 };

    text = json_dumps(scope, JSON_COMPACT|JSON_PRESERVE_ORDER);
    if (text == NULL) {
        abort();
    }

    if (amp_token_scope_decode(ctl_span(text), amp_span_make(id, sizeof(id)),
                               flat, sizeof(flat), &why)
        != 0)
    {
        return text;
    }

    free(text);

    ctl_error(&ctl->error, CTL_USAGE, "usage", "the gateway could not read "
              "such a token (%s)", why);
    (void) ctl_remedy(&ctl->error, "give fewer groups, origins or grants");

    return NULL;
}


int
token_scope_read(ctl_t *ctl, char **text)
{
    int      rc;
    json_t  *scope;

    *text = NULL;
    scope = json_object();

    rc = token_scope_grants(ctl, scope) != 0
         || token_scope_groups(ctl, scope) != 0
         || token_scope_limit(ctl, scope) != 0
         || token_scope_origins(ctl, scope) != 0 ? -1 : 0;

    if (rc == 0 && json_object_size(scope) != 0) {
        *text = token_scope_text(ctl, scope);
        rc = *text == NULL ? -1 : 0;
    }

    json_decref(scope);

    return rc;
}


static int
token_scope_lacking(ctl_t *ctl, const char *tenant, const char *item)
{
    ctl_error(&ctl->error, CTL_REFUSED, "not_granted", "tenant \"%s\" is not "
              "granted \"%s\", and no token can have more than its tenant",
              tenant, item);

    return ctl_remedy(&ctl->error, "grant it to the tenant first: ampctl grant "
                      "add %s --allow %s", tenant, item);
}


int
token_scope_within(ctl_t *ctl, const json_t *tenant)
{
    size_t       word;
    uint64_t     set[AMP_GRANT_WORDS], common;
    unsigned     i;
    const char  *item, *why, *id;

    union {
        amp_tenant_t   tenant;
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;

    id = record_text(tenant, "id");

    if (amp_tenant_decode_object(tenant, &flat, sizeof(flat), &why) == 0) {
        return 0;
    }

    for (i = 0; (item = ctl_value_next(ctl, TOKEN_ALLOW, &i)) != NULL; ) {

        memset(set, 0, sizeof(set));

        if (amp_grant_expand(ctl_span(item), set) == 0) {
            continue;                       /* default, none                  */
        }

        for (word = 0, common = 0; word < AMP_GRANT_WORDS; word++) {
            common |= set[word] & flat.tenant.granted[word];
        }

        if (common == 0) {
            return token_scope_lacking(ctl, id, item);
        }
    }

    for (i = 0; (item = ctl_value_next(ctl, TOKEN_GROUP, &i)) != NULL; ) {

        if (flat.tenant.ngroups != 0
            && !amp_tenant_has_group(&flat.tenant, ctl_span(item)))
        {
            ctl_error(&ctl->error, CTL_REFUSED, "not_granted", "tenant \"%s\" "
                      "is not bound to the group \"%s\", and no token can have "
                      "more than its tenant", id, item);
            return ctl_remedy(&ctl->error, "give one of the groups that ampctl "
                              "tenant show %s lists", id);
        }
    }

    return 0;
}


json_t *
token_scope_json(amp_span_t scope)
{
    json_t  *object;

    object = scope.len == 0 ? NULL
             : json_loadb((const char *) scope.data, scope.len, 0, NULL);

    return object ? object : json_null();
}


void
token_scope_print(const json_t *scope)
{
    char     words[1024];
    json_t  *grants, *limit;

    grants = json_object_get(scope, "grants");
    limit = json_object_get(scope, "limit");

    if (json_object_get(grants, "allow") != NULL) {
        output("allow     %s\n", output_words(json_object_get(grants, "allow"),
                                              words, sizeof(words)));
    }

    if (json_object_get(grants, "deny") != NULL) {
        output("deny      %s\n", output_words(json_object_get(grants, "deny"),
                                              words, sizeof(words)));
    }

    if (json_object_get(scope, "groups") != NULL) {
        output("groups    %s\n", output_words(json_object_get(scope, "groups"),
                                              words, sizeof(words)));
    }

    if (limit != NULL) {
        output("limit     %s, burst %lld\n", record_text(limit, "rate"),
               (long long) json_integer_value(json_object_get(limit,
                                                              "burst")));
    }

    if (json_object_get(scope, "origins") != NULL) {
        output("origins   %s\n", output_words(json_object_get(scope, "origins"),
                                              words, sizeof(words)));
    }
}
