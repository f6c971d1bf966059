/*
 * What a tenant record allows: limits, grants, groups and cache lifetimes.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../core/amp_json.h"
#include "../core/amp_lease.h"
#include "../core/amp_tenant.h"
#include "nearest.h"
#include "record.h"
#include "record_policy.h"


/* Among the classes, and where they may be given the operations. */

static void
record_nearest(nearest_t *nearest, const char *word, unsigned operations)
{
    int                     i;
    size_t                  j, n;
    const amp_operation_t  *ops;

    nearest_begin(nearest, word);
    nearest_try(nearest, "default");

    for (i = 0; i < AMP_CLASS_COUNT; i++) {
        nearest_try(nearest, amp_class_name((amp_class_e) i));
    }

    ops = amp_operations(&n);

    for (j = 0; operations && j < n; j++) {
        if (ops[j].class != AMP_CLASS_NONE) {
            nearest_try(nearest, ops[j].id);
        }
    }
}


int
record_limit_class(const char *class, ctl_error_t *error)
{
    char       near[NEAREST_MAX];
    nearest_t  nearest;

    if (class == NULL || amp_limit_find(record_span(class)) >= 0) {
        return 0;
    }

    record_nearest(&nearest, class, 0);
    ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a class%s", class,
              nearest_text(&nearest, near));

    return ctl_remedy(error, "give default, catalog, read, write, data or "
                      "secrets, e.g. --class read");
}


/* A number of 1 to AMP_BURST_MAX requests; 0 for any other text. */

static uint32_t
record_requests(const char *text)
{
    char           *end;
    unsigned long   n;

    n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || n > AMP_BURST_MAX) {
        return 0;
    }

    return (uint32_t) n;
}


static json_t *
record_limits(json_t *record)
{
    json_t  *limits;

    limits = json_object_get(record, "limits");

    if (limits == NULL) {
        limits = json_object();
        json_object_set_new(record, "limits", limits);
    }

    return limits;
}


int
record_concurrency(json_t *record, const char *text, ctl_error_t *error)
{
    json_t    *limits;
    uint32_t   n;

    limits = record_limits(record);

    if (strcmp(text, "none") == 0) {
        json_object_del(limits, "concurrency");
        return 0;
    }

    n = record_requests(text);
    if (n == 0) {
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a concurrency",
                  text);
        return ctl_remedy(error, "give 1 to %d requests in flight, e.g. "
                          "--concurrency 20, or none", AMP_BURST_MAX);
    }

    json_object_set_new(limits, "concurrency", json_integer(n));

    return 0;
}


/*
 * Parses the texts of a rate and a burst; what is NULL is that of limit, or the
 * rate's default burst.  limit may be NULL.  0, or -1 with the error filled.
 */

static int
record_rate(const json_t *limit, const char *class, const char *rate_text,
    const char *burst_text, amp_rate_t *rate, ctl_error_t *error)
{
    json_t    *burst;
    uint32_t   most;

    if (rate_text == NULL && record_text(limit, "rate")[0] == '\0') {
        ctl_error(error, CTL_USAGE, "usage", "--burst needs a rate, and "
                  "the limit \"%s\" has none", class);
        return ctl_remedy(error, "add --rate, e.g. --rate 50/s --burst 100");
    }

    rate_text = rate_text ? rate_text : record_text(limit, "rate");

    if (amp_rate_parse(record_span(rate_text), rate) != 0) {
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a rate", rate_text);
        return ctl_remedy(error, "give requests per second, minute, hour or "
                          "day, e.g. --rate 50/s, 600/m, 5000/h or 10000/d");
    }

    burst = json_object_get(limit, "burst");

    if (burst_text != NULL) {
        rate->burst = record_requests(burst_text);

        if (rate->burst == 0) {
            ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a burst",
                      burst_text);
            return ctl_remedy(error, "give 1 to %d requests, e.g. --burst 100",
                              AMP_BURST_MAX);
        }

    } else if (json_is_integer(burst)) {
        rate->burst = (uint32_t) json_integer_value(burst);

    } else {
        rate->burst = amp_rate_default_burst(rate);
    }

    most = amp_lease_burst_max(rate);

    if (rate->burst > most) {
        ctl_error(error, CTL_USAGE, "usage", "a burst of %lu takes longer than "
                  "%d days to refill at %s", (unsigned long) rate->burst,
                  (int) (AMP_LEASE_SPAN / AMP_LEASE_SECOND / 86400), rate_text);
        return ctl_remedy(error, "give a burst of 1 to %lu, or a higher rate",
                          (unsigned long) most);
    }

    return 0;
}


