/*
 * What a command is given.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_tenant.h"
#include "command.h"
#include "config_diff.h"
#include "secret.h"


const char *
ctl_value(const ctl_t *ctl, int id)
{
    unsigned  i;

    i = 0;

    return ctl_value_next(ctl, id, &i);
}


const char *
ctl_value_next(const ctl_t *ctl, int id, unsigned *i)
{
    while (*i < ctl->nvalues) {
        if (ctl->values[(*i)++].id == id) {
            return ctl->values[*i - 1].text;
        }
    }

    return NULL;
}


int64_t
ctl_duration(const char *text)
{
    char           *end;
    size_t          i;
    int64_t         n;
    static const struct {
        const char  *unit;
        int64_t      ms;
    } units[] = {
        { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
        { "h", 3600000 }, { "d", 86400000 }, { "w", 7 * 86400000 }
    };

    if (*text < '0' || *text > '9' || strlen(text) > 12) {
        return -1;
    }

    n = strtoll(text, &end, 10);

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            return n <= INT64_MAX / units[i].ms ? n * units[i].ms : -1;
        }
    }

    return -1;
}


store_t *
ctl_store(ctl_t *ctl)
{
    store_options_t  options;

    if (ctl->store == NULL) {
        options.url = ctl->redis;
        options.password_file = ctl->redis_password_file;
        options.tls = ctl->redis_tls;
        options.prefix = ctl->prefix;
        options.timeout = ctl->timeout;

        ctl->store = store_open(&options, &ctl->error);

        if (ctl->store != NULL) {
            store_describe(ctl->store, ctl->command->noun, ctl->command->verb);
        }
    }

    return ctl->store;
}


amp_keyring_t *
ctl_ring(ctl_t *ctl)
{
    unsigned        i;
    amp_keyring_t  *ring;

    if (ctl->ring != NULL) {
        return ctl->ring;
    }

    if (ctl->nmaster_keys == 0) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "no master key file: \"" CTL_MASTER_KEY_FILE "\" does not "
                  "exist, and neither --master-key nor "
                  "AMPERSAND_MASTER_KEY_FILE names a file");
        ctl_remedy(&ctl->error, "name the gateway's master key file with "
                   "--master-key; for a new gateway, make one: ampctl "
                   "masterkey new " CTL_MASTER_KEY_FILE);
        return NULL;
    }

    ring = amp_keyring_create();
    if (ring == NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "no_cipher",
                  "OpenSSL has no AES-256-GCM");
        ctl_remedy(&ctl->error, "check OpenSSL's configuration "
                   "(OPENSSL_CONF)");
        return NULL;
    }

    for (i = 0; i < ctl->nmaster_keys; i++) {
        if (secret_master_key(ring, ctl->master_keys[i], &ctl->error) != 0) {
            amp_keyring_free(ring);
            return NULL;
        }
    }

    ctl->ring = ring;

    return ring;
}


int
ctl_tenant_id(ctl_t *ctl, amp_span_t *id)
{
    *id = ctl_span(ctl->args[0]);

    if (amp_tenant_id_valid(*id)) {
        return 0;
    }

    return ctl_bad_tenant(ctl, ctl->args[0]);
}


int
ctl_bad_tenant(ctl_t *ctl, const char *text)
{
    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a tenant id",
              text);

    return ctl_remedy(&ctl->error, "give 1 to %d characters of A-Z a-z 0-9 . _ "
                      "-, the first a letter or digit, e.g. acme or team-7",
                      AMP_TENANT_ID_MAX);
}


json_t *
ctl_tenant_record(ctl_t *ctl, amp_span_t *id)
{
    int      rc;
    json_t  *record;

    if (ctl_tenant_id(ctl, id) != 0 || ctl_store(ctl) == NULL) {
        return NULL;
    }

    rc = tenant_load(ctl->store, &ctl->error, *id, &record);
    if (rc == 1) {
        return record;
    }

    if (rc == 0) {
        (void) ctl_no_tenant(ctl, *id);
    }

    return NULL;
}


int
ctl_dry_run(const ctl_t *ctl)
{
    return ctl_value(ctl, CTL_DRY_RUN) != NULL;
}


int
ctl_not_made(ctl_t *ctl)
{
    config_diff_t  diff;

    config_diff_begin(&diff, ctl->json, 1);
    config_diff_tenant(&diff, ctl->args[0], ctl->before, ctl->after);

    return config_diff_end(&diff);
}


typedef struct {
    ctl_t             *ctl;
    tenant_change_pt   change;
    void              *data;
} ctl_dry_t;


static int
ctl_dry_change(json_t *record, void *data, ctl_error_t *error)
{
    int         rc;
    ctl_t      *ctl;
    ctl_dry_t  *dry = data;

    ctl = dry->ctl;

    json_decref(ctl->before);
    ctl->before = json_deep_copy(record);

    rc = dry->change(record, dry->data, error);

    json_decref(ctl->after);
    ctl->after = json_deep_copy(record);

    return rc == 0 ? 2 : rc;
}


int
ctl_tenants(ctl_t *ctl, tenant_ids_t *ids)
{
    json_t      *record;
    amp_span_t   id;

    if (ctl->args[0] == NULL) {
        return ctl_store(ctl) == NULL ? -1
               : tenant_ids(ctl->store, &ctl->error, ids);
    }

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    json_decref(record);

    memset(ids, 0, sizeof(*ids));
    tenant_ids_add(ids, ctl->args[0], id.len);
    tenant_ids_sort(ids);

    return 0;
}


int
ctl_tenant_change(ctl_t *ctl, tenant_change_pt change, void *data)
{
    int         rc;
    ctl_dry_t   dry;
    amp_span_t  id;

    if (ctl_dry_run(ctl)) {
        dry.ctl = ctl;
        dry.change = change;
        dry.data = data;
        change = ctl_dry_change;
        data = &dry;
    }

    if (ctl_tenant_id(ctl, &id) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_change(ctl->store, &ctl->error, id, change, data);
    if (rc == 1) {
        return 0;
    }

    return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
}


int
ctl_no_tenant(ctl_t *ctl, amp_span_t id)
{
    ctl_error(&ctl->error, CTL_REFUSED, "not_found", "there is no tenant "
              "\"%.*s\"", (int) id.len, id.data);

    return ctl_remedy(&ctl->error, "list the tenants with ampctl tenant list, "
                      "or add one with ampctl tenant add");
}
