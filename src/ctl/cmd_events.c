/*
 * ampctl events: changes, as they are announced to the gateways.
 *
 * In a cluster each node passes on what any node publishes, and a replica what
 * its master does, so one connection hears all.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../core/amp_escape.h"
#include "../core/amp_event.h"
#include "../core/amp_json.h"
#include "../core/amp_keys.h"
#include "ampctl.h"
#include "fault.h"


#define EVENTS_PING   2000          /* ms without a word until Redis is asked */
#define EVENTS_PAUSE  200           /* ms between two attempts to connect     */
#define EVENTS_TEXT   512


enum {
    EVENTS_FOLLOW = CTL_OPTION
};


static const ctl_option_t  events_options[] = {

    { EVENTS_FOLLOW, "follow", NULL,
      "print each change when it is announced, until Ctrl-C", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


typedef struct {
    ctl_t         *ctl;
    connection_t  *connection;      /* subscribed, or NULL                    */
    time_t         lost;            /* since then nothing was heard, or 0     */
    unsigned       warned:1;        /* that Redis is out of reach             */
} events_t;


/* "cool-down of tenant acme: 30 s" */

static void
events_text(const amp_event_t *event, char text[EVENTS_TEXT])
{
    char           tenant[80], project[AMP_PROJECT_ID_MAX + 1];
    amp_buf_t      classes, rate;
    unsigned char  digest[2 * 6 + 1], buf[128];

    snprintf(tenant, sizeof(tenant), "%.*s", (int) event->tenant_len,
             (const char *) event->tenant);
    snprintf(project, sizeof(project), "%.*s", (int) event->project_len,
             (const char *) event->project);

    amp_hex(event->digest, 6, digest);
    digest[sizeof(digest) - 1] = '\0';

    switch (event->type) {

    case AMP_EVENT_TENANT:
        snprintf(text, EVENTS_TEXT, "tenant %s: revision %llu", tenant,
                 (unsigned long long) event->rev);
        break;

    case AMP_EVENT_TOKEN:
        snprintf(text, EVENTS_TEXT, "token of tenant %s, with the hash %s...",
                 tenant, digest);
        break;

    case AMP_EVENT_GENERATION:
    case AMP_EVENT_PURGE:
        snprintf(text, EVENTS_TEXT, "%s of project %s, %s: generation %llu",
                 event->type == AMP_EVENT_PURGE ? "purge" : "write", project,
                 event->family != AMP_FAMILY_ALL
                 ? amp_family_name(event->family) : "all",
                 (unsigned long long) event->rev);
        break;

    case AMP_EVENT_COOLDOWN:
        snprintf(text, EVENTS_TEXT, event->rev != 0
                 ? "cool-down of tenant %s%s: %.1f s"
                 : "cool-down of tenant %s%s: ended", tenant,
                 event->scoped ? " (a part of its requests)" : "",
                 (double) event->rev / 1000);
        break;

    case AMP_EVENT_FREEZE:
        amp_buf_init(&classes, buf, sizeof(buf));
        amp_frozen_write(event->classes, &classes);
        snprintf(text, EVENTS_TEXT, "frozen for all tenants: %.*s",
                 (int) amp_buf_written(&classes).len, (char *) buf);
        break;

    case AMP_EVENT_LIMIT:
        amp_buf_init(&rate, buf, sizeof(buf));

        if (event->rate.count != 0) {
            amp_rate_write(&event->rate, &rate);
            snprintf(text, EVENTS_TEXT, "limit of project %s: %.*s, burst %lu",
                     project, (int) amp_buf_written(&rate).len, (char *) buf,
                     (unsigned long) event->rate.burst);

        } else {
            snprintf(text, EVENTS_TEXT, "limit of project %s: none", project);
        }

        break;

    default: /* AMP_EVENT_MARK */
        snprintf(text, EVENTS_TEXT, "mark %llu, of ampctl gateway wait",
                 (unsigned long long) event->rev);
    }
}


static void
events_message(events_t *events, const char *data, size_t len)
{
    char          time_text[CTL_TIME_MAX], text[EVENTS_TEXT];
    json_t       *doc;
    const char   *why;
    amp_span_t    json;
    amp_event_t   event;

    json = amp_span_make(data, len);

    if (events->ctl->json) {
        doc = amp_json_object(json, &why);

        output_json(json_pack("{s:I, s:o}", "time", (json_int_t) time(NULL),
                              "event", doc != NULL ? doc : json_null()));
        return;
    }

    if (amp_event_decode(json, &event) == 0) {
        events_text(&event, text);

    } else {
        snprintf(text, sizeof(text), "a message of another version: %.*s",
                 (int) (len < 256 ? len : 256), data);
    }

    output("%s %s\n", output_time(time(NULL), time_text), text);
}


/* Heard again, after a time in which changes may have been announced. */

static void
events_missed(events_t *events)
{
    char  from[CTL_TIME_MAX], to[CTL_TIME_MAX];

    if (events->ctl->json) {
        output_json(json_pack("{s:I, s:{s:I}}",
                              "time", (json_int_t) time(NULL), "missed",
                              "since", (json_int_t) events->lost));

    } else {
        output("%s events since %s may have been missed: the connection was "
               "lost\n", output_time(time(NULL), to),
               output_time(events->lost, from));
    }

    events->lost = 0;
    events->warned = 0;
}


static int64_t
events_deadline(const events_t *events)
{
    return connection_clock() + events->ctl->timeout;
}


/* 0, or -1 with the error filled. */

static int
events_subscribe(events_t *events)
{
    int             rc;
    ctl_t          *ctl = events->ctl;
    route_t        *route;
    int64_t         deadline;
    amp_buf_t       channel;
    redisReply     *reply;
    unsigned char   name[AMP_KEYS_MAX];

    route = store_route(ctl->store);
    deadline = events_deadline(events);

    amp_buf_init(&channel, name, sizeof(name));
    amp_keys_events(store_prefix(ctl->store), &channel);

    events->connection = route_connection(route, ROUTE_ANY, deadline,
                                          &ctl->error);
    if (events->connection == NULL) {
        return -1;
    }

    reply = connection_command(events->connection, deadline, &ctl->error,
                               "SUBSCRIBE %b", name,
                               amp_buf_written(&channel).len);
    rc = -1;

    if (reply != NULL) {
        rc = reply->type == REDIS_REPLY_ERROR
             ? fault_reply(&ctl->error, connection_who(events->connection),
                           reply) : 0;
        freeReplyObject(reply);
    }

    if (rc != 0) {
        route_lost(route, events->connection);
        events->connection = NULL;
    }

    return rc;
}


/*
 * The next reply: a message is printed.  A silent connection is asked whether
 * it lives.  0, or -1: the connection is lost.
 */

static int
events_next(events_t *events)
{
    int            len, rc;
    char          *ping;
    ctl_t         *ctl = events->ctl;
    redisReply    *reply, *part;
    const char    *text;

    if (!connection_readable(events->connection,
                             connection_clock() + EVENTS_PING))
    {
        len = redisFormatCommand(&ping, "PING");
        if (len < 0) {
            abort();
        }

        rc = connection_write(events->connection, ping, (size_t) len,
                              events_deadline(events), &ctl->error);
        redisFreeCommand(ping);

        if (rc != 0) {
            return -1;
        }
    }

    reply = connection_read(events->connection, events_deadline(events),
                            &ctl->error);
    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        text = reply->element[0]->str;
        part = reply->element[2];

        if (text != NULL && strcmp(text, "message") == 0
            && part->type == REDIS_REPLY_STRING)
        {
            events_message(events, part->str, (size_t) part->len);
        }
    }

    freeReplyObject(reply);

    return 0;
}


static int
events_run(ctl_t *ctl)
{
    events_t  events;

    if (ctl_value(ctl, EVENTS_FOLLOW) == NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "events are announced, not "
                  "kept: there is nothing to print without --follow");
        return ctl_remedy(&ctl->error, "see: ampctl events --follow; what was "
                          "changed before: ampctl audit");
    }

    memset(&events, 0, sizeof(events));
    events.ctl = ctl;

    if (ctl_store(ctl) == NULL || events_subscribe(&events) != 0) {
        return -1;
    }

    fprintf(stderr, "ampctl: listening at %s\n",
            connection_who(events.connection));

    while (!ferror(stdout) && fflush(stdout) == 0) {

        if (events.connection == NULL) {

            if (events_subscribe(&events) != 0) {

                if (!events.warned) {
                    events.warned = 1;
                    output_warning("%s; trying again", ctl->error.message);
                }

                usleep(EVENTS_PAUSE * 1000);
                continue;
            }

            events_missed(&events);
            continue;
        }

        if (events_next(&events) != 0) {
            events.lost = time(NULL);
            route_lost(store_route(ctl->store), events.connection);
            events.connection = NULL;
        }
    }

    return CTL_DONE;
}


const ctl_command_t  ctl_events_commands[] = {

    { "events", NULL, "", "show changes as the gateways hear of them",
      "One line for each message on the channel: tenants, tokens, generations\n"
      "of the cache, purges, cool-downs. With --json each line is a document\n"
      "with the time and the message. After a lost connection it connects\n"
      "again and says since when events may have been missed. Who has changed\n"
      "what is in the audit stream: ampctl audit.",
      events_options, events_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
