/*
 * What ampctl config import checks before it changes anything.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../core/amp_escape.h"
#include "../core/amp_identity.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "../core/amp_lease.h"
#include "../core/amp_project.h"
#include "../core/amp_token_scope.h"
#include "config_check.h"
#include "config_record.h"
#include "record.h"
#include "token_store.h"


/* A digest is of one token: NULL where it is free or already this one. */

static const char *
import_digest(import_t *im, const json_t *token, const char *tenant)
{
    int                  rc;
    amp_buf_t            key;
    redisReply          *reply;
    const char          *why, *fault;
    unsigned char        buf[AMP_KEYS_MAX], texts[AMP_TOKEN_RECORD_MAX];
    amp_token_record_t   record;

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_token(store_prefix(im->ctl->store),
                   record_span(record_text(token, "digest")), &key);

    reply = store_command(im->ctl->store, &im->ctl->error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return "";
    }

    fault = NULL;

    if (reply->type == REDIS_REPLY_STRING) {
        rc = amp_token_record_decode(amp_span_make(reply->str, reply->len),
                                     texts, sizeof(texts), &record, &why);

        if (rc != 0 || !amp_span_eq(record.tenant, ctl_span(tenant))
            || !amp_span_eq(record.id, record_span(record_text(token, "id"))))
        {
            fault = "a digest that no other token has in Redis";
        }
    }

    freeReplyObject(reply);

    return fault;
}


/* 1 where a token is none, or has the digest of its identity; else 0. */

static int
import_identity(const json_t *token)
{
    amp_buf_t       out;
    const char     *name;
    unsigned char   buf[AMP_IDENTITY_MAX], digest[AMP_TOKEN_DIGEST];
    unsigned char   hex[AMP_TOKEN_DIGEST_HEX];

    name = json_string_value(json_object_get(token, "identity"));

    if (name == NULL) {
        return 1;
    }

    amp_buf_init(&out, buf, sizeof(buf));

    if (amp_identity_parse(ctl_span(name), &out) != NULL
        || !amp_span_eq(amp_buf_written(&out), ctl_span(name))
        || amp_identity_digest(ctl_span(name), digest) != 0)
    {
        return 0;
    }

    amp_hex(digest, sizeof(digest), hex);

    return amp_span_eq(amp_span_make(hex, sizeof(hex)),
                       record_span(record_text(token, "digest")));
}


/* What the gateway has against the scope of a token, or NULL. */

static const char *
import_scope(const json_t *token)
{
    char                *text;
    size_t               i;
    json_t              *item;
    uint64_t             flat[AMP_TOKEN_SCOPE_MAX / sizeof(uint64_t)];
    const char          *why;
    amp_token_record_t   record;

    json_array_foreach(json_object_get(json_object_get(json_object_get(token,
                                       "scope"), "grants"), "allow"), i, item)
    {
        memset(flat, 0, sizeof(flat));

        if (amp_grant_expand(amp_json_text(item), flat) == 0) {
            return "\"scope.grants.allow\" names what is no class, tag or "
                   "operationId that the gateway serves";
        }
    }

    config_token(token, "", &record, &text);
    why = NULL;

    if (text != NULL
        && amp_token_scope_decode(record.scope, record.id, flat, sizeof(flat),
                                  &why)
           != 0)
    {
        why = NULL;
    }

    free(text);

    return why;
}


static int
import_check_token(import_t *im, const import_tenant_t *tenant, size_t i,
    const json_t *token, schema_fault_t *fault)
{
    char         place[24];
    json_t      *old;
    amp_span_t   of;
    const char  *id, *name, *why, *scope;

    id = record_text(token, "id");
    name = record_text(tenant->doc, "id");
    of = amp_token_id_tenant(ctl_span(id));
    why = NULL;

    if (!amp_span_eq(of, ctl_span(name))) {
        why = "an id that begins with the id of its tenant and a dot";

    } else if (import_find(json_object_get(tenant->doc, "tokens"), id) != token)
    {
        why = "an id that no other token of the tenant has";

    } else if (!import_identity(token)) {
        why = "the digest of its identity, and that as ampctl writes it";

    } else {
        old = import_find(tenant->tokens, id);

        if (!json_equal(json_object_get(old, "digest"),
                        json_object_get(token, "digest")))
        {
            why = import_digest(im, token, name);
        }
    }

    scope = why == NULL ? import_scope(token) : NULL;

    if (scope != NULL) {
        why = scope;
    }

    if (why == NULL) {
        return 0;
    }

    if (*why != '\0') {
        schema_at(fault, "tokens");
        snprintf(place, sizeof(place), "%lu", (unsigned long) i);
        schema_at(fault, place);

        if (scope != NULL) {
            schema_at(fault, "scope");
        }

        snprintf(fault->expected, sizeof(fault->expected), "%s%s", scope
                 ? "a scope that the gateway can read: " : "", why);

        (void) import_fault(im, tenant, fault);
    }

    return -1;
}


