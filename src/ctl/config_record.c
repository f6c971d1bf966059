/*
 * A tenant of the document of ampctl config, and its record.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_record.h"
#include "record.h"
#include "record_key.h"
#include "record_policy.h"
#include "secret.h"
#include "token_count.h"
#include "token_scope.h"


/* What a record and the document have alike. */

static const char *const  config_members[] = {
    "label", "project", "disabled", "grants", "groups", "limits", "cache",
    "keys"
};


json_t *
config_tenant(const json_t *record, json_t *tokens)
{
    size_t   i;
    json_t  *tenant, *member;

    tenant = json_pack("{s:s}", "id", record_text(record, "id"));

    for (i = 0; i < sizeof(config_members) / sizeof(config_members[0]); i++) {
        member = json_object_get(record, config_members[i]);

        if (member != NULL) {
            json_object_set(tenant, config_members[i], member);
        }
    }

    json_object_set_new(tenant, "tokens", tokens);

    return tenant;
}


static void
config_token_add(unsigned tenant, const token_entry_t *entry,
    const amp_token_record_t *record, void *data)
{
    json_t  **tokens = data;

    if (record == NULL) {
        return;
    }

    json_array_append_new(tokens[tenant],
                          json_pack("{s:s, s:s, s:s%, s:I, s:o, s:o, s:o*}",
                          "id", entry->id, "digest", entry->digest,
                          "label", record->label.len ? (char *)
                          record->label.data : "", record->label.len,
                          "created", (json_int_t) record->created,
                          "expires", record->expires
                          ? json_integer((json_int_t) record->expires)
                          : json_null(), "scope",
                          token_scope_json(record->scope),
                          "identity", record->identity.len
                          ? json_stringn((const char *) record->identity.data,
                                         record->identity.len) : NULL));
}


int
config_tokens(ctl_t *ctl, char *const *ids, size_t n, json_t **tokens)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        tokens[i] = json_array();
    }

    if (token_each_of(ctl->store, &ctl->error, ids, n, config_token_add, tokens)
        == 0)
    {
        return 0;
    }

    for (i = 0; i < n; i++) {
        json_decref(tokens[i]);
    }

    return -1;
}


/* The fault is what a function of record_policy.h has against a value. */

static int
config_refused(schema_fault_t *fault, const char *name, const char *part,
    const ctl_error_t *error)
{
    schema_at(fault, name);

    if (part != NULL) {
        schema_at(fault, part);
    }

    snprintf(fault->expected, sizeof(fault->expected), "another value: %.500s",
             error->message);

    return -1;
}


static int
config_label(const json_t *tenant, json_t *record, schema_fault_t *fault)
{
    ctl_error_t  error;

    return json_object_get(tenant, "label") != NULL
           && record_label(record, record_text(tenant, "label"), &error) != 0
           ? config_refused(fault, "label", NULL, &error) : 0;
}


static int
config_grants(const json_t *tenant, unsigned prune, json_t *record,
    schema_fault_t *fault)
{
    char         place[24];
    size_t       i;
    json_t      *lists, *list, *item, *grants;
    const char  *name;
    ctl_error_t  error;

    lists = json_object_get(tenant, "grants");
    grants = prune ? NULL : json_copy(json_object_get(record, "grants"));

    if (grants == NULL) {
        grants = json_object();
    }

    json_object_foreach(lists, name, list) {
        json_object_set_new(grants, name, json_array());

        json_array_foreach(list, i, item) {
            if (record_grant(json_object_get(grants, name),
                             json_string_value(item), &error)
                != 0)
            {
                json_decref(grants);
                schema_at(fault, "grants");
                snprintf(place, sizeof(place), "%lu", (unsigned long) i);
                return config_refused(fault, name, place, &error);
            }
        }
    }

    json_object_set_new(record, "grants", grants);

    return 0;
}


