/*
 * Redis, for the commands of ampctl.
 *
 * A pipeline is written to all its nodes, then read in its order, so that the
 * nodes work at the same time.  A command without a reply, because its node was
 * lost or was the wrong one, is sent again on its own when its reply is read.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "store.h"


#define STORE_SCRIPT_ARGS  8


typedef struct {
    route_command_t   command;
    char             *text;
    connection_t     *c;            /* it was sent on; NULL when lost         */
    redisReply       *reply;
    unsigned          written:1;
} store_queued_t;


struct store_s {
    route_t           route;
    tls_t            *tls;
    const char       *prefix;
    char              what[64];

    store_queued_t   *queue;
    unsigned          nqueued;
    unsigned          size;
    unsigned          taken;
    unsigned          sent:1;
};


/*
 * Formats a command; its slot is that of its first argument, "amp:x" in
 * "*2\r\n$3\r\nGET\r\n$5\r\namp:x\r\n".
 */

static void
store_format(route_command_t *command, char **text, const char *fmt,
    va_list args)
{
    int          len;
    char        *p, *end;
    size_t       n;

    len = redisvFormatCommand(text, fmt, args);
    if (len < 0) {
        abort();
    }

    command->text = *text;
    command->len = (size_t) len;
    command->slot = ROUTE_ANY;
    command->idempotent = 1;

    if (atoi(*text + 1) < 2) {
        return;
    }

    p = strchr(*text, '$');
    n = strtoul(p + 1, &end, 10);
    p = end + 2 + n + 2;
    n = strtoul(p + 1, &end, 10);

    command->slot = amp_slot(amp_span_make(end + 2, n));
}


/* The reply; NULL for an error reply, whose error is filled already. */

static redisReply *
store_not_error(redisReply *reply)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        return NULL;
    }

    return reply;
}


static void
store_forget(store_t *store)
{
    unsigned  i;

    for (i = 0; i < store->nqueued; i++) {
        redisFreeCommand(store->queue[i].text);

        if (store->queue[i].reply != NULL) {
            freeReplyObject(store->queue[i].reply);
        }
    }

    store->nqueued = 0;
    store->taken = 0;
    store->sent = 0;
}


redisReply *
store_command(store_t *store, ctl_error_t *error, const char *fmt, ...)
{
    char             *text;
    va_list           args;
    redisReply       *reply;
    route_command_t   command;

    va_start(args, fmt);
    store_format(&command, &text, fmt, args);
    va_end(args);

    reply = route_call(&store->route, &command, error);

    redisFreeCommand(text);

    return store_not_error(reply);
}


static store_queued_t *
store_queue_add(store_t *store)
{
    store_queued_t  *queued;

    if (store->nqueued == store->size) {
        store->size = store->size ? store->size * 2 : 128;
        store->queue = realloc(store->queue,
                               store->size * sizeof(*store->queue));
        if (store->queue == NULL) {
            abort();
        }
    }

    queued = &store->queue[store->nqueued++];
    memset(queued, 0, sizeof(*queued));

    return queued;
}


void
store_queue(store_t *store, const char *fmt, ...)
{
    va_list          args;
    store_queued_t  *queued;

    queued = store_queue_add(store);

    va_start(args, fmt);
    store_format(&queued->command, &queued->text, fmt, args);
    va_end(args);
}


/* Closes a lost connection; its commands have no reply. */

static void
store_queue_lost(store_t *store, connection_t *c)
{
    unsigned  i;

    for (i = 0; i < store->nqueued; i++) {
        if (store->queue[i].c == c) {
            store->queue[i].c = NULL;
        }
    }

    route_lost(&store->route, c);
}


/*
 * Writes the commands from the first on that are for its node, in one go.  0,
 * or -1.
 */

static int
store_queue_write(store_t *store, unsigned first, int64_t deadline)
{
    int              rc;
    char            *text;
    size_t           len;
    unsigned         i;
    ctl_error_t      fault;
    connection_t    *c;
    store_queued_t  *queued;

    c = store->queue[first].c;

    for (len = 0, i = first; i < store->nqueued; i++) {
        len += store->queue[i].c == c ? store->queue[i].command.len : 0;
    }

    text = malloc(len);
    if (text == NULL) {
        abort();
    }

    for (len = 0, i = first; i < store->nqueued; i++) {
        queued = &store->queue[i];

        if (queued->c == c) {
            memcpy(text + len, queued->command.text, queued->command.len);
            len += queued->command.len;
            queued->written = 1;
        }
    }

    rc = connection_write(c, text, len, deadline, &fault);
    free(text);

    return rc;
}


