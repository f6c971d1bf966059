/*
 * ampctl tenant add.
 */

#include <stdio.h>

#include "config_diff.h"
#include "policy.h"
#include "record.h"
#include "record_key.h"
#include "record_policy.h"
#include "secret.h"
#include "tenant_add.h"
#include "tenant_twin.h"
#include "tenant_keys.h"
#include "token_store.h"


enum {
    TENANT_PROJECT = CTL_OPTION,
    TENANT_PROJECT_NAME,
    TENANT_LABEL,
    TENANT_KEY_FILE,
    TENANT_RATE,
    TENANT_BURST,
    TENANT_GRANT,
    TENANT_DENY,
    TENANT_GROUP
};


const ctl_option_t  tenant_add_options[] = {

    { TENANT_PROJECT, "project", "PROJECT_ID",
      "the project's id in Ampersand (required)", 0 },

    { TENANT_PROJECT_NAME, "project-name", "NAME",
      "its name, which paths may use in place of the id", 0 },

    { TENANT_LABEL, "label", "L", "a note for people, e.g. team 7", 0 },

    { TENANT_KEY_FILE, "key-file", "FILE",
      "the project's Ampersand key, - for standard input", 0 },

    { TENANT_RATE, "rate", "RATE",
      "requests per second, minute, hour or day: 50/s; default: none", 0 },

    { TENANT_BURST, "burst", "N",
      "requests at once; default: the number in the rate", 0 },

    { TENANT_GRANT, "grant", "X",
      "allowed class, tag or operationId; default: all but secrets", 1 },

    { TENANT_DENY, "deny", "X",
      "denied class, tag or operationId", 1 },

    { TENANT_GROUP, "group", "G",
      "a groupRef; the tenant may name no other groups", 1 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static int
tenant_add_groups(ctl_t *ctl, json_t *record)
{
    unsigned     i;
    const char  *group;

    for (i = 0; (group = ctl_value_next(ctl, TENANT_GROUP, &i)) != NULL; ) {
        if (record_group(record, group, &ctl->error) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
tenant_add_key(ctl_t *ctl, json_t *record)
{
    int          rc;
    secret_t     secret;
    const char  *file;

    file = ctl_value(ctl, TENANT_KEY_FILE);

    if (file == NULL) {
        return 0;
    }

    if (ctl_ring(ctl) == NULL
        || secret_ampersand_key(&secret, file, &ctl->error) != 0)
    {
        return -1;
    }

    rc = record_key_add(record, ctl->ring, secret_span(&secret), &ctl->error);

    secret_wipe(&secret);

    return rc;
}


/* The project of the command line.  0, or -1 with ctl->error filled. */

static int
tenant_add_project(ctl_t *ctl, const char *project, const char *name)
{
    if (project == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "--project is required");
        return ctl_remedy(&ctl->error, "add the id from Ampersand's project "
                          "settings, e.g. --project "
                          "66438162-5299-4669-a41d-85c5a3b1a83e");
    }

    if (!amp_project_id_valid(ctl_span(project))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "\"%s\" is not a project id", project);
        return ctl_remedy(&ctl->error, "give the id from Ampersand's project "
                          "settings, e.g. --project "
                          "66438162-5299-4669-a41d-85c5a3b1a83e");
    }

    if (name != NULL && !amp_project_name_valid(ctl_span(name))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "\"%s\" is not a project name", name);
        return ctl_remedy(&ctl->error, "give 1 to %d characters of a-z 0-9 . _ "
                          "-, e.g. --project-name my-project",
                          AMP_PROJECT_NAME_MAX);
    }

    return 0;
}


/* The record from the command line, or NULL with ctl->error filled. */

static json_t *
tenant_add_record(ctl_t *ctl)
{
    json_t      *record;
    const char  *project, *name, *label, *rate, *burst;

    label = ctl_value(ctl, TENANT_LABEL);
    project = ctl_value(ctl, TENANT_PROJECT);
    name = ctl_value(ctl, TENANT_PROJECT_NAME);
    rate = ctl_value(ctl, TENANT_RATE);
    burst = ctl_value(ctl, TENANT_BURST);

    if (tenant_add_project(ctl, project, name) != 0) {
        return NULL;
    }

    record = record_new(ctl->args[0], project, name ? name : "");

    if ((label != NULL && record_label(record, label, &ctl->error) != 0)
        || ((rate != NULL || burst != NULL)
            && record_limit(record, NULL, rate, burst, &ctl->error) != 0)
        || policy_grants(ctl, record, "allow", TENANT_GRANT, POLICY_REPLACE)
           != 0
        || policy_grants(ctl, record, "deny", TENANT_DENY, POLICY_REPLACE)
           != 0
        || tenant_add_groups(ctl, record) != 0
        || tenant_add_key(ctl, record) != 0)
    {
        json_decref(record);
        return NULL;
    }

    return record;
}


static int
tenant_add_report(ctl_t *ctl, json_t *record, token_issued_t *issued)
{
    json_t      *key;
    const char  *id;

    id = ctl->args[0];
    key = record_active_key(record);

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:s, s:O, s:s?}",
                           "tenant", id, "id", issued->id,
                           "token", issued->token,
                           "project", json_object_get(record, "project"),
                           "key", key ? record_text(key, "id") : NULL));
    }

    printf("tenant %s is added; its token %s is shown this once:\n\n"
           "%s\n\n", id, issued->id, issued->token);

    if (key == NULL) {
        output("next: set its Ampersand key: ampctl key set %s --key-file "
               "FILE\n", id);
    } else {
        output("next: check with Ampersand that its key is accepted: ampctl "
               "key verify %s\n"
               "then call the gateway with the header X-Api-Key: TOKEN\n", id);
    }

    return CTL_DONE;
}


