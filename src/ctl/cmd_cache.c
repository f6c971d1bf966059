/*
 * ampctl cache: how long the gateways may serve a tenant's answers from their
 * caches, and the invalidation of what they have cached.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "ampctl.h"
#include "audit.h"
#include "nearest.h"
#include "policy.h"
#include "record.h"
#include "record_policy.h"


enum {
    CACHE_FAMILY = CTL_OPTION,
    CACHE_FOR,
    CACHE_TTL
};


static const ctl_option_t  cache_purge_options[] = {

    { CACHE_FAMILY, "family", "F",
      "one resource family only, e.g. connections; default: all", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  cache_set_options[] = {

    { CACHE_FOR, "for", "WHAT",
      "an operationId, or the class read; default: all cached operations", 0 },

    { CACHE_TTL, "ttl", "TIME",
      "30s, 5m, 1h, 1d; 0: do not cache; none: no lifetime of its own"
      " (required)", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static int
cache_invalidate(ctl_t *ctl, amp_span_t project, amp_family_e family,
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


/* Fills ctl->error with the names of all families; -1. */

static int
cache_no_family(ctl_t *ctl, const char *family)
{
    int        i;
    char       words[512], near[NEAREST_MAX];
    size_t     len;
    nearest_t  nearest;

    nearest_begin(&nearest, family);

    for (len = 0, i = AMP_FAMILY_ALL + 1; i < AMP_FAMILY_COUNT; i++) {
        len += (size_t) snprintf(words + len, sizeof(words) - len, "%s%s",
                                 len ? ", " : "", amp_family_name(i));
        if (len >= sizeof(words)) {
            break;
        }

        nearest_try(&nearest, amp_family_name(i));
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a "
              "resource family%s", family, nearest_text(&nearest, near));

    return ctl_remedy(&ctl->error, "give one of %s", words);
}


/* With --dry-run: what would be invalidated. */

static int
cache_purge_try(ctl_t *ctl, const char *project, const char *family)
{
    if (ctl->json) {
        return output_json(json_pack("{s:b, s:s, s:s, s:s}", "dry_run", 1,
                                     "tenant", ctl->args[0], "project", project,
                                     "family", family));
    }

    output("without --dry-run: the cached answers with %s of project %s would "
           "no longer be used, for all tenants of the project\n",
           strcmp(family, amp_family_name(AMP_FAMILY_ALL)) == 0
           ? "all resources" : family, project);

    return CTL_DONE;
}


static int
cache_purge(ctl_t *ctl)
{
    int          rc, family;
    json_t      *record, *after;
    long long    generation;
    amp_span_t   id;
    const char  *text, *project;

    family = AMP_FAMILY_ALL;
    text = ctl_value(ctl, CACHE_FAMILY);

    if (text != NULL) {
        family = amp_family_find(ctl_span(text));
        if (family < 0) {
            return cache_no_family(ctl, text);
        }
    }

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    project = record_text(json_object_get(record, "project"), "id");
    text = amp_family_name(family);

    if (ctl_dry_run(ctl)) {
        rc = cache_purge_try(ctl, project, text);
        json_decref(record);
        return rc;
    }

    rc = cache_invalidate(ctl, ctl_span(project), family, &generation);

    if (rc == 0) {
        after = json_pack("{s:s, s:s}", "project", project, "family", text);
        audit_add(ctl->store, "cache purged", id, NULL, after);
        json_decref(after);
    }

    if (rc == 0 && ctl->json) {
        output_json(json_pack("{s:s, s:s, s:s, s:I}", "tenant", ctl->args[0],
                              "project", project, "family", text,
                              "generation", (json_int_t) generation));

    } else if (rc == 0) {
        output("the cached answers with %s of project %s are no longer used, "
               "for all tenants of the project (generation %lld)\n",
               family == AMP_FAMILY_ALL ? "all resources" : text, project,
               generation);
    }

    json_decref(record);

    return rc;
}


/* {"cache": {...}} */

static json_t *
cache_view(const json_t *record)
{
    json_t  *cache;

    cache = json_object_get(record, "cache");

    return json_pack("{s:o}", "cache", cache ? json_incref(cache)
                                             : json_object());
}


static void
cache_print(const json_t *record)
{
    json_t                    *cache, *time;
    const char                *name;
    output_table_t            *table;
    static const char *const   heads[] = { "FOR", "TTL" };

    cache = json_object_get(record, "cache");
    table = output_table(2, heads);

    json_object_foreach(cache, name, time) {
        output_row(table, name, json_is_string(time)
                                ? json_string_value(time) : NULL);
    }

    if (json_object_size(cache) == 0) {
        output_row(table, "default", "none");
    }

    output_table_print(table);
}


static int
cache_change(json_t *record, void *data, ctl_error_t *error)
{
    ctl_t  *ctl = data;

    return record_lifetime(record, ctl_value(ctl, CACHE_FOR),
                           ctl_value(ctl, CACHE_TTL), error);
}


static const policy_t  cache_policy = { cache_change, cache_view, cache_print };


static int
cache_show(ctl_t *ctl)
{
    return policy_show(ctl, &cache_policy);
}


static int
cache_set(ctl_t *ctl)
{
    if (ctl_value(ctl, CACHE_TTL) == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "--ttl is required");
        return ctl_remedy(&ctl->error, "add --ttl TIME, e.g. --for "
                          "listIntegrations --ttl 5m; --ttl none removes a "
                          "lifetime");
    }

    return policy_set(ctl, &cache_policy, json_object());
}


const ctl_command_t  ctl_cache_commands[] = {

    { "cache", "set", "ID", "set how long a tenant's answers are cached",
      "The lifetime of an operation comes before that of its class, and that\n"
      "before the tenant's default. Where a tenant has none, the directive\n"
      "ampersand_cache_ttl and the table of operations apply. For example:\n"
      "  ampctl cache set acme --for listIntegrations --ttl 5m",
      cache_set_options, cache_set },

    { "cache", "show", "ID", "show a tenant's cache lifetimes",
      "For example:\n"
      "  ampctl cache show acme",
      NULL, cache_show },

    { "cache", "purge", "ID", "invalidate what is cached of a tenant's project",
      "Increments a generation, which is a part of every cache key: takes the\n"
      "same short time whatever the size of the cache. The other tenants of\n"
      "the same project get fresh answers too. For example:\n"
      "  ampctl cache purge acme --family integrations",
      cache_purge_options, cache_purge },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