static void
store_queue_run(store_t *store)
{
    int64_t          deadline;
    route_t         *route;
    unsigned         i;
    ctl_error_t      fault;
    store_queued_t  *queued;

    route = &store->route;
    deadline = connection_clock() + route->nodes.timeout;

    for (i = 0; i < store->nqueued; i++) {
        queued = &store->queue[i];
        queued->c = route_connection(route, queued->command.slot, deadline,
                                     &fault);

        if (queued->c == NULL) {
            break;
        }
    }

    for (i = 0; i < store->nqueued; i++) {
        queued = &store->queue[i];

        if (queued->c != NULL && !queued->written
            && store_queue_write(store, i, deadline) != 0)
        {
            store_queue_lost(store, queued->c);
        }
    }

    for (i = 0; i < store->nqueued; i++) {
        queued = &store->queue[i];

        if (queued->c == NULL) {
            continue;
        }

        queued->reply = connection_read(queued->c, deadline, &fault);

        if (queued->reply == NULL) {
            store_queue_lost(store, queued->c);

        } else if (queued->reply->type == REDIS_REPLY_ERROR) {
            freeReplyObject(queued->reply);
            queued->reply = NULL;
        }
    }

    store->sent = 1;
}


static redisReply *
store_take(store_t *store, unsigned typed, ctl_error_t *error)
{
    redisReply      *reply;
    store_queued_t  *queued;

    if (!store->sent) {
        store_queue_run(store);
    }

    queued = &store->queue[store->taken++];
    reply = queued->reply;
    queued->reply = NULL;

    if (reply == NULL) {
        reply = route_call(&store->route, &queued->command, error);

        if (reply != NULL
            && !(typed && fault_class(reply) == AMP_REDIS_ERROR_WRONGTYPE))
        {
            reply = store_not_error(reply);
        }
    }

    if (reply == NULL || store->taken == store->nqueued) {
        store_forget(store);
    }

    return reply;
}


redisReply *
store_reply(store_t *store, ctl_error_t *error)
{
    return store_take(store, 0, error);
}


redisReply *
store_reply_typed(store_t *store, ctl_error_t *error)
{
    return store_take(store, 1, error);
}


static int
store_credentials(const amp_redis_url_t *url, const char *password_file,
    ctl_error_t *error)
{
    if (url->password[0] != '\0' && password_file != NULL) {
        ctl_error(error, CTL_USAGE, "usage", "the Redis password is given "
                  "twice, in the URL and as a file");
        return ctl_remedy(error, "remove it from the URL, or leave out "
                          "--redis-password-file "
                          "(AMPERSAND_REDIS_PASSWORD_FILE)");
    }

    if (url->user[0] != '\0' && url->password[0] == '\0'
        && password_file == NULL)
    {
        ctl_error(error, CTL_USAGE, "usage", "the Redis URL has a user and no "
                  "password");
        return ctl_remedy(error, "add --redis-password-file FILE");
    }

    return 0;
}


static int
store_password(nodes_t *nodes, const char *password_file, ctl_error_t *error)
{
    if (store_credentials(&nodes->url, password_file, error) != 0) {
        return -1;
    }

    if (password_file != NULL) {
        return secret_password(&nodes->password, password_file, error);
    }

    nodes->password.len = strlen(nodes->url.password);
    memcpy(nodes->password.data, nodes->url.password, nodes->password.len);
    secret_clean(nodes->url.password, sizeof(nodes->url.password));

    return 0;
}


static int
store_tls(store_t *store, const tls_options_t *options, ctl_error_t *error)
{
    if (store->route.nodes.url.tls) {
        store->tls = tls_create(options, error);
        store->route.nodes.options.tls = store->tls;
        return store->tls != NULL ? 0 : -1;
    }

    if (options->ca || options->cert || options->key || options->server_name) {
        ctl_error(error, CTL_USAGE, "usage", "TLS options are given, and the "
                  "Redis URL is without TLS");
        return ctl_remedy(error, "write rediss in place of redis in the URL, "
                          "or leave out --redis-ca, --redis-cert, --redis-key "
                          "and --redis-server-name (AMPERSAND_REDIS_...)");
    }

    return 0;
}


store_t *
store_open(const store_options_t *options, ctl_error_t *error)
{
    store_t     *store;
    nodes_t     *nodes;
    const char  *why;

    store = calloc(1, sizeof(*store));
    if (store == NULL) {
        abort();
    }

    nodes = &store->route.nodes;
    nodes->timeout = options->timeout;
    store->prefix = options->prefix;

    if (amp_redis_url_parse(amp_span_make(options->url, strlen(options->url)),
                            &nodes->url, &why)
        != 0)
    {
        ctl_error(error, CTL_USAGE, "usage", "%s", why);
        (void) ctl_remedy(error, AMP_REDIS_URL_FORMS);
        goto failed;
    }

    if (store_password(nodes, options->password_file, error) != 0
        || store_tls(store, &options->tls, error) != 0)
    {
        goto failed;
    }

    nodes_init(nodes);

    return store;

failed:

    store_close(store);

    return NULL;
}


