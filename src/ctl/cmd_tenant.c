/*
 * ampctl tenant: who may call the gateway, and for which project.
 */

#include <stdio.h>
#include <string.h>

#include "ampctl.h"
#include "record.h"
#include "secret.h"
#include "token_store.h"


enum {
    TENANT_PROJECT = CTL_OPTION,
    TENANT_PROJECT_NAME,
    TENANT_KEY_FILE,
    TENANT_RATE,
    TENANT_BURST,
    TENANT_GRANT,
    TENANT_DENY,
    TENANT_GROUP
};


static const ctl_option_t  tenant_add_options[] = {

    { TENANT_PROJECT, "project", "PROJECT_ID",
      "the project's id in Ampersand (needed)", 0 },

    { TENANT_PROJECT_NAME, "project-name", "NAME",
      "its name, so that paths may use it too", 0 },

    { TENANT_KEY_FILE, "key-file", "FILE",
      "the project's Ampersand key, - for standard input", 0 },

    { TENANT_RATE, "rate", "RATE",
      "requests a second, minute, hour, day: 50/s; default: none", 0 },

    { TENANT_BURST, "burst", "N",
      "requests at once; default: the number in the rate", 0 },

    { TENANT_GRANT, "grant", "X",
      "class, tag or operationId; default: default", 1 },

    { TENANT_DENY, "deny", "X",
      "the same, taken away again", 1 },

    { TENANT_GROUP, "group", "G",
      "a groupRef that the tenant is bound to", 1 },

    { 0, NULL, NULL, NULL, 0 }
};


static int
tenant_add_grants(ctl_t *ctl, json_t *record)
{
    json_t      *grants, *list;
    unsigned     i;
    const char  *item;

    grants = json_object_get(record, "grants");

    if (ctl_value(ctl, TENANT_GRANT) != NULL) {
        list = json_object_get(grants, "allow");
        json_array_clear(list);

        for (i = 0; (item = ctl_value_next(ctl, TENANT_GRANT, &i)) != NULL; ) {
            if (record_grant(list, item, &ctl->error) != 0) {
                return -1;
            }
        }
    }

    list = json_object_get(grants, "deny");

    for (i = 0; (item = ctl_value_next(ctl, TENANT_DENY, &i)) != NULL; ) {
        if (record_grant(list, item, &ctl->error) != 0) {
            return -1;
        }
    }

    for (i = 0; (item = ctl_value_next(ctl, TENANT_GROUP, &i)) != NULL; ) {
        if (record_group(record, item, &ctl->error) != 0) {
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
        || secret_read(&secret, file, "the Ampersand key", &ctl->error) != 0)
    {
        return -1;
    }

    rc = record_key_add(record, ctl->ring, secret_span(&secret), &ctl->error);

    secret_wipe(&secret);

    return rc;
}


/* The record from the command line, or NULL with the error filled. */

static json_t *
tenant_add_record(ctl_t *ctl)
{
    json_t      *record;
    const char  *project, *name, *rate, *burst;

    project = ctl_value(ctl, TENANT_PROJECT);
    name = ctl_value(ctl, TENANT_PROJECT_NAME);
    rate = ctl_value(ctl, TENANT_RATE);
    burst = ctl_value(ctl, TENANT_BURST);

    if (project == NULL || !amp_project_id_valid(ctl_span(project))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", project
                  ? "\"%s\" is no project id" : "%s", project ? project
                  : "a tenant needs --project PROJECT_ID");
        ctl_remedy(&ctl->error, "give the id from Ampersand's project "
                   "settings, e.g. "
                   "--project 66438162-5299-4669-a41d-85c5a3b1a83e");
        return NULL;
    }

    if (name != NULL && !amp_project_name_valid(ctl_span(name))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "\"%s\" is no project name", name);
        ctl_remedy(&ctl->error, "give 1 to %d of a-z 0-9 . _ -, e.g. "
                   "--project-name my-project", AMP_PROJECT_NAME_MAX);
        return NULL;
    }

    record = record_new(ctl->args[0], project, name ? name : "");

    if (((rate != NULL || burst != NULL)
         && record_limit(record, NULL, rate, burst, &ctl->error) != 0)
        || tenant_add_grants(ctl, record) != 0
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

    printf("tenant %s added, with token %s, shown this once:\n\n%s\n\n", id,
           issued->id, issued->token);

    if (key == NULL) {
        printf("next: give it its Ampersand key: ampctl key set %s --key-file "
               "FILE\n", id);
    } else {
        printf("next: ask Ampersand about its key: ampctl key verify %s\n"
               "then call the gateway with the header X-Api-Key: TOKEN\n", id);
    }

    return CTL_DONE;
}


