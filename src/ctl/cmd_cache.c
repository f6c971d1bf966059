/*
 * ampctl cache: what the gateways have stored becomes unreachable, and how long
 * they keep it for a tenant.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "ampctl.h"
#include "record.h"


enum {
    CACHE_FAMILY = CTL_OPTION,
    CACHE_FOR,
    CACHE_TTL
};


static const ctl_option_t  cache_purge_options[] = {

    { CACHE_FAMILY, "family", "F",
      "of one resource family only, e.g. connections; default: all", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  cache_set_options[] = {

    { CACHE_FOR, "for", "NAME",
      "an operationId, or the class read; default: all that is cached", 0 },

    { CACHE_TTL, "ttl", "TIME",
      "30s, 5m, 1h, 1d; 0: never; none: as for all tenants", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


static int
cache_bump(ctl_t *ctl, amp_span_t project, amp_family_e family,
    long long *generation)
{
    amp_buf_t      key, channel;
    amp_span_t     args[4];
    unsigned char  key_buf[AMP_KEYS_MAX], channel_buf[AMP_KEYS_MAX];

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));

    amp_keys_gen(store_prefix(ctl->store), project, &key);
    amp_keys_events(store_prefix(ctl->store), &channel);

    args[0] = amp_buf_written(&channel);
    args[1] = amp_span("purge");
    args[2] = project;
    args[3] = ctl_span(amp_family_name(family));

    return store_script(ctl->store, &ctl->error, &amp_script_invalidate, 1,
                        amp_buf_written(&key), args, 4, generation);
}


static int
cache_no_family(ctl_t *ctl, const char *family)
{
    int     i;
    char    words[512];
    size_t  len;

    for (len = 0, i = AMP_FAMILY_ALL + 1; i < AMP_FAMILY_COUNT; i++) {
        len += (size_t) snprintf(words + len, sizeof(words) - len, "%s%s",
                                 len ? ", " : "", amp_family_name(i));
        if (len >= sizeof(words)) {
            break;
        }
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is no resource family",
              family);

    return ctl_remedy(&ctl->error, "give one of %s", words);
}


static int
cache_purge(ctl_t *ctl)
{
    int          rc, family;
    json_t      *record;
    long long    generation;
    amp_span_t   id;
    const char  *text, *project;

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    family = AMP_FAMILY_ALL;
    text = ctl_value(ctl, CACHE_FAMILY);

    if (text != NULL) {
        family = amp_family_find(ctl_span(text));
        if (family < 0) {
            return cache_no_family(ctl, text);
        }
    }

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_load(ctl->store, &ctl->error, id, &record);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    project = record_text(json_object_get(record, "project"), "id");
    text = amp_family_name(family);

    rc = cache_bump(ctl, ctl_span(project), family, &generation);

    if (rc == 0 && ctl->json) {
        output_json(json_pack("{s:s, s:s, s:s, s:I}", "tenant", ctl->args[0],
                              "project", project, "family", text,
                              "generation", (json_int_t) generation));

    } else if (rc == 0) {
        printf("%s of project %s are fetched anew from now on, for all its "
               "tenants (generation %lld)\n", family == AMP_FAMILY_ALL
               ? "all resources" : text, project, generation);
    }

    json_decref(record);

    return rc;
}


/* Prints {"tenant": ..., "cache": {...}} or the same as a table. */

static int
cache_report(ctl_t *ctl, const json_t *record)
{
    json_t                    *cache, *time;
    const char                *name;
    output_table_t            *table;
    static const char *const   heads[] = { "FOR", "TTL" };

    cache = json_object_get(record, "cache");

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:o}", "tenant", ctl->args[0],
                                     "cache", cache ? json_incref(cache)
                                                    : json_object()));
    }

    table = output_table(2, heads);

    json_object_foreach(cache, name, time) {
        output_row(table, name, json_is_string(time)
                                ? json_string_value(time) : NULL);
    }

    if (json_object_size(cache) == 0) {
        output_row(table, "default", "none");
    }

    output_table_print(table);

    return CTL_DONE;
}


static int
cache_show(ctl_t *ctl)
{
    int          rc;
    json_t      *record;
    amp_span_t   id;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    rc = cache_report(ctl, record);
    json_decref(record);

    return rc;
}


static int
cache_change(json_t *record, void *data, ctl_error_t *error)
{
    ctl_t  *ctl = data;

    return record_lifetime(record, ctl_value(ctl, CACHE_FOR),
                           ctl_value(ctl, CACHE_TTL), error);
}


static int
cache_set(ctl_t *ctl)
{
    int          rc;
    json_t      *trial;
    amp_span_t   id;

    if (ctl_value(ctl, CACHE_TTL) == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "how long?");
        return ctl_remedy(&ctl->error, "add --ttl, e.g. --for listIntegrations "
                          "--ttl 5m; --ttl none takes it away");
    }

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    /* wrong words are wrong usage whatever Redis holds, and without it */

    trial = json_object();
    rc = cache_change(trial, ctl, &ctl->error);
    json_decref(trial);

    if (rc != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_change(ctl->store, &ctl->error, id, cache_change, ctl);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    return cache_show(ctl);
}


const ctl_command_t  ctl_cache_commands[] = {

    { "cache", "set", "ID", "set how long a tenant's answers are kept",
      "An operation's own time beats its class's, and that the default. Where a\n"
      "tenant has none, ampersand_cache_ttl and the table say. For example:\n"
      "  ampctl cache set acme --for listIntegrations --ttl 5m",
      cache_set_options, cache_set },

    { "cache", "show", "ID", "a tenant's cache lifetimes", NULL, NULL,
      cache_show },

    { "cache", "purge", "ID", "forget the cached answers of a tenant's project",
      "A generation goes up: nothing is searched or deleted, whatever the\n"
      "size of the cache. Other tenants of the same project see it too.",
      cache_purge_options, cache_purge },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
