/*
 * ampctl explain: what the gateway would make of a request.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_escape.h"
#include "../core/amp_keys.h"
#include "ampctl.h"
#include "explain_decide.h"
#include "frozen.h"
#include "identity.h"
#include "record.h"
#include "secret.h"
#include "token_record.h"


enum {
    EXPLAIN_TENANT = CTL_OPTION,
    EXPLAIN_TOKEN,
    EXPLAIN_IDENTITY,
    EXPLAIN_HEADER,
    EXPLAIN_BODY
};


static const ctl_option_t  explain_options[] = {

    { EXPLAIN_TENANT, "tenant", "ID", "whose request it is", 0 },

    { EXPLAIN_TOKEN, "token", "FILE",
      "file with the token of the request, or - for standard input", 0 },

    { EXPLAIN_IDENTITY, "identity", "NAME",
      "its identity, see ampctl identity", 0 },

    { EXPLAIN_HEADER, "header", "H",
      "a header of the request, \"Name: value\"", 1 },

    { EXPLAIN_BODY, "body", "FILE",
      "file with its body, or - for standard input", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


/* Who sends the request. */

typedef struct {
    char          tenant[AMP_TENANT_ID_MAX + 1];
    char          token[AMP_TOKEN_ID_MAX + 1];  /* id; empty: none            */
    int64_t       expired;          /* when the token has expired, or 0       */
    amp_reason_e  reason;
    uint64_t      scope[AMP_TOKEN_SCOPE_MAX / sizeof(uint64_t)];
    unsigned      scoped:1;         /* the token has a scope                  */
} explain_client_t;


/* The record of a token that Redis has.  0, or -1 with the error filled. */

static int
explain_token_record(ctl_t *ctl, const redisReply *reply,
    explain_client_t *client)
{
    int64_t              now;
    const char          *why;
    unsigned char        buf[AMP_TOKEN_RECORD_MAX];
    amp_token_record_t   token;

    if (amp_token_record_decode(amp_span_make(reply->str, reply->len), buf,
                                sizeof(buf), &token, &why)
            != 0
        || (token.scope.len != 0
            && amp_token_scope_decode(token.scope, token.id, client->scope,
                                      sizeof(client->scope), &why)
               == 0))
    {
        client->reason = AMP_BAD_RECORD;
        return 0;
    }

    memcpy(client->tenant, token.tenant.data, token.tenant.len);
    memcpy(client->token, token.id.data, token.id.len);
    client->scoped = (token.scope.len != 0);

    if (token.expires == 0) {
        return 0;
    }

    if (store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
        != 0)
    {
        return -1;
    }

    if (token.expires <= now / 1000000) {
        client->expired = token.expires;
        client->reason = AMP_UNKNOWN_TOKEN;
    }

    return 0;
}


/* 0 with the client filled, or -1 with the error filled. */

static int
explain_digest(ctl_t *ctl, const char *hex, explain_client_t *client)
{
    int             rc;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_token(store_prefix(ctl->store),
                   amp_span_make(hex, AMP_TOKEN_DIGEST_HEX), &key);

    reply = store_command(ctl->store, &ctl->error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    rc = 0;

    if (reply->type == REDIS_REPLY_STRING) {
        rc = explain_token_record(ctl, reply, client);
    } else {
        client->reason = AMP_UNKNOWN_TOKEN;
    }

    freeReplyObject(reply);

    return rc;
}


static int
explain_token(ctl_t *ctl, const secret_t *secret, explain_client_t *client)
{
    unsigned char  digest[AMP_TOKEN_DIGEST], hex[AMP_TOKEN_DIGEST_HEX];

    if (!amp_token_valid(secret_span(secret))
        || amp_token_digest(secret_span(secret), digest) != 0)
    {
        client->reason = AMP_BAD_TOKEN;
        return 0;
    }

    amp_hex(digest, sizeof(digest), hex);

    return explain_digest(ctl, (const char *) hex, client);
}


static int
explain_identity(ctl_t *ctl, const char *text, explain_client_t *client)
{
    identity_t  identity;

    if (identity_read(ctl, text, &identity) != 0 || ctl_store(ctl) == NULL
        || explain_digest(ctl, identity.entry.digest, client) != 0)
    {
        return -1;
    }

    if (client->reason == AMP_UNKNOWN_TOKEN) {
        client->reason = AMP_NO_IDENTITY;
    }

    return 0;
}


/* Who sends it: a tenant, or that of a token or an identity.  0, or -1. */

static int
explain_client(ctl_t *ctl, explain_client_t *client)
{
    int          rc;
    secret_t     secret;
    const char  *tenant, *file, *identity;

    memset(client, 0, sizeof(*client));
    client->reason = AMP_OK;

    tenant = ctl_value(ctl, EXPLAIN_TENANT);
    file = ctl_value(ctl, EXPLAIN_TOKEN);

    identity = ctl_value(ctl, EXPLAIN_IDENTITY);

    if ((tenant != NULL) + (file != NULL) + (identity != NULL) != 1) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  tenant == NULL && file == NULL && identity == NULL
                  ? "nobody's request: neither --tenant nor --token is given"
                  : identity == NULL ? "both --tenant and --token are given"
                  : "--identity is given beside --tenant or --token");
        return ctl_remedy(&ctl->error, "say whose request it is, with --tenant "
                          "ID, with --token FILE (- for standard input) or "
                          "with --identity NAME");
    }

    if (identity != NULL) {
        return explain_identity(ctl, identity, client);
    }

    if (tenant != NULL) {
        if (!amp_tenant_id_valid(ctl_span(tenant))) {
            return ctl_bad_tenant(ctl, tenant);
        }

        snprintf(client->tenant, sizeof(client->tenant), "%s", tenant);
        return 0;
    }

    if (secret_token(&secret, file, &ctl->error) != 0) {
        return -1;
    }

    rc = ctl_store(ctl) == NULL ? -1 : explain_token(ctl, &secret, client);
    secret_wipe(&secret);

    return rc;
}


