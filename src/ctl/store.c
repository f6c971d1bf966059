/*
 * The connection to Redis.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "../core/amp_token.h"
#include "amp_redis_url.h"
#include "secret.h"
#include "store.h"


#define STORE_SCRIPT_ARGS  8


struct store_s {
    redisContext  *redis;
    const char    *prefix;
    unsigned       timeout;
    char           address[AMP_REDIS_URL_SHOWN];
};


/* What Redis refuses, what it means, and what to do about it. */

typedef struct {
    const char  *reply;
    int          code;
    const char  *word;
    const char  *message;
    const char  *remedy;
} store_fault_t;


static const store_fault_t  store_faults[] = {

    { "NOAUTH", CTL_REACH, "redis_auth",
      "asks for a password",
      "put it in a file and add --redis-password-file FILE, or write it into "
      "AMPERSAND_REDIS" },

    { "WRONGPASS", CTL_REACH, "redis_auth",
      "refused user or password",
      "check the user in the URL, and the password or its file" },

    { "invalid password", CTL_REACH, "redis_auth",
      "refused user or password",
      "check the user in the URL, and the password or its file" },

    { "without any password configured", CTL_REACH, "redis_auth",
      "was sent a password and has none",
      "leave the password out, or set requirepass (or a user) in Redis" },

    { "no password is set", CTL_REACH, "redis_auth",
      "was sent a password and has none",
      "leave the password out, or set requirepass (or a user) in Redis" },

    { "NOPERM", CTL_REACH, "redis_permission",
      "does not let this user do that",
      "let its ACL user run +@read +@write +@scripting +publish +time +info "
      "on the prefix's keys (~amp:*) and channel (&amp:events)" },

    { "can't run this command or subcommand", CTL_REACH, "redis_permission",
      "does not let this user do that in a script",
      "let its ACL user run +@read +@write +@scripting +publish +time +info "
      "on the prefix's keys (~amp:*) and channel (&amp:events)" },

    { "READONLY", CTL_REACH, "redis_readonly",
      "is a replica and takes no writes",
      "point --redis (AMPERSAND_REDIS) at the primary" },

    { "MASTERDOWN", CTL_REACH, "redis_readonly",
      "is a replica that has lost its primary",
      "point --redis (AMPERSAND_REDIS) at the primary" },

    { "LOADING", CTL_REACH, "redis_loading",
      "is still loading its data",
      "run the command again when it has started" },

    { "MISCONF", CTL_REACH, "redis_persistence",
      "takes no writes because it cannot save to disk",
      "free disk space or mend the directory of Redis; its log says why" },

    { "OOM", CTL_REACH, "redis_memory",
      "is out of memory",
      "raise maxmemory in Redis or free some; keep maxmemory-policy "
      "noeviction" },

    { "MOVED", CTL_REACH, "redis_cluster",
      "is a cluster, which this version does not support",
      "point --redis (AMPERSAND_REDIS) at a single Redis" },

    { "CLUSTERDOWN", CTL_REACH, "redis_cluster",
      "is a cluster, which this version does not support",
      "point --redis (AMPERSAND_REDIS) at a single Redis" },

    { "BUSY", CTL_REACH, "redis_busy",
      "is held up by somebody's script",
      "end it with SCRIPT KILL in redis-cli, then run the command again" },

    { "WRONGTYPE", CTL_REFUSED, "bad_record",
      "holds a value of another type under one of our keys",
      "choose another --prefix, or remove the foreign key" },

    { "DB index is out of range", CTL_REACH, "redis_database",
      "does not have this database",
      "use a lower number after the \"/\" of the URL" },

    { NULL, 0, NULL, NULL, NULL }
};


static void
store_fault(store_t *store, ctl_error_t *error, const char *reply)
{
    int                   len;
    const char           *args;
    const store_fault_t  *fault;

    /* Redis 6 wraps the error of a command inside a script in more text */

    for (fault = store_faults; fault->reply != NULL; fault++) {
        if (strstr(reply, fault->reply) == NULL) {
            continue;
        }

        ctl_error(error, fault->code, fault->word, "Redis at %s %s",
                  store->address, fault->message);
        ctl_remedy(error, "%s", fault->remedy);
        return;
    }

    /* an unknown command is answered with its arguments: AUTH's may be one */

    args = strstr(reply, ", with args");
    len = args != NULL ? (int) (args - reply) : (int) strlen(reply);

    ctl_error(error, CTL_REACH, "redis_error",
              "Redis at %s answered \"%.*s\"", store->address, len, reply);
    ctl_remedy(error, "run ampctl doctor");
}


