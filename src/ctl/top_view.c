/*
 * The lines of "ampctl top".
 */

#define _GNU_SOURCE                 /* strcasestr() */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "top_view.h"


#define TOP_LINE  512
#define TOP_BAR   10                /* columns of a limit's bar               */
#define TOP_NAME  24                /* columns of a tenant's id               */


typedef enum {
    TOP_PLAIN = 0,
    TOP_HEAD,
    TOP_BAD,
    TOP_SOFT
} top_look_e;


typedef struct {
    const top_view_t  *view;
    FILE              *out;
    unsigned           lines;       /* that were written                      */
} top_page_t;


static const char *const  top_looks[] = { "", "\033[1m", "\033[1;31m",
                                          "\033[2m" };


/* One line, cut to the width; nothing below the last line. */

static void
top_line(top_page_t *page, top_look_e look, const char *fmt, ...)
{
    char               text[TOP_LINE], *p;
    va_list            args;
    const top_view_t  *view = page->view;

    if (view->height != 0 && page->lines >= view->height) {
        return;
    }

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    for (p = text; *p != '\0'; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            *p = '?';
        }
    }

    while (p > text && p[-1] == ' ') {
        *--p = '\0';
    }

    if (view->width != 0 && strlen(text) > view->width) {
        text[view->width] = '\0';
    }

    fprintf(page->out, "%s%s%s%s", view->colour ? top_looks[look] : "", text,
            view->colour && look != TOP_PLAIN ? "\033[0m" : "",
            view->screen ? "\033[K\r\n" : "\n");
    page->lines++;
}


static double
top_member(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}


static const char *
top_rate(const json_t *value, char text[16])
{
    double  n;

    n = json_number_value(value);

    if (!json_is_number(value)) {
        return "-";
    }

    snprintf(text, 16, n >= 100 || n == 0 ? "%.0f" : n >= 10 ? "%.1f" : "%.2f",
             n);

    return text;
}


static const char *
top_percent(const json_t *value, char text[16])
{
    if (!json_is_number(value)) {
        return "-";
    }

    snprintf(text, 16, "%.0f%%", 100 * json_number_value(value));

    return text;
}


static const char *
top_time(const json_t *latency, const char *name, char text[16])
{
    double   n;
    json_t  *value;

    value = json_object_get(latency, name);
    n = json_number_value(value);

    if (!json_is_number(value)) {
        return "-";
    }

    if (n < 0.001) {
        snprintf(text, 16, "%.0f us", n * 1e6);

    } else if (n < 1) {
        snprintf(text, 16, n < 0.01 ? "%.1f ms" : "%.0f ms", n * 1e3);

    } else {
        snprintf(text, 16, "%.1f s", n);
    }

    return text;
}


static int
top_cause_order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *two = b;
    double               n, m;

    n = top_member(*one, "n");
    m = top_member(*two, "n");

    if (n != m) {
        return n < m ? 1 : -1;
    }

    return strcmp(record_text(*one, "name"), record_text(*two, "name"));
}


/* "rate 12, no-grant 3": the most frequent first. */

static const char *
top_causes(const json_t *counts, char text[160])
{
    size_t       i, n, len;
    json_t      *value, **list;
    const char  *name;

    n = 0;
    len = 0;
    text[0] = '\0';

    list = calloc(json_object_size(counts) + 1, sizeof(*list));
    if (list == NULL) {
        abort();
    }

    json_object_foreach((json_t *) counts, name, value) {
        list[n++] = json_pack("{s:s, s:f}", "name", name,
                              "n", json_number_value(value));
    }

    if (n > 1) {
        qsort(list, n, sizeof(*list), top_cause_order);
    }

    for (i = 0; i < n; i++) {
        if (len < 160) {
            len += (size_t) snprintf(text + len, 160 - len, "%s%s %.0f",
                                     i ? ", " : "",
                                     record_text(list[i], "name"),
                                     top_member(list[i], "n"));
        }

        json_decref(list[i]);
    }

    free(list);

    return n ? text : "none";
}


static const char *
top_id(const json_t *tenant)
{
    const char  *id;

    id = record_text(tenant, "id");

    return *id != '\0' ? id : "(not identified)";
}


static double
top_used(const json_t *tenant)
{
    return top_member(json_object_get(tenant, "limit"), "used");
}


/* qsort() has no place for it */

static top_order_e  top_sorted_by;