int
import_check(import_t *im, import_tenant_t *tenant)
{
    size_t           i, size;
    json_t          *record, *token;
    const char      *why;
    schema_fault_t   fault;

    union {
        uint64_t       aligned;
        unsigned char  bytes[AMP_TENANT_FLAT_MAX];
    } flat;

    fault.pointer[0] = '\0';
    tenant_ids_add(&im->ids, record_text(tenant->doc, "id"),
                   strlen(record_text(tenant->doc, "id")));

    record = import_merged(im, tenant);
    if (record == NULL) {
        return -1;
    }

    json_object_set_new(im->projects,
                        record_text(json_object_get(record, "project"), "id"),
                        json_true());

    size = amp_tenant_decode_object(record, &flat, sizeof(flat), &why);

    if (size != 0 && json_dumpb(record, NULL, 0, JSON_COMPACT)
                     + 32 > AMP_TENANT_JSON_MAX)
    {
        size = 0;
        why = "the record is too large";
    }

    json_decref(record);

    if (size == 0) {
        snprintf(fault.expected, sizeof(fault.expected), "a tenant that the "
                 "gateway can read (%s)", why);
        return import_fault(im, tenant, &fault);
    }

    json_array_foreach(json_object_get(tenant->doc, "tokens"), i, token) {
        if (import_check_token(im, tenant, i, token, &fault) != 0) {
            return -1;
        }

        tenant_ids_add(&im->digests, record_text(token, "digest"),
                       AMP_TOKEN_DIGEST_HEX);
    }

    return 0;
}


static int
import_twice_order(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}


/* No text may be in the list twice.  Sorts it.  0, or -1 with the error. */

static int
import_once(import_t *im, tenant_ids_t *list, const char *what)
{
    char    *p, **all;
    size_t   i;

    all = calloc(list->n + 1, sizeof(*all));
    if (all == NULL) {
        abort();
    }

    for (i = 0, p = list->text; i < list->n; i++) {
        all[i] = p;
        p += strlen(p) + 1;
    }

    qsort(all, list->n, sizeof(*all), import_twice_order);

    for (i = 1; i < list->n; i++) {
        if (strcmp(all[i - 1], all[i]) == 0) {
            ctl_error(&im->ctl->error, CTL_REFUSED, "bad_file", "%s: expected "
                      "each %s once, and %s is there twice", im->file.name,
                      what, all[i]);
            free(all);
            return ctl_remedy(&im->ctl->error, "nothing was changed; remove "
                              "one of them from the file");
        }
    }

    free(all);
    tenant_ids_sort(list);

    return 0;
}


static int
import_case_order(const void *a, const void *b)
{
    return strcasecmp(*(char *const *) a, *(char *const *) b);
}


/*
 * No two ids of the document, or one of it and one that stays in Redis, may
 * differ only in case.  0, or -1 with the error filled.
 */

static int
import_case(import_t *im, const tenant_ids_t *there)
{
    int      rc;
    char   **all;
    size_t   i, n;

    all = calloc(im->ids.n + there->n + 1, sizeof(*all));
    if (all == NULL) {
        abort();
    }

    for (n = 0; n < im->ids.n; n++) {
        all[n] = im->ids.ids[n];
    }

    for (i = 0; i < there->n && !im->prune; i++) {
        all[n++] = there->ids[i];
    }

    qsort(all, n, sizeof(*all), import_case_order);

    for (rc = 0, i = 1; rc == 0 && i < n; i++) {

        /* two that have been in Redis before may stay */

        if (strcasecmp(all[i - 1], all[i]) == 0
            && strcmp(all[i - 1], all[i]) != 0
            && !(tenant_ids_has(there, all[i - 1])
                 && tenant_ids_has(there, all[i])))
        {
            ctl_error(&im->ctl->error, CTL_REFUSED, "bad_file", "%s: the "
                      "tenants \"%s\" and \"%s\" differ only in case",
                      im->file.name, all[i - 1], all[i]);
            rc = ctl_remedy(&im->ctl->error, "nothing was changed; give one "
                            "of them another id");
        }
    }

    free(all);

    return rc;
}


/* The limits of projects.  0, or -1 with the error filled. */

static int
import_check_projects(import_t *im)
{
    char             place[24];
    size_t           i;
    json_t          *project;
    amp_rate_t       rate;
    schema_fault_t   fault;

    json_array_foreach(im->file.projects, i, project) {
        if (amp_project_limit(json_object_get(project, "limit"), &rate) == 0
            && rate.burst <= amp_lease_burst_max(&rate))
        {
            continue;
        }

        fault.pointer[0] = '\0';
        snprintf(place, sizeof(place), "%lu", (unsigned long) i);
        schema_at(&fault, place);
        schema_at(&fault, "limit");
        snprintf(fault.expected, sizeof(fault.expected), "a rate of at most "
                 "%d/s, and a burst that refills in %d days", AMP_RATE_MAX,
                 (int) (AMP_LEASE_SPAN / AMP_LEASE_SECOND / 86400));

        return config_projects_fault(&im->file, &fault, &im->ctl->error);
    }

    return 0;
}


int
import_check_once(import_t *im)
{
    int            rc;
    tenant_ids_t   there;

    if (import_check_projects(im) != 0) {
        return -1;
    }

    if (import_once(im, &im->ids, "tenant") != 0
        || import_once(im, &im->digests, "digest") != 0
        || tenant_ids(im->ctl->store, &im->ctl->error, &there) != 0)
    {
        return -1;
    }

    rc = import_case(im, &there);
    tenant_ids_free(&there);

    return rc;
}
