/*
 * The write of a tenant record: one script on the record's key compares the
 * revision, writes the record and publishes an event.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_event.h"
#include "../core/amp_keys.h"
#include "../core/amp_script.h"
#include "audit.h"
#include "record.h"
#include "tenant_write.h"


int
tenant_time(store_t *store, ctl_error_t *error, amp_span_t id, uint64_t *now)
{
    int64_t         microseconds;
    amp_buf_t       key;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenant(store_prefix(store), id, &key);

    if (store_time(store, error, amp_buf_written(&key), &microseconds) != 0) {
        return -1;
    }

    *now = (uint64_t) microseconds / 1000;

    return 0;
}


char *
tenant_text(ctl_error_t *error, amp_span_t id, json_t *record, uint64_t rev)
{
    char           *text;
    size_t          len;
    const char     *why;
    tenant_flat_t   flat;

    json_object_set_new(record, "rev", json_integer((json_int_t) rev));

    text = json_dumps(record, JSON_COMPACT|JSON_PRESERVE_ORDER);
    if (text == NULL) {
        abort();
    }

    why = "the record is too large";
    len = strlen(text);

    if (len <= AMP_TENANT_JSON_MAX
        && amp_tenant_decode(amp_span_make(text, len), &flat, sizeof(flat),
                             &why)
           != 0)
    {
        return text;
    }

    free(text);

    ctl_error(error, CTL_REFUSED, "bad_record",
              "nothing was written: with this change the gateway could not "
              "read tenant \"%.*s\" (%s)", (int) id.len, id.data, why);
    (void) ctl_remedy(error, "make the record smaller, e.g. with fewer groups, "
                      "grants or retired keys");

    return NULL;
}


void
tenant_script(store_t *store, amp_span_t id, const char *expected,
    const char *text, uint64_t rev, tenant_script_t *script)
{
    amp_buf_t    key, channel, message;
    amp_event_t  event;

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_TENANT;
    event.rev = rev;
    event.tenant_len = id.len;
    memcpy(event.tenant, id.data, id.len);

    amp_buf_init(&key, script->key_buf, sizeof(script->key_buf));
    amp_buf_init(&channel, script->channel_buf, sizeof(script->channel_buf));
    amp_buf_init(&message, script->message_buf, sizeof(script->message_buf));

    amp_keys_tenant(store_prefix(store), id, &key);
    amp_keys_events(store_prefix(store), &channel);
    amp_event_write(&event, &message);

    script->key = amp_buf_written(&key);
    script->args[0] = amp_span_make(expected, strlen(expected));
    script->args[1] = amp_span_make(text, text ? strlen(text) : 0);
    script->args[2] = amp_buf_written(&channel);
    script->args[3] = amp_buf_written(&message);
}


int
tenant_write(store_t *store, ctl_error_t *error, amp_span_t id,
    const char *expected, const char *text, uint64_t rev)
{
    int              rc;
    long long        answer;
    tenant_script_t  script;

    tenant_script(store, id, expected, text, rev, &script);

    rc = store_script(store, error, &amp_script_write_tenant,
                      expected[0] != '\0', script.key, script.args, 4,
                      &answer);

    return rc == 0 ? answer == 1 : -1;
}


uint64_t
tenant_rev(const json_t *record)
{
    return (uint64_t) json_integer_value(json_object_get(record, "rev"));
}


int
tenant_conflict(ctl_error_t *error, amp_span_t id)
{
    ctl_error(error, CTL_REFUSED, "conflict",
              "tenant \"%.*s\" was changed by other commands %d times in a row",
              (int) id.len, id.data, TENANT_TRIES);

    return ctl_remedy(error, "run the command again");
}


void
tenant_audit(store_t *store, const char *change, amp_span_t id,
    const json_t *before, const json_t *record)
{
    json_t  *after;

    after = record_view(record);
    audit_add(store, change, id, before, after);
    json_decref(after);
}
