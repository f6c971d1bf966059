/*
 * ampctl limit: how many requests a tenant may send, or all of a project.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_tenant.h"
#include "ampctl.h"
#include "policy.h"
#include "project_limit.h"
#include "record.h"
#include "record_policy.h"


#define LIMIT_TRIES  32


enum {
    LIMIT_PROJECT = CTL_OPTION,
    LIMIT_CLASS,
    LIMIT_RATE,
    LIMIT_BURST,
    LIMIT_CONCURRENCY
};


#define LIMIT_OPTION_PROJECT                                                  \
    { LIMIT_PROJECT, "project", "PROJECT_ID",                                 \
      "the limit of a project, which its tenants share; without ID", 0 }


static const ctl_option_t  limit_set_options[] = {

    LIMIT_OPTION_PROJECT,

    { LIMIT_CLASS, "class", "C",
      "one class only: catalog, read, write, data, secrets", 0 },

    { LIMIT_RATE, "rate", "RATE",
      "requests per second, minute, hour or day: 50/s, 10000/d; or none", 0 },

    { LIMIT_BURST, "burst", "N",
      "requests at once; default: unchanged, else the number in the rate", 0 },

    { LIMIT_CONCURRENCY, "concurrency", "N",
      "requests in flight on one gateway, of all classes; or none", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  limit_show_options[] = {

    LIMIT_OPTION_PROJECT,
    { 0, NULL, NULL, NULL, 0 }
};


/* {"limits": {...}} */

static json_t *
limit_view(const json_t *record)
{
    json_t  *limits;

    limits = json_object_get(record, "limits");

    return json_pack("{s:o}", "limits", limits ? json_incref(limits)
                                               : json_object());
}


/* none: what has no limit, where there is none. */

static void
limit_table(json_t *limits, const char *none)
{
    char                       burst[32];
    json_t                    *limit;
    unsigned                   n;
    const char                *name;
    output_table_t            *table;
    static const char *const   heads[] = { "CLASS", "RATE", "BURST" };

    n = 0;
    table = output_table(3, heads);

    json_object_foreach(limits, name, limit) {
        if (*record_text(limit, "rate") == '\0') {
            continue;
        }

        snprintf(burst, sizeof(burst), "%lld", (long long)
                 json_integer_value(json_object_get(limit, "burst")));
        output_row(table, name, record_text(limit, "rate"),
                   json_object_get(limit, "burst") ? burst : NULL);
        n++;
    }

    if (n == 0) {
        output_row(table, none, "none", NULL);
    }

    limit = json_object_get(limits, "concurrency");

    if (json_is_integer(limit)) {
        snprintf(burst, sizeof(burst), "%lld at once",
                 (long long) json_integer_value(limit));
        output_row(table, "concurrency", burst, NULL);
    }

    output_table_print(table);
}


static void
limit_print(const json_t *record)
{
    limit_table(json_object_get(record, "limits"), "default");
}


static int
limit_change(json_t *record, void *data, ctl_error_t *error)
{
    ctl_t  *ctl = data;

    if (ctl_value(ctl, LIMIT_CONCURRENCY) != NULL
        && record_concurrency(record, ctl_value(ctl, LIMIT_CONCURRENCY), error)
           != 0)
    {
        return -1;
    }

    if (ctl_value(ctl, LIMIT_RATE) == NULL
        && ctl_value(ctl, LIMIT_BURST) == NULL)
    {
        return 0;
    }

    return record_limit(record, ctl_value(ctl, LIMIT_CLASS),
                        ctl_value(ctl, LIMIT_RATE), ctl_value(ctl, LIMIT_BURST),
                        error);
}


static const policy_t  limit_policy = { limit_change, limit_view, limit_print };


/*
 * Of whom the command speaks: 1 with *project set, 0 for the tenant that the
 * first argument names, -1 with ctl->error filled.
 */

static int
limit_project(ctl_t *ctl, const char **project)
{
    *project = ctl_value(ctl, LIMIT_PROJECT);

    if ((*project == NULL) == (ctl->args[0] == NULL)) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", *project == NULL
                  ? "neither a tenant nor a project is named"
                  : "a tenant and a project are named");
        return ctl_remedy(&ctl->error, "name a tenant, or --project PROJECT_ID "
                          "for the limit that all tenants of a project share");
    }

    if (*project == NULL) {
        return 0;
    }

    if (!amp_project_id_valid(ctl_span(*project))) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "\"%s\" is not a project id", *project);
        return ctl_remedy(&ctl->error, "give the id from Ampersand's project "
                          "settings, which ampctl tenant show has, too");
    }

    return 1;
}


/* {"project": {...}}, or {} where there is no limit. */

static json_t *
limit_of_project(const amp_rate_t *rate)
{
    return json_pack("{s:o*}", "project", project_limit_json(rate));
}


static void
limit_project_print(ctl_t *ctl, const char *project, const amp_rate_t *before,
    const amp_rate_t *rate)
{
    json_t  *doc, *limits;

    limits = limit_of_project(rate);

    if (ctl->json) {
        doc = json_pack("{s:s, s:o}", "project", project, "limits", limits);

        if (before != NULL) {
            json_object_set_new(doc, "before",
                                json_pack("{s:o}", "limits",
                                          limit_of_project(before)));
        }

        if (ctl_dry_run(ctl)) {
            json_object_set_new(doc, "dry_run", json_true());
        }

        (void) output_json(doc);
        return;
    }

    if (before != NULL) {
        output("before:\n");
        doc = limit_of_project(before);
        limit_table(doc, "project");
        json_decref(doc);
        output(ctl_dry_run(ctl) ? "\nwithout --dry-run:\n" : "\nnow:\n");
    }

    limit_table(limits, "project");
    json_decref(limits);
}