int
record_limit(json_t *record, const char *class, const char *rate_text,
    const char *burst_text, ctl_error_t *error)
{
    json_t        *limits, *limit;
    amp_buf_t      text;
    amp_rate_t     rate;
    unsigned char  buf[AMP_RATE_TEXT_MAX];

    if (record_limit_class(class, error) != 0) {
        return -1;
    }

    class = class ? class : "default";

    limits = record_limits(record);
    limit = json_object_get(limits, class);

    if (rate_text != NULL && strcmp(rate_text, "none") == 0) {
        json_object_del(limits, class);
        return 0;
    }

    if (record_rate(limit, class, rate_text, burst_text, &rate, error) != 0) {
        return -1;
    }

    amp_buf_init(&text, buf, sizeof(buf));
    amp_rate_write(&rate, &text);

    if (limit == NULL) {
        limit = json_object();
        json_object_set_new(limits, class, limit);
    }

    json_object_set_new(limit, "rate", json_stringn((char *) buf,
                                              amp_buf_written(&text).len));
    /* record_rate() has succeeded, so it has set the rate */
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
    json_object_set_new(limit, "burst", json_integer(rate.burst));

    return 0;
}


static int
record_append(json_t *list, const char *text)
{
    size_t   i;
    json_t  *item;

    json_array_foreach(list, i, item) {
        if (json_is_string(item)
            && strcmp(json_string_value(item), text) == 0)
        {
            return 0;
        }
    }

    return json_array_append_new(list, json_string(text));
}


static int
record_no_grant(const char *item, ctl_error_t *error)
{
    char       near[NEAREST_MAX];
    nearest_t  nearest;

    record_nearest(&nearest, item, 1);
    ctl_error(error, CTL_USAGE, "usage",
              "\"%s\" names no operation that the gateway serves%s", item,
              nearest_text(&nearest, near));

    return ctl_remedy(error, "give a class (catalog, read, write, data, "
                      "secrets), a tag (tag:connection) or an operationId "
                      "(listIntegrations) that ampctl operations lists");
}


int
record_grant(json_t *list, const char *item, ctl_error_t *error)
{
    size_t     i;
    json_t    *all, *class;
    uint64_t   set[AMP_OPERATIONS_MAX / 64];

    if (strcmp(item, "none") == 0) {
        return 0;
    }

    if (strcmp(item, "default") == 0) {
        all = record_default_grants();

        json_array_foreach(all, i, class) {
            record_append(list, json_string_value(class));
        }

        json_decref(all);
        return 0;
    }

    memset(set, 0, sizeof(set));

    if (amp_grant_expand(record_span(item), set) == 0
        || record_append(list, item) != 0)
    {
        return record_no_grant(item, error);
    }

    return 0;
}


/* 1 removed, 0 it was not in the list. */

static int
record_remove(json_t *list, const char *text)
{
    size_t   i;
    json_t  *item;

    json_array_foreach(list, i, item) {
        if (json_is_string(item)
            && strcasecmp(json_string_value(item), text) == 0)
        {
            json_array_remove(list, i);
            return 1;
        }
    }

    return 0;
}


