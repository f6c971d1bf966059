/*
 * ampctl freeze, thaw: a switch for an incident, for all gateways at once.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_event.h"
#include "../core/amp_frozen.h"
#include "../core/amp_keys.h"
#include "ampctl.h"
#include "audit.h"
#include "frozen.h"
#include "record.h"
#include "tenant_list.h"


#define FREEZE_TRIES  32


enum {
    FREEZE_TENANT = CTL_OPTION,
    FREEZE_CLASS
};


static const ctl_option_t  freeze_options[] = {

    { FREEZE_TENANT, "tenant", "ID", "one tenant; default: all tenants", 0 },

    { FREEZE_CLASS, "class", "C",
      "catalog, read, write, data or secrets; default: all", 1 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    unsigned   classes;             /* that the command names                 */
    unsigned   thaw;
    int        dry;                 /* nothing is written                     */
    unsigned   before;              /* those that are frozen, ...             */
    unsigned   after;               /* ... and those that are then            */
} freeze_t;


static unsigned
freeze_apply(const freeze_t *freeze, unsigned before)
{
    return freeze->thaw ? before & ~freeze->classes : before | freeze->classes;
}


/* The classes of the command line.  0, or -1 with ctl->error filled. */

static int
freeze_classes(ctl_t *ctl, freeze_t *freeze)
{
    int          class;
    unsigned     i;
    const char  *name;

    freeze->classes = 0;

    for (i = 0; (name = ctl_value_next(ctl, FREEZE_CLASS, &i)) != NULL; ) {
        class = amp_class_find(ctl_span(name));

        if (class < 0 || class >= AMP_CLASS_COUNT) {
            ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a class",
                      name);
            return ctl_remedy(&ctl->error, "give catalog, read, write, data or "
                              "secrets, e.g. --class write");
        }

        freeze->classes |= 1u << class;
    }

    if (freeze->classes == 0) {
        freeze->classes = AMP_FROZEN_ALL;
    }

    return 0;
}


static int
freeze_tenant_change(json_t *record, void *data, ctl_error_t *error)
{
    int        rc;
    freeze_t  *freeze = data;

    (void) amp_frozen_read(json_object_get(record, "frozen"), &freeze->before);

    freeze->after = freeze_apply(freeze, freeze->before);

    if (freeze->after == freeze->before) {
        return 1;
    }

    rc = freeze->after == 0
         ? json_object_del(record, "frozen")
         : json_object_set_new(record, "frozen", frozen_list(freeze->after));

    return rc == 0 && freeze->dry ? 2 : rc;
}


/* Writes it.  1, 0 when another command was faster, -1. */

static int
freeze_write(ctl_t *ctl, unsigned classes, uint64_t before, uint64_t rev)
{
    int             rc;
    char            expected[24];
    long long       answer;
    amp_buf_t       key, text, channel, message;
    amp_span_t      args[4];
    amp_event_t     event;
    unsigned char   key_buf[AMP_KEYS_MAX], channel_buf[AMP_KEYS_MAX];
    unsigned char   text_buf[256], message_buf[AMP_EVENT_MAX];

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_FREEZE;
    event.rev = rev;
    event.classes = classes;

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_buf_init(&text, text_buf, sizeof(text_buf));
    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));
    amp_buf_init(&message, message_buf, sizeof(message_buf));

    amp_keys_frozen(store_prefix(ctl->store), &key);
    amp_keys_events(store_prefix(ctl->store), &channel);
    amp_event_write(&event, &message);

    text.pos += snprintf((char *) text_buf, sizeof(text_buf),
                         "{\"v\":1,\"rev\":%llu,\"classes\":",
                         (unsigned long long) rev);
    amp_frozen_write(classes, &text);
    amp_buf_byte(&text, '}');

    expected[0] = '\0';

    if (before != FROZEN_NONE) {
        snprintf(expected, sizeof(expected), "%llu",
                 (unsigned long long) before);
    }

    args[0] = ctl_span(expected);
    args[1] = amp_buf_written(&text);
    args[2] = amp_buf_written(&channel);
    args[3] = amp_buf_written(&message);

    rc = store_script(ctl->store, &ctl->error, &amp_script_write_tenant,
                      expected[0] != '\0', amp_buf_written(&key), args, 4,
                      &answer);

    return rc == 0 ? answer == 1 : -1;
}


