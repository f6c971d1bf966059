/*
 * What the gateway would charge, send and store for a request.
 */

#define _GNU_SOURCE                 /* asprintf() under -std=gnu99 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_cache_key.h"
#include "../core/amp_keys.h"
#include "explain_sent.h"
#include "project_limit.h"
#include "record.h"
#include "record_key.h"


static void
explain_token_limit(const explain_t *e, json_t *list)
{
    amp_buf_t                 text;
    unsigned char             buf[AMP_RATE_TEXT_MAX];
    const amp_token_scope_t  *scope;

    scope = e->ex->request.scope;

    if (scope == NULL || scope->rate.count == 0) {
        return;
    }

    amp_buf_init(&text, buf, sizeof(buf));
    amp_rate_write(&scope->rate, &text);

    json_array_append_new(list, json_pack("{s:s, s:s%, s:I}", "name",
                          amp_limit_name(AMP_LIMIT_TOKEN), "rate", buf,
                          amp_buf_written(&text).len, "burst",
                          (json_int_t) scope->rate.burst));
}


/* 0, or -1 with the error filled. */

static int
explain_project_limit(explain_t *e, json_t *list)
{
    json_t           *limit;
    const char       *project;
    project_limit_t   found;

    project = record_text(json_object_get(e->record, "project"), "id");

    if (project_limit_load(e->ctl->store, &e->ctl->error, project, &found)
        != 0)
    {
        return -1;
    }

    project_limit_free(&found);

    if (found.malformed) {
        explain_note(e->doc, "the limit of project %s cannot be read, so the "
                     "gateway answers 503 bad-record: set it again with ampctl "
                     "limit set --project", project);
    }

    if (found.rate.count != 0) {
        limit = project_limit_json(&found.rate);
        json_object_set_new(limit, "name",
                            json_string(amp_limit_name(AMP_LIMIT_PROJECT)));
        json_array_append_new(list, limit);
    }

    return 0;
}


int
explain_limits(explain_t *e)
{
    int          i;
    json_t      *limits, *limit, *list;
    const char  *names[2];

    limits = json_object_get(e->record, "limits");
    list = json_object_get(e->doc, "limits");

    names[0] = amp_limit_name(AMP_LIMIT_DEFAULT);
    names[1] = amp_class_name(e->decision.op->class);

    for (i = 0; i < 2; i++) {
        limit = json_object_get(limits, names[i]);

        if (json_object_get(limit, "rate") != NULL) {
            limit = json_copy(limit);
            json_object_set_new(limit, "name", json_string(names[i]));
            json_array_append_new(list, limit);
        }
    }

    explain_token_limit(e, list);

    limit = json_object_get(limits, "concurrency");

    if (limit != NULL) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "name",
                                              "concurrency", "requests",
                                              limit));
    }

    return explain_project_limit(e, list);
}


static void
explain_header_add(json_t *headers, const char *name, amp_span_t value)
{
    json_array_append_new(headers, json_pack("{s:s, s:o}", "name", name,
                          "value", value.data == NULL ? json_null()
                          : json_stringn((const char *) value.data,
                                         value.len)));
}


/* The lines that amp_header_own() writes, one header each. */

static void
explain_own_headers(explain_t *e, json_t *headers, unsigned checked)
{
    char           *line, *end, *value;
    amp_tenant_t   *t;
    unsigned char  *last;
    unsigned char   text[AMP_HEADER_OWN_MAX + AMP_PROJECT_ID_MAX + 1];

    t = &e->flat.tenant;
    last = amp_header_own(e->decision.op->api,
                          amp_tenant_field(t, t->project_id), checked,
                          e->ex->versioned, text);
    *last = '\0';

    for (line = (char *) text; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        value = strstr(line, ": ");
        *end = '\0';
        *value = '\0';
        explain_header_add(headers, line, ctl_span(value + 2));
    }
}


/* What would be sent: all but the key, and what only a request has. */

