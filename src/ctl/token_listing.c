/*
 * ampctl token list: the tokens of a tenant, or those that nobody uses.
 */

#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "token_count.h"
#include "token_listing.h"
#include "token_scope.h"
#include "token_use.h"


#define TOKEN_UNUSED_MAX  (INT64_C(100) * 366 * 86400000)    /* ms            */


enum {
    TOKEN_UNUSED = CTL_OPTION
};


const ctl_option_t  token_listing_options[] = {

    { TOKEN_UNUSED, "unused", "TIME",
      "those that were not used for so long, e.g. 90d; without ID: of all "
      "tenants", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    json_t         *list;
    int64_t         now;
    token_uses_t    uses;
    int64_t        *days;           /* of the tokens of the list              */
    token_entry_t  *entries;
} token_rows_t;


typedef struct {
    token_uses_t    uses;
    int64_t         now;            /* Redis' clock, Unix seconds             */
    int64_t         before;         /* a use before this day is long ago      */
    json_t         *list;
    size_t          undecided;      /* that may be unused for so long         */

    token_entry_t  *entries;        /* tokens of a part of the tenants, ...   */
    json_t        **rows;           /* ... what is known of each              */
    size_t          n;
    size_t          room;
} token_unused_t;


static json_t *
token_listing_text(amp_span_t text)
{
    return text.len ? json_stringn((const char *) text.data, text.len)
                    : json_null();
}


/* What people call a token: its label, or the name of an identity. */

static const char *
token_listing_label(const json_t *row)
{
    const char  *identity;

    identity = json_string_value(json_object_get(row, "identity"));

    return identity ? identity : record_text(row, "label");
}


static void
token_listing_one(const token_entry_t *entry, const amp_token_record_t *record,
    void *data)
{
    json_t        *row;
    token_use_t    use;
    token_rows_t  *rows = data;

    use = token_use(&rows->uses, record ? record->created : 0,
                    rows->days[entry - rows->entries]);

    if (record == NULL) {

        /* Redis deletes an expired token, but not its entry in the index */

        row = json_pack("{s:s, s:s, s:n, s:n, s:n, s:s, s:n}", "id", entry->id,
                        "label", "", "identity", "created", "expires", "state",
                        "gone", "scope");

    } else {
        row = json_pack("{s:s, s:s%, s:o, s:I, s:o, s:s, s:o}", "id", entry->id,
                        "label", record->label.data ? (char *)
                        record->label.data : "", record->label.len,
                        "identity", token_listing_text(record->identity),
                        "created", (json_int_t) record->created,
                        "expires", record->expires
                        ? json_integer((json_int_t) record->expires)
                        : json_null(),
                        "state", record->expires && record->expires <= rows->now
                        ? "expired" : "active",
                        "scope", token_scope_json(record->scope));
    }

    token_use_members(&use, row);
    json_array_append_new(rows->list, row);
}


static void
token_listing_print(const char *tenant, const json_t *list)
{
    char                      created[CTL_TIME_MAX], expires[CTL_TIME_MAX];
    char                      last[TOKEN_USE_TEXT];
    size_t                    i;
    json_t                   *row;
    output_table_t           *table;
    static const char *const  heads[] = {
        "TOKEN", "STATE", "MAY", "CREATED", "EXPIRES", "LAST USE", "LABEL"
    };

    if (json_array_size(list) == 0) {
        output("tenant %s has no tokens\n"
               "next: issue one: ampctl token issue %s\n", tenant, tenant);
        return;
    }

    table = output_table(7, heads);

    json_array_foreach(list, i, row) {
        output_row(table, record_text(row, "id"), record_text(row, "state"),
                   json_is_null(json_object_get(row, "scope")) ? "all" : "less",
                   output_time(json_integer_value(
                               json_object_get(row, "created")), created),
                   output_time(json_integer_value(
                               json_object_get(row, "expires")), expires),
                   token_use_text(row, last), token_listing_label(row));
    }

    output_table_print(table);
}


static int
token_unused_time(ctl_t *ctl, const char *text, int64_t *ms)
{
    *ms = ctl_duration(text);

    /* a bare number would be seconds, and is meant as days */

    if (*ms < 1000 || *ms > TOKEN_UNUSED_MAX
        || strspn(text, "0123456789") == strlen(text))
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a time",
                  text);
        return ctl_remedy(&ctl->error, "give 1s to 100 years as s, m, h, d or "
                          "w, e.g. --unused 90d");
    }

    return 0;
}


