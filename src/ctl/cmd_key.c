/*
 * ampctl key: the Ampersand keys of a tenant, sealed.
 */

#include <stdio.h>
#include <string.h>

#include "ampctl.h"
#include "ampersand.h"
#include "record.h"
#include "record_key.h"
#include "secret.h"


enum {
    KEY_FILE = CTL_OPTION
};


static const ctl_option_t  key_set_options[] = {

    { KEY_FILE, "key-file", "FILE",
      "the project's Ampersand key, - for standard input (required)", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  key_retire_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    amp_keyring_t  *ring;
    secret_t        secret;
    char            id[AMP_KEY_ID_MAX + 1];
} key_set_t;


static int
key_set_change(json_t *record, void *data, ctl_error_t *error)
{
    key_set_t  *set = data;

    if (record_key_add(record, set->ring, secret_span(&set->secret), error)
        != 0)
    {
        return -1;
    }

    snprintf(set->id, sizeof(set->id), "%s",
             record_text(record_active_key(record), "id"));

    return 0;
}


static int
key_set(ctl_t *ctl)
{
    int          rc;
    key_set_t    set;
    amp_span_t   id, master;
    const char  *file;

    file = ctl_value(ctl, KEY_FILE);

    if (file == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "--key-file is required");
        return ctl_remedy(&ctl->error, "name the file that holds the Ampersand "
                          "key, or --key-file - to read it from standard "
                          "input");
    }

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_ring(ctl) == NULL
        || secret_ampersand_key(&set.secret, file, &ctl->error)
           != 0)
    {
        return -1;
    }

    set.ring = ctl->ring;

    rc = ctl_tenant_change(ctl, key_set_change, &set);

    secret_wipe(&set.secret);

    if (rc != 0) {
        return -1;
    }

    if (ctl_dry_run(ctl)) {
        return ctl_not_made(ctl);
    }

    master = amp_keyring_id(ctl->ring, 0);

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:s, s:s%}", "tenant",
                                     ctl->args[0], "id", set.id, "state",
                                     "active", "master", master.data,
                                     master.len));
    }

    output("key %s is the active key of tenant %s, sealed with master key "
           "%.*s\n"
           "next: check with Ampersand that it is accepted: ampctl key verify "
           "%s\n",
           set.id, ctl->args[0], (int) master.len, master.data, ctl->args[0]);

    return CTL_DONE;
}


static int
key_list(ctl_t *ctl)
{
    size_t                     i;
    json_t                    *record, *view, *key, *keys;
    amp_span_t                 id;
    output_table_t            *table;
    static const char *const   heads[] = { "KEY", "STATE", "MASTER KEY" };

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    view = record_view(record);
    keys = json_object_get(view, "keys");

    if (ctl->json) {
        output_json(json_incref(keys));

    } else if (json_array_size(keys) == 0) {
        output("tenant %s has no key\n"
               "next: set its key: ampctl key set %s --key-file FILE\n",
               ctl->args[0], ctl->args[0]);

    } else {
        table = output_table(3, heads);

        json_array_foreach(keys, i, key) {
            output_row(table, record_text(key, "id"), record_text(key, "state"),
                       record_text(key, "master"));
        }

        output_table_print(table);
    }

    json_decref(view);
    json_decref(record);

    return CTL_DONE;
}


/* 0 when Ampersand's answer accepts the key, or -1 with the error filled. */

static int
key_check(const ampersand_project_t *answer, const char *tenant,
    const char *key, const char *project, ctl_error_t *error)
{
    const char  *detail, *colon;

    detail = answer->detail;
    colon = *detail ? ": " : "";

    if (answer->status == 200 && !answer->object) {
        ctl_error(error, CTL_REACH, "ampersand_answer", "key \"%s\" of "
                  "tenant \"%s\" could not be checked: the server's answer is "
                  "not Ampersand's", key, tenant);
        return ctl_remedy(error, "check --upstream or AMPERSAND_UPSTREAM");
    }

    /* the path had the project's id, so an answer need not repeat it */

    if (answer->status == 200 && answer->id[0] != '\0'
        && strcmp(answer->id, project) != 0)
    {
        ctl_error(error, CTL_REFUSED, "other_project", "key \"%s\" of tenant "
                  "\"%s\" is for project %s, not %s", key, tenant, answer->id,
                  project);
        return ctl_remedy(error, "set the key of the tenant's own project: "
                          "ampctl key set %s --key-file FILE", tenant);
    }

    if (answer->status == 200) {
        return 0;
    }

    if (answer->status == 401 || answer->status == 403) {
        ctl_error(error, CTL_REFUSED, "key_refused", "Ampersand refuses key "
                  "\"%s\" of tenant \"%s\" (%ld%s%s)", key, tenant,
                  answer->status, colon, detail);
        return ctl_remedy(error, "make a new key in Ampersand's project "
                          "settings, then: ampctl key set %s --key-file FILE",
                          tenant);
    }

    if (answer->status == 404) {
        ctl_error(error, CTL_REFUSED, "other_project", "Ampersand finds no "
                  "project %s with key \"%s\" of tenant \"%s\" (404%s%s)",
                  project, key, tenant, colon, detail);
        return ctl_remedy(error, "compare the tenant's project id with that in "
                          "Ampersand's project settings");
    }

    ctl_error(error, CTL_REACH, "ampersand_unreachable", "Ampersand "
              "answered with an error when asked about key \"%s\" of tenant "
              "\"%s\" (%ld%s%s)", key, tenant, answer->status, colon, detail);

    return ctl_remedy(error, "run the command again later");
}