/* The words of the command line.  0, or -1 with the error filled. */

static int
explain_words(ctl_t *ctl, explain_request_t *ex)
{
    unsigned     i;
    const char  *text;

    if (explain_url(ex, ctl->args[0], ctl->args[1], &ctl->error) != 0) {
        return -1;
    }

    for (i = 0; (text = ctl_value_next(ctl, EXPLAIN_HEADER, &i)) != NULL; ) {
        if (explain_header(ex, text, &ctl->error) != 0) {
            return -1;
        }
    }

    text = ctl_value(ctl, EXPLAIN_BODY);

    return text == NULL ? 0 : explain_body(ex, text, &ctl->error);
}


/* The document, or NULL with the error filled. */

static json_t *
explain_document(ctl_t *ctl, explain_request_t *ex, explain_client_t *client)
{
    int         rc;
    char        time[CTL_TIME_MAX];
    json_t     *doc, *record;
    uint64_t    rev;
    amp_span_t  id;

    if (client->reason != AMP_OK) {
        doc = explain_refused(client->reason);

        if (client->expired != 0) {
            explain_note(doc, "token %s of tenant %s has expired at %s",
                         client->token, client->tenant,
                         output_time(client->expired, time));
        }

        return doc;
    }

    id = ctl_span(client->tenant);

    if (ctl_store(ctl) == NULL
        || frozen_load(ctl->store, &ctl->error, &ex->request.frozen, &rev) != 0)
    {
        return NULL;
    }

    rc = tenant_load(ctl->store, &ctl->error, id, &record);

    if (rc != 1) {
        if (rc == 0) {
            (void) ctl_no_tenant(ctl, id);
        }

        return NULL;
    }

    doc = explain_decide(ctl, ex, record, &client->reason);
    json_decref(record);

    return doc;
}


static void
explain_print_operation(const json_t *doc)
{
    json_t      *op, *grant;
    const char  *item;

    op = json_object_get(doc, "operation");
    grant = json_object_get(doc, "grant");

    if (json_is_null(op)) {
        return;
    }

    output("operation  %s (API %s, class %s, tag %s)\n",
           record_text(op, "operationId"), record_text(op, "api"),
           record_text(op, "class"), record_text(op, "tag"));

    item = record_text(grant, "allow");

    if (*item != '\0') {
        output("grants     allowed by \"%s\"\n", item);
    } else if (*(item = record_text(grant, "deny")) != '\0') {
        output("grants     denied by \"%s\"\n", item);
    } else {
        output("grants     no item allows it\n");
    }
}


static void
explain_print_limits(const json_t *doc)
{
    size_t       i;
    json_t      *limit;
    const char  *name;

    json_array_foreach(json_object_get(doc, "limits"), i, limit) {
        name = record_text(limit, "name");

        if (json_object_get(limit, "requests") != NULL) {
            output("limit      %s: %lld at once\n", name,
                   (long long) json_integer_value(json_object_get(limit,
                                                                "requests")));

        } else {
            output("limit      %s: %s, burst %lld\n", name,
                   record_text(limit, "rate"),
                   (long long) json_integer_value(json_object_get(limit,
                                                                  "burst")));
        }
    }
}


