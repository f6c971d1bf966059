/*
 * What Redis refuses.
 */

#include <string.h>

#include "fault.h"


#define FAULT_ACL                                                             \
    "let its ACL user run +@read +@write +@scripting +@connection +publish "  \
    "+time +info +role +cluster|slots on the prefix's keys (~amp:*) and "     \
    "channel (&amp:events)"


typedef struct {
    const char  *reply;
    int          code;
    const char  *word;
    const char  *message;
    const char  *remedy;
} fault_t;


static const fault_t  faults[] = {

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
      FAULT_ACL },

    { "can't run this command or subcommand", CTL_REACH, "redis_permission",
      "does not let this user do that in a script",
      FAULT_ACL },

    { "READONLY", CTL_REACH, "redis_readonly",
      "is a replica and takes no writes",
      "point --redis (AMPERSAND_REDIS) at the primary, or at its Sentinels: "
      "redis+sentinel://host:port,.../name" },

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
      "is a node of a cluster",
      "write redis+cluster://host:port (AMPERSAND_REDIS) with some of its "
      "nodes" },

    { "CLUSTERDOWN", CTL_REACH, "redis_cluster",
      "says that the cluster is down, or that nobody holds a part of the keys",
      "see: redis-cli --cluster check HOST:PORT; until a lost master is back "
      "or replaced nothing else helps" },

    { "TRYAGAIN", CTL_REACH, "redis_cluster",
      "is moving this key to another node",
      "run the command again" },

    { "cluster support disabled", CTL_REACH, "redis_cluster",
      "is no node of a cluster",
      "without \"+cluster\" the URL is right for it" },

    { "BUSY", CTL_REACH, "redis_busy",
      "is held up by somebody's script",
      "end it with SCRIPT KILL in redis-cli, then run the command again" },

    { "WRONGTYPE", CTL_REFUSED, "bad_record",
      "holds a value of another type under one of our keys",
      "choose another --prefix, or remove the foreign key" },

    { "unknown command", CTL_REACH, "redis_command",
      "does not know a command that is needed",
      "to a Sentinel one writes redis+sentinel://host:port,.../name; or "
      "rename-command in Redis has taken the command away" },

    { "DB index is out of range", CTL_REACH, "redis_database",
      "does not have this database",
      "use a lower number after the \"/\" of the URL" },

    { NULL, 0, NULL, NULL, NULL }
};


int
fault_is(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_ERROR
           && strncmp(reply->str, word, strlen(word)) == 0;
}


int
fault_reply(ctl_error_t *error, const char *who, const redisReply *reply)
{
    int             len;
    const char     *args;
    const fault_t  *fault;

    /* Redis 6 wraps the error of a command inside a script in more text */

    for (fault = faults; fault->reply != NULL; fault++) {
        if (strstr(reply->str, fault->reply) == NULL) {
            continue;
        }

        ctl_error(error, fault->code, fault->word, "%s %s", who,
                  fault->message);
        return ctl_remedy(error, "%s", fault->remedy);
    }

    /* an unknown subcommand is answered with its arguments */

    args = strstr(reply->str, ", with args");
    len = (int) (args != NULL ? (size_t) (args - reply->str)
                              : strlen(reply->str));

    ctl_error(error, CTL_REACH, "redis_error", "%s answered \"%.*s\"", who,
              len, reply->str);

    return ctl_remedy(error, "run ampctl doctor");
}
