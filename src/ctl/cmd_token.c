/*
 * ampctl token: the credentials that tenants send to the gateway.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_json.h"
#include "ampctl.h"
#include "record.h"
#include "secret.h"
#include "token_listing.h"
#include "token_plan.h"
#include "token_scope.h"
#include "token_store.h"
#include "token_use.h"


#define TOKEN_LIFETIME_MAX     ((int64_t) 100 * 366 * 86400)
#define TOKEN_OVERLAP_DEFAULT  86400000     /* ms                             */


enum {
    TOKEN_LABEL = CTL_OPTION,
    TOKEN_EXPIRES,
    TOKEN_OVERLAP
};


static const ctl_option_t  token_issue_options[] = {

    { TOKEN_LABEL, "label", "L", "a note for ampctl token list, e.g. ci", 0 },

    { TOKEN_EXPIRES, "expires", "TIME",
      "lifetime, e.g. 30m, 12h, 90d, 52w; default: does not expire", 0 },

    TOKEN_SCOPE_OPTIONS,
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  token_rotate_options[] = {

    { TOKEN_OVERLAP, "overlap", "TIME",
      "how long the old token stays valid, e.g. 30m; default: 1d", 0 },

    { TOKEN_EXPIRES, "expires", "TIME",
      "lifetime of the new token; default: that of the old one", 0 },

    { TOKEN_LABEL, "label", "L", "another label", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static const ctl_option_t  token_revoke_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


static int
token_issue_values(ctl_t *ctl, amp_span_t *label, int64_t *lifetime)
{
    int64_t      ms;
    const char  *text;

    *label = amp_span_null;
    *lifetime = 0;

    text = ctl_value(ctl, TOKEN_LABEL);

    if (text != NULL) {
        *label = ctl_span(text);

        if (label->len > AMP_TOKEN_LABEL_MAX || !amp_json_printable(*label)) {
            ctl_error(&ctl->error, CTL_USAGE, "usage",
                      "the text of --label is not a label");
            return ctl_remedy(&ctl->error, "give at most %d bytes of printable "
                              "UTF-8, e.g. --label ci", AMP_TOKEN_LABEL_MAX);
        }
    }

    text = ctl_value(ctl, TOKEN_EXPIRES);

    if (text != NULL) {
        ms = ctl_duration(text);

        /* a bare number would be seconds, and is meant as days */

        if (*text != '\0' && strspn(text, "0123456789") == strlen(text)) {
            ms = -1;
        }

        if (ms < 1000 || ms / 1000 > TOKEN_LIFETIME_MAX) {
            ctl_error(&ctl->error, CTL_USAGE, "usage",
                      "\"%s\" is not a lifetime", text);
            return ctl_remedy(&ctl->error, "give 1s to 100 years as s, m, h, d "
                              "or w, e.g. --expires 90d");
        }

        *lifetime = ms / 1000;
    }

    return 0;
}


/* As token_issue(); with --dry-run nothing is made. */

static int
token_make(ctl_t *ctl, amp_span_t tenant, amp_span_t label, int64_t lifetime,
    amp_span_t scope, token_issued_t *issued)
{
    if (ctl_dry_run(ctl)) {
        return token_plan_issue(ctl, tenant, lifetime, issued);
    }

    return token_issue(ctl->store, &ctl->error, tenant, label, lifetime, scope,
                       issued);
}


static amp_token_record_t
token_record(amp_span_t tenant, amp_span_t id, amp_span_t label,
    int64_t created, int64_t expires, amp_span_t scope)
{
    amp_token_record_t  record;

    record.tenant = tenant;
    record.id = id;
    record.label = label;
    record.created = created;
    record.expires = expires;
    record.scope = scope;
    record.identity = amp_span_null;

    return record;
}


/* 1, or as token_issue(); the tenant has to have what the options allow. */

static int
token_issue_within(ctl_t *ctl, amp_span_t id, amp_span_t label,
    int64_t lifetime, const char *scope, token_issued_t *issued)
{
    int      rc;
    json_t  *record;

    if (scope != NULL) {
        rc = tenant_load(ctl->store, &ctl->error, id, &record);
        if (rc != 1) {
            return rc;
        }

        rc = token_scope_within(ctl, record);
        json_decref(record);

        if (rc != 0) {
            return -1;
        }
    }

    return token_make(ctl, id, label, lifetime, ctl_span(scope ? scope : ""),
                      issued);
}


static int
token_issue_command(ctl_t *ctl)
{
    int                 rc;
    char               *scope, time[CTL_TIME_MAX];
    int64_t             lifetime;
    amp_span_t          id, label;
    token_issued_t      issued;
    amp_token_record_t  record;

    if (ctl_tenant_id(ctl, &id) != 0
        || token_issue_values(ctl, &label, &lifetime) != 0
        || token_scope_read(ctl, &scope) != 0)
    {
        return -1;
    }

    rc = ctl_store(ctl) == NULL ? -1
         : token_issue_within(ctl, id, label, lifetime, scope, &issued);

    if (rc != 1) {
        free(scope);
        return rc == 0 ? ctl_no_tenant(ctl, id) : -1;
    }

    if (ctl_dry_run(ctl)) {
        record = token_record(id, amp_span_null, label, issued.created,
                              issued.expires, ctl_span(scope ? scope : ""));
        rc = token_plan_print(ctl, &record, NULL, 0);

    } else if (ctl->json) {
        rc = output_json(json_pack("{s:s, s:s, s:s, s:s%, s:I, s:o, s:o}",
                         "tenant", ctl->args[0], "id", issued.id,
                         "token", issued.token,
                         "label", label.data ? (char *) label.data : "",
                         label.len, "created", (json_int_t) issued.created,
                         "expires", issued.expires
                         ? json_integer((json_int_t) issued.expires)
                         : json_null(), "scope",
                         token_scope_json(ctl_span(scope ? scope : ""))));

    } else {
        printf("token %s of tenant %s, expires: %s, is shown this once:\n\n"
               "%s\n",
               issued.id, ctl->args[0], issued.expires
               ? output_time(issued.expires, time) : "never", issued.token);
        rc = CTL_DONE;
    }

    secret_clean(&issued, sizeof(issued));
    free(scope);

    return rc;
}


/* The first argument as the id of a token.  0, or -1 with ctl->error filled. */

static int
token_id(ctl_t *ctl, amp_span_t *id, amp_span_t *tenant)
{
    *id = ctl_span(ctl->args[0]);
    *tenant = amp_token_id_tenant(*id);

    if (id->len >= 4 && memcmp(id->data, "agw_", 4) == 0) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "the argument is a token, not the id of a token");
        return ctl_remedy(&ctl->error, "give the id that ampctl token list ID "
                          "shows; the token is in your shell's history now: "
                          "remove it there");
    }

    if (tenant->len == 0 || id->len > AMP_TOKEN_ID_MAX) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a token id",
                  ctl->args[0]);
        return ctl_remedy(&ctl->error, "give an id as ampctl token list ID "
                          "shows it, e.g. acme.x3Kf0a9QzT");
    }

    return 0;
}