static void
freeze_audit(ctl_t *ctl, const freeze_t *freeze)
{
    json_t  *was, *is;

    was = json_pack("{s:o}", "frozen", frozen_list(freeze->before));
    is = json_pack("{s:o}", "frozen", frozen_list(freeze->after));
    audit_add(ctl->store, "freeze changed", amp_span_null, was, is);
    json_decref(was);
    json_decref(is);
}


/* Freezes or thaws for all tenants.  0, or -1. */

static int
freeze_all(ctl_t *ctl, freeze_t *freeze)
{
    int             rc;
    int64_t         now;
    unsigned        try;
    uint64_t        rev;
    amp_buf_t       key;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_frozen(store_prefix(ctl->store), &key);

    for (try = 0; try < FREEZE_TRIES; try++) {

        if (frozen_load(ctl->store, &ctl->error, &freeze->before, &rev) != 0
            || store_time(ctl->store, &ctl->error, amp_buf_written(&key), &now)
               != 0)
        {
            return -1;
        }

        /*
         * written also where nothing changes: a gateway may have missed it, and
         * in an incident the command is given again
         */

        freeze->after = freeze_apply(freeze, freeze->before);

        if (freeze->dry) {
            return 0;
        }

        rc = freeze_write(ctl, freeze->after, rev, (uint64_t) now / 1000);

        if (rc == 1) {
            freeze_audit(ctl, freeze);
        }

        if (rc != 0) {
            return rc == 1 ? 0 : -1;
        }
    }

    ctl_error(&ctl->error, CTL_REFUSED, "conflict", "what is frozen was "
              "changed by other commands %d times in a row", FREEZE_TRIES);

    return ctl_remedy(&ctl->error, "run the command again");
}


/* With --dry-run: what is frozen, and what would be. */

static int
freeze_not_made(ctl_t *ctl, const char *tenant, const freeze_t *freeze)
{
    char     was[128], is[128];
    json_t  *before, *after;

    before = frozen_list(freeze->before);
    after = frozen_list(freeze->after);

    if (ctl->json) {
        return output_json(json_pack("{s:b, s:s?, s:o, s:o}", "dry_run", 1,
                                     "tenant", tenant, "before", before,
                                     "frozen", after));
    }

    output("frozen for %s%s: %s\nwithout --dry-run: %s\n",
           tenant ? "tenant " : "all tenants", tenant ? tenant : "",
           freeze->before == 0 ? "nothing"
           : output_words(before, was, sizeof(was)),
           freeze->after == 0 ? "nothing"
           : output_words(after, is, sizeof(is)));

    json_decref(before);
    json_decref(after);

    return CTL_DONE;
}