void
store_close(store_t *store)
{
    if (store == NULL) {
        return;
    }

    store_forget(store);
    free(store->queue);

    nodes_close(&store->route.nodes);
    tls_free(store->tls);

    secret_clean(store, sizeof(*store));
    free(store);
}


void
store_describe(store_t *store, const char *noun, const char *verb)
{
    snprintf(store->what, sizeof(store->what), "%s%s%s", noun, verb ? " " : "",
             verb ? verb : "");
}


const char *
store_what(const store_t *store)
{
    return store->what;
}


const char *
store_address(const store_t *store)
{
    return store->route.nodes.url.shown;
}


route_t *
store_route(store_t *store)
{
    return &store->route;
}


amp_span_t
store_prefix(const store_t *store)
{
    return amp_span_make(store->prefix, strlen(store->prefix));
}


unsigned
store_changes(const store_t *store)
{
    return store->route.nodes.changes;
}


/*
 * EVALSHA, or where whole is set EVAL, of a script on one key; the text is
 * redisFreeCommand()'s.
 */

static void
store_script_format(route_command_t *command, char **text,
    const amp_script_t *script, unsigned whole, amp_span_t key,
    const amp_span_t *args, unsigned nargs)
{
    int          len;
    size_t       lens[STORE_SCRIPT_ARGS + 4];
    unsigned     i;
    amp_span_t   code;
    const char  *argv[STORE_SCRIPT_ARGS + 4];

    code = whole ? script->text : script->sha;

    argv[0] = whole ? "EVAL" : "EVALSHA";
    argv[1] = (const char *) code.data;
    argv[2] = "1";
    argv[3] = (const char *) key.data;
    lens[0] = strlen(argv[0]);
    lens[1] = code.len;
    lens[2] = 1;
    lens[3] = key.len;

    for (i = 0; i < nargs && i < STORE_SCRIPT_ARGS; i++) {
        argv[i + 4] = args[i].len ? (const char *) args[i].data : "";
        lens[i + 4] = args[i].len;
    }

    len = redisFormatCommandArgv(text, (int) i + 4, argv, lens);
    if (len < 0) {
        abort();
    }

    command->text = *text;
    command->len = (size_t) len;
    command->slot = amp_slot(key);
    command->idempotent = 1;
}


void
store_queue_script(store_t *store, const amp_script_t *script, amp_span_t key,
    const amp_span_t *args, unsigned nargs)
{
    store_queued_t  *queued;

    queued = store_queue_add(store);
    store_script_format(&queued->command, &queued->text, script, 0, key, args,
                        nargs);
}


int
store_script(store_t *store, ctl_error_t *error, const amp_script_t *script,
    unsigned idempotent, amp_span_t key, const amp_span_t *args, unsigned nargs,
    long long *answer)
{
    char             *text;
    unsigned          whole;
    redisReply       *reply;
    route_command_t   command;

    reply = NULL;

    for (whole = 0; whole < 2; whole++) {
        store_script_format(&command, &text, script, whole, key, args, nargs);
        command.idempotent = idempotent;

        reply = route_call(&store->route, &command, error);
        redisFreeCommand(text);

        if (whole || reply == NULL
            || fault_class(reply) != AMP_REDIS_ERROR_NOSCRIPT)
        {
            break;
        }

        freeReplyObject(reply);
    }

    reply = store_not_error(reply);
    if (reply == NULL) {
        return -1;
    }

    *answer = reply->integer;
    freeReplyObject(reply);

    return 0;
}


int
store_time(store_t *store, ctl_error_t *error, amp_span_t key, int64_t *now)
{
    redisReply       *reply;
    route_command_t   command;

    memset(&command, 0, sizeof(command));

    command.text = "*1\r\n$4\r\nTIME\r\n";
    command.len = strlen(command.text);
    command.slot = amp_slot(key);
    command.idempotent = 1;

    reply = store_not_error(route_call(&store->route, &command, error));

    if (reply == NULL) {
        return -1;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->str == NULL || reply->element[1]->str == NULL)
    {
        freeReplyObject(reply);
        ctl_error(error, CTL_REACH, "redis_error",
                  "Redis at %s did not answer TIME with a time",
                  store_address(store));
        return ctl_remedy(error, "run ampctl doctor");
    }

    *now = strtoll(reply->element[0]->str, NULL, 10) * 1000000
           + strtoll(reply->element[1]->str, NULL, 10);

    freeReplyObject(reply);

    return 0;
}