static int
token_none(ctl_t *ctl, amp_span_t tenant)
{
    ctl_error(&ctl->error, CTL_REFUSED, "not_found", "there is no token \"%s\"",
              ctl->args[0]);

    return ctl_remedy(&ctl->error, "list the tenant's tokens: ampctl token "
                      "list %.*s", (int) tenant.len, tenant.data);
}


static int
token_last_use(ctl_t *ctl, amp_span_t tenant, const token_state_t *token,
    token_use_t *use)
{
    int64_t         now, day;
    token_uses_t    uses;
    token_entry_t   entry;

    memset(&entry, 0, sizeof(entry));
    memcpy(entry.digest, token->digest, sizeof(entry.digest));

    if (store_time(ctl->store, &ctl->error, tenant, &now) != 0
        || token_uses(ctl->store, &ctl->error, now / 1000000, &uses) != 0
        || token_use_days(ctl->store, &ctl->error, &entry, 1, &day) != 0)
    {
        return -1;
    }

    *use = token_use(&uses, token->created, day);

    return 0;
}


static int
token_show_command(ctl_t *ctl)
{
    int            rc;
    char           created[CTL_TIME_MAX], expires[CTL_TIME_MAX];
    char           last[TOKEN_USE_TEXT];
    json_t        *doc, *scope;
    amp_span_t     id, tenant;
    token_use_t    use;
    token_state_t  token;

    if (token_id(ctl, &id, &tenant) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = token_state(ctl->store, &ctl->error, id, &token);
    if (rc != 1) {
        return rc == 0 ? token_none(ctl, tenant) : -1;
    }

    if (token_last_use(ctl, tenant, &token, &use) != 0) {
        return -1;
    }

    scope = token_scope_json(amp_span_make(token.scope, token.scope_len));

    doc = json_pack("{s:s, s:s%, s:s, s:s?, s:I, s:o, s:o}", "id", ctl->args[0],
                    "tenant", tenant.data, tenant.len, "label", token.label,
                    "identity", token.identity[0] ? token.identity : NULL,
                    "created", (json_int_t) token.created, "expires",
                    token.expires ? json_integer((json_int_t) token.expires)
                    : json_null(), "scope", scope);
    token_use_members(&use, doc);

    if (ctl->json) {
        return output_json(doc);
    }

    output("%s  %s\ntenant    %.*s\nlabel     %s\ncreated   %s\n"
           "expires   %s\nlast use  %s\nmay       %s\n",
           token.identity[0] ? "identity" : "token   ",
           token.identity[0] ? token.identity : ctl->args[0],
           (int) tenant.len, tenant.data, token.label[0] ? token.label : "-",
           output_time(token.created, created), token.expires
           ? output_time(token.expires, expires) : "never",
           token_use_text(doc, last),
           json_is_null(scope) ? "all that its tenant may"
                               : "what its tenant may, and of that only:");
    token_scope_print(scope);
    json_decref(doc);

    return CTL_DONE;
}


static int
token_revoke_command(ctl_t *ctl)
{
    int                 rc;
    amp_span_t          id, tenant;
    token_entry_t       entry;
    amp_token_record_t  record;

    if (token_id(ctl, &id, &tenant) != 0 || ctl_store(ctl) == NULL) {
        return -1;
    }

    if (ctl_dry_run(ctl)) {
        rc = token_find(ctl->store, &ctl->error, id, &entry);
        rc = rc == 0 ? entry.digest[0] != '\0' : -1;

    } else {
        rc = token_revoke(ctl->store, &ctl->error, id);
    }

    if (rc != 1) {
        return rc == 0 ? token_none(ctl, tenant) : -1;
    }

    if (ctl_dry_run(ctl)) {
        record = token_record(tenant, id, amp_span_null, 0, 0, amp_span_null);
        return token_plan_print(ctl, NULL, &record, 0);
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s%, s:s, s:b}", "tenant", tenant.data,
                                     tenant.len, "id", ctl->args[0],
                                     "revoked", 1));
    }

    output("token %s is revoked\n", ctl->args[0]);

    return CTL_DONE;
}


