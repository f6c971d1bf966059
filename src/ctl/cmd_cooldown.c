/*
 * ampctl cooldown: the pauses that Ampersand asked for.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_event.h"
#include "../core/amp_keys.h"
#include "ampctl.h"
#include "audit.h"
#include "scan.h"


/* A key of Redis, taken apart. */

typedef struct {
    char      key[AMP_KEYS_MAX + 1];
    char      tenant[AMP_TENANT_ID_MAX + 1];
    char      scope[AMP_TOKEN_DIGEST_HEX + 1];  /* or empty                   */
} cooldown_t;


typedef struct {
    size_t       n;
    size_t       prefix;            /* bytes before the tenant's id           */
    cooldown_t  *list;
} cooldowns_t;


/* "<prefix>cooldown:{<tenant>}[:<scope>]" */

static void
cooldown_add(amp_span_t key, const char *type, void *data)
{
    size_t        len;
    cooldown_t    one;
    const char   *id, *end;
    cooldowns_t  *all = data;

    if (key.len <= all->prefix || key.len > AMP_KEYS_MAX) {
        return;
    }

    memset(&one, 0, sizeof(one));
    memcpy(one.key, key.data, key.len);

    id = one.key + all->prefix;
    end = strchr(id, '}');

    if (end == NULL || !amp_tenant_id_valid(amp_span_make(id, end - id))) {
        return;
    }

    memcpy(one.tenant, id, end - id);
    len = strlen(end + 1);

    if (len != 0) {
        if (end[1] != ':' || len != 1 + AMP_TOKEN_DIGEST_HEX
            || strspn(end + 2, "0123456789abcdef") != AMP_TOKEN_DIGEST_HEX)
        {
            return;
        }

        memcpy(one.scope, end + 2, AMP_TOKEN_DIGEST_HEX);
    }

    all->list = realloc(all->list, (all->n + 1) * sizeof(one));
    if (all->list == NULL) {
        abort();
    }

    all->list[all->n++] = one;
}


static int
cooldown_order(const void *a, const void *b)
{
    return strcmp(((const cooldown_t *) a)->key, ((const cooldown_t *) b)->key);
}


/* The cool-downs of a tenant, or for "*" of all.  0, or -1. */

static int
cooldown_scan(ctl_t *ctl, const char *tenant, cooldowns_t *all)
{
    int         rc;
    char        pattern[AMP_KEYS_MAX + 2];
    size_t      i, n;
    amp_buf_t   out;

    memset(all, 0, sizeof(*all));

    amp_buf_init(&out, pattern, AMP_KEYS_MAX);
    amp_keys_cooldown(store_prefix(ctl->store), ctl_span(tenant), amp_span_null,
                      &out);
    amp_buf_text(&out, "*");
    *out.pos = '\0';

    all->prefix = (size_t) (strchr(pattern, '{') + 1 - pattern);

    rc = scan_keys(ctl->store, &ctl->error, pattern, 0, 0, cooldown_add,
                   all);

    if (all->n != 0) {
        qsort(all->list, all->n, sizeof(*all->list), cooldown_order);
    }

    for (i = 0, n = 0; i < all->n; i++) {
        if (n == 0 || strcmp(all->list[n - 1].key, all->list[i].key) != 0) {
            all->list[n++] = all->list[i];
        }
    }

    all->n = n;

    return rc;
}


static int
cooldown_list(ctl_t *ctl)
{
    int              rc;
    char             left[24];
    size_t           i, n;
    redisReply      *reply;
    cooldowns_t      all;
    output_table_t  *table;

    static const char *const  heads[] = { "TENANT", "SECONDS", "INSTALLATION" };

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    rc = cooldown_scan(ctl, "*", &all);

    n = 0;
    table = ctl->json ? NULL : output_table(3, heads);

    for (i = 0; rc == 0 && i < all.n; i++) {
        reply = store_command(ctl->store, &ctl->error, "PTTL %s",
                              all.list[i].key);
        if (reply == NULL) {
            rc = -1;
            break;
        }

        if (reply->integer > 0 && table == NULL) {
            output_item(&n, json_pack("{s:s, s:I, s:s?}", "tenant",
                                      all.list[i].tenant, "ms",
                                      (json_int_t) reply->integer, "scope",
                                      all.list[i].scope[0] ? all.list[i].scope
                                                           : NULL));

        } else if (reply->integer > 0) {
            snprintf(left, sizeof(left), "%lld",
                     (long long) (reply->integer + 999) / 1000);
            output_row(table, all.list[i].tenant, left,
                       all.list[i].scope[0] ? all.list[i].scope : "all");
            n++;
        }

        freeReplyObject(reply);
    }

    free(all.list);

    if (rc != 0) {
        return -1;
    }

    if (table == NULL) {
        output_items_end(n);

    } else if (n == 0) {
        output("there are no cool-downs\n");

    } else {
        output_table_print(table);
    }

    return CTL_DONE;
}


