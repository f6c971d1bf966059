/*
 * What the gateway would make of a request: amp_decide(), the body, the key and
 * the cool-down, in the gateway's order; then what it would send and store.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "../core/amp_tenant_key.h"
#include "explain_decide.h"
#include "explain_grant.h"
#include "explain_sent.h"
#include "record.h"


json_t *
explain_refused(amp_reason_e reason)
{
    char                  type[128];
    json_t               *problem;
    const amp_problem_t  *p;

    problem = json_null();

    if (reason != AMP_OK) {
        p = amp_problem(reason);
        snprintf(type, sizeof(type), "urn:ampersand-gateway:problem:%s",
                 p->name);
        problem = json_pack("{s:s, s:i, s:s, s:s, s:s}", "type", type,
                            "status", (int) p->status, "title", p->title,
                            "detail", p->detail, "remedy", p->remedy);
    }

    return json_pack("{s:s, s:o, s:n, s:n, s:n, s:n, s:[], s:n, s:n, s:[]}",
                     "decision", reason == AMP_OK ? "passed"
                                                  : amp_problem(reason)->name,
                     "problem", problem, "command", "operation", "allow",
                     "grant", "limits", "upstream", "cache", "notes");
}


/* Checks the body as the gateway does.  0, or a reason. */

static amp_reason_e
explain_check_body(explain_t *e, amp_span_t *body, amp_span_t *replacement)
{
    amp_reason_e  reason;

    *body = amp_span_make(e->ex->body, e->ex->nbody);
    *replacement = amp_span_null;

    if (e->ex->encoded) {
        return AMP_BAD_ENCODING;
    }

    if (e->ex->body == NULL) {
        explain_note(e->doc, "the gateway checks the body, which was not given "
                     "here: add --body FILE");
        return AMP_OK;
    }

    reason = amp_scope_body(&e->flat.tenant, e->ex->request.scope,
                            e->decision.op, *body, replacement);

    if (reason == AMP_OK && replacement->data != NULL) {
        *body = *replacement;
        explain_note(e->doc, "the body is sent with the project's id in it");
    }

    return reason;
}


/* The lifetime of the answer, as ngx_http_ampersand_prepare() has it. */

static void
explain_lifetime(explain_t *e)
{
    unsigned  index;
    uint32_t  ttl;

    index = amp_operation_index(e->decision.op);
    ttl = e->decision.op->ttl;
    e->own_ttl = amp_tenant_lifetime(&e->flat.tenant, index, &ttl);

    if (explain_reads(e->ex) && amp_decision_storable(&e->decision)
        && !e->ex->unstored && e->ex->nbody == 0)
    {
        e->ttl = ttl;
    }
}


/* Has the tenant a key, and does it open? */

static amp_reason_e
explain_key(explain_t *e)
{
    if (e->flat.tenant.sealed.len == 0) {
        return AMP_NO_KEY;
    }

    if (e->ctl->nmaster_keys == 0) {
        explain_note(e->doc, "whether the tenant's key opens was not checked: "
                     "no master key (--master-key)");
        return AMP_OK;
    }

    if (ctl_ring(e->ctl) == NULL) {
        explain_note(e->doc, "whether the tenant's key opens was not checked: "
                     "%s", e->ctl->error.message);
        return AMP_OK;
    }

    return amp_tenant_key_opens(e->ctl->ring, &e->flat.tenant) ? AMP_OK
                                                              : AMP_NO_KEY;
}


/* 0 with e->cooldown set, or -1 with the error filled. */

