/*
 * When tokens were used last.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "token_use.h"


/* The day of a reply, or -1; the reply is freed. */

static int64_t
token_use_day(redisReply *reply)
{
    int64_t  day;

    day = reply->type == REDIS_REPLY_STRING && reply->len == AMP_USAGE_DATE
          ? amp_usage_day((const unsigned char *) reply->str) : -1;

    freeReplyObject(reply);

    return day;
}


int
token_uses(store_t *store, ctl_error_t *error, int64_t now, token_uses_t *uses)
{
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_used_since(store_prefix(store), &key);

    reply = store_command(store, error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {
        return -1;
    }

    uses->today = now / AMP_USAGE_DAY;
    uses->since = token_use_day(reply);

    return 0;
}


static amp_span_t
token_use_key(store_t *store, const char *digest, unsigned char *buf)
{
    amp_buf_t  key;

    amp_buf_init(&key, buf, AMP_KEYS_MAX);
    amp_keys_used(store_prefix(store),
                  amp_span_make(digest, AMP_TOKEN_DIGEST_HEX), &key);

    return amp_buf_written(&key);
}


int
token_use_days(store_t *store, ctl_error_t *error, const token_entry_t *entries,
    size_t n, int64_t *days)
{
    size_t          i, done, end;
    amp_span_t      key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    for (done = 0; done < n; done = end) {
        end = n - done < TOKEN_PIPELINE ? n : done + TOKEN_PIPELINE;

        for (i = done; i < end; i++) {
            key = token_use_key(store, entries[i].digest, buf);
            store_queue(store, "GET %b", key.data, key.len);
        }

        for (i = done; i < end; i++) {
            reply = store_reply_typed(store, error);
            if (reply == NULL) {
                return -1;
            }

            days[i] = token_use_day(reply);
        }
    }

    return 0;
}


token_use_t
token_use(const token_uses_t *uses, int64_t created, int64_t day)
{
    int64_t      kept;
    token_use_t  use;

    memset(&use, 0, sizeof(use));
    use.day = day;
    use.unused = day;

    if (day != -1 || uses->since == -1) {
        return use;
    }

    created /= AMP_USAGE_DAY;
    kept = uses->today - AMP_USAGE_KEPT / 1000 / AMP_USAGE_DAY;
    use.unused = uses->since > kept ? uses->since : kept;

    /* a gateway may have written its first day after the token was issued */

    if (created > use.unused) {
        use.unused = created;
        use.never = 1;
    }

    return use;
}


json_t *
token_use_date(int64_t day)
{
    unsigned char  date[AMP_USAGE_DATE];

    if (day == -1) {
        return json_null();
    }

    amp_usage_date((uint32_t) day, date);

    return json_stringn((const char *) date, sizeof(date));
}


void
token_use_members(const token_use_t *use, json_t *row)
{
    json_object_set_new(row, "last_use", use->never ? json_string("never")
                                                    : token_use_date(use->day));
    json_object_set_new(row, "unused_since", token_use_date(use->unused));
}


const char *
token_use_text(const json_t *row, char text[TOKEN_USE_TEXT])
{
    const char  *last, *since;

    last = json_string_value(json_object_get(row, "last_use"));
    since = json_string_value(json_object_get(row, "unused_since"));

    if (last != NULL) {
        snprintf(text, TOKEN_USE_TEXT, "%s", last);

    } else if (since != NULL) {
        snprintf(text, TOKEN_USE_TEXT, "not since %s", since);

    } else {
        snprintf(text, TOKEN_USE_TEXT, "unknown");
    }

    return text;
}


int
token_use_forget(store_t *store, ctl_error_t *error, const char *digest)
{
    amp_span_t      key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    key = token_use_key(store, digest, buf);

    reply = store_command(store, error, "DEL %b", key.data, key.len);
    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}