static int
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

    if (ctl_store(ctl) == NULL) {
        goto done;
    }

    rc = tenant_create(ctl->store, &ctl->error, id, record);

    if (rc == 0) {
        ctl_error(&ctl->error, CTL_REFUSED, "exists",
                  "there is a tenant \"%s\" already", ctl->args[0]);
        rc = ctl_remedy(&ctl->error, "ampctl tenant show %s; ampctl token "
                        "issue %s gives it another token", ctl->args[0],
                        ctl->args[0]);
    }

    if (rc != 1) {
        goto done;
    }

    rc = token_issue(ctl->store, &ctl->error, id, amp_span("first"), 0,
                     &issued);

    if (rc == 1) {
        rc = tenant_add_report(ctl, record, &issued);

    } else if (rc == 0) {
        rc = ctl_no_tenant(ctl, id);

    } else {
        ctl_remedy(&ctl->error, "the tenant was added and has no token yet: "
                   "ampctl token issue %s", ctl->args[0]);
    }

    secret_clean(&issued, sizeof(issued));

done:

    json_decref(record);

    return rc;
}


/* The tenant's own limit in one word: "50/s+100". */

static const char *
tenant_limit(const json_t *record, char *text, size_t size)
{
    json_t      *limit;
    const char  *rate;

    limit = json_object_get(json_object_get(record, "limits"), "default");
    rate = record_text(limit, "rate");

    if (*rate == '\0') {
        return "-";
    }

    snprintf(text, size, "%s+%lld", rate,
             (long long) json_integer_value(json_object_get(limit, "burst")));

    return text;
}


static void
tenant_list_one(const char *id, json_t *record, const char *why, void *data)
{
    json_t  *list = data;

    json_array_append_new(list, record ? record_view(record)
                          : json_pack("{s:s, s:{s:s, s:s}}", "id", id, "error",
                                      "code", "bad_record", "message", why));
}


static void
tenant_list_print(const json_t *list)
{
    char                      limit[64];
    size_t                    i;
    json_t                   *tenant, *key, *project;
    output_table_t           *table;
    static const char *const  heads[] = {
        "TENANT", "STATE", "PROJECT", "NAME", "KEY", "LIMIT"
    };

    table = output_table(6, heads);

    json_array_foreach(list, i, tenant) {
        key = record_active_key(tenant);
        project = json_object_get(tenant, "project");

        output_row(table, record_text(tenant, "id"),
                   json_object_get(tenant, "error") ? "unreadable"
                   : json_is_true(json_object_get(tenant, "disabled"))
                     ? "disabled" : "enabled",
                   record_text(project, "id"), record_text(project, "name"),
                   record_text(key, "id"),
                   tenant_limit(tenant, limit, sizeof(limit)));
    }

    output_table_print(table);
}


static int
tenant_list(ctl_t *ctl)
{
    json_t  *list;

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    list = json_array();

    if (tenant_each(ctl->store, &ctl->error, tenant_list_one, list) != 0) {
        json_decref(list);
        return -1;
    }

    if (ctl->json) {
        return output_json(list);
    }

    if (json_array_size(list) == 0) {
        printf("there is no tenant yet: ampctl tenant add ID --project "
               "PROJECT_ID\n");
    } else {
        tenant_list_print(list);
    }

    json_decref(list);

    return CTL_DONE;
}


static void
tenant_show_limits(const json_t *record)
{
    json_t      *limit;
    const char  *name;

    json_object_foreach(json_object_get(record, "limits"), name, limit) {
        if (*record_text(limit, "rate") != '\0') {
            printf("limit     %s %s, burst %lld\n", name,
                   record_text(limit, "rate"), (long long)
                   json_integer_value(json_object_get(limit, "burst")));

        } else if (json_is_integer(limit)) {
            printf("limit     %s %lld\n", name,
                   (long long) json_integer_value(limit));
        }
    }
}


