/*
 * The audit stream.
 *
 * Its key is not in the slot of what was changed, so the line is written after
 * the change: a line that is there is true.
 */

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_keys.h"
#include "audit.h"


#define AUDIT_TEXT  "100000"
#define AUDIT_PART  "500"


/* Who runs ampctl; behind sudo, who has called it. */

static const char *
audit_user(void)
{
    const char     *name;
    struct passwd  *entry;

    name = getuid() == 0 ? getenv("SUDO_USER") : NULL;

    if (name != NULL && *name != '\0') {
        return name;
    }

    entry = getpwuid(getuid());

    return entry != NULL ? entry->pw_name : "";
}


static void
audit_key(store_t *store, char key[AMP_KEYS_MAX + 1])
{
    amp_buf_t  out;

    amp_buf_init(&out, key, AMP_KEYS_MAX);
    amp_keys_audit(store_prefix(store), &out);
    *out.pos = '\0';
}


static char *
audit_json(const json_t *value)
{
    char  *text;

    text = json_dumps(value, JSON_COMPACT|JSON_ENCODE_ANY);

    return text != NULL ? text : strdup("");
}


void
audit_add(store_t *store, const char *change, amp_span_t tenant,
    const json_t *before, const json_t *after)
{
    char         key[AMP_KEYS_MAX + 1], host[256], *old, *new;
    redisReply  *reply;
    ctl_error_t  error;

    static unsigned  warned;

    audit_key(store, key);
    old = audit_json(before);
    new = audit_json(after);

    if (gethostname(host, sizeof(host)) != 0) {
        host[0] = '\0';
    }

    host[sizeof(host) - 1] = '\0';

    reply = store_command(store, &error, "XADD %s MAXLEN ~ " AUDIT_TEXT " * "
                          "user %s host %s command %s change %s tenant %b "
                          "before %s after %s", key, audit_user(), host,
                          store_what(store), change, tenant.data, tenant.len,
                          old, new);

    if (reply != NULL) {
        freeReplyObject(reply);

    } else if (!warned) {
        warned = 1;
        output_warning("the change is made, but is not in the audit stream: "
                       "%.200s; %.200s", error.message, error.remedy);
    }

    free(old);
    free(new);
}


/* A line of the stream, or NULL where it has another form. */

static json_t *
audit_line(const redisReply *entry)
{
    size_t       i;
    json_t      *line, *value;
    redisReply  *fields, *name, *text;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING
        || entry->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return NULL;
    }

    line = json_pack("{s:s, s:I}", "id", entry->element[0]->str, "time",
                     (json_int_t) strtoll(entry->element[0]->str, NULL, 10));
    fields = entry->element[1];

    for (i = 0; line != NULL && i + 1 < fields->elements; i += 2) {
        name = fields->element[i];
        text = fields->element[i + 1];

        value = strcmp(name->str, "before") == 0
                || strcmp(name->str, "after") == 0
                ? json_loadb(text->str, text->len, JSON_DECODE_ANY, NULL)
                : json_stringn(text->str, text->len);

        json_object_set_new(line, name->str, value ? value : json_null());
    }

    return line;
}


int
audit_each(store_t *store, ctl_error_t *error, char id[48],
    audit_each_pt each, void *data)
{
    char         key[AMP_KEYS_MAX + 1];
    size_t       i, n;
    json_t      *line;
    redisReply  *reply;

    audit_key(store, key);

    do {
        /* "(" begins behind an id: Redis 6.2; the id may be in the part */

        reply = store_command(store, error, "XRANGE %s %s + COUNT " AUDIT_PART,
                              key, id);
        if (reply == NULL) {
            return -1;
        }

        n = 0;

        for (i = 0; i < reply->elements; i++) {
            line = audit_line(reply->element[i]);

            if (line != NULL
                && strcmp(json_string_value(json_object_get(line, "id")), id)
                   != 0)
            {
                snprintf(id, 48, "%s",
                         json_string_value(json_object_get(line, "id")));
                each(line, data);
                n++;
            }

            json_decref(line);
        }

        freeReplyObject(reply);

    } while (n != 0 && !ferror(stdout));

    return 0;
}
