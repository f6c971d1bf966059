/*
 * The check of the ACL user.
 *
 * Redis 7 and Valkey say for each call whether the user may make it
 * (redis.acl_check_cmd in a script, which needs no right but EVAL; ACL DRYRUN
 * answers the same to administrators only).  Where there is no such answer the
 * calls are made: they change nothing, and what Redis says of their arguments
 * comes after its look at the rights.  Before Redis 7 a right of a command and
 * a right of a key are independent, so that each is tried once.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "../core/amp_rights.h"
#include "../core/amp_script.h"
#include "doctor_rights.h"
#include "fault.h"
#include "rights.h"


#define RIGHTS_MAX      64          /* of amp_rights()                        */
#define RIGHTS_WITHOUT  AMP_RIGHTS_NAMES    /* in place of a name             */
#define RIGHTS_CALLS    (RIGHTS_MAX * 4)
#define RIGHTS_WORDS    8           /* of a call                              */

#define rights_bit(name)  (1u << (name))


/* A call, and what it proves. */

typedef struct {
    unsigned         right;         /* index in amp_rights()                  */
    unsigned         name;          /* amp_rights_name_e, or RIGHTS_WITHOUT   */
    char             text[AMP_RIGHTS_CALL_MAX];
} rights_call_t;


typedef struct {
    doctor_t           *doctor;
    connection_t       *c;
    amp_span_t          own;
    const amp_right_t  *list;
    size_t              n;
    unsigned            missing[RIGHTS_MAX];    /* rights_bit(name)           */
    rights_call_t       calls[RIGHTS_CALLS];
    unsigned            ncalls;
} rights_t;


static int
rights_needed(const rights_t *rights, const amp_right_t *right)
{
    unsigned          where;
    amp_redis_url_t  *url;

    url = &store_route(rights->doctor->ctl->store)->nodes.url;

    where = (url->form == AMP_REDIS_CLUSTER ? AMP_RIGHTS_CLUSTER : 0)
            | (url->form == AMP_REDIS_SENTINEL ? AMP_RIGHTS_SENTINEL : 0)
            | (url->db != 0 ? AMP_RIGHTS_DATABASE : 0);

    return right->where == 0 || (right->where & where);
}


static void
rights_call(rights_t *rights, unsigned right, unsigned name, unsigned key)
{
    amp_buf_t       text;
    rights_call_t  *call;

    if (rights->ncalls == RIGHTS_CALLS) {
        abort();
    }

    call = &rights->calls[rights->ncalls++];
    call->right = right;
    call->name = name;

    amp_buf_init(&text, call->text, sizeof(call->text) - 1);
    amp_rights_call(&rights->list[right], key,
                    store_prefix(rights->doctor->ctl->store), rights->own,
                    &text);
    *text.pos = '\0';
}


/* Each command on each of its names. */

static void
rights_calls(rights_t *rights)
{
    unsigned  i, name;

    rights->ncalls = 0;

    for (i = 0; i < rights->n; i++) {

        if (!rights_needed(rights, &rights->list[i])) {
            continue;
        }

        if (rights->list[i].names == 0) {
            rights_call(rights, i, RIGHTS_WITHOUT, RIGHTS_WITHOUT);
        }

        for (name = 0; name < AMP_RIGHTS_NAMES; name++) {
            if (rights->list[i].names & rights_bit(name)) {
                rights_call(rights, i, name, name);
            }
        }
    }
}


static void
rights_missing(rights_t *rights, const rights_call_t *call)
{
    rights->missing[call->right] |= rights_bit(call->name);
}


/* The reply to a command of n words; NULL with the error filled. */

static redisReply *
rights_send(rights_t *rights, int n, const char **words)
{
    int          len;
    char        *text;
    ctl_t       *ctl;
    int64_t      deadline;
    redisReply  *reply;

    ctl = rights->doctor->ctl;
    deadline = connection_clock() + ctl->timeout;

    len = (int) redisFormatCommandArgv(&text, n, words, NULL);
    if (len < 0) {
        abort();
    }

    reply = NULL;

    if (connection_write(rights->c, text, (size_t) len, deadline, &ctl->error)
        == 0)
    {
        reply = connection_read(rights->c, deadline, &ctl->error);
    }

    redisFreeCommand(text);

    return reply;
}


