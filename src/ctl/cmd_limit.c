/*
 * ampctl limit: how much a tenant may ask for.
 */

#include <stdio.h>

#include "ampctl.h"
#include "record.h"


enum {
    LIMIT_CLASS = CTL_OPTION,
    LIMIT_RATE,
    LIMIT_BURST,
    LIMIT_CONCURRENCY
};


static const ctl_option_t  limit_set_options[] = {

    { LIMIT_CLASS, "class", "C",
      "of one class only: catalog, read, write, data, secrets", 0 },

    { LIMIT_RATE, "rate", "RATE",
      "requests a second, minute, hour, day: 50/s, 10000/d; or none", 0 },

    { LIMIT_BURST, "burst", "N",
      "requests at once; default: as before, else the number in the rate", 0 },

    { LIMIT_CONCURRENCY, "concurrency", "N",
      "of all of the tenant's requests, so many in flight on a gateway; or"
      " none", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


/* Prints {"tenant": ..., "limits": {...}} or the same as a table. */

static int
limit_report(ctl_t *ctl, const json_t *record)
{
    char                       burst[32];
    json_t                    *limits, *limit;
    unsigned                   n;
    const char                *name;
    output_table_t            *table;
    static const char *const   heads[] = { "CLASS", "RATE", "BURST" };

    limits = json_object_get(record, "limits");

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:o}", "tenant", ctl->args[0],
                                     "limits", limits ? json_incref(limits)
                                                      : json_object()));
    }

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
        output_row(table, "default", "none", NULL);
    }

    limit = json_object_get(limits, "concurrency");

    if (json_is_integer(limit)) {
        snprintf(burst, sizeof(burst), "%lld at once",
                 (long long) json_integer_value(limit));
        output_row(table, "concurrency", burst, NULL);
    }

    output_table_print(table);

    return CTL_DONE;
}


static int
limit_show(ctl_t *ctl)
{
    int          rc;
    json_t      *record;
    amp_span_t   id;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    rc = limit_report(ctl, record);
    json_decref(record);

    return rc;
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


static int
limit_set(ctl_t *ctl)
{
    int          rc;
    json_t      *trial;
    amp_span_t   id;

    if (ctl_value(ctl, LIMIT_RATE) == NULL
        && ctl_value(ctl, LIMIT_BURST) == NULL
        && ctl_value(ctl, LIMIT_CONCURRENCY) == NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "which limit?");
        return ctl_remedy(&ctl->error, "add --rate and --burst, e.g. --rate "
                          "50/s --burst 100, or --concurrency 20; none takes "
                          "it away");
    }

    if (ctl_value(ctl, LIMIT_CLASS) != NULL
        && ctl_value(ctl, LIMIT_CONCURRENCY) != NULL)
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "--concurrency is not of a class");
        return ctl_remedy(&ctl->error, "leave out --class, or set the limit of "
                          "the class by a command of its own");
    }

    if (ctl_tenant_id(ctl, &id) != 0) {
        return -1;
    }

    /* wrong words are wrong usage whatever Redis holds, and without it */

    trial = json_pack("{s:{s:{s:s}}}", "limits", ctl_value(ctl, LIMIT_CLASS)
                      ? ctl_value(ctl, LIMIT_CLASS) : "default", "rate", "1/s");

    if (trial == NULL) {
        return record_limit_class("?", &ctl->error);
    }

    rc = limit_change(trial, ctl, &ctl->error);

    json_decref(trial);

    if (rc != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = tenant_change(ctl->store, &ctl->error, id, limit_change, ctl);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    return limit_show(ctl);
}


const ctl_command_t  ctl_limit_commands[] = {

    { "limit", "set", "ID", "set a tenant's rate, burst and concurrency",
      "Without --class it counts all of the tenant's requests; a class may\n"
      "have a limit besides. For example:\n"
      "  ampctl limit set acme --class write --rate 600/m --burst 20\n"
      "All gateways together hold to a rate. A burst below what the rate\n"
      "gives in a tenth of a second makes them ask Redis more often.",
      limit_set_options, limit_set },

    { "limit", "show", "ID", "a tenant's limits", NULL, NULL, limit_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