static int
tenant_show_print(const json_t *record, size_t tokens)
{
    char     words[1024];
    size_t   i;
    json_t  *key, *project, *grants;

    project = json_object_get(record, "project");
    grants = json_object_get(record, "grants");

    printf("tenant    %s\n", record_text(record, "id"));
    printf("state     %s\n", json_is_true(json_object_get(record, "disabled"))
                             ? "disabled" : "enabled");
    printf("revision  %lld\n", (long long)
           json_integer_value(json_object_get(record, "rev")));
    printf("project   %s %s\n", record_text(project, "id"),
           record_text(project, "name"));

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        printf("key       %s %s, master key %s\n", record_text(key, "id"),
               record_text(key, "state"), record_text(key, "master"));
    }

    printf("allow     %s\n", output_words(json_object_get(grants, "allow"),
                                          words, sizeof(words)));
    printf("deny      %s\n", output_words(json_object_get(grants, "deny"),
                                          words, sizeof(words)));
    printf("groups    %s\n", output_words(json_object_get(record, "groups"),
                                          words, sizeof(words)));
    tenant_show_limits(record);
    printf("tokens    %u\n", (unsigned) tokens);

    return CTL_DONE;
}


static int
tenant_show(ctl_t *ctl)
{
    int            rc;
    json_t        *record, *view;
    amp_span_t     id;
    token_list_t   tokens;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    if (token_list(ctl->store, &ctl->error, id, &tokens) != 0) {
        json_decref(record);
        return -1;
    }

    view = record_view(record);

    if (ctl->json) {
        json_object_set_new(view, "tokens",
                            json_integer((json_int_t) tokens.n));
        rc = output_json(json_incref(view));

    } else {
        rc = tenant_show_print(view, tokens.n);
    }

    json_decref(view);
    json_decref(record);
    token_list_free(&tokens);

    return rc;
}


static int
tenant_set_disabled(json_t *record, void *data, ctl_error_t *error)
{
    int  disabled = *(int *) data;

    if (json_is_true(json_object_get(record, "disabled")) == disabled) {
        return 1;
    }

    return json_object_set_new(record, "disabled", json_boolean(disabled));
}


static int
tenant_switch(ctl_t *ctl, int disabled)
{
    int         rc;
    amp_span_t  id;

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_change(ctl->store, &ctl->error, id, tenant_set_disabled,
                       &disabled);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:b}", "tenant", ctl->args[0],
                                     "disabled", disabled));
    }

    printf("tenant %s is %s\n", ctl->args[0],
           disabled ? "disabled: its tokens open nothing until ampctl tenant "
                      "enable" : "enabled");

    return CTL_DONE;
}


static int
tenant_disable(ctl_t *ctl)
{
    return tenant_switch(ctl, 1);
}


static int
tenant_enable(ctl_t *ctl)
{
    return tenant_switch(ctl, 0);
}


static int
tenant_remove_command(ctl_t *ctl)
{
    int         rc;
    unsigned    tokens;
    amp_span_t  id;

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_remove(ctl->store, &ctl->error, id, &tokens);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:b, s:i}", "tenant", ctl->args[0],
                                     "removed", 1, "tokens", (int) tokens));
    }

    printf("tenant %s is removed, with %u token%s\n", ctl->args[0], tokens,
           tokens == 1 ? "" : "s");

    return CTL_DONE;
}


const ctl_command_t  ctl_tenant_commands[] = {

    { "tenant", "add", "ID", "add a tenant and issue its first token",
      "The token is shown this once. A tenant without --grant may use every\n"
      "class but secrets; with --grant only what is named (\"default\" names\n"
      "every class but secrets, so: --grant default --grant secrets).\n"
      "For example:\n"
      "  ampctl tenant add acme --key-file acme.key --rate 50/s \\\n"
      "      --project 66438162-5299-4669-a41d-85c5a3b1a83e",
      tenant_add_options, tenant_add },

    { "tenant", "list", "", "all tenants", NULL, NULL, tenant_list },
    { "tenant", "show", "ID", "one tenant", NULL, NULL, tenant_show },

    { "tenant", "disable", "ID", "refuse all of a tenant's calls",
      NULL, NULL, tenant_disable },

    { "tenant", "enable", "ID", "let them pass again",
      NULL, NULL, tenant_enable },

    { "tenant", "remove", "ID", "remove a tenant with its keys and tokens",
      "Also clears what an interrupted removal has left.",
      NULL, tenant_remove_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