/*
 * Asks the server.  1: rights->missing is filled; 0: it cannot be asked; -1:
 * out of reach, with the error filled.
 */

static int
rights_ask(rights_t *rights)
{
    int          rc;
    size_t       i;
    const char  *words[3 + RIGHTS_CALLS];
    redisReply  *reply;

    rights_calls(rights);

    words[0] = "EVAL";
    words[1] = (const char *) amp_script_check_rights.text.data;
    words[2] = "0";

    for (i = 0; i < rights->ncalls; i++) {
        words[3 + i] = rights->calls[i].text;
    }

    reply = rights_send(rights, 3 + (int) rights->ncalls, words);
    if (reply == NULL) {
        return -1;
    }

    rc = (reply->type == REDIS_REPLY_ARRAY);

    for (i = 0; rc && i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_INTEGER
            && reply->element[i]->integer > 0
            && reply->element[i]->integer <= (long long) rights->ncalls)
        {
            rights_missing(rights,
                           &rights->calls[reply->element[i]->integer - 1]);
        }
    }

    freeReplyObject(reply);

    return rc;
}


/* Makes one call.  1: permitted; 0: not; -1: out of reach. */

static int
rights_try_call(rights_t *rights, const rights_call_t *call)
{
    int                n;
    char               text[AMP_RIGHTS_CALL_MAX], *word, *rest;
    const char        *words[RIGHTS_WORDS];
    redisReply        *reply;
    amp_redis_error_e  class;

    memcpy(text, call->text, sizeof(text));

    n = 0;

    for (word = strtok_r(text, " ", &rest);
         word != NULL && n < RIGHTS_WORDS;
         word = strtok_r(NULL, " ", &rest))
    {
        words[n++] = word;
    }

    reply = rights_send(rights, n, words);
    if (reply == NULL) {
        return -1;
    }

    class = fault_class(reply);
    freeReplyObject(reply);

    return class != AMP_REDIS_ERROR_NOPERM
           && class != AMP_REDIS_ERROR_UNKNOWN_COMMAND;
}


/*
 * From what was tried to what is missing.  Where no command may use the
 * doctor's key, the commands say nothing about themselves.
 */

static void
rights_tried(rights_t *rights, unsigned exists)
{
    unsigned  i, own, keys, without, all;

    own = rights_bit(AMP_RIGHTS_DOCTOR);
    without = rights_bit(RIGHTS_WITHOUT) | rights_bit(AMP_RIGHTS_EVENTS);
    all = own;

    for (i = 0; i < rights->n; i++) {
        if (rights->list[i].names != 0
            && rights->list[i].names != rights_bit(AMP_RIGHTS_EVENTS)
            && !(rights->missing[i] & own))
        {
            all = 0;
        }
    }

    keys = rights->missing[exists] & ~without;

    if (!all && (keys & own)) {
        keys = 0;                       /* EXISTS itself is missing */
    }

    for (i = 0; i < rights->n; i++) {
        rights->missing[i] = (rights->missing[i] & without)
                             | ((!all && (rights->missing[i] & own))
                                ? rights->list[i].names : 0)
                             | (rights->list[i].names & keys);
    }
}


/*
 * Each command on the doctor's own key, or on the channel; and on each family
 * of keys one command that only reads.  SUBSCRIBE comes last: after it the
 * connection takes no other command.
 */