static int
key_verify_report(ctl_t *ctl, const json_t *record, const char *key,
    const ampersand_project_t *answer)
{
    int          rc;
    json_t      *doc, *project;
    const char  *name;

    project = json_object_get(record, "project");
    name = record_text(project, "name");

    rc = key_check(answer, ctl->args[0], key, record_text(project, "id"),
                   &ctl->error);

    if (ctl->json) {
        doc = json_pack("{s:s, s:s, s:b, s:i, s:o}", "tenant", ctl->args[0],
                        "key", key, "accepted", rc == 0,
                        "status", (int) answer->status, "project",
                        answer->id[0] ? json_pack("{s:s, s:s}", "id",
                                                  answer->id, "name",
                                                  answer->name)
                                      : json_null());
        if (rc != 0) {
            json_object_set_new(doc, "error", ctl_error_json(&ctl->error));
        }

        output_json(doc);

        return rc == 0 ? CTL_DONE : ctl->error.exit;
    }

    if (rc != 0) {
        return -1;
    }

    output("Ampersand accepts key %s of tenant %s for project %s%s%s\n", key,
           ctl->args[0], record_text(project, "id"),
           answer->name[0] ? ", " : "", answer->name);

    if (*name != '\0' && answer->name[0] != '\0'
        && !amp_span_caseeq(ctl_span(name), ctl_span(answer->name)))
    {
        output_warning("the tenant's record has another project name, \"%s\"",
                       name);
    }

    return CTL_DONE;
}


static int
key_verify(ctl_t *ctl)
{
    int                   rc, len;
    json_t               *record, *key;
    amp_span_t            id;
    unsigned char         secret[AMP_SECRET_MAX];
    ampersand_project_t   answer;

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_ring(ctl) == NULL) {
        return -1;
    }

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    key = record_active_key(record);

    if (key == NULL) {
        json_decref(record);
        ctl_error(&ctl->error, CTL_REFUSED, "no_key",
                  "tenant \"%s\" has no key", ctl->args[0]);
        return ctl_remedy(&ctl->error, "set its key: ampctl key set %s "
                          "--key-file FILE", ctl->args[0]);
    }

    len = record_key_open(record, key, ctl->ring, secret, &ctl->error);

    if (len == -1) {
        json_decref(record);
        return -1;
    }

    rc = ampersand_project(ctl->upstream, ctl->timeout,
                           amp_span_make(secret, (size_t) len),
                           ctl_span(record_text(json_object_get(record,
                                                "project"), "id")),
                           &answer, &ctl->error);

    secret_clean(secret, sizeof(secret));

    if (rc == 0) {
        rc = key_verify_report(ctl, record, record_text(key, "id"), &answer);
    }

    json_decref(record);

    return rc;
}


static int
key_retire_change(json_t *record, void *data, ctl_error_t *error)
{
    return record_key_drop(record, data, error);
}


static int
key_retire(ctl_t *ctl)
{
    amp_span_t  id;

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    if (!amp_key_id_valid(ctl_span(ctl->args[1]))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "the second argument is not a key id");
        return ctl_remedy(&ctl->error, "give an id as ampctl key list %s shows "
                          "it, e.g. k1", ctl->args[0]);
    }

    if (ctl_tenant_change(ctl, key_retire_change, ctl->args[1]) != 0) {
        return -1;
    }

    if (ctl_dry_run(ctl)) {
        return ctl_not_made(ctl);
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:b}", "tenant", ctl->args[0],
                                     "id", ctl->args[1], "retired", 1));
    }

    output("key %s of tenant %s is removed from the gateway\n"
           "next: delete the key in Ampersand's project settings, if it is "
           "still valid there\n", ctl->args[1], ctl->args[0]);

    return CTL_DONE;
}


const ctl_command_t  ctl_key_commands[] = {

    { "key", "set", "ID", "set a tenant's Ampersand key",
      "The gateways use the new key at once. The key before it is kept as\n"
      "retired until ampctl key retire removes it. For example:\n"
      "  ampctl key set acme --key-file - < acme.key",
      key_set_options, key_set },

    { "key", "list", "ID", "list a tenant's keys, without their secrets",
      "For example:\n"
      "  ampctl key list acme",
      NULL, key_list },

    { "key", "verify", "ID", "check a tenant's active key with Ampersand",
      "Prints whether Ampersand accepts the key, and for which project.\n"
      "For example:\n"
      "  ampctl key verify acme",
      NULL, key_verify },

    { "key", "retire", "ID KEY_ID", "remove a key that is not active",
      "For example:\n"
      "  ampctl key retire acme k1",
      key_retire_options, key_retire },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
