/*
 * ampctl audit: who has changed what.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ampctl.h"
#include "audit.h"
#include "record.h"


#define AUDIT_PAUSE  300000         /* us, between two looks of --follow      */


enum {
    AUDIT_FOLLOW = CTL_OPTION,
    AUDIT_TENANT,
    AUDIT_SINCE
};


static const ctl_option_t  audit_options[] = {

    { AUDIT_FOLLOW, "follow", NULL, "go on with what is changed from now on",
      0 },

    { AUDIT_TENANT, "tenant", "ID", "changes of one tenant only", 0 },

    { AUDIT_SINCE, "since", "TIME",
      "changes of the last minutes, hours or days: 30m, 12h, 1d; default: all",
      0 },

    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    ctl_t       *ctl;
    const char  *tenant;            /* or NULL                                */
    size_t       n;
    unsigned     follow:1;
} audit_t;


/* A value on a line: JSON, or "-" for none. */

static char *
audit_value(const json_t *value)
{
    char  *text;

    text = value == NULL || json_is_null(value)
           ? NULL : json_dumps(value, JSON_COMPACT|JSON_ENCODE_ANY);

    return text != NULL ? text : strdup("-");
}


static void
audit_print(const json_t *line)
{
    char     time[CTL_TIME_MAX], *before, *after;
    size_t   i;
    json_t  *list, *one, *old, *new;

    output("%s %s@%s %s: %s %s\n", output_time(json_integer_value(
               json_object_get(line, "time")) / 1000, time),
           record_text(line, "user"), record_text(line, "host"),
           record_text(line, "command"), record_text(line, "change"),
           record_text(line, "tenant"));

    old = json_object_get(line, "before");
    new = json_object_get(line, "after");
    list = json_is_object(old) && json_is_object(new)
           ? record_differences(old, new)
           : json_pack("[{s:s, s:O?, s:O?}]", "place", "", "before", old,
                       "after", new);

    json_array_foreach(list, i, one) {
        before = audit_value(json_object_get(one, "before"));
        after = audit_value(json_object_get(one, "after"));

        if (strcmp(record_text(one, "place"), "/rev") != 0
            && strcmp(before, after) != 0)
        {
            output("    %s%s%s -> %s\n", record_text(one, "place"),
                   *record_text(one, "place") ? ": " : "", before, after);
        }

        free(before);
        free(after);
    }

    json_decref(list);
}


static void
audit_one(json_t *line, void *data)
{
    audit_t  *audit = data;

    if (audit->tenant != NULL
        && strcmp(record_text(line, "tenant"), audit->tenant) != 0)
    {
        return;
    }

    if (!audit->ctl->json) {
        audit->n++;
        audit_print(line);

    } else if (audit->follow) {
        output_json(json_incref(line));

    } else {
        output_item(&audit->n, json_incref(line));
    }
}


static int
audit_since(ctl_t *ctl, char id[48])
{
    int64_t      ms, now;
    const char  *text;

    snprintf(id, 48, "0-0");
    text = ctl_value(ctl, AUDIT_SINCE);

    if (text == NULL) {
        return 0;
    }

    ms = ctl_duration(text);

    if (ms < 1000 || strspn(text, "0123456789") == strlen(text)) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a time",
                  text);
        return ctl_remedy(&ctl->error, "give s, m, h, d or w, e.g. --since 1d");
    }

    if (ctl_store(ctl) == NULL
        || store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
           != 0)
    {
        return -1;
    }

    snprintf(id, 48, "%lld-0", (long long) (now / 1000 > ms ? now / 1000 - ms
                                                           : 0));

    return 0;
}


static int
audit_run(ctl_t *ctl)
{
    int      rc;
    char     id[48];
    audit_t  audit;

    memset(&audit, 0, sizeof(audit));
    audit.ctl = ctl;
    audit.tenant = ctl_value(ctl, AUDIT_TENANT);
    audit.follow = ctl_value(ctl, AUDIT_FOLLOW) != NULL;

    if (audit.tenant != NULL && !amp_tenant_id_valid(ctl_span(audit.tenant))) {
        return ctl_bad_tenant(ctl, audit.tenant);
    }

    if (audit_since(ctl, id) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    for ( ;; ) {
        rc = audit_each(ctl->store, &ctl->error, id, audit_one, &audit);

        if (rc != 0 || !audit.follow || ferror(stdout) || fflush(stdout) != 0) {
            break;
        }

        usleep(AUDIT_PAUSE);
    }

    if (rc != 0) {
        return -1;
    }

    if (ctl->json && !audit.follow) {
        output_items_end(audit.n);

    } else if (!ctl->json && audit.n == 0) {
        output("there are no such changes in the audit stream\n");
    }

    return CTL_DONE;
}


const ctl_command_t  ctl_audit_commands[] = {

    { "audit", NULL, "", "show who has changed what with ampctl",
      "A line says when, by which user on which host, with which command,\n"
      "what was changed, and how. At least the last 100000 are kept. With\n"
      "--follow and --json each line is a document. For example:\n"
      "  ampctl audit --tenant acme --since 7d",
      audit_options, audit_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