/* Keeps a token that is valid. */

static void
token_unused_one(unsigned tenant, const token_entry_t *entry,
    const amp_token_record_t *record, void *data)
{
    token_unused_t  *unused = data;

    (void) tenant;

    if (record == NULL
        || (record->expires && record->expires <= unused->now))
    {
        return;
    }

    if (unused->n == unused->room) {
        unused->room = 2 * unused->room + TOKEN_PIPELINE;

        unused->entries = realloc(unused->entries,
                                  unused->room * sizeof(*unused->entries));
        unused->rows = realloc(unused->rows,
                               unused->room * sizeof(json_t *));

        if (unused->entries == NULL || unused->rows == NULL) {
            abort();
        }
    }

    unused->entries[unused->n] = *entry;
    unused->rows[unused->n++] = json_pack("{s:s%, s:s, s:s%, s:o, s:I, s:o}",
                           "tenant", record->tenant.data, record->tenant.len,
                           "id", entry->id, "label", record->label.len
                           ? (const char *) record->label.data : "",
                           record->label.len, "identity",
                           token_listing_text(record->identity), "created",
                           (json_int_t) record->created, "expires",
                           record->expires
                           ? json_integer((json_int_t) record->expires)
                           : json_null());
}


/* Moves those that were not used for so long to the list.  0, or -1. */

static int
token_unused_decide(ctl_t *ctl, token_unused_t *unused)
{
    int          rc;
    size_t       i;
    int64_t     *days, created;
    token_use_t  use;

    days = calloc(unused->n + 1, sizeof(*days));
    if (days == NULL) {
        abort();
    }

    rc = token_use_days(ctl->store, &ctl->error, unused->entries, unused->n,
                        days);

    for (i = 0; i < unused->n; i++) {
        created = json_integer_value(json_object_get(unused->rows[i],
                                                     "created"));
        use = token_use(&unused->uses, created, days[i]);

        if (rc == 0 && use.unused != -1 && use.unused < unused->before) {
            token_use_members(&use, unused->rows[i]);
            json_array_append(unused->list, unused->rows[i]);

        } else if (use.day == -1
                   && created / AMP_USAGE_DAY < unused->before)
        {
            unused->undecided++;
        }

        json_decref(unused->rows[i]);
    }

    free(days);
    unused->n = 0;

    return rc;
}


/* The tokens of all tenants, a part at a time. */

static int
token_unused_walk(ctl_t *ctl, token_unused_t *unused, const tenant_ids_t *ids)
{
    int     rc;
    size_t  i, n;

    for (rc = 0, i = 0; rc == 0 && i < ids->n; i += n) {
        n = ids->n - i < TENANT_BATCH ? ids->n - i : TENANT_BATCH;

        output_progress("tenants", i, ids->n);

        rc = token_each_of(ctl->store, &ctl->error, ids->ids + i, n,
                           token_unused_one, unused);

        if (token_unused_decide(ctl, unused) != 0) {
            rc = -1;
        }
    }

    output_progress(NULL, 0, 0);

    return rc;
}