/* Milliseconds, or -1 with ctl->error filled. */

static int64_t
token_overlap(ctl_t *ctl)
{
    int64_t      ms;
    const char  *text;

    text = ctl_value(ctl, TOKEN_OVERLAP);

    if (text == NULL) {
        return TOKEN_OVERLAP_DEFAULT;
    }

    ms = ctl_duration(text);

    if (ms < 0 || ms / 1000 > TOKEN_LIFETIME_MAX
        || (ms != 0 && strspn(text, "0123456789") == strlen(text)))
    {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is not a time",
                  text);
        return ctl_remedy(&ctl->error, "give s, m, h, d or w, e.g. --overlap "
                          "2h; 0 revokes the old token at once");
    }

    return ms;
}


static void
token_rotate_print(ctl_t *ctl, const token_issued_t *issued, int64_t ends)
{
    char  time[CTL_TIME_MAX];

    if (ctl->json) {
        (void) output_json(json_pack("{s:s, s:s, s:o, s:s, s:I}", "id",
                           issued->id, "token", issued->token, "expires",
                           issued->expires
                           ? json_integer((json_int_t) issued->expires)
                           : json_null(), "old", ctl->args[0], "old_expires",
                           (json_int_t) ends));

    } else {
        printf("token %s takes the place of %s, which is valid until %s; it is "
               "shown this once:\n\n%s\n", issued->id, ctl->args[0],
               output_time(ends, time), issued->token);
    }
}