static void
explain_print_upstream(const json_t *doc)
{
    size_t       i;
    json_t      *upstream, *header;
    const char  *name, *value;

    upstream = json_object_get(doc, "upstream");

    if (json_is_null(upstream)) {
        return;
    }

    output("sends      %s %s\n", record_text(upstream, "method"),
           record_text(upstream, "url"));

    json_array_foreach(json_object_get(upstream, "headers"), i, header) {
        name = record_text(header, "name");
        value = json_string_value(json_object_get(header, "value"));

        if (value != NULL) {
            output("           %s: %s\n", name, value);
        } else if (strcmp(name, "X-Api-Key") == 0) {
            output("           %s: (the tenant's key %s)\n", name,
                   record_text(upstream, "key"));
        } else {
            output("           %s: (the request's)\n", name);
        }
    }
}


static void
explain_print(const json_t *doc)
{
    char         words[128];
    size_t       i;
    json_t      *problem, *cache, *note;
    const char  *tenant, *command;

    problem = json_object_get(doc, "problem");
    cache = json_object_get(doc, "cache");
    tenant = record_text(doc, "tenant");

    output("%s %s%s%s: ", record_text(doc, "method"), record_text(doc, "url"),
           *tenant ? " by tenant " : "", tenant);

    if (json_is_null(problem)) {
        output_word("passes", OUTPUT_GREEN);
        output("\n\n");
    } else {
        output_word("refused", OUTPUT_RED);
        output(", %lld %s\n\n", (long long) json_integer_value(
                                       json_object_get(problem, "status")),
               record_text(doc, "decision"));
    }

    explain_print_operation(doc);

    if (!json_is_null(problem)) {
        output("reason     %s\nremedy     %s\n", record_text(problem, "detail"),
               record_text(problem, "remedy"));
    }

    if (json_is_array(json_object_get(doc, "allow"))) {
        output("methods    %s\n", output_words(json_object_get(doc, "allow"),
                                               words, sizeof(words)));
    }

    command = record_text(doc, "command");

    if (*command != '\0') {
        output("to allow   %s\n", command);
    }

    explain_print_limits(doc);
    explain_print_upstream(doc);

    if (json_is_object(cache)) {
        output("stored     %lld s, under the key %s\n",
               (long long) json_integer_value(json_object_get(cache, "ttl")),
               record_text(cache, "key"));

    } else if (json_is_null(problem)) {
        output("stored     no\n");
    }

    json_array_foreach(json_object_get(doc, "notes"), i, note) {
        output("note       %s\n", json_string_value(note));
    }
}


static int
explain_run(ctl_t *ctl)
{
    json_t             *doc, *answer;
    explain_client_t    client;
    explain_request_t  *ex;

    ex = calloc(1, sizeof(*ex));
    if (ex == NULL) {
        abort();
    }

    doc = NULL;

    if (explain_words(ctl, ex) == 0 && explain_client(ctl, &client) == 0) {
        ex->request.scope = client.scoped ? (amp_token_scope_t *) client.scope
                                          : NULL;
        doc = explain_document(ctl, ex, &client);
    }

    explain_free(ex);
    free(ex);

    if (doc == NULL) {
        return -1;
    }

    answer = json_pack("{s:s, s:s, s:s?, s:s?}", "method", ctl->args[0],
                       "url", ctl->args[1],
                       "tenant", client.tenant[0] ? client.tenant : NULL,
                       "token", client.token[0] ? client.token : NULL);

    /* an argument may hold any bytes */

    if (answer == NULL) {
        answer = json_object();
    }

    json_object_update(answer, doc);
    json_decref(doc);

    if (ctl->json) {
        (void) output_json(answer);
    } else {
        explain_print(answer);
        json_decref(answer);
    }

    return client.reason == AMP_OK ? CTL_DONE : CTL_REFUSED;
}


const ctl_command_t  ctl_explain_commands[] = {

    { "explain", NULL, "METHOD URL", "say what the gateway makes of a request",
      "Nothing is sent: the code that decides in the gateway decides here, on\n"
      "the records that are in Redis. Shows the operation, grants and limits,\n"
      "and what would be sent and stored; or why the request is refused, and\n"
      "the command that would let it pass. Exit code 1: it is refused. What\n"
      "only a gateway knows is not decided: whether a limit is used up, and\n"
      "what its configuration says. For example:\n"
      "  ampctl explain GET /v1/integrations --tenant acme\n"
      "  ampctl explain POST /v1/oauth-connect --tenant acme \\\n"
      "      --body body.json",
      explain_options, explain_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
