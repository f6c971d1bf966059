/*
 * Error replies of Redis as errors of ampctl.
 */

#include <hiredis/hiredis.h>

#include "../core/amp_reply_hiredis.h"
#include "fault.h"


#define FAULT_TEXT  256                 /* bytes of an unknown error shown    */


typedef struct {
    int          exit;                  /* 0: this class has no message       */
    const char  *code;
    const char  *message;               /* follows "Redis at ..."             */
    const char  *remedy;
} fault_t;


static const fault_t  faults[] = {

    [AMP_REDIS_ERROR_NOAUTH] = {
        CTL_REACH, "redis_auth",
        "requires a password",
        "put it in a file and add --redis-password-file FILE, or write it "
        "into AMPERSAND_REDIS" },

    [AMP_REDIS_ERROR_WRONGPASS] = {
        CTL_REACH, "redis_auth",
        "refused user or password",
        "check the user in the URL, and the password or its file" },

    [AMP_REDIS_ERROR_NO_PASSWORD] = {
        CTL_REACH, "redis_auth",
        "has no password, and one was sent",
        "leave the password out, or set requirepass (or a user) in Redis" },

    [AMP_REDIS_ERROR_NOPERM] = {
        CTL_REACH, "redis_permission",
        "does not permit this user to run the command",
        "run ampctl doctor" },                  /* rights_remedy() says more */

    [AMP_REDIS_ERROR_PROTECTED] = {
        CTL_REACH, "redis_protected",
        "is in protected mode and refuses clients of other machines",
        "set a password (requirepass, or a user) in Redis; protected-mode no "
        "lets everybody in" },

    [AMP_REDIS_ERROR_MAX_CLIENTS] = {
        CTL_REACH, "redis_clients",
        "takes no more clients",
        "raise maxclients in Redis; CLIENT LIST shows who is connected" },

    [AMP_REDIS_ERROR_READONLY] = {
        CTL_REACH, "redis_readonly",
        "is a replica and takes no writes",
        "point --redis (AMPERSAND_REDIS) at the master, or at its Sentinels: "
        "redis+sentinel://host:port,.../name" },

    [AMP_REDIS_ERROR_MASTERDOWN] = {
        CTL_REACH, "redis_readonly",
        "is a replica that has lost its master",
        "point --redis (AMPERSAND_REDIS) at the master" },

    [AMP_REDIS_ERROR_LOADING] = {
        CTL_REACH, "redis_loading",
        "is still loading its data",
        "run the command again when it has started" },

    [AMP_REDIS_ERROR_MISCONF] = {
        CTL_REACH, "redis_persistence",
        "takes no writes because it cannot save to disk",
        "free disk space or make the directory of Redis writable; its log has "
        "the reason" },

    [AMP_REDIS_ERROR_NOREPLICAS] = {
        CTL_REACH, "redis_replicas",
        "takes no writes because too few replicas follow it",
        "start its replicas, or lower min-replicas-to-write in Redis" },

    [AMP_REDIS_ERROR_OOM] = {
        CTL_REACH, "redis_memory",
        "is out of memory",
        "raise maxmemory in Redis or free some; keep maxmemory-policy "
        "noeviction" },

    [AMP_REDIS_ERROR_BUSY] = {
        CTL_REACH, "redis_busy",
        "is busy with a script that does not end",
        "end it with SCRIPT KILL in redis-cli, then run the command again" },

    [AMP_REDIS_ERROR_MOVED] = {
        CTL_REACH, "redis_cluster",
        "is a node of a cluster",
        "write redis+cluster://host:port (AMPERSAND_REDIS) with some of its "
        "nodes" },

    [AMP_REDIS_ERROR_ASK] = {
        CTL_REACH, "redis_cluster",
        "is a node of a cluster",
        "write redis+cluster://host:port (AMPERSAND_REDIS) with some of its "
        "nodes" },

    [AMP_REDIS_ERROR_TRYAGAIN] = {
        CTL_REACH, "redis_cluster",
        "is moving this key to another node",
        "run the command again" },

    [AMP_REDIS_ERROR_CLUSTERDOWN] = {
        CTL_REACH, "redis_cluster",
        "answers that the cluster is down, or that no node serves a part of "
        "the keys",
        "see: redis-cli --cluster check HOST:PORT; the cluster works again "
        "when each lost master is back or replaced" },

    [AMP_REDIS_ERROR_NO_CLUSTER] = {
        CTL_REACH, "redis_cluster",
        "is not a node of a cluster",
        "leave \"+cluster\" out of the URL" },

    [AMP_REDIS_ERROR_WRONGTYPE] = {
        CTL_REFUSED, "bad_record",
        "holds a value of another type under a key of the gateway",
        "choose another --prefix, or remove that key" },

    [AMP_REDIS_ERROR_UNKNOWN_COMMAND] = {
        CTL_REACH, "redis_command",
        "does not have a command that is needed",
        "is it a Sentinel? Its URL is redis+sentinel://host:port,.../name; "
        "or has rename-command in Redis removed the command?" },

    [AMP_REDIS_ERROR_DB_INDEX] = {
        CTL_REACH, "redis_database",
        "does not have this database",
        "use a lower number after the \"/\" of the URL" }
};


amp_redis_error_e
fault_class(const redisReply *reply)
{
    amp_reply_t  view;

    view = amp_reply_hiredis(reply);

    return view.type == AMP_REPLY_ERROR
           ? amp_redis_error_class(view.text, NULL) : AMP_REDIS_ERROR_OTHER;
}


int
fault_reply(ctl_error_t *error, const char *who, const redisReply *reply)
{
    size_t              len;
    unsigned            script;
    amp_reply_t         view;
    const fault_t      *fault;
    unsigned char       text[FAULT_TEXT];
    amp_redis_error_e   class;

    view = amp_reply_hiredis(reply);
    class = amp_redis_error_class(view.text, &script);

    if (class < sizeof(faults) / sizeof(faults[0]) && faults[class].exit != 0)
    {
        fault = &faults[class];

        ctl_error(error, fault->exit, fault->code, "%s %s%s", who,
                  fault->message, class == AMP_REDIS_ERROR_NOPERM && script
                                  ? " in a script" : "");

        return ctl_remedy(error, "%s", fault->remedy);
    }

    len = amp_redis_error_text(view.text, text, sizeof(text));

    ctl_error(error, CTL_REACH, "redis_error", "%s answered \"%.*s\"", who,
              (int) len, (char *) text);

    return ctl_remedy(error, "run ampctl doctor");
}