static int
top_tenant_order(const void *a, const void *b)
{
    double               n, m;
    const json_t *const *one = a, *const *two = b;

    switch (top_sorted_by) {

    case TOP_BY_REFUSALS:
        n = top_member(*one, "refused");
        m = top_member(*two, "refused");
        break;

    case TOP_BY_LIMIT:
        n = top_used(*one);
        m = top_used(*two);
        break;

    case TOP_BY_NAME:
        n = m = 0;
        break;

    default: /* TOP_BY_TRAFFIC */
        n = top_member(*one, "requestsPerSecond");
        m = top_member(*two, "requestsPerSecond");

        if (n == m) {
            n = top_member(*one, "requests");
            m = top_member(*two, "requests");
        }
    }

    return n != m ? (n < m ? 1 : -1) : strcmp(top_id(*one), top_id(*two));
}


static int
top_shown(const top_view_t *view, const json_t *tenant)
{
    char  causes[160];

    return *view->filter == '\0'
           || strcasestr(top_id(tenant), view->filter) != NULL
           || strcasestr(top_causes(json_object_get(tenant, "refusalsEver"),
                                    causes), view->filter) != NULL;
}


/* "#####.....  52% default 50/s" */

static const char *
top_limit(const json_t *limit, char text[80])
{
    int     full;
    char    bar[TOP_BAR + 1];
    double  used;

    if (!json_is_object(limit)) {
        return "-";
    }

    used = top_member(limit, "used");
    used = used < 0 ? 0 : used > 1 ? 1 : used;
    full = (int) (used * TOP_BAR + 0.5);

    memset(bar, '.', TOP_BAR);
    memset(bar, '#', (size_t) full);
    bar[TOP_BAR] = '\0';

    snprintf(text, 80, "%s %3.0f%% %s %s", bar, used * 100,
             record_text(limit, "name"), record_text(limit, "rate"));

    return text;
}


/*
 * Why it is refused; or, where it is not now, why it was.  Then its project's
 * budget.
 */

static const char *
top_why(const json_t *tenant, char text[224])
{
    char     causes[160], rate[16];
    size_t   len;
    json_t  *ever, *budget;

    ever = json_object_get(tenant, "refusalsEver");

    if (top_member(tenant, "refused") > 0) {
        snprintf(text, 224, "%s",
                 top_causes(json_object_get(tenant, "refusals"), causes));

    } else if (json_object_size(ever) != 0) {
        snprintf(text, 224, "(before: %s)", top_causes(ever, causes));

    } else {
        text[0] = '\0';
    }

    budget = json_object_get(tenant, "budget");
    len = strlen(text);

    if (json_number_value(budget) > 0) {
        snprintf(text + len, 224 - len, "%sproject's budget %s/s",
                 len ? ", " : "", top_rate(budget, rate));
    }

    return text;
}


static void
top_tenant_table(top_page_t *page, const json_t *doc)
{
    char               rate[16], cache[16], limit[80], why[224];
    size_t             i, n;
    json_t            *tenant, **list;
    const char        *heads;
    const top_view_t  *view = page->view;

    heads = "TENANT                      REQ/S REFUSED  CACHE  "
            "LIMIT                          WHY";

    list = calloc(json_array_size(json_object_get(doc, "tenants")) + 1,
                  sizeof(*list));
    if (list == NULL) {
        abort();
    }

    n = 0;

    json_array_foreach(json_object_get(doc, "tenants"), i, tenant) {
        if (top_shown(view, tenant)) {
            list[n++] = tenant;
        }
    }

    top_sorted_by = view->order;

    if (n > 1) {
        qsort(list, n, sizeof(*list), top_tenant_order);
    }

    top_line(page, TOP_HEAD, "%s", heads);

    for (i = 0; i < n; i++) {
        tenant = list[i];

        top_line(page, top_member(tenant, "refused") > 0 ? TOP_BAD : TOP_PLAIN,
                 "%-*.*s %8s %7.0f %6s  %-30.30s %s", TOP_NAME, TOP_NAME,
                 top_id(tenant),
                 top_rate(json_object_get(tenant, "requestsPerSecond"), rate),
                 top_member(tenant, "refused"),
                 top_percent(json_object_get(tenant, "fromCache"), cache),
                 top_limit(json_object_get(tenant, "limit"), limit),
                 top_why(tenant, why));
    }

    if (n == 0) {
        top_line(page, TOP_SOFT, "%s", *view->filter != '\0'
                 ? "no tenant fits the filter" : "no requests so far");
    }

    free(list);
}


/* How each gateway is reached; all is well: one line. */