int
record_grant_remove(json_t *list, const char *name, const char *item,
    ctl_error_t *error)
{
    size_t     i, word;
    json_t    *other, *all;
    uint64_t   set[AMP_OPERATIONS_MAX / 64], named[AMP_OPERATIONS_MAX / 64];

    if (strcmp(item, "default") == 0) {
        all = record_default_grants();

        json_array_foreach(all, i, other) {
            (void) record_remove(list, json_string_value(other));
        }

        json_decref(all);
        return 0;
    }

    memset(set, 0, sizeof(set));

    if (amp_grant_expand(record_span(item), set) == 0) {
        return record_no_grant(item, error);
    }

    if (record_remove(list, item)) {
        return 0;
    }

    json_array_foreach(list, i, other) {
        memset(named, 0, sizeof(named));
        (void) amp_grant_expand(amp_json_text(other), named);

        for (word = 0; word < sizeof(set) / sizeof(set[0]); word++) {
            if ((set[word] & named[word]) == 0) {
                continue;
            }

            ctl_error(error, CTL_REFUSED, "granted", "\"%s\" is not in the "
                      "list, and \"%s\", which is, names it too", item,
                      json_string_value(other));

            return strcmp(name, "allow") == 0
                   ? ctl_remedy(error, "remove \"%s\" as well, or add --deny "
                                "%s: deny wins", json_string_value(other), item)
                   : ctl_remedy(error, "remove \"%s\" as well",
                                json_string_value(other));
        }
    }

    return 0;
}


int
record_label(json_t *record, const char *label, ctl_error_t *error)
{
    if (strlen(label) > RECORD_LABEL_MAX
        || !amp_json_printable(record_span(label)))
    {
        ctl_error(error, CTL_USAGE, "usage",
                  "the text of --label is not a label");
        return ctl_remedy(error, "give at most %d bytes of printable UTF-8, "
                          "e.g. --label \"billing, team 7\"",
                          RECORD_LABEL_MAX);
    }

    if (*label == '\0') {
        json_object_del(record, "label");
    } else {
        json_object_set_new(record, "label", json_string(label));
    }

    return 0;
}


int
record_group(json_t *record, const char *group, ctl_error_t *error)
{
    json_t  *groups;

    groups = json_object_get(record, "groups");

    if (!amp_group_valid(record_span(group))
        || record_append(groups, group) != 0)
    {
        ctl_error(error, CTL_USAGE, "usage", "the text of --group is not a "
                  "groupRef");
        return ctl_remedy(error, "give 1 to %d bytes of printable UTF-8, e.g. "
                          "--group customer-42", AMP_GROUP_MAX);
    }

    if (json_array_size(groups) > AMP_GROUPS_MAX) {
        ctl_error(error, CTL_USAGE, "usage", "a tenant cannot have more than "
                  "%d groups", AMP_GROUPS_MAX);
        return ctl_remedy(error, "add a second tenant for the other groups");
    }

    return 0;
}


int
record_lifetime(json_t *record, const char *name, const char *time,
    ctl_error_t *error)
{
    char        near[NEAREST_MAX];
    json_t     *cache;
    uint32_t    seconds;
    nearest_t   nearest;

    name = name ? name : "default";

    switch (amp_lifetime_name(record_span(name))) {

    case AMP_LIFETIME_UNKNOWN:
        record_nearest(&nearest, name, 1);
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not an operation or "
                  "class%s", name, nearest_text(&nearest, near));
        return ctl_remedy(error, "give read, default or an operationId that "
                          "ampctl operations lists");

    case AMP_LIFETIME_NEVER:
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is never cached: it "
                  "changes something, or its answers hold secrets", name);
        return ctl_remedy(error, "give an operation that ampctl operations "
                          "lists with a time under CACHED");

    case AMP_LIFETIME_SHARED:
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is cached once for all "
                  "tenants, and has no lifetime of one tenant", name);
        return ctl_remedy(error, "set ampersand_cache_ttl in nginx's "
                          "configuration");

    case AMP_LIFETIME_OWN:
        break;
    }

    cache = json_object_get(record, "cache");
    if (cache == NULL) {
        cache = json_object();
        json_object_set_new(record, "cache", cache);
    }

    if (strcmp(time, "none") == 0) {
        json_object_del(cache, name);
        return 0;
    }

    if (amp_lifetime_parse(record_span(time), &seconds) != 0) {
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a time", time);
        return ctl_remedy(error, "give at most 30d, e.g. 30s, 5m or 1h; 0 does "
                          "not cache, none removes the lifetime");
    }

    json_object_set_new(cache, name, json_string(time));

    return 0;
}