void
explain_upstream(explain_t *e, unsigned checked, amp_span_t body)
{
    char                     name[256], *url, length[24];
    json_t                  *headers;
    unsigned                 i;
    amp_header_policy_t      policy;
    const amp_operation_t   *op;
    const explain_header_t  *header;

    op = e->decision.op;
    headers = json_array();

    explain_header_add(headers, "Host", ctl_span(amp_api_host(op->api)));
    explain_header_add(headers, "X-Request-Id", amp_span_null);
    explain_header_add(headers, "traceparent", amp_span_null);

    if (e->ex->body != NULL) {
        snprintf(length, sizeof(length), "%zu", body.len);
        explain_header_add(headers, "Content-Length", ctl_span(length));
    }

    explain_own_headers(e, headers, checked);

    policy = e->ex->policy;
    policy.identity = e->decision.wrap;

    for (i = 0; i < e->ex->nheaders; i++) {
        header = &e->ex->headers[i];

        if (amp_header_forwarded(&policy, header->name)
            && !amp_span_eq(header->name, amp_span("content-length"))
            && !(checked
                 && amp_span_eq(header->name, amp_span("content-type"))))
        {
            snprintf(name, sizeof(name), "%s",
                     (const char *) header->name.data);
            explain_header_add(headers, name, header->value);
        }
    }

    explain_header_add(headers, "X-Api-Key", amp_span_null);

    if (asprintf(&url, "https://%s%.*s", amp_api_host(op->api),
                 (int) e->target.len, (const char *) e->target.data)
        < 0)
    {
        abort();
    }

    json_object_set_new(e->doc, "upstream",
                        json_pack("{s:s%, s:s, s:s?, s:o}", "method",
                                  (const char *) e->ex->request.method.data,
                                  e->ex->request.method.len, "url", url,
                                  "key", record_text(record_active_key(
                                                     e->record), "id"),
                                  "headers", headers));
    free(url);
}


/* The generations in Redis.  0, or -1 with the error filled. */

static int
explain_generations(explain_t *e, uint32_t gens[AMP_FAMILY_COUNT])
{
    int            family;
    size_t         i;
    amp_buf_t      key;
    redisReply    *reply;
    amp_tenant_t  *t;
    unsigned char  buf[AMP_KEYS_MAX];

    t = &e->flat.tenant;
    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_gen(store_prefix(e->ctl->store),
                 amp_tenant_field(t, t->project_id), &key);

    reply = store_command(e->ctl->store, &e->ctl->error, "HGETALL %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {
        family = amp_family_find(amp_span_make(reply->element[i]->str,
                                               reply->element[i]->len));
        if (family >= 0) {
            gens[family] = (uint32_t) strtoul(reply->element[i + 1]->str, NULL,
                                              10);
        }
    }

    freeReplyObject(reply);

    return 0;
}


/* The headers of a request to the proxy API that select its answer. */

static amp_span_t
explain_selects(explain_t *e, unsigned char digest[AMP_CACHE_KEY_HEADERS])
{
    char                    *text;
    FILE                    *out;
    size_t                   len;
    unsigned                 i;
    const explain_header_t  *h;

    if (!e->ex->policy.proxy) {
        return e->ex->accept;
    }

    out = open_memstream(&text, &len);
    if (out == NULL) {
        abort();
    }

    for (i = 0; i < e->ex->nheaders; i++) {
        h = &e->ex->headers[i];

        if (amp_header_selects(h->name)
            && amp_header_forwarded(&e->ex->policy, h->name))
        {
            fprintf(out, "%.*s:%.*s\n", (int) h->name.len, h->name.data,
                    (int) h->value.len, h->value.data);
        }
    }

    fclose(out);
    (void) amp_cache_key_headers(amp_span_make(text, len), digest);
    free(text);

    return amp_span_make(digest, AMP_CACHE_KEY_HEADERS);
}


int
explain_cache(explain_t *e)
{
    uint32_t               gens[AMP_FAMILY_COUNT] = { 0 };
    amp_span_t             selects;
    unsigned char         *last, *text;
    unsigned char          digest[AMP_CACHE_KEY_HEADERS];
    const amp_operation_t *op;

    static const uint32_t  bumps[AMP_FAMILY_COUNT];

    if (e->ttl == 0) {
        return 0;
    }

    if (explain_generations(e, gens) != 0) {
        return -1;
    }

    op = e->decision.op;
    selects = explain_selects(e, digest);

    text = malloc(amp_cache_key_size(op, e->target.len, selects.len));
    if (text == NULL) {
        abort();
    }

    last = amp_cache_key(op, &e->flat.tenant, e->target, gens, bumps, selects,
                         text);

    if (last != NULL) {
        json_object_set_new(e->doc, "cache", json_pack("{s:s%, s:i, s:s}",
                            "key", (char *) text, (size_t) (last - text),
                            "ttl", (int) e->ttl,
                            "from", e->own_ttl ? "tenant" : "table"));
    }

    free(text);

    if (!e->own_ttl) {
        explain_note(e->doc, "the lifetime is that of the table: "
                     "ampersand_cache_ttl of a gateway may say another one");
    }

    return 0;
}