static int
explain_cooldown(explain_t *e)
{
    amp_buf_t      key;
    redisReply    *reply;
    amp_tenant_t  *t;
    unsigned char  buf[AMP_KEYS_MAX];

    t = &e->flat.tenant;
    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_cooldown(store_prefix(e->ctl->store), amp_tenant_field(t, t->id),
                      amp_span_null, &key);

    reply = store_command(e->ctl->store, &e->ctl->error, "PTTL %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    e->cooldown = reply->integer;
    freeReplyObject(reply);

    return 0;
}


/* What is decided after amp_decide().  0, or -1 with the error filled. */

static int
explain_admit(explain_t *e, amp_span_t *body, amp_span_t *replacement,
    unsigned *checked)
{
    explain_lifetime(e);
    e->reason = explain_key(e);

    if (explain_cooldown(e) != 0) {
        return -1;
    }

    if (e->reason == AMP_OK && e->cooldown > 0) {
        if (e->ttl == 0) {
            e->reason = AMP_COOLING_DOWN;
        }

        explain_note(e->doc, "Ampersand asked for a pause, which ends in "
                     "%lld s%s", (e->cooldown + 999) / 1000,
                     e->ttl ? ": until then only stored answers are served"
                            : "");
    }

    *checked = 0;
    *body = amp_span_make(e->ex->body, e->ex->nbody);

    if (e->reason == AMP_OK
        && amp_scope_needs_body(&e->flat.tenant, e->ex->request.scope,
                                e->decision.op))
    {
        *checked = 1;
        e->reason = explain_check_body(e, body, replacement);
    }

    return 0;
}


/* Everything about a request that matches an operation.  0, or -1. */

static int
explain_matched(explain_t *e)
{
    int            rc;
    size_t         size;
    unsigned       checked;
    amp_buf_t      out;
    amp_span_t     body, replacement;
    unsigned char *text;

    replacement = amp_span_null;
    rc = explain_admit(e, &body, &replacement, &checked);

    if (rc == 0 && e->reason == AMP_OK) {
        size = amp_target_size(e->ex->request.path.len,
                               e->ex->request.query.len, AMP_PROJECT_ID_MAX);
        text = malloc(size);
        if (text == NULL) {
            abort();
        }

        amp_buf_init(&out, text, size);
        amp_decision_compose(&e->decision, &e->flat.tenant, &out);
        e->target = amp_buf_written(&out);

        explain_upstream(e, checked, body);
        rc = explain_limits(e) || explain_cache(e) ? -1 : 0;
        free(text);
    }

    free((void *) replacement.data);

    return rc;
}


/* 0, or -1 with the error filled. */

static int
explain_tenant(explain_t *e)
{
    const char  *why;

    if (amp_tenant_decode_object(e->record, &e->flat, sizeof(e->flat), &why)
        == 0)
    {
        ctl_error(&e->ctl->error, CTL_REFUSED, "bad_record",
                  "the record of tenant \"%s\" cannot be read: %s",
                  record_text(e->record, "id"), why);
        return ctl_remedy(&e->ctl->error, "see what is wrong with it: ampctl "
                          "doctor");
    }

    return 0;
}


/* The document's notes so far stay; the rest is as of the reason. */

static void
explain_finish(explain_t *e)
{
    json_t         *refused;
    amp_buf_t       remedy;
    amp_span_t      text, operation;
    unsigned char   bytes[AMP_PROBLEM_TEXT];

    refused = explain_refused(e->reason);

    if (e->reason != AMP_OK) {
        operation = amp_span_null;

        if (e->decision.op != NULL) {
            operation = amp_span_make(e->decision.op->id,
                                      strlen(e->decision.op->id));
        }

        amp_buf_init(&remedy, bytes, sizeof(bytes));
        amp_problem_remedy(e->reason, amp_tenant_field(&e->flat.tenant,
                                                       e->flat.tenant.id),
                           operation, &remedy);
        text = amp_buf_written(&remedy);
        json_object_set_new(json_object_get(refused, "problem"), "remedy",
                            json_stringn((const char *) text.data, text.len));
    }

    json_object_set(e->doc, "decision", json_object_get(refused, "decision"));
    json_object_set(e->doc, "problem", json_object_get(refused, "problem"));
    json_decref(refused);

    explain_operation(e);
    explain_remedy(e);
}


json_t *
explain_decide(ctl_t *ctl, const explain_request_t *ex, const json_t *record,
    amp_reason_e *reason)
{
    int             rc;
    json_t         *doc;
    explain_t      *e;
    unsigned char  *scratch;

    e = calloc(1, sizeof(*e));
    scratch = malloc(amp_decide_scratch(ex->request.path.len,
                                        ex->request.query.len) + 1);

    if (e == NULL || scratch == NULL) {
        abort();
    }

    e->ctl = ctl;
    e->ex = ex;
    e->record = record;
    e->doc = explain_refused(AMP_OK);

    amp_path_init();
    rc = explain_tenant(e);

    if (rc == 0) {
        e->reason = ex->located || e->flat.tenant.disabled
                    ? amp_decide(&ex->request, &e->flat.tenant, scratch,
                                 &e->decision)
                    : AMP_NO_OPERATION;

        if (e->reason == AMP_OK) {
            rc = explain_matched(e);
        }

        if (!ex->located) {
            explain_note(e->doc, "the path is none of the five APIs: /v1, "
                         "/read/v1, /write/v1, /search/v1, /proxy/");
        }
    }

    if (rc == 0) {
        explain_finish(e);
    }

    *reason = e->reason;
    doc = e->doc;
    free(scratch);
    free(e);

    if (rc != 0) {
        json_decref(doc);
        return NULL;
    }

    return doc;
}