static int
freeze_switch(ctl_t *ctl, unsigned thaw)
{
    int          rc;
    char         words[128];
    json_t      *list;
    freeze_t     freeze;
    amp_span_t   id;
    const char  *tenant;

    freeze.thaw = thaw;
    freeze.dry = ctl_dry_run(ctl);
    tenant = ctl_value(ctl, FREEZE_TENANT);
    id = ctl_span(tenant ? tenant : "");

    if (freeze_classes(ctl, &freeze) != 0
        || (tenant != NULL && !amp_tenant_id_valid(id)
            && ctl_bad_tenant(ctl, tenant) != 0)
        || ctl_store(ctl) == NULL)
    {
        return -1;
    }

    if (tenant == NULL) {
        rc = freeze_all(ctl, &freeze);

    } else {
        rc = tenant_change(ctl->store, &ctl->error, id, freeze_tenant_change,
                           &freeze);
        rc = rc == 1 ? 0 : rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (rc != 0) {
        return -1;
    }

    if (freeze.dry) {
        return freeze_not_made(ctl, tenant, &freeze);
    }

    list = frozen_list(freeze.after);

    if (ctl->json) {
        return output_json(json_pack("{s:s?, s:o}", "tenant", tenant, "frozen",
                                     list));
    }

    output("frozen for %s%s: %s\n", tenant ? "tenant " : "all tenants",
           tenant ? tenant : "", json_array_size(list) == 0 ? "nothing"
           : output_words(list, words, sizeof(words)));

    if (json_array_size(list) != 0) {
        output("the gateways answer 503 to such requests; end it: ampctl "
               "thaw%s%s\n", tenant ? " --tenant " : "", tenant ? tenant : "");
    }

    json_decref(list);

    return CTL_DONE;
}


static void
freeze_of_tenant(const char *id, json_t *record, const char *why, void *data)
{
    json_t *tenants = data;

    unsigned  classes;

    (void) amp_frozen_read(json_object_get(record, "frozen"), &classes);

    if (classes != 0) {
        json_array_append_new(tenants, json_pack("{s:s, s:o}", "tenant", id,
                                                 "frozen",
                                                 frozen_list(classes)));
    }
}


static int
freeze_show(ctl_t *ctl)
{
    char       words[128];
    size_t     i;
    json_t    *tenants, *all, *row;
    uint64_t   rev;
    unsigned   classes;

    if (ctl_store(ctl) == NULL
        || frozen_load(ctl->store, &ctl->error, &classes, &rev) != 0)
    {
        return -1;
    }

    tenants = json_array();

    if (tenant_each(ctl->store, &ctl->error, freeze_of_tenant, tenants) != 0) {
        json_decref(tenants);
        return -1;
    }

    all = frozen_list(classes);

    if (ctl->json) {
        return output_json(json_pack("{s:o, s:o}", "all", all, "tenants",
                                     tenants));
    }

    output("all tenants: %s\n", classes == 0 ? "nothing is frozen"
           : output_words(all, words, sizeof(words)));

    json_array_foreach(tenants, i, row) {
        output("tenant %s: %s\n", record_text(row, "tenant"),
               output_words(json_object_get(row, "frozen"), words,
                            sizeof(words)));
    }

    json_decref(all);
    json_decref(tenants);

    return CTL_DONE;
}


static int
freeze_command(ctl_t *ctl)
{
    if (ctl->args[0] == NULL) {
        return freeze_switch(ctl, 0);
    }

    if (strcmp(ctl->args[0], "list") == 0 && ctl->nvalues == 0) {
        return freeze_show(ctl);
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not what freeze "
              "takes", ctl->args[0]);

    return ctl_remedy(&ctl->error, "ampctl freeze list shows what is frozen; a "
                      "tenant is named by --tenant ID, a class by --class C");
}


static int
thaw_command(ctl_t *ctl)
{
    return freeze_switch(ctl, 1);
}


const ctl_command_t  ctl_freeze_commands[] = {

    { "freeze", NULL, "[list]", "refuse requests on all gateways, or list that",
      "A switch for an incident. All gateways answer 503 \"frozen\" to such\n"
      "requests, also to those that their caches could answer, until thawed.\n"
      "Requests that are under way end as always. For example:\n"
      "  ampctl freeze --class write\n"
      "  ampctl freeze --tenant acme\n"
      "  ampctl freeze list",
      freeze_options, freeze_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};


const ctl_command_t  ctl_thaw_commands[] = {

    { "thaw", NULL, "", "serve again what was frozen",
      "Without --tenant what is frozen for one tenant alone stays frozen. For\n"
      "example:\n"
      "  ampctl thaw\n"
      "  ampctl thaw --tenant acme --class read",
      freeze_options, thaw_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