/* Deletes the key, and ends the cool-down on all gateways.  0, or -1. */

static int
cooldown_end(ctl_t *ctl, amp_span_t tenant, const char *key, const char *scope)
{
    unsigned       i, byte;
    amp_buf_t      channel, message;
    redisReply    *reply;
    amp_event_t    event;
    unsigned char  channel_buf[AMP_KEYS_MAX], message_buf[AMP_EVENT_MAX];

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_COOLDOWN;
    event.tenant_len = tenant.len;
    memcpy(event.tenant, tenant.data, tenant.len);

    if (scope[0] != '\0') {
        event.scoped = 1;

        for (i = 0; i < AMP_TOKEN_DIGEST; i++) {
            if (sscanf(scope + 2 * i, "%2x", &byte) == 1) {
                event.digest[i] = (unsigned char) byte;
            }
        }
    }

    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));
    amp_buf_init(&message, message_buf, sizeof(message_buf));
    amp_keys_events(store_prefix(ctl->store), &channel);
    amp_event_write(&event, &message);

    reply = store_command(ctl->store, &ctl->error, "DEL %s", key);

    if (reply != NULL) {
        freeReplyObject(reply);
        reply = store_command(ctl->store, &ctl->error, "PUBLISH %b %b",
                              channel_buf, amp_buf_written(&channel).len,
                              message_buf, amp_buf_written(&message).len);
    }

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}


/* With --dry-run: how many would end. */

static int
cooldown_clear_try(ctl_t *ctl, unsigned n)
{
    if (ctl->json) {
        return output_json(json_pack("{s:b, s:s, s:i}", "dry_run", 1, "tenant",
                                     ctl->args[0], "cleared", (int) n));
    }

    output("without --dry-run: %u cool-down%s of tenant %s would end\n", n,
           n == 1 ? "" : "s", ctl->args[0]);

    return CTL_DONE;
}


static int
cooldown_clear(ctl_t *ctl)
{
    int           rc;
    char          key[AMP_KEYS_MAX + 1];
    size_t        i;
    json_t       *record;
    amp_buf_t     out;
    amp_span_t    id;
    cooldowns_t   all;

    record = ctl_tenant_record(ctl, &id);
    if (record == NULL) {
        return -1;
    }

    json_decref(record);

    rc = cooldown_scan(ctl, ctl->args[0], &all);

    if (rc == 0 && ctl_dry_run(ctl)) {
        free(all.list);
        return cooldown_clear_try(ctl, (unsigned) all.n);
    }

    /* the tenant's own ends in any case: Redis may have lost the key */

    amp_buf_init(&out, key, AMP_KEYS_MAX);
    amp_keys_cooldown(store_prefix(ctl->store), id, amp_span_null, &out);
    *out.pos = '\0';

    if (rc == 0) {
        rc = cooldown_end(ctl, id, key, "");
    }

    for (i = 0; rc == 0 && i < all.n; i++) {
        if (all.list[i].scope[0] != '\0') {
            rc = cooldown_end(ctl, id, all.list[i].key, all.list[i].scope);
        }
    }

    free(all.list);

    if (rc != 0) {
        return -1;
    }

    audit_add(ctl->store, "cool-down ended", id, NULL, NULL);

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:i}", "tenant", ctl->args[0],
                                     "cleared", (int) all.n));
    }

    output("tenant %s has no cool-down any more; there %s %u\n", ctl->args[0],
           all.n == 1 ? "was" : "were", (unsigned) all.n);

    return CTL_DONE;
}


static const ctl_option_t  cooldown_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


const ctl_command_t  ctl_cooldown_commands[] = {

    { "cooldown", "list", "", "list the pauses that Ampersand asked for",
      "After a 429 that says until when, the gateways refuse the tenant's\n"
      "requests until then; a 429 of the proxy API holds for an installation,\n"
      "which is shown by a digest. For example:\n"
      "  ampctl cooldown list",
      NULL, cooldown_list },

    { "cooldown", "clear", "ID", "end a tenant's cool-downs on all gateways",
      "The next 429 of Ampersand begins another one. For example:\n"
      "  ampctl cooldown clear acme",
      cooldown_options, cooldown_clear },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
