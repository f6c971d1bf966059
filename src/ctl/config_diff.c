/*
 * What an import changes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_diff.h"
#include "record.h"


static const char *const  diff_words[CONFIG_CHANGES] = {
    "unchanged", "added", "changed", "removed"
};

static const char *const  diff_marks[CONFIG_CHANGES] = { " ", "+", "~", "-" };


void
config_diff_begin(config_diff_t *diff, unsigned json, unsigned show)
{
    memset(diff, 0, sizeof(*diff));
    diff->json = json;
    diff->show = show;

    if (json && show) {
        fputs("{\"dry_run\":true,\"changes\":", stdout);
    }
}


/*
 * A line, or an element.  what: "tenant", "token" or "project"; id NULL: a new
 * one's.
 */

static void
diff_line(config_diff_t *diff, config_change_e change, const char *what,
    const char *id, json_t *differences)
{
    if (diff->json) {
        output_item(&diff->items, json_pack("{s:s, s:s?, s:o*}",
                                            "change", diff_words[change], what,
                                            id, "differences", differences));
        return;
    }

    output("%s %s %s\n", diff_marks[change], what, id ? id : "(new)");
    json_decref(differences);
}


static void
diff_print(const json_t *list)
{
    char    *before, *after;
    size_t   i;
    json_t  *one;

    json_array_foreach(list, i, one) {
        before = json_dumps(json_object_get(one, "before"),
                            JSON_COMPACT|JSON_ENCODE_ANY);
        after = json_dumps(json_object_get(one, "after"),
                           JSON_COMPACT|JSON_ENCODE_ANY);

        output("    %s: %s -> %s\n", record_text(one, "place"),
               before ? before : "-", after ? after : "-");
        free(before);
        free(after);
    }
}


void
config_diff_tenant(config_diff_t *diff, const char *id, const json_t *before,
    const json_t *after)
{
    json_t  *list, *old, *new;

    if (before == NULL) {
        config_diff_count(diff, CONFIG_ADDED);
        diff_line(diff, CONFIG_ADDED, "tenant", id, NULL);
        return;
    }

    if (json_equal(before, after)) {
        config_diff_count(diff, CONFIG_SAME);
        return;
    }

    /* sealed texts are shown by the id of their master key */

    old = record_view(before);
    new = record_view(after);
    list = record_differences(old, new);

    if (json_equal(json_object_get(old, "keys"), json_object_get(new, "keys"))
        && !json_equal(json_object_get(before, "keys"),
                       json_object_get(after, "keys")))
    {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "place",
                              "/keys", "before", "a key", "after",
                              "another key"));
    }

    json_decref(old);
    json_decref(new);

    config_diff_count(diff, CONFIG_CHANGED);
    diff_line(diff, CONFIG_CHANGED, "tenant", id, json_incref(list));

    if (!diff->json) {
        diff_print(list);
    }

    json_decref(list);
}


void
config_diff_removed(config_diff_t *diff, const char *id)
{
    config_diff_count(diff, CONFIG_REMOVED);
    diff_line(diff, CONFIG_REMOVED, "tenant", id, NULL);
}


void
config_diff_token(config_diff_t *diff, config_change_e change, const char *id,
    json_t *differences)
{
    config_diff_count_token(diff, change);
    diff_line(diff, change, "token", id, json_incref(differences));

    if (!diff->json) {
        diff_print(differences);
    }

    json_decref(differences);
}


void
config_diff_project(config_diff_t *diff, const char *id, json_t *before,
    json_t *after)
{
    json_t           *list;
    config_change_e   change;

    change = json_equal(before, after) || before == after ? CONFIG_SAME
             : before == NULL ? CONFIG_ADDED
             : after == NULL ? CONFIG_REMOVED : CONFIG_CHANGED;

    diff->projects[change]++;

    if (!diff->show || change == CONFIG_SAME) {
        return;
    }

    list = json_pack("[{s:s, s:O?, s:O?}]", "place", "/limit", "before", before,
                     "after", after);

    diff_line(diff, change, "project", id, json_incref(list));

    if (!diff->json) {
        diff_print(list);
    }

    json_decref(list);
}


/* 1 where the import has to do with limits of projects. */

static int
diff_has_projects(const config_diff_t *diff)
{
    return diff->projects[CONFIG_SAME] || diff->projects[CONFIG_ADDED]
           || diff->projects[CONFIG_CHANGED] || diff->projects[CONFIG_REMOVED];
}


void
config_diff_count(config_diff_t *diff, config_change_e change)
{
    diff->tenants[change]++;
}


void
config_diff_count_token(config_diff_t *diff, config_change_e change)
{
    diff->tokens[change]++;
}


static json_t *
diff_sums(const unsigned counts[CONFIG_CHANGES])
{
    json_t    *sums;
    unsigned   i;

    sums = json_object();

    for (i = CONFIG_ADDED; i < CONFIG_CHANGES; i++) {
        json_object_set_new(sums, diff_words[i], json_integer(counts[i]));
    }

    return sums;
}


int
config_diff_end(config_diff_t *diff)
{
    json_t  *tenants;

    tenants = diff_sums(diff->tenants);
    json_object_set_new(tenants, "unchanged",
                        json_integer(diff->tenants[CONFIG_SAME]));

    if (diff->json && diff->show) {
        output_items_end(diff->items);
        fputs(",\"result\":", stdout);
    }

    if (diff->json) {
        output_json(json_pack("{s:o, s:o, s:o*}", "tenants", tenants, "tokens",
                              diff_sums(diff->tokens), "projects",
                              diff_has_projects(diff)
                              ? diff_sums(diff->projects) : NULL));

        if (diff->show) {
            fputs("}\n", stdout);
        }

        return CTL_DONE;
    }

    json_decref(tenants);

    output("%stenants: %u added, %u changed, %u removed, %u unchanged; tokens: "
           "%u added, %u changed, %u removed",
           diff->show ? "without --dry-run: " : "",
           diff->tenants[CONFIG_ADDED], diff->tenants[CONFIG_CHANGED],
           diff->tenants[CONFIG_REMOVED], diff->tenants[CONFIG_SAME],
           diff->tokens[CONFIG_ADDED], diff->tokens[CONFIG_CHANGED],
           diff->tokens[CONFIG_REMOVED]);

    if (diff_has_projects(diff)) {
        output("; limits of projects: %u added, %u changed, %u removed",
               diff->projects[CONFIG_ADDED], diff->projects[CONFIG_CHANGED],
               diff->projects[CONFIG_REMOVED]);
    }

    output("\n");

    return CTL_DONE;
}


int
config_diff_cut(config_diff_t *diff, const ctl_error_t *error)
{
    if (!diff->json || !diff->show) {
        return -1;
    }

    output_items_end(diff->items);
    fputs(",\"error\":", stdout);
    output_json(ctl_error_json(error));
    fputs("}\n", stdout);

    return error->exit;
}
