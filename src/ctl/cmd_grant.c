/*
 * ampctl grant: which operations a tenant may use.
 */

#include <stdio.h>
#include <stdlib.h>

#include "ampctl.h"
#include "record.h"


enum {
    GRANT_ALLOW = CTL_OPTION,
    GRANT_DENY
};


static const ctl_option_t  grant_set_options[] = {

    { GRANT_ALLOW, "allow", "X",
      "class, tag or operationId; default; none", 1 },

    { GRANT_DENY, "deny", "X",
      "the same; wins over --allow", 1 },

    { 0, NULL, NULL, NULL, 0 }
};


/* The items of one option as a list; NULL with *rc 0 when there is none. */

static json_t *
grant_list(ctl_t *ctl, int option, int *rc)
{
    json_t      *list;
    unsigned     i;
    const char  *item;

    *rc = 0;

    if (ctl_value(ctl, option) == NULL) {
        return NULL;
    }

    list = json_array();

    for (i = 0; (item = ctl_value_next(ctl, option, &i)) != NULL; ) {
        *rc = record_grant(list, item, &ctl->error);

        if (*rc != 0) {
            json_decref(list);
            return NULL;
        }
    }

    return list;
}


/* How many operations the record grants: what it comes to in the end. */

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
grant_report(ctl_t *ctl, const json_t *record)
{
    char      words[1024];
    json_t   *grants, *allow, *deny, *implied;
    unsigned  n;

    implied = record_new("-", "-", "");

    grants = json_object_get(record, "grants");
    allow = json_object_get(grants, "allow");
    deny = json_object_get(grants, "deny");

    if (allow == NULL) {
        allow = json_object_get(json_object_get(implied, "grants"), "allow");
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
grant_show(ctl_t *ctl)
{
    int          rc;
    json_t      *record;
    amp_span_t   id;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    rc = grant_report(ctl, record);
    json_decref(record);

    return rc;
}


typedef struct {
    json_t  *allow;                 /* NULL: as it is                         */
    json_t  *deny;
} grant_set_t;


static int
grant_change(json_t *record, void *data, ctl_error_t *error)
{
    json_t       *grants;
    grant_set_t  *set = data;

    grants = json_object_get(record, "grants");

    if (grants == NULL) {
        grants = json_object();
        json_object_set_new(record, "grants", grants);
    }

    if (set->allow != NULL) {
        json_object_set(grants, "allow", set->allow);
    }

    if (set->deny != NULL) {
        json_object_set(grants, "deny", set->deny);
    }

    return 0;
}


static int
grant_set(ctl_t *ctl)
{
    int          rc, rc_deny;
    amp_span_t   id;
    grant_set_t  set;

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    if (ctl_value(ctl, GRANT_ALLOW) == NULL
        && ctl_value(ctl, GRANT_DENY) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "which grants?");
        return ctl_remedy(&ctl->error, "add --allow or --deny, e.g. --allow "
                          "default --deny deleteConnection");
    }

    set.allow = grant_list(ctl, GRANT_ALLOW, &rc);
    set.deny = rc == 0 ? grant_list(ctl, GRANT_DENY, &rc_deny) : NULL;

    if (rc == 0) {
        rc = rc_deny;
    }

    if (rc == 0) {
        rc = ctl_store(ctl) == NULL ? -1
             : tenant_change(ctl->store, &ctl->error, id, grant_change, &set);
        rc = rc == 0 ? ctl_no_tenant(ctl, id) : rc;
    }

    json_decref(set.allow);
    json_decref(set.deny);

    return rc == 1 ? grant_show(ctl) : -1;
}


const ctl_command_t  ctl_grant_commands[] = {

    { "grant", "set", "ID", "set what a tenant may use",
      "Each of the two lists that is given replaces the one before; \"none\"\n"
      "empties it. --allow default names every class but secrets. Deny wins.\n"
      "For example:\n"
      "  ampctl grant set acme --allow catalog --allow read --deny listRoutes",
      grant_set_options, grant_set },

    { "grant", "show", "ID", "what a tenant may use", NULL, NULL, grant_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