static void
top_gateway_lines(top_page_t *page, const json_t *doc)
{
    size_t   i, n, read;
    json_t  *list, *one;

    list = json_object_get(doc, "gateways");
    n = json_array_size(list);
    read = 0;

    json_array_foreach(list, i, one) {
        read += json_is_true(json_object_get(one, "read"));
    }

    top_line(page, TOP_PLAIN, "gateways   %zu of %zu read", read, n);

    if (n == 0) {
        top_line(page, TOP_BAD, "  no gateway is in the registry: does one run "
                 "with this Redis and this prefix?");
    }

    json_array_foreach(list, i, one) {

        if (json_is_true(json_object_get(one, "read"))) {
            top_line(page, TOP_SOFT, "  %s  %s", record_text(one, "id"),
                     record_text(one, "status"));

        } else {
            top_line(page, TOP_BAD, "  %s  %s: %s", record_text(one, "id"),
                     record_text(one, "status"), record_text(one, "why"));
            top_line(page, TOP_PLAIN, "    %s", record_text(one, "remedy"));
        }
    }
}


static void
top_latency_line(top_page_t *page, const char *name, const json_t *latency)
{
    char  text[3][16];

    top_line(page, TOP_PLAIN, "%-10s p50 %-8s p95 %-8s p99 %s", name,
             top_time(latency, "p50", text[0]),
             top_time(latency, "p95", text[1]),
             top_time(latency, "p99", text[2]));
}


static void
top_upstream_lines(top_page_t *page, const json_t *doc)
{
    int      suspended;
    char     rate[16], causes[160];
    size_t   i;
    json_t  *one, *errors;

    json_array_foreach(json_object_get(doc, "upstream"), i, one) {
        errors = json_object_get(one, "errors");
        suspended = json_is_true(json_object_get(one, "suspended"));

        if (!suspended && top_member(one, "requestsPerSecond") <= 0
            && json_object_size(errors) == 0)
        {
            continue;
        }

        top_line(page, suspended || json_object_size(errors) != 0
                       ? TOP_BAD : TOP_PLAIN, "  %-9s %s/s%s, errors %s",
                 record_text(one, "api"),
                 top_rate(json_object_get(one, "requestsPerSecond"), rate),
                 suspended ? ", SUSPENDED" : "", top_causes(errors, causes));
    }
}


static void
top_redis_line(top_page_t *page, const json_t *redis)
{
    int  subscribed, held;

    subscribed = json_is_true(json_object_get(redis, "subscribed"));
    held = json_is_true(json_object_get(redis, "limitsHeldWithoutRedis"));

    top_line(page, top_member(redis, "up") < top_member(redis, "links")
                   || !subscribed || held ? TOP_BAD : TOP_PLAIN,
             "redis      %.0f of %.0f links up, %s%s", top_member(redis, "up"),
             top_member(redis, "links"),
             subscribed ? "subscribed to changes" : "NOT SUBSCRIBED to changes",
             held ? ", LIMITS HELD WITHOUT REDIS" : "");
}


void
top_view(const top_view_t *view, const json_t *doc, FILE *out)
{
    char         rate[16], cache[16], refused[16], causes[160];
    unsigned     height;
    top_page_t   page;
    top_view_t   body;

    static const char *const  orders[] = { "traffic", "refusals", "limit used",
                                           "name" };

    /* the foot has the last line */

    height = view->height;
    body = *view;

    if (height > 1 && view->foot != NULL) {
        body.height = height - 1;
    }

    memset(&page, 0, sizeof(page));
    page.view = &body;
    page.out = out;

    top_line(&page, TOP_HEAD, "%s requests/s   %s from cache   %s refused or "
             "failed",
             top_rate(json_object_get(doc, "requestsPerSecond"), rate),
             top_percent(json_object_get(doc, "fromCache"), cache),
             top_percent(json_object_get(doc, "refused"), refused));

    top_latency_line(&page, "gateway", json_object_get(
                         json_object_get(doc, "latency"), "gateway"));
    top_latency_line(&page, "upstream", json_object_get(
                         json_object_get(doc, "latency"), "upstream"));
    top_upstream_lines(&page, doc);
    top_line(&page, json_object_size(json_object_get(doc, "refusals")) != 0
                    ? TOP_BAD : TOP_PLAIN, "refusals   %s",
             top_causes(json_object_get(doc, "refusals"), causes));
    top_redis_line(&page, json_object_get(doc, "redis"));
    top_gateway_lines(&page, doc);

    top_line(&page, TOP_SOFT, "%s", "");
    top_line(&page, TOP_SOFT, "tenants by %s%s%s", orders[view->order],
             *view->filter != '\0' ? ", filter: " : "", view->filter);
    top_tenant_table(&page, doc);

    if (view->foot != NULL) {
        body.height = height;
        body.screen = 0;
        top_line(&page, TOP_SOFT, "%s", view->foot);
    }
}