/*
 * The new token is printed before the old one gets its end: when ampctl is
 * killed in between, a token that nobody has seen replaces none.
 */

static int
token_rotate_command(ctl_t *ctl)
{
    int                  rc;
    int64_t              overlap, lifetime, ends;
    amp_span_t           id, tenant, label, scope;
    token_state_t        old;
    token_issued_t       issued;
    amp_token_record_t   record, made;

    overlap = token_overlap(ctl);

    if (overlap < 0 || token_id(ctl, &id, &tenant) != 0
        || token_issue_values(ctl, &label, &lifetime) != 0
        || ctl_store(ctl) == NULL)
    {
        return -1;
    }

    rc = token_state(ctl->store, &ctl->error, id, &old);
    if (rc != 1) {
        return rc == 0 ? token_none(ctl, tenant) : -1;
    }

    if (old.identity[0] != '\0') {
        ctl_error(&ctl->error, CTL_REFUSED, "refused", "\"%s\" is an identity, "
                  "and no token", ctl->args[0]);
        return ctl_remedy(&ctl->error, "add the new identity (ampctl identity "
                          "add %.*s NAME), and later remove the old one",
                          (int) tenant.len, tenant.data);
    }

    if (ctl_value(ctl, TOKEN_EXPIRES) == NULL && old.expires != 0) {
        lifetime = old.expires - old.created;
    }

    label = label.len ? label : ctl_span(old.label);

    scope = amp_span_make(old.scope, old.scope_len);

    rc = token_make(ctl, tenant, label, lifetime, scope, &issued);
    if (rc != 1) {
        return rc == 0 ? ctl_no_tenant(ctl, tenant) : -1;
    }

    ends = issued.created + overlap / 1000;
    ends = old.expires != 0 && old.expires < ends ? old.expires : ends;

    record = token_record(tenant, id, ctl_span(old.label), old.created, ends,
                          scope);

    if (ctl_dry_run(ctl)) {
        record.expires = old.expires;
        made = token_record(tenant, amp_span_null, label, issued.created,
                            issued.expires, scope);
        return token_plan_print(ctl, &made, &record, overlap == 0 ? 0 : ends);
    }

    token_rotate_print(ctl, &issued, ends);
    secret_clean(&issued, sizeof(issued));

    if (fflush(stdout) != 0) {
        return CTL_REFUSED;
    }

    rc = overlap == 0 ? token_revoke(ctl->store, &ctl->error, id)
                      : token_restore(ctl->store, &ctl->error, old.digest,
                                      &record);

    return rc == -1 ? output_error(&ctl->error, 0) : CTL_DONE;
}


const ctl_command_t  ctl_token_commands[] = {

    { "token", "issue", "ID", "issue a token to a tenant",
      "The token is printed once; Redis holds only its SHA-256. It may do\n"
      "what its tenant may, or less where options say so. For example:\n"
      "  ampctl token issue acme --label ci --expires 90d\n"
      "  ampctl token issue acme --allow read --deny listTopics --rate 5/s\n"
      "  ampctl token issue acme --allow read --origin https://app.example.com",
      token_issue_options, token_issue_command },

    { "token", "list", "[ID]", "list a tenant's tokens, without their secrets",
      "The last use is the day, in UTC, of the last request that was served.\n"
      "For example:\n"
      "  ampctl token list acme\n"
      "  ampctl token list --unused 90d",
      token_listing_options, token_listing_command },

    { "token", "show", "TOKEN_ID", "show a token, and what it may do",
      "It may do what its tenant may; lines from allow on say what less. For\n"
      "example:\n"
      "  ampctl token show acme.x3Kf0a9QzT",
      NULL, token_show_command },

    { "token", "rotate", "TOKEN_ID", "issue a token in place of another one",
      "The new token has the label and the lifetime of the old one, and may\n"
      "do the same. The old one stays valid through the overlap. For example:\n"
      "  ampctl token rotate acme.x3Kf0a9QzT --overlap 2h",
      token_rotate_options, token_rotate_command },

    { "token", "revoke", "TOKEN_ID", "revoke a token, at once on all gateways",
      "For example:\n"
      "  ampctl token revoke acme.x3Kf0a9QzT",
      token_revoke_options, token_revoke_command },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