static void
store_lost(store_t *store, ctl_error_t *error)
{
    int          code;
    const char  *why;

    /* hiredis leaves errno as the failed call set it */

    code = errno;
    why = store->redis != NULL ? store->redis->errstr : "no memory";

    if (store->redis != NULL && store->redis->err == REDIS_ERR_IO
        && (code == EAGAIN || code == ETIMEDOUT || code == EINPROGRESS))
    {
        ctl_error(error, CTL_REACH, "redis_unreachable",
                  "Redis at %s did not answer within %u ms", store->address,
                  store->timeout);
        ctl_remedy(error, "check that it runs and can be reached; "
                   "--timeout waits longer");
        return;
    }

    ctl_error(error, CTL_REACH, "redis_unreachable",
              "Redis at %s is out of reach: %s", store->address, why);
    ctl_remedy(error, "check that it runs, and --redis or AMPERSAND_REDIS");
}


static redisReply *
store_judge(store_t *store, ctl_error_t *error, redisReply *reply)
{
    if (reply == NULL) {
        store_lost(store, error);
        return NULL;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        store_fault(store, error, reply->str);
        freeReplyObject(reply);
        return NULL;
    }

    return reply;
}


redisReply *
store_command(store_t *store, ctl_error_t *error, const char *fmt, ...)
{
    va_list      args;
    redisReply  *reply;

    errno = 0;

    va_start(args, fmt);
    reply = redisvCommand(store->redis, fmt, args);
    va_end(args);

    return store_judge(store, error, reply);
}


void
store_queue(store_t *store, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    redisvAppendCommand(store->redis, fmt, args);
    va_end(args);
}


redisReply *
store_reply(store_t *store, ctl_error_t *error)
{
    void  *reply;

    errno = 0;
    reply = NULL;

    if (redisGetReply(store->redis, &reply) != REDIS_OK) {
        reply = NULL;
    }

    return store_judge(store, error, reply);
}


static int
store_credentials(const amp_redis_url_t *url, const char *password_file,
    ctl_error_t *error)
{
    if (url->password[0] != '\0' && password_file != NULL) {
        ctl_error(error, CTL_USAGE, "usage", "a Redis password stands in the "
                  "URL and in a file");
        return ctl_remedy(error, "give one of the two: the URL, or "
                          "--redis-password-file FILE");
    }

    if (url->user[0] != '\0' && url->password[0] == '\0'
        && password_file == NULL)
    {
        ctl_error(error, CTL_USAGE, "usage", "the Redis URL names a user and "
                  "no password");
        return ctl_remedy(error, "add --redis-password-file FILE");
    }

    return 0;
}


static int
store_login(store_t *store, amp_redis_url_t *url, const char *password_file,
    ctl_error_t *error)
{
    secret_t     password;
    amp_span_t   text;
    redisReply  *reply;

    memset(&password, 0, sizeof(password));
    text = amp_span_make(url->password, strlen(url->password));

    if (password_file != NULL) {
        if (secret_read(&password, password_file, "the Redis password", error)
            != 0)
        {
            return -1;
        }

        text = secret_span(&password);
    }

    if (text.len != 0) {
        if (url->user[0] != '\0') {
            reply = store_command(store, error, "AUTH %s %b", url->user,
                                  text.data, text.len);
        } else {
            reply = store_command(store, error, "AUTH %b", text.data,
                                  text.len);
        }

        secret_wipe(&password);

        if (reply == NULL) {
            return -1;
        }

        freeReplyObject(reply);
    }

    /* also the proof that somebody is there who speaks Redis */

    reply = store_command(store, error, "SELECT %d", (int) url->db);
    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);

    return 0;
}