static int
rights_try(rights_t *rights)
{
    int             rc;
    unsigned        i, name, exists, events, subscribe;
    rights_call_t  *call;

    rights->ncalls = 0;
    events = rights_bit(AMP_RIGHTS_EVENTS);
    exists = 0;
    subscribe = 0;

    for (i = 0; i < rights->n; i++) {

        if (strcmp(rights->list[i].command, "exists") == 0) {
            exists = i;
        }

        if (strcmp(rights->list[i].command, "subscribe") == 0) {
            subscribe = i;

        } else if (rights_needed(rights, &rights->list[i])) {
            name = rights->list[i].names == 0 ? RIGHTS_WITHOUT
                   : rights->list[i].names == events ? AMP_RIGHTS_EVENTS
                   : AMP_RIGHTS_DOCTOR;
            rights_call(rights, i, name, name);
        }
    }

    for (name = 0; name < AMP_RIGHTS_EVENTS; name++) {
        rights_call(rights, exists, name, name);
    }

    rights_call(rights, subscribe, AMP_RIGHTS_EVENTS, AMP_RIGHTS_EVENTS);

    for (i = 0; i < rights->ncalls; i++) {
        call = &rights->calls[i];
        rc = rights_try_call(rights, call);

        if (rc == -1) {
            return -1;
        }

        if (rc == 0) {
            rights_missing(rights, call);
        }
    }

    rights_tried(rights, exists);

    return 1;
}


/* Whether the commands that need a name are all missing on it. */

static int
rights_none(const rights_t *rights, unsigned name)
{
    unsigned  i, bit;

    bit = rights_bit(name);

    for (i = 0; i < rights->n; i++) {
        if (rights_needed(rights, &rights->list[i])
            && (rights->list[i].names & bit) && !(rights->missing[i] & bit))
        {
            return 0;
        }
    }

    return 1;
}


static void
rights_item(amp_buf_t *text, const char *word)
{
    if (text->pos != text->start) {
        amp_buf_text(text, ", ");
    }

    amp_buf_put(text, word, strlen(word));
}


static void
rights_on(const rights_t *rights, unsigned names, amp_buf_t *text)
{
    unsigned  name;

    for (name = 0; name < AMP_RIGHTS_NAMES; name++) {
        if (names & rights_bit(name)) {
            amp_buf_text(text, " on ");
            amp_rights_name(name, store_prefix(rights->doctor->ctl->store),
                            text);
        }
    }
}


/* "subscribe, sadd, any command on amp:gen:*"; empty: nothing is missing. */

static void
rights_text(const rights_t *rights, amp_buf_t *text)
{
    unsigned            i, name, none, left;
    const amp_right_t  *right;

    none = 0;

    for (name = 0; name < AMP_RIGHTS_NAMES; name++) {
        if (rights_none(rights, name)) {
            none |= rights_bit(name);
        }
    }

    for (i = 0; i < rights->n; i++) {
        right = &rights->list[i];
        left = rights->missing[i] & ~none;

        if (left != 0) {
            rights_item(text, right->command);

            if (left != (right->names & ~none) && right->names != 0) {
                rights_on(rights, left, text);
            }
        }
    }

    for (name = 0; name < AMP_RIGHTS_NAMES; name++) {
        if (none & rights_bit(name)) {
            rights_item(text, "any command");
            rights_on(rights, rights_bit(name), text);
        }
    }
}


void
doctor_rights(doctor_t *doctor, connection_t *c, amp_span_t own)
{
    int          rc;
    char         buf[512];
    ctl_t       *ctl;
    rights_t     rights;
    amp_buf_t    text;
    const char  *name = "redis rights";

    ctl = doctor->ctl;

    memset(&rights, 0, sizeof(rights));
    rights.doctor = doctor;
    rights.c = c;
    rights.own = own;
    rights.list = amp_rights(&rights.n);

    if (rights.n > RIGHTS_MAX) {
        abort();
    }

    rc = rights_ask(&rights);

    if (rc == 0) {
        rc = rights_try(&rights);
    }

    if (rc == -1) {
        doctor_error(doctor, name);
        return;
    }

    amp_buf_init(&text, buf, sizeof(buf));
    rights_text(&rights, &text);

    if (text.pos == text.start) {
        doctor_add(doctor, name, DOCTOR_OK, "", "the user \"%s\" may run each "
                   "command that gateway and ampctl need", rights_user(ctl));
        return;
    }

    (void) ctl_error(&ctl->error, CTL_REFUSED, "redis_permission", "%s", name);
    rights_remedy(ctl);

    doctor_add(doctor, name, DOCTOR_FAIL, ctl->error.remedy,
               "the user \"%s\" may not run %.*s", rights_user(ctl),
               (int) amp_buf_written(&text).len, buf);
}