static int
tenant_add_exists(ctl_t *ctl)
{
    ctl_error(&ctl->error, CTL_REFUSED, "exists",
              "tenant \"%s\" exists already", ctl->args[0]);

    return ctl_remedy(&ctl->error, "see: ampctl tenant show %s; to give it "
                      "another token: ampctl token issue %s", ctl->args[0],
                      ctl->args[0]);
}


/* With --dry-run: would it be added?  CTL_DONE, or -1 with the error filled. */

static int
tenant_add_try(ctl_t *ctl, amp_span_t id, const json_t *record)
{
    int            rc;
    json_t        *there;
    config_diff_t  diff;

    rc = tenant_load(ctl->store, &ctl->error, id, &there);

    if (rc == 1) {
        json_decref(there);
        return tenant_add_exists(ctl);
    }

    if (rc == -1) {
        return -1;
    }

    config_diff_begin(&diff, ctl->json, 1);
    config_diff_tenant(&diff, ctl->args[0], NULL, record);
    config_diff_token(&diff, CONFIG_ADDED, NULL, NULL);

    return config_diff_end(&diff);
}


int
tenant_add(ctl_t *ctl)
{
    int             rc;
    json_t         *record;
    amp_span_t      id;
    token_issued_t  issued;

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    record = tenant_add_record(ctl);
    if (record == NULL) {
        return -1;
    }

    rc = -1;

    if (ctl_store(ctl) == NULL || tenant_twin(ctl->store, &ctl->error, id) != 0)
    {
        goto done;
    }

    if (ctl_dry_run(ctl)) {
        rc = tenant_add_try(ctl, id, record);
        goto done;
    }

    rc = tenant_create(ctl->store, &ctl->error, id, record);

    if (rc == 0) {
        rc = tenant_add_exists(ctl);
    }

    if (rc != 1) {
        goto done;
    }

    rc = token_issue(ctl->store, &ctl->error, id, amp_span("first"), 0,
                     amp_span_null, &issued);

    if (rc == 1) {
        rc = tenant_add_report(ctl, record, &issued);

    } else if (rc == 0) {
        rc = ctl_no_tenant(ctl, id);

    } else {
        ctl_remedy(&ctl->error, "the tenant was added, without a token; "
                   "issue one: ampctl token issue %s", ctl->args[0]);
    }

    secret_clean(&issued, sizeof(issued));

done:

    json_decref(record);

    return rc;
}
