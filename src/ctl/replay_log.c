/*
 * The access log, as counts.
 */

#define _GNU_SOURCE                 /* getline() under -std=gnu99 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_operations.h"
#include "../core/amp_problem.h"
#include "record.h"
#include "replay_log.h"


static int
replay_is(const char *decision, amp_reason_e reason)
{
    return strcmp(decision, amp_problem(reason)->name) == 0;
}


/*
 * Reasons that depend on what the tenant may do; with any other of status 400
 * or more that the gateway decided, the request fails in any case.
 */

static int
replay_depends(const char *decision)
{
    size_t  i;

    static const amp_reason_e  policy[] = {
        AMP_TENANT_DISABLED, AMP_NOT_GRANTED, AMP_SECRETS_NOT_GRANTED,
        AMP_CHANGE_NOT_GRANTED, AMP_NO_GROUP, AMP_OTHER_GROUP,
        AMP_OTHER_PROJECT, AMP_TOKEN_NOT_GRANTED, AMP_TOKEN_GROUP,
        AMP_TOKEN_ORIGIN, AMP_FROZEN, AMP_NO_KEY, AMP_NOT_SERVED,
        AMP_RATE_LIMITED, AMP_TOKEN_RATE_LIMITED, AMP_TOO_MANY,
        AMP_COOLING_DOWN, AMP_NOT_CACHED, AMP_PRECONDITION, AMP_RANGE,
        AMP_UPSTREAM_FAILED, AMP_UPSTREAM_TIMEOUT, AMP_UPSTREAM_SUSPENDED,
        AMP_UNAVAILABLE, AMP_INTERNAL
    };

    if (strcmp(decision, "pass") == 0
        || strncmp(decision, "observe:", sizeof("observe:") - 1) == 0)
    {
        return 1;
    }

    for (i = 0; i < sizeof(policy) / sizeof(policy[0]); i++) {
        if (replay_is(decision, policy[i])) {
            return 1;
        }
    }

    return 0;
}


/* Reasons that the gateway finds before it looks for an operation. */

static int
replay_early(const char *decision)
{
    return replay_is(decision, AMP_TENANT_DISABLED)
           || replay_is(decision, AMP_TOKEN_ORIGIN);
}


/* What a refusal says of the request. */

static replay_kind_e
replay_kind(const amp_operation_t *op, const char *decision)
{
    if (strncmp(decision, "observe:", sizeof("observe:") - 1) == 0) {
        decision += sizeof("observe:") - 1;
    }

    if (op == NULL) {
        return replay_is(decision, AMP_TOKEN_ORIGIN) ? REPLAY_ORIGIN
                                                     : REPLAY_PLAIN;
    }

    if (replay_is(decision, AMP_CHANGE_NOT_GRANTED)) {
        return REPLAY_CHANGE;
    }

    if (replay_is(decision, AMP_OTHER_GROUP)
        || replay_is(decision, AMP_OTHER_PROJECT)
        || replay_is(decision, AMP_TOKEN_GROUP))
    {
        return REPLAY_OTHER;
    }

    if (replay_is(decision, AMP_TOKEN_NOT_GRANTED)
        && (*op->secret_query != '\0' || *op->state_query != '\0'))
    {
        return REPLAY_TOKEN;
    }

    return op->class != AMP_CLASS_SECRETS
           && replay_is(decision, AMP_SECRETS_NOT_GRANTED)
           ? REPLAY_SECRET : REPLAY_PLAIN;
}


static void
replay_count(json_t *counts, const char *name)
{
    json_t  *n;

    n = json_object_get(counts, name);

    if (n == NULL) {
        json_object_set_new(counts, name, json_integer(1));
    } else {
        json_integer_set(n, json_integer_value(n) + 1);
    }
}


static void
replay_add(replay_log_t *log, const json_t *line, const amp_operation_t *op)
{
    char         use[128];
    json_t      *tenant, *uses;
    const char  *id, *token;

    id = record_text(line, "tenant");
    token = record_text(line, "tokenId");
    tenant = json_object_get(log->tenants, id);

    if (tenant == NULL) {
        tenant = json_object();
        json_object_set_new(log->tenants, id, tenant);
    }

    uses = json_object_get(tenant, token);

    if (uses == NULL) {
        uses = json_object();
        json_object_set_new(tenant, token, uses);
    }

    snprintf(use, sizeof(use), "%d%s",
             (int) replay_kind(op, record_text(line, "decision")),
             op ? op->id : "");
    replay_count(uses, use);
    log->requests++;
}


static void
replay_line(replay_log_t *log, const char *text, size_t len)
{
    json_t                 *line;
    const char             *id;
    const amp_operation_t  *op;

    line = json_loadb(text, len, 0, NULL);
    log->lines++;

    if (!json_is_string(json_object_get(line, "tenant"))
        || !json_is_string(json_object_get(line, "operation"))
        || !json_is_string(json_object_get(line, "decision")))
    {
        log->other++;
        json_decref(line);
        return;
    }

    id = record_text(line, "operation");
    op = amp_operation_find(record_span(id));

    if (*record_text(line, "tenant") == '\0') {
        log->nobody++;
    } else if (op == NULL && !replay_early(record_text(line, "decision"))) {
        log->unmatched++;
    } else if (!replay_depends(record_text(line, "decision"))) {
        log->malformed++;
    } else {
        replay_add(log, line, op);
    }

    json_decref(line);
}


int
replay_log_read(replay_log_t *log, const char *file, ctl_error_t *error)
{
    int       failed;
    char     *line;
    FILE     *f;
    size_t    size;
    ssize_t   n;

    memset(log, 0, sizeof(*log));
    log->tenants = json_object();

    f = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    failed = f == NULL ? errno : 0;
    line = NULL;
    size = 0;

    while (f != NULL && (n = getline(&line, &size, f)) != -1) {
        if (n > 1) {
            replay_line(log, line, (size_t) n);
        }
    }

    if (f != NULL && ferror(f)) {
        failed = errno;
    }

    if (f != NULL && f != stdin) {
        fclose(f);
    }

    free(line);

    if (failed != 0) {
        ctl_error(error, CTL_REFUSED, "file", "the log \"%s\" cannot be read: "
                  "%s", file, strerror(failed));
        return ctl_remedy(error, "name an access log of the gateway, or - for "
                          "standard input");
    }

    if (log->other == log->lines) {
        ctl_error(error, CTL_REFUSED, "bad_log", "no line of \"%s\" is one of "
                  "the log format \"ampersand\"", file);
        return ctl_remedy(error, "include ampersand/log.conf in http{}, and "
                          "write \"access_log FILE ampersand\"");
    }

    return 0;
}


void
replay_log_free(replay_log_t *log)
{
    json_decref(log->tenants);
    log->tenants = NULL;
}


replay_kind_e
replay_use_kind(const char *use)
{
    return (replay_kind_e) (*use - '0');
}


const char *
replay_use_operation(const char *use)
{
    return use + 1;
}