static int
limit_show_project(ctl_t *ctl, const char *project)
{
    project_limit_t  limit;

    if (ctl_store(ctl) == NULL
        || project_limit_load(ctl->store, &ctl->error, project, &limit) != 0)
    {
        return -1;
    }

    project_limit_free(&limit);

    if (limit.malformed) {
        ctl_error(&ctl->error, CTL_REFUSED, "bad_record", "the limit of "
                  "project \"%s\" cannot be read", project);
        return ctl_remedy(&ctl->error, "set it again: ampctl limit set "
                          "--project %s --rate 50/s --burst 100", project);
    }

    limit_project_print(ctl, project, NULL, &limit.rate);

    return CTL_DONE;
}


/* The limit that the options make of another one.  0, or -1 with the error. */

static int
limit_rate(ctl_t *ctl, const amp_rate_t *before, amp_rate_t *rate)
{
    int      rc;
    json_t  *record;

    record = json_pack("{s:{s:o*}}", "limits", "default",
                       project_limit_json(before));

    rc = record_limit(record, NULL, ctl_value(ctl, LIMIT_RATE),
                      ctl_value(ctl, LIMIT_BURST), &ctl->error);

    if (rc == 0) {
        rc = amp_project_limit(json_object_get(json_object_get(record,
                                                               "limits"),
                                               "default"),
                               rate);
    }

    json_decref(record);

    return rc;
}


static int
limit_set_project(ctl_t *ctl, const char *project)
{
    int              rc;
    unsigned         try;
    amp_rate_t       rate;
    project_limit_t  limit;

    static const amp_rate_t  trial = { AMP_RATE_MAX, 1, 1 };

    /* with the highest rate any burst is possible; no limit of the record */

    if (limit_rate(ctl, &trial, &rate) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    for (try = 0, rc = 0; rc == 0 && try < LIMIT_TRIES; try++) {

        if (project_limit_load(ctl->store, &ctl->error, project, &limit) != 0) {
            return -1;
        }

        rc = limit_rate(ctl, &limit.rate, &rate);

        if (rc == 0) {
            rc = ctl_dry_run(ctl) ? 1
                 : project_limit_write(ctl->store, &ctl->error, project, &limit,
                                       &rate);
        }

        project_limit_free(&limit);
    }

    if (rc == 0) {
        ctl_error(&ctl->error, CTL_REFUSED, "conflict", "the limit of project "
                  "\"%s\" was changed by other commands %d times in a row",
                  project, LIMIT_TRIES);
        return ctl_remedy(&ctl->error, "run the command again");
    }

    if (rc == -1) {
        return -1;
    }

    limit_project_print(ctl, project, &limit.rate, &rate);

    return CTL_DONE;
}


static int
limit_show(ctl_t *ctl)
{
    int          rc;
    const char  *project;

    rc = limit_project(ctl, &project);

    return rc == 0 ? policy_show(ctl, &limit_policy)
           : rc == 1 ? limit_show_project(ctl, project) : -1;
}


static int
limit_set(ctl_t *ctl)
{
    int          rc;
    char         rate[AMP_RATE_TEXT_MAX];
    const char  *class, *project;

    class = ctl_value(ctl, LIMIT_CLASS);
    rc = limit_project(ctl, &project);

    if (rc == -1) {
        return -1;
    }

    if (rc == 1
        && (class != NULL || ctl_value(ctl, LIMIT_CONCURRENCY) != NULL))
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "the limit of a project is one rate for all requests");
        return ctl_remedy(&ctl->error, "leave out --class and --concurrency, "
                          "or name a tenant in place of the project");
    }

    if (ctl_value(ctl, LIMIT_RATE) == NULL
        && ctl_value(ctl, LIMIT_BURST) == NULL
        && ctl_value(ctl, LIMIT_CONCURRENCY) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "no limit given");
        return ctl_remedy(&ctl->error, "name --rate, --burst or --concurrency, "
                          "e.g. --rate 50/s --burst 100; --rate none and "
                          "--concurrency none remove a limit");
    }

    if (class != NULL && ctl_value(ctl, LIMIT_CONCURRENCY) != NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "--concurrency counts all classes together, and cannot have "
                  "--class");
        return ctl_remedy(&ctl->error, "leave out --class, or set the limit of "
                          "the class with a second command");
    }

    if (rc == 1) {
        return limit_set_project(ctl, project);
    }

    if (record_limit_class(class, &ctl->error) != 0) {
        return -1;
    }

    /* the record may have any rate: with the highest, any burst is possible */

    snprintf(rate, sizeof(rate), "%d/s", AMP_RATE_MAX);

    return policy_set(ctl, &limit_policy,
                      json_pack("{s:{s:{s:s}}}", "limits",
                                class ? class : "default", "rate", rate));
}


const ctl_command_t  ctl_limit_commands[] = {

    { "limit", "set", "[ID]",
      "set the rate, burst and concurrency of a tenant, the rate of a project",
      "Without --class the limit counts all requests of the tenant; a class\n"
      "may have a limit of its own in addition. For example:\n"
      "  ampctl limit set acme --class write --rate 600/m --burst 20\n"
      "A rate holds for all gateways together. A burst below what the rate\n"
      "gives in a tenth of a second makes them call Redis more often.\n"
      "\n"
      "--project sets a limit that all tenants of the project share, beside\n"
      "those of their own; ID is left out then:\n"
      "  ampctl limit set --project P --rate 100/s --burst 200",
      limit_set_options, limit_set },

    { "limit", "show", "[ID]", "show the limits of a tenant, or of a project",
      "For example:\n"
      "  ampctl limit show acme\n"
      "  ampctl limit show --project P",
      limit_show_options, limit_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
