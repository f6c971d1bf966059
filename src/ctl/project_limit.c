/*
 * The limit of a project in Redis.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_event.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "audit.h"
#include "project_limit.h"
#include "record.h"


#define PROJECT_LIMIT_PART  256


static void
project_limit_queue(store_t *store, const char *project)
{
    amp_buf_t      key;
    unsigned char  buf[AMP_KEYS_MAX];

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_gen(store_prefix(store), record_span(project), &key);

    store_queue(store, "HGET %b " AMP_PROJECT_LIMIT, buf,
                amp_buf_written(&key).len);
}


static int
project_limit_reply(store_t *store, ctl_error_t *error, project_limit_t *limit)
{
    redisReply  *reply;

    memset(limit, 0, sizeof(*limit));

    reply = store_reply(store, error);
    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_STRING) {
        limit->len = reply->len;
        limit->text = malloc(reply->len + 1);

        if (limit->text == NULL) {
            abort();
        }

        memcpy(limit->text, reply->str, reply->len);
        limit->malformed = amp_project_limit_decode(
                               amp_span_make(limit->text, limit->len),
                               &limit->rate)
                           != 0;
    }

    freeReplyObject(reply);

    return 0;
}


int
project_limit_load(store_t *store, ctl_error_t *error, const char *project,
    project_limit_t *limit)
{
    project_limit_queue(store, project);

    return project_limit_reply(store, error, limit);
}


/* Those that were queued, from a member on.  0, or -1. */

static int
project_limit_part(store_t *store, ctl_error_t *error, const json_t *projects,
    void *from, size_t n, project_limit_pt each, void *data)
{
    project_limit_t  limit;

    for ( /* void */ ; n != 0; n--) {
        if (project_limit_reply(store, error, &limit) != 0) {
            return -1;
        }

        if (limit.len != 0) {
            each(json_object_iter_key(from), &limit, data);
        }

        project_limit_free(&limit);
        from = json_object_iter_next((json_t *) projects, from);
    }

    return 0;
}


int
project_limit_each(store_t *store, ctl_error_t *error, const json_t *projects,
    project_limit_pt each, void *data)
{
    int      rc;
    void    *member, *from;
    size_t   n;

    rc = 0;
    member = json_object_iter((json_t *) projects);

    while (rc == 0 && member != NULL) {
        from = member;

        for (n = 0; n < PROJECT_LIMIT_PART && member != NULL; n++) {
            project_limit_queue(store, json_object_iter_key(member));
            member = json_object_iter_next((json_t *) projects, member);
        }

        rc = project_limit_part(store, error, projects, from, n, each, data);
    }

    return rc;
}


void
project_limit_free(project_limit_t *limit)
{
    free(limit->text);
    limit->text = NULL;
    limit->len = 0;
}


static void
project_limit_audit(store_t *store, const char *project,
    const amp_rate_t *before, const amp_rate_t *after)
{
    json_t  *was, *is;

    was = json_pack("{s:{s:o*}}", "projects", project,
                    project_limit_json(before));
    is = json_pack("{s:{s:o*}}", "projects", project,
                   project_limit_json(after));

    audit_add(store, "limit changed", amp_span_null, was, is);

    json_decref(was);
    json_decref(is);
}


int
project_limit_write(store_t *store, ctl_error_t *error, const char *project,
    const project_limit_t *before, const amp_rate_t *rate)
{
    int            rc;
    long long      answer;
    amp_buf_t      key, text, channel, message;
    amp_span_t     args[5];
    amp_event_t    event;
    unsigned char  key_buf[AMP_KEYS_MAX], channel_buf[AMP_KEYS_MAX];
    unsigned char  text_buf[AMP_PROJECT_LIMIT_MAX], message_buf[AMP_EVENT_MAX];

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_LIMIT;
    event.project_len = strlen(project);
    memcpy(event.project, project, event.project_len);
    event.rate = *rate;

    amp_buf_init(&key, key_buf, sizeof(key_buf));
    amp_buf_init(&text, text_buf, sizeof(text_buf));
    amp_buf_init(&channel, channel_buf, sizeof(channel_buf));
    amp_buf_init(&message, message_buf, sizeof(message_buf));

    amp_keys_gen(store_prefix(store), record_span(project), &key);
    amp_keys_events(store_prefix(store), &channel);
    amp_event_write(&event, &message);

    if (rate->count != 0) {
        amp_project_limit_write(rate, &text);
    }

    args[0] = amp_span(AMP_PROJECT_LIMIT);
    args[1] = amp_span_make(before->text, before->len);
    args[2] = amp_buf_written(&text);
    args[3] = amp_buf_written(&channel);
    args[4] = amp_buf_written(&message);

    rc = store_script(store, error, &amp_script_write_limit, 1,
                      amp_buf_written(&key), args, 5, &answer);

    if (rc != 0) {
        return -1;
    }

    if (answer == 1 && !amp_span_eq(args[1], args[2])) {
        project_limit_audit(store, project, &before->rate, rate);
    }

    return answer == 1;
}


json_t *
project_limit_json(const amp_rate_t *rate)
{
    amp_buf_t      text;
    unsigned char  buf[AMP_RATE_TEXT_MAX];

    if (rate->count == 0) {
        return NULL;
    }

    amp_buf_init(&text, buf, sizeof(buf));
    amp_rate_write(rate, &text);

    return json_pack("{s:s%, s:I}", "rate", (char *) buf,
                     amp_buf_written(&text).len, "burst",
                     (json_int_t) rate->burst);
}