static int
config_groups(const json_t *tenant, json_t *record, schema_fault_t *fault)
{
    char         place[24];
    size_t       i;
    json_t      *group;
    ctl_error_t  error;

    json_object_set_new(record, "groups", json_array());

    json_array_foreach(json_object_get(tenant, "groups"), i, group) {
        if (record_group(record, json_string_value(group), &error) != 0) {
            snprintf(place, sizeof(place), "%lu", (unsigned long) i);
            return config_refused(fault, "groups", place, &error);
        }
    }

    return 0;
}


static int
config_limits(const json_t *tenant, json_t *record, schema_fault_t *fault)
{
    char         number[24];
    json_t      *limit, *burst;
    const char  *name;
    ctl_error_t  error;

    json_object_set_new(record, "limits", json_object());

    json_object_foreach(json_object_get(tenant, "limits"), name, limit) {
        burst = json_is_integer(limit) ? limit
                                       : json_object_get(limit, "burst");
        snprintf(number, sizeof(number), "%lld",
                 (long long) json_integer_value(burst));

        if ((json_is_integer(limit)
             ? record_concurrency(record, number, &error)
             : record_limit(record, name, record_text(limit, "rate"),
                            burst ? number : NULL, &error))
            != 0)
        {
            return config_refused(fault, "limits", name, &error);
        }
    }

    return 0;
}


static int
config_cache(const json_t *tenant, json_t *record, schema_fault_t *fault)
{
    json_t      *time;
    const char  *name;
    ctl_error_t  error;

    json_object_set_new(record, "cache", json_object());

    json_object_foreach(json_object_get(tenant, "cache"), name, time) {
        if (record_lifetime(record, name, json_string_value(time), &error)
            != 0)
        {
            return config_refused(fault, "cache", name, &error);
        }
    }

    return 0;
}


/* The sealed text of a key of the document, or NULL with the error filled. */

static json_t *
config_sealed(ctl_t *ctl, const json_t *record, const json_t *key,
    const char *directory, ctl_error_t *error)
{
    int             len;
    char            path[2048];
    json_t         *sealed;
    secret_t        secret;
    const char     *file;
    unsigned char   text[AMP_SECRET_MAX];

    file = json_string_value(json_object_get(key, "file"));
    sealed = json_object_get(key, "sealed");

    if ((file != NULL) == (sealed != NULL)) {
        ctl_error(error, CTL_REFUSED, "bad_file", "either sealed or file");
        return NULL;
    }

    /* without a master key nothing is opened: the text stays as it is */

    if (file == NULL && ctl->ring == NULL) {
        return json_incref(sealed);
    }

    if (ctl_ring(ctl) == NULL) {
        *error = ctl->error;
        return NULL;
    }

    if (file == NULL) {
        len = record_key_open(record, key, ctl->ring, text, error);

        sealed = len == -1 ? NULL
                 : record_key_sealed(record, record_text(key, "id"), ctl->ring,
                                     amp_span_make(text, len), sealed, error);
        secret_clean(text, sizeof(text));

        return sealed;
    }

    snprintf(path, sizeof(path), "%s%s", file[0] == '/' ? "" : directory, file);

    if (strcmp(file, "-") == 0
        || secret_ampersand_key(&secret, path, error) != 0)
    {
        return NULL;
    }

    sealed = record_key_sealed(record, record_text(key, "id"), ctl->ring,
                               secret_span(&secret), NULL, error);
    secret_wipe(&secret);

    return sealed;
}


