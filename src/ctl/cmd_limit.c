/*
 * ampctl limit: how many requests a tenant may send.
 */

#include <stdio.h>

#include "ampctl.h"
#include "policy.h"
#include "record.h"
#include "record_policy.h"


enum {
    LIMIT_CLASS = CTL_OPTION,
    LIMIT_RATE,
    LIMIT_BURST,
    LIMIT_CONCURRENCY
};


static const ctl_option_t  limit_set_options[] = {

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


/* {"limits": {...}} */

static json_t *
limit_view(const json_t *record)
{
    json_t  *limits;

    limits = json_object_get(record, "limits");

    return json_pack("{s:o}", "limits", limits ? json_incref(limits)
                                               : json_object());
}


static void
limit_print(const json_t *record)
{
    char                       burst[32];
    json_t                    *limits, *limit;
    unsigned                   n;
    const char                *name;
    output_table_t            *table;
    static const char *const   heads[] = { "CLASS", "RATE", "BURST" };

    limits = json_object_get(record, "limits");
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


static int
limit_show(ctl_t *ctl)
{
    return policy_show(ctl, &limit_policy);
}


static int
limit_set(ctl_t *ctl)
{
    char         rate[AMP_RATE_TEXT_MAX];
    const char  *class;

    class = ctl_value(ctl, LIMIT_CLASS);

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

    { "limit", "set", "ID", "set a tenant's rate, burst and concurrency",
      "Without --class the limit counts all requests of the tenant; a class\n"
      "may have a limit of its own in addition. For example:\n"
      "  ampctl limit set acme --class write --rate 600/m --burst 20\n"
      "A rate holds for all gateways together. A burst below what the rate\n"
      "gives in a tenth of a second makes them call Redis more often.",
      limit_set_options, limit_set },

    { "limit", "show", "ID", "show a tenant's limits", "For example:\n"
      "  ampctl limit show acme",
      NULL, limit_show },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
