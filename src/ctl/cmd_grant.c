/*
 * ampctl grant: which operations a tenant may use.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ampctl.h"
#include "policy.h"
#include "record.h"


enum {
    GRANT_ALLOW = CTL_OPTION,
    GRANT_DENY
};


static const ctl_option_t  grant_set_options[] = {

    { GRANT_ALLOW, "allow", "X",
      "class, tag or operationId; \"default\" or \"none\"", 1 },

    { GRANT_DENY, "deny", "X",
      "class, tag or operationId that is denied even when allowed", 1 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


/* The number of operations that the tenant may use. */

static unsigned
grant_count(const json_t *record)
{
    char                   *text;
    size_t                  i, n;
    unsigned                granted;
    const char             *why;
    const amp_operation_t  *ops;

    union {
        amp_tenant_t   tenant;
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;

    granted = 0;
    ops = amp_operations(&n);
    text = json_dumps(record, JSON_COMPACT);

    if (text != NULL
        && amp_tenant_decode(ctl_span(text), &flat, sizeof(flat), &why) != 0)
    {
        for (i = 0; i < n; i++) {
            granted += amp_tenant_granted(&flat.tenant, &ops[i]);
        }
    }

    free(text);

    return granted;
}


/* {"allow": [...], "deny": [...], "operations": how many} */

static json_t *
grant_view(const json_t *record)
{
    json_t  *grants, *allow, *deny;

    grants = json_object_get(record, "grants");
    allow = json_object_get(grants, "allow");
    deny = json_object_get(grants, "deny");

    return json_pack("{s:o, s:o, s:i}",
                     "allow", allow ? json_incref(allow)
                                    : record_default_grants(),
                     "deny", deny ? json_incref(deny) : json_array(),
                     "operations", (int) grant_count(record));
}


static void
grant_print(const json_t *record)
{
    char     words[1024];
    json_t  *view;

    view = grant_view(record);

    output("allow       %s\n", output_words(json_object_get(view, "allow"),
                                            words, sizeof(words)));
    output("deny        %s\n", output_words(json_object_get(view, "deny"),
                                            words, sizeof(words)));
    output("operations  %u\n", grant_count(record));

    json_decref(view);
}


static int
grant_change(json_t *record, ctl_t *ctl, policy_grants_e how)
{
    if (policy_grants(ctl, record, "allow", GRANT_ALLOW, how) != 0
        || policy_grants(ctl, record, "deny", GRANT_DENY, how) != 0)
    {
        return -1;
    }

    return 0;
}


static int
grant_change_set(json_t *record, void *data, ctl_error_t *error)
{
    return grant_change(record, data, POLICY_REPLACE);
}


static int
grant_change_add(json_t *record, void *data, ctl_error_t *error)
{
    return grant_change(record, data, POLICY_ADD);
}


static int
grant_change_remove(json_t *record, void *data, ctl_error_t *error)
{
    return grant_change(record, data, POLICY_REMOVE);
}


static int
grant_show(ctl_t *ctl)
{
    static const policy_t  policy = { NULL, grant_view, grant_print };

    return policy_show(ctl, &policy);
}


static int
grant_policy_set(ctl_t *ctl, const policy_t *policy)
{
    if (ctl_value(ctl, GRANT_ALLOW) == NULL
        && ctl_value(ctl, GRANT_DENY) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "no grant given");
        return ctl_remedy(&ctl->error, "name --allow or --deny, e.g. --allow "
                          "default --deny deleteConnection");
    }

    /* tried with empty lists: only an unknown item is wrong for any tenant */

    return policy_set(ctl, policy, json_pack("{s:{s:[], s:[]}}", "grants",
                                             "allow", "deny"));
}


static int
grant_set(ctl_t *ctl)
{
    static const policy_t  policy = {
        grant_change_set, grant_view, grant_print
    };

    return grant_policy_set(ctl, &policy);
}


static int
grant_add(ctl_t *ctl)
{
    static const policy_t  policy = {
        grant_change_add, grant_view, grant_print
    };

    return grant_policy_set(ctl, &policy);
}


static int
grant_remove(ctl_t *ctl)
{
    static const policy_t  policy = {
        grant_change_remove, grant_view, grant_print
    };

    return grant_policy_set(ctl, &policy);
}


const ctl_command_t  ctl_grant_commands[] = {

    { "grant", "set", "ID", "set which operations a tenant may use",
      "--allow and --deny each replace a list of the tenant. \"none\" is an\n"
      "empty list, \"default\" is every class but secrets. An operation in\n"
      "both lists is denied. For example:\n"
      "  ampctl grant set acme --allow catalog --allow read \\\n"
      "      --deny deleteConnection",
      grant_set_options, grant_set },

    { "grant", "add", "ID", "add to what a tenant may use, or may not",
      "Adds to the lists of the tenant, and leaves what they have. What is in\n"
      "the list of --deny stays denied: see ampctl grant remove. For example:\n"
      "  ampctl grant add acme --allow secrets",
      grant_set_options, grant_add },

    { "grant", "remove", "ID", "remove from what a tenant may use, or may not",
      "Removes from the lists of the tenant what they have by that name. For\n"
      "example, to take a class away, and to lift a denial:\n"
      "  ampctl grant remove acme --allow write\n"
      "  ampctl grant remove acme --deny deleteConnection",
      grant_set_options, grant_remove },

    { "grant", "show", "ID", "show which operations a tenant may use",
      "For example:\n"
      "  ampctl grant show acme",
      NULL, grant_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