static int
config_keys(ctl_t *ctl, const json_t *tenant, const char *directory,
    unsigned prune, json_t *record, schema_fault_t *fault)
{
    char          place[24];
    size_t        i, j;
    json_t       *keys, *key, *other, *sealed;
    unsigned      active;
    ctl_error_t   error;

    active = 0;
    keys = json_array();

    json_array_foreach(json_object_get(tenant, "keys"), i, key) {
        active += strcmp(record_text(key, "state"), "active") == 0;
        snprintf(place, sizeof(place), "%lu", (unsigned long) i);

        json_array_foreach(keys, j, other) {
            if (json_equal(json_object_get(other, "id"),
                           json_object_get(key, "id")))
            {
                active = 2;
            }
        }

        if (active > 1) {
            ctl_error(&error, CTL_REFUSED, "bad_file", "each key id once, and "
                      "one active key");
            sealed = NULL;

        } else {
            sealed = config_sealed(ctl, record, key, directory, &error);
        }

        if (sealed == NULL) {
            json_decref(keys);
            return config_refused(fault, "keys", place, &error);
        }

        json_array_append_new(keys, json_pack("{s:s, s:o, s:s}",
                              "id", record_text(key, "id"), "sealed", sealed,
                              "state", record_text(key, "state")));
    }

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        if (prune) {
            break;
        }

        json_array_foreach(keys, j, other) {
            if (json_equal(json_object_get(other, "id"),
                           json_object_get(key, "id")))
            {
                break;
            }
        }

        if (j == json_array_size(keys)) {
            json_array_append_new(keys, json_deep_copy(key));

            if (active) {
                json_object_set_new(json_array_get(keys, j), "state",
                                    json_string("retired"));
            }
        }
    }

    json_object_set_new(record, "keys", keys);

    return 0;
}


int
config_merge(ctl_t *ctl, const json_t *tenant, const char *directory,
    unsigned prune, json_t *record, schema_fault_t *fault)
{
    int      rc;
    size_t   i;
    json_t  *fresh, *project, *name, *member;

    project = json_object_get(tenant, "project");
    fresh = record_new(record_text(tenant, "id"), record_text(project, "id"),
                       record_text(project, "name"));
    name = json_object_get(json_object_get(record, "project"), "name");

    if (name != NULL && !prune && json_object_get(project, "name") == NULL
        && json_equal(json_object_get(project, "id"),
                      json_object_get(json_object_get(record, "project"),
                                      "id")))
    {
        json_object_set(json_object_get(fresh, "project"), "name", name);
    }

    json_object_set(record, "project", json_object_get(fresh, "project"));

    for (i = 0; prune
         && i < sizeof(config_members) / sizeof(config_members[0]); i++)
    {
        member = json_object_get(fresh, config_members[i]);

        if (member == NULL) {
            json_object_del(record, config_members[i]);
        } else if (strcmp(config_members[i], "keys") != 0) {
            json_object_set(record, config_members[i], member);
        }
    }

    json_decref(fresh);

    if (json_object_get(tenant, "disabled") != NULL) {
        json_object_set(record, "disabled", json_object_get(tenant,
                                                            "disabled"));
    }

    rc = config_label(tenant, record, fault);

    if (rc == 0 && json_object_get(tenant, "grants") != NULL) {
        rc = config_grants(tenant, prune, record, fault);
    }

    if (rc == 0 && json_object_get(tenant, "groups") != NULL) {
        rc = config_groups(tenant, record, fault);
    }

    if (rc == 0 && json_object_get(tenant, "limits") != NULL) {
        rc = config_limits(tenant, record, fault);
    }

    if (rc == 0 && json_object_get(tenant, "cache") != NULL) {
        rc = config_cache(tenant, record, fault);
    }

    if (rc == 0 && json_object_get(tenant, "keys") != NULL) {
        rc = config_keys(ctl, tenant, directory, prune, record, fault);
    }

    return rc;
}


void
config_token(const json_t *token, const char *tenant,
    amp_token_record_t *record, char **scope)
{
    record->tenant = ctl_span(tenant);
    record->id = record_span(record_text(token, "id"));
    record->label = record_span(record_text(token, "label"));
    record->created = json_integer_value(json_object_get(token, "created"));
    record->expires = json_integer_value(json_object_get(token, "expires"));
    record->scope = amp_span_null;
    record->identity = record_span(record_text(token, "identity"));

    *scope = NULL;

    if (json_is_object(json_object_get(token, "scope"))) {
        *scope = json_dumps(json_object_get(token, "scope"),
                            JSON_COMPACT|JSON_PRESERVE_ORDER);
        if (*scope == NULL) {
            abort();
        }

        record->scope = ctl_span(*scope);
    }
}
