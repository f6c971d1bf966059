/*
 * ampctl usage: what tenants and operations took, by days or months.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "../core/amp_usage.h"
#include "ampctl.h"


#define USAGE_SECONDS  INT64_C(86400000000)     /* us of a day                */
#define USAGE_SCAN     "500"                    /* fields at a time           */
#define USAGE_TRIES    3


enum {
    USAGE_BY = CTL_OPTION,
    USAGE_DAY,
    USAGE_MONTH
};


static const ctl_option_t  usage_options[] = {

    { USAGE_BY, "by", "WHAT", "tenant (default) or operation", 0 },

    { USAGE_DAY, "day", NULL, "of one day: DATE, 2026-01-31, or today "
      "(default)", 0 },

    { USAGE_MONTH, "month", NULL, "of the month that DATE, 2026-01 or "
      "2026-01-31, is in, or of this month", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


static const char *const  usage_counts[AMP_USAGE_COUNTS] = {
    "requests", "upstream", "bytes", "refusals"
};


typedef struct {
    const char  *by;                /* "tenant", "operation"                  */
    unsigned     month:1;
    int64_t      first;             /* days since 1970                        */
    int64_t      last;
    json_t      *all;               /* name -> counts                         */
} usage_t;


static int
usage_bad_date(ctl_t *ctl, const char *text)
{
    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a date", text);

    return ctl_remedy(&ctl->error, "give one as 2026-01-31, or as 2026-01 with "
                      "--month");
}


/* The days from the arguments; "today" is that of Redis. */

static int
usage_period(ctl_t *ctl, usage_t *usage)
{
    char           date[AMP_USAGE_DATE + 1];
    size_t         len;
    int64_t        now, day;
    const char    *text;
    unsigned char  next[AMP_USAGE_DATE];

    text = ctl->args[0];
    usage->month = ctl_value(ctl, USAGE_MONTH) != NULL;

    if (usage->month && ctl_value(ctl, USAGE_DAY) != NULL) {
        return ctl_error(&ctl->error, CTL_USAGE, "usage",
                         "--day and --month exclude each other");
    }

    if (text == NULL) {
        if (store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
            != 0)
        {
            return -1;
        }

        day = now / USAGE_SECONDS;

    } else {
        len = strlen(text);
        snprintf(date, sizeof(date), "%s%s", text,
                 usage->month && len == AMP_USAGE_DATE - 3 ? "-01" : "");
        day = len <= AMP_USAGE_DATE && strlen(date) == AMP_USAGE_DATE
              ? amp_usage_day((unsigned char *) date) : -1;
    }

    if (day < 0) {
        return usage_bad_date(ctl, text);
    }

    usage->first = day;
    usage->last = day;

    if (!usage->month) {
        return 0;
    }

    amp_usage_date((uint32_t) day, next);
    usage->first -= (next[8] - '0') * 10 + (next[9] - '0') - 1;

    for ( ;; ) {
        amp_usage_date((uint32_t) usage->last + 1, next);

        if (memcmp(next + 8, "01", 2) == 0) {
            return 0;
        }

        usage->last++;
    }
}


/* Some fields of a day; a field may come twice.  0, or -1. */

static int
usage_part(ctl_t *ctl, amp_span_t key, unsigned long long *cursor, json_t *day)
{
    size_t       i;
    redisReply  *reply, *fields;

    reply = store_command(ctl->store, &ctl->error,
                          "HSCAN %b %llu COUNT " USAGE_SCAN,
                          (const char *) key.data, key.len, *cursor);
    if (reply == NULL) {
        return -1;
    }

    *cursor = 0;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[0]->type == REDIS_REPLY_STRING
        && reply->element[1]->type == REDIS_REPLY_ARRAY)
    {
        *cursor = strtoull(reply->element[0]->str, NULL, 10);
        fields = reply->element[1];

        for (i = 0; i + 1 < fields->elements; i += 2) {
            if (fields->element[i]->type == REDIS_REPLY_STRING
                && fields->element[i + 1]->type == REDIS_REPLY_STRING)
            {
                json_object_set_new(day, fields->element[i]->str,
                                    json_integer(strtoll(
                                        fields->element[i + 1]->str, NULL,
                                        10)));
            }
        }
    }

    freeReplyObject(reply);

    return 0;
}


/* Adds "t:acme:r" to the count "requests" of "acme". */

static void
usage_add(usage_t *usage, const char *field, json_int_t value)
{
    char        *name;
    json_t      *counts;
    size_t       len;
    unsigned     i;
    const char  *letter;

    len = strlen(field);

    if (len < 4 || field[1] != ':' || field[len - 2] != ':'
        || field[0] != usage->by[0])
    {
        return;
    }

    letter = strchr(AMP_USAGE_LETTERS, field[len - 1]);

    if (letter == NULL) {
        return;
    }

    name = strndup(field + 2, len - 4);
    counts = json_object_get(usage->all, name);

    if (counts == NULL) {
        counts = json_object();

        for (i = 0; i < AMP_USAGE_COUNTS; i++) {
            json_object_set_new(counts, usage_counts[i], json_integer(0));
        }

        json_object_set_new(usage->all, name, counts);
    }

    counts = json_object_get(counts, usage_counts[letter - AMP_USAGE_LETTERS]);
    json_integer_set(counts, json_integer_value(counts) + value);

    free(name);
}


static int
usage_day(ctl_t *ctl, usage_t *usage, int64_t day)
{
    int                 rc;
    json_t             *fields, *value;
    unsigned            changes, tries;
    amp_buf_t           key;
    const char         *field;
    unsigned char       name[AMP_KEYS_MAX], date[AMP_USAGE_DATE];
    unsigned long long  cursor;

    amp_usage_date((uint32_t) day, date);
    amp_buf_init(&key, name, sizeof(name));
    amp_keys_usage(store_prefix(ctl->store), amp_span_make(date, sizeof(date)),
                   &key);

    fields = json_object();

    /* a cursor of a server that was lost is none of another one */

    tries = 0;

    do {
        cursor = 0;
        changes = 0;

        do {
            rc = usage_part(ctl, amp_buf_written(&key), &cursor, fields);

            if (changes == 0) {
                changes = store_changes(ctl->store);
            }

        } while (rc == 0 && cursor != 0
                 && store_changes(ctl->store) == changes);

    } while (rc == 0 && store_changes(ctl->store) != changes
             && ++tries < USAGE_TRIES);

    json_object_foreach(fields, field, value) {
        usage_add(usage, field, json_integer_value(value));
    }

    json_decref(fields);

    return rc;
}


static json_int_t
usage_count(const json_t *counts, amp_usage_e count)
{
    return json_integer_value(json_object_get(counts, usage_counts[count]));
}


/* Most requests first. */

static int
usage_compare(const void *one, const void *two)
{
    json_int_t           a, b;
    const json_t *const *x = one;
    const json_t *const *y = two;

    a = usage_count(*x, AMP_USAGE_REQUESTS);
    b = usage_count(*y, AMP_USAGE_REQUESTS);

    if (a != b) {
        return a < b ? 1 : -1;
    }

    return strcmp(json_string_value(json_object_get(*x, "name")),
                  json_string_value(json_object_get(*y, "name")));
}


/* The counts as an array in order, each with its "name". */

static json_t *
usage_sorted(usage_t *usage)
{
    size_t       i, n;
    json_t     **list, *array, *counts;
    const char  *name;

    n = 0;
    array = json_array();
    list = calloc(json_object_size(usage->all) + 1, sizeof(json_t *));

    if (list == NULL) {
        return array;
    }

    json_object_foreach(usage->all, name, counts) {
        json_object_set_new(counts, "name", json_string(name));
        list[n++] = counts;
    }

    qsort(list, n, sizeof(json_t *), usage_compare);

    for (i = 0; i < n; i++) {
        json_array_append(array, list[i]);
    }

    free(list);

    return array;
}


static void
usage_row(output_table_t *table, const char *name, const json_int_t *counts)
{
    char      text[AMP_USAGE_COUNTS][24];
    unsigned  i;

    for (i = 0; i < AMP_USAGE_COUNTS; i++) {
        snprintf(text[i], sizeof(text[i]), "%lld", (long long) counts[i]);
    }

    output_row(table, name, text[0], text[1], text[2], text[3]);
}


static int
usage_print(ctl_t *ctl, usage_t *usage)
{
    size_t           i;
    json_t          *list, *one, *doc;
    unsigned         j;
    const char      *name, *heads[] = { "TENANT", "REQUESTS", "UPSTREAM",
                                        "BYTES", "REFUSALS" };
    json_int_t       counts[AMP_USAGE_COUNTS], total[AMP_USAGE_COUNTS];
    unsigned char    from[AMP_USAGE_DATE], to[AMP_USAGE_DATE];
    output_table_t  *table;

    memset(total, 0, sizeof(total));
    amp_usage_date((uint32_t) usage->first, from);
    amp_usage_date((uint32_t) usage->last, to);

    heads[0] = strcmp(usage->by, "tenant") == 0 ? "TENANT" : "OPERATION";
    list = usage_sorted(usage);
    table = ctl->json ? NULL : output_table(5, heads);

    json_array_foreach(list, i, one) {

        for (j = 0; j < AMP_USAGE_COUNTS; j++) {
            counts[j] = usage_count(one, j);
            total[j] += counts[j];
        }

        name = json_string_value(json_object_get(one, "name"));

        if (!ctl->json) {
            usage_row(table, *name != '\0' ? name : "(not identified)", counts);
        }

        json_object_set(one, usage->by, json_object_get(one, "name"));
        json_object_del(one, "name");
    }

    if (!ctl->json) {
        usage_row(table, "(all)", total);
        output_table_print(table);
        json_decref(list);
        return CTL_DONE;
    }

    doc = json_pack("{s:s, s:s#, s:s#, s:o, s:{}}", "by", usage->by, "from",
                    from, (int) sizeof(from), "to", to, (int) sizeof(to),
                    "usage", list, "total");

    for (j = 0; j < AMP_USAGE_COUNTS; j++) {
        json_object_set_new(json_object_get(doc, "total"), usage_counts[j],
                            json_integer(total[j]));
    }

    return output_json(doc);
}


static int
usage_run(ctl_t *ctl)
{
    int      rc;
    int64_t  day;
    usage_t  usage;

    memset(&usage, 0, sizeof(usage));

    usage.by = ctl_value(ctl, USAGE_BY);
    usage.by = usage.by != NULL ? usage.by : "tenant";

    if (strcmp(usage.by, "tenant") != 0 && strcmp(usage.by, "operation") != 0) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "usage is not counted by "
                  "\"%s\"", usage.by);
        return ctl_remedy(&ctl->error, "give --by tenant or --by operation");
    }

    if (ctl_store(ctl) == NULL || usage_period(ctl, &usage) != 0) {
        return -1;
    }

    rc = 0;
    usage.all = json_object();

    for (day = usage.first; day <= usage.last && rc == 0; day++) {
        rc = usage_day(ctl, &usage, day);
    }

    rc = rc == 0 ? usage_print(ctl, &usage) : -1;

    json_decref(usage.all);

    return rc;
}


const ctl_command_t  ctl_usage_commands[] = {

    { "usage", NULL, "[DATE]", "show what tenants and operations took",
      "Requests, those that were sent to Ampersand, bytes of the answers and\n"
      "refusals, by days (UTC) of all gateways. Gateways report each ten\n"
      "seconds; 400 days are kept. For example:\n"
      "  ampctl usage\n"
      "  ampctl usage --month 2026-01 --by operation",
      usage_options, usage_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