store_t *
store_open(const store_options_t *options, ctl_error_t *error)
{
    store_t          *store;
    amp_span_t        text;
    const char       *why;
    struct timeval    timeout;
    amp_redis_url_t   url;

    text = amp_span_make(options->url, strlen(options->url));

    if (amp_redis_url_parse(text, &url, &why) != 0) {
        secret_clean(&url, sizeof(url));
        ctl_error(error, CTL_USAGE, "usage", "%s", why);
        (void) ctl_remedy(error, AMP_REDIS_URL_FORMS);
        return NULL;
    }

    if (url.form != AMP_REDIS_SINGLE || url.tls) {
        secret_clean(&url, sizeof(url));
        ctl_error(error, CTL_USAGE, "usage", "rediss, redis+sentinel and "
                  "redis+cluster are not supported by this version");
        (void) ctl_remedy(error, AMP_REDIS_URL_FORMS);
        return NULL;
    }

    if (store_credentials(&url, options->password_file, error) != 0) {
        secret_clean(&url, sizeof(url));
        return NULL;
    }

    store = calloc(1, sizeof(*store));
    if (store == NULL) {
        abort();
    }

    store->prefix = options->prefix;
    store->timeout = options->timeout;
    memcpy(store->address, url.shown, sizeof(url.shown));

    timeout.tv_sec = options->timeout / 1000;
    timeout.tv_usec = options->timeout % 1000 * 1000;

    errno = 0;

    if (url.path[0] != '\0') {
        store->redis = redisConnectUnixWithTimeout(url.path, timeout);
    } else {
        store->redis = redisConnectWithTimeout(url.hosts[0].host,
                                               (int) url.hosts[0].port,
                                               timeout);
    }

    if (store->redis == NULL || store->redis->err != 0) {
        store_lost(store, error);
        goto failed;
    }

    redisSetTimeout(store->redis, timeout);

    if (store_login(store, &url, options->password_file, error) != 0) {
        goto failed;
    }

    secret_clean(&url, sizeof(url));

    return store;

failed:

    secret_clean(&url, sizeof(url));
    store_close(store);

    return NULL;
}


void
store_close(store_t *store)
{
    if (store == NULL) {
        return;
    }

    if (store->redis != NULL) {
        redisFree(store->redis);
    }

    free(store);
}


const char *
store_address(const store_t *store)
{
    return store->address;
}


amp_span_t
store_prefix(const store_t *store)
{
    return amp_span_make(store->prefix, strlen(store->prefix));
}


/* Redis names a script by the SHA-1 of its text. */

static void
store_script_name(const char *script, char name[41])
{
    unsigned       len;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    len = 0;

    if (EVP_Digest(script, strlen(script), digest, &len, EVP_sha1(), NULL)
        != 1 || len != 20)
    {
        /* no such script anywhere, so EVAL follows */
        memset(digest, 0, sizeof(digest));
    }

    amp_hex(digest, 20, (unsigned char *) name);
    name[40] = '\0';
}


int
store_script(store_t *store, ctl_error_t *error, const char *script,
    amp_span_t key, const amp_span_t *args, unsigned nargs, long long *answer)
{
    char         name[41];
    size_t       lens[STORE_SCRIPT_ARGS + 4];
    unsigned     i;
    redisReply  *reply;
    const char  *argv[STORE_SCRIPT_ARGS + 4];

    store_script_name(script, name);

    argv[0] = "EVALSHA";
    argv[1] = name;
    argv[2] = "1";
    argv[3] = (const char *) key.data;
    lens[0] = strlen(argv[0]);
    lens[1] = strlen(argv[1]);
    lens[2] = 1;
    lens[3] = key.len;

    for (i = 0; i < nargs && i < STORE_SCRIPT_ARGS; i++) {
        argv[i + 4] = args[i].len ? (const char *) args[i].data : "";
        lens[i + 4] = args[i].len;
    }

    errno = 0;
    reply = redisCommandArgv(store->redis, i + 4, argv, lens);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR
        && strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        freeReplyObject(reply);

        argv[0] = "EVAL";
        argv[1] = script;
        lens[0] = strlen(argv[0]);
        lens[1] = strlen(argv[1]);

        errno = 0;
        reply = redisCommandArgv(store->redis, i + 4, argv, lens);
    }

    reply = store_judge(store, error, reply);
    if (reply == NULL) {
        return -1;
    }

    *answer = reply->integer;
    freeReplyObject(reply);

    return 0;
}


int
store_time(store_t *store, ctl_error_t *error, int64_t *now)
{
    redisReply  *reply;

    reply = store_command(store, error, "TIME");
    if (reply == NULL) {
        return -1;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->str == NULL || reply->element[1]->str == NULL)
    {
        freeReplyObject(reply);
        return ctl_error(error, CTL_REACH, "redis_error",
                         "Redis at %s has no TIME", store->address);
    }

    *now = strtoll(reply->element[0]->str, NULL, 10) * 1000000
           + strtoll(reply->element[1]->str, NULL, 10);

    freeReplyObject(reply);

    return 0;
}