static void
token_unused_print(const token_unused_t *unused, const char *time)
{
    char                      created[CTL_TIME_MAX], expires[CTL_TIME_MAX];
    char                      last[TOKEN_USE_TEXT];
    size_t                    i;
    json_t                   *row, *since;
    output_table_t           *table;
    static const char *const  heads[] = {
        "TOKEN", "LAST USE", "CREATED", "EXPIRES", "LABEL"
    };

    if (json_array_size(unused->list) == 0) {
        output("no token is known to be unused for %s\n", time);

    } else {
        table = output_table(5, heads);

        json_array_foreach(unused->list, i, row) {
            output_row(table, record_text(row, "id"), token_use_text(row, last),
                       output_time(json_integer_value(
                                   json_object_get(row, "created")), created),
                       output_time(json_integer_value(
                                   json_object_get(row, "expires")), expires),
                       token_listing_label(row));
        }

        output_table_print(table);
    }

    if (unused->undecided == 0) {
        return;
    }

    since = token_use_date(unused->uses.since);
    output("%zu more may be: gateways record uses %s%s\n", unused->undecided,
           json_is_null(since) ? "not yet" : "since ",
           json_is_null(since) ? "" : json_string_value(since));
    json_decref(since);
}


static int
token_unused_command(ctl_t *ctl, const char *time)
{
    int             rc;
    int64_t         ms, now;
    tenant_ids_t    ids;
    token_unused_t  unused;

    if (token_unused_time(ctl, time, &ms) != 0
        || ctl_tenants(ctl, &ids) != 0)
    {
        return -1;
    }

    memset(&unused, 0, sizeof(unused));
    unused.list = json_array();

    rc = store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now);

    if (rc == 0) {
        unused.now = now / 1000000;
        unused.before = (unused.now - ms / 1000) / AMP_USAGE_DAY;
        rc = token_uses(ctl->store, &ctl->error, unused.now, &unused.uses);
    }

    if (rc == 0) {
        rc = token_unused_walk(ctl, &unused, &ids);
    }

    tenant_ids_free(&ids);
    free(unused.entries);
    free(unused.rows);

    if (rc == 0 && ctl->json) {
        return output_json(json_pack("{s:o, s:I, s:o}", "tokens", unused.list,
                                     "undecided", (json_int_t) unused.undecided,
                                     "recorded_since",
                                     token_use_date(unused.uses.since)));
    }

    if (rc == 0) {
        token_unused_print(&unused, time);
    }

    json_decref(unused.list);

    return rc;
}


int
token_listing_command(ctl_t *ctl)
{
    int            rc;
    json_t        *record;
    int64_t        now;
    amp_span_t     id;
    token_list_t   tokens;
    token_rows_t   rows;

    if (ctl_value(ctl, TOKEN_UNUSED) != NULL) {
        return token_unused_command(ctl, ctl_value(ctl, TOKEN_UNUSED));
    }

    if (ctl->args[0] == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "no tenant is named");
        return ctl_remedy(&ctl->error, "give a tenant, or list tokens of all "
                          "tenants that are not used: ampctl token list "
                          "--unused 90d");
    }

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    json_decref(record);

    if (store_time(ctl->store, &ctl->error, id, &now) != 0
        || token_list(ctl->store, &ctl->error, id, &tokens) != 0)
    {
        return -1;
    }

    rows.now = now / 1000000;
    rows.list = json_array();
    rows.entries = tokens.entries;

    rows.days = calloc(tokens.n + 1, sizeof(*rows.days));
    if (rows.days == NULL) {
        abort();
    }

    rc = token_uses(ctl->store, &ctl->error, rows.now, &rows.uses);

    if (rc == 0) {
        rc = token_use_days(ctl->store, &ctl->error, tokens.entries, tokens.n,
                            rows.days);
    }

    if (rc == 0) {
        rc = token_each(ctl->store, &ctl->error, &tokens, token_listing_one,
                        &rows);
    }

    free(rows.days);
    token_list_free(&tokens);

    if (rc == 0 && ctl->json) {
        return output_json(rows.list);
    }

    if (rc == 0) {
        token_listing_print(ctl->args[0], rows.list);
    }

    json_decref(rows.list);

    return rc;
}
