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


static int
grant_print(ctl_t *ctl, const json_t *record)
{
    char      words[1024];
    json_t   *grants, *allow, *deny, *implied;
    unsigned  n;

    implied = record_default_grants();

    grants = json_object_get(record, "grants");
    allow = json_object_get(grants, "allow");
    deny = json_object_get(grants, "deny");

    if (allow == NULL) {
        allow = implied;
    }

    n = grant_count(record);

    if (ctl->json) {
        output_json(json_pack("{s:s, s:O, s:o, s:i}", "tenant", ctl->args[0],
                              "allow", allow,
                              "deny", deny ? json_incref(deny) : json_array(),
                              "operations", (int) n));

    } else {
        printf("allow       %s\n", output_words(allow, words, sizeof(words)));
        printf("deny        %s\n", output_words(deny, words, sizeof(words)));
        printf("operations  %u\n", n);
    }

    json_decref(implied);

    return CTL_DONE;
}


static int
grant_change(json_t *record, void *data, ctl_error_t *error)
{
    ctl_t  *ctl = data;

    if (policy_grants(ctl, record, "allow", GRANT_ALLOW) != 0
        || policy_grants(ctl, record, "deny", GRANT_DENY) != 0)
    {
        return -1;
    }

    return 0;
}


static const policy_t  grant_policy = { grant_change, grant_print };


static int
grant_show(ctl_t *ctl)
{
    return policy_show(ctl, &grant_policy);
}


static int
grant_set(ctl_t *ctl)
{
    if (ctl_value(ctl, GRANT_ALLOW) == NULL
        && ctl_value(ctl, GRANT_DENY) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "no grant given");
        return ctl_remedy(&ctl->error, "name --allow or --deny, e.g. --allow "
                          "default --deny deleteConnection");
    }

    return policy_set(ctl, &grant_policy, json_object());
}


const ctl_command_t  ctl_grant_commands[] = {

    { "grant", "set", "ID", "set which operations a tenant may use",
      "--allow and --deny each replace a list of the tenant. \"none\" is an\n"
      "empty list, \"default\" is every class but secrets. An operation in\n"
      "both lists is denied. For example:\n"
      "  ampctl grant set acme --allow catalog --allow read --deny listRoutes",
      grant_set_options, grant_set },

    { "grant", "show", "ID", "show which operations a tenant may use", NULL,
      NULL, grant_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
