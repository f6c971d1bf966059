/*
 * Redis behind Sentinels.
 */

#include <string.h>

#include <hiredis/hiredis.h>

#include "../core/amp_redis_host.h"
#include "../core/amp_reply_hiredis.h"
#include "../core/amp_sentinel.h"
#include "fault.h"
#include "sentinel.h"


/*
 * User and password are those of Redis; a Sentinel gets them only where it
 * answers NOAUTH.
 */

static redisReply *
sentinel_command(const nodes_t *nodes, connection_t *c,
    const connection_options_t *options, int64_t deadline, ctl_error_t *error)
{
    redisReply  *reply;

    reply = connection_command(c, deadline, error,
                               "SENTINEL get-master-addr-by-name %s",
                               nodes->url.name);

    if (reply == NULL || fault_class(reply) != AMP_REDIS_ERROR_NOAUTH
        || nodes->options.password.len == 0)
    {
        return reply;
    }

    freeReplyObject(reply);

    if (connection_auth(c, options, deadline, error) != 0) {
        return NULL;
    }

    return connection_command(c, deadline, error,
                              "SENTINEL get-master-addr-by-name %s",
                              nodes->url.name);
}


/* 1 with *master set, 0: no such name, or -1 with the error set. */

static int
sentinel_answer(connection_t *c, const redisReply *reply,
    amp_redis_host_t *master, ctl_error_t *error)
{
    amp_reply_t  view;

    view = amp_reply_hiredis(reply);

    switch (amp_sentinel_answer(&view, master)) {

    case AMP_SENTINEL_MASTER:
        return 1;

    case AMP_SENTINEL_NO_SUCH_NAME:
        return 0;

    case AMP_SENTINEL_ERROR:
        if (fault_class(reply) != AMP_REDIS_ERROR_UNKNOWN_COMMAND) {
            return fault_reply(error, connection_who(c), reply);
        }

        break;

    case AMP_SENTINEL_NO_HOST:
        ctl_error(error, CTL_REACH, "redis_sentinel",
                  "%s names no host and port of the master",
                  connection_who(c));

        return ctl_remedy(error, "set replica-announce-ip in the servers, and "
                          "sentinel announce-hostnames or resolve-hostnames "
                          "where they have names");

    default:
        break;
    }

    ctl_error(error, CTL_REACH, "redis_sentinel", "%s is no Sentinel",
              connection_who(c));

    return ctl_remedy(error, "the URL of a Redis server itself is "
                      "redis://host:port");
}


int
sentinel_ask(const nodes_t *nodes, unsigned i, int64_t deadline,
    amp_redis_host_t *master, ctl_error_t *error)
{
    int                    rc;
    redisReply            *reply;
    connection_t          *c;
    connection_options_t   options, without_login;

    options = nodes->options;
    options.what = "Sentinel";
    options.timeout = (unsigned) (deadline - connection_clock());

    without_login = options;
    without_login.password = amp_span_null;
    without_login.db = 0;

    c = connection_open(&without_login, NULL, &nodes->url.hosts[i], deadline,
                        error);
    if (c == NULL) {
        return -1;
    }

    rc = -1;
    reply = sentinel_command(nodes, c, &options, deadline, error);

    if (reply != NULL) {
        rc = sentinel_answer(c, reply, master, error);
        freeReplyObject(reply);
    }

    connection_close(c);

    return rc;
}


/* Asks for the ROLE.  0: master, or -1 with the error and nodes->retry set. */

static int
sentinel_verify(nodes_t *nodes, connection_t *c, int64_t deadline,
    ctl_error_t *error)
{
    int           rc;
    redisReply   *reply;
    amp_reply_t   view;

    nodes->retry = 1;

    reply = connection_command(c, deadline, error, "ROLE");
    if (reply == NULL) {
        return -1;
    }

    rc = 0;
    view = amp_reply_hiredis(reply);

    if (reply->type == REDIS_REPLY_ERROR) {
        rc = fault_reply(error, connection_who(c), reply);
        nodes->retry = (fault_class(reply) == AMP_REDIS_ERROR_LOADING);

    } else if (!amp_sentinel_role_master(&view)) {
        ctl_error(error, CTL_REACH, "redis_failover",
                  "%s is not a master, though Sentinel names it as one",
                  connection_who(c));
        rc = ctl_remedy(error, "a fail-over is under way: run the command "
                        "again in a few seconds");
    }

    freeReplyObject(reply);

    return rc;
}


/* Connects to the master that a Sentinel named.  0, or -1 as above. */

static int
sentinel_master(sentinel_t *sentinel, nodes_t *nodes,
    const amp_redis_host_t *master, int64_t deadline, ctl_error_t *error)
{
    int            node;
    connection_t  *c;

    node = nodes_add(nodes, master);

    if (node == -1) {
        nodes->retry = 0;
        return ctl_error(error, CTL_REACH, "redis_sentinel",
                         "Sentinel named too many masters");
    }

    c = nodes_connect(nodes, (unsigned) node, deadline, error);

    if (c == NULL) {
        return -1;
    }

    if (sentinel_verify(nodes, c, deadline, error) != 0) {
        nodes_lost(nodes, c);
        return -1;
    }

    sentinel->master = (unsigned) node + 1;

    return 0;
}


/* No Sentinel named a master; fault: what the last one answered. */

static void
sentinel_none(nodes_t *nodes, unsigned no_such_name, unsigned slow,
    const ctl_error_t *fault, ctl_error_t *error)
{
    nodes->retry = 0;

    if (no_such_name) {
        ctl_error(error, CTL_REACH, "redis_sentinel", "no Sentinel of %s "
                  "knows a master of that name", nodes->url.shown);
        ctl_remedy(error, "check the name at the end of the URL; redis-cli -p "
                   "%d SENTINEL masters lists the names",
                   AMP_REDIS_SENTINEL_PORT);
        return;
    }

    *error = *fault;

    /* at least one Sentinel was asked, and failed */
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    if (strcmp(fault->code, "redis_unreachable") != 0) {
        return;
    }

    /* Sentinels that refuse connections are down, slow ones may answer later */

    nodes->retry = slow;

    if (nodes->url.nhosts > 1) {
        ctl_error(error, CTL_REACH, "redis_unreachable", "none of the %u "
                  "Sentinels answers; the last: %s", nodes->url.nhosts,
                  fault->message);
        ctl_remedy(error, "check that they run, and --redis or "
                   "AMPERSAND_REDIS");
    }
}


connection_t *
sentinel_connection(sentinel_t *sentinel, nodes_t *nodes, int64_t deadline,
    ctl_error_t *error)
{
    int               rc;
    int64_t           begin;
    unsigned          i, k, n, first, named, no_such_name;
    ctl_error_t       fault;
    amp_redis_host_t  master, before;

    if (sentinel->master != 0) {
        return nodes->list[sentinel->master - 1].connection;
    }

    n = nodes->url.nhosts;
    first = sentinel->first;
    begin = connection_clock();
    named = 0;
    no_such_name = 0;
    memset(&before, 0, sizeof(before));
    memset(&fault, 0, sizeof(fault));

    for (i = 0; i < n && connection_clock() < deadline; i++) {
        k = (first + i) % n;

        rc = sentinel_ask(nodes, k, nodes_share(nodes, n, deadline), &master,
                          &fault);

        no_such_name |= (rc == 0);

        if (rc != 1 || (named && amp_redis_host_eq(&master, &before))) {
            continue;
        }

        named = 1;
        before = master;

        if (sentinel_master(sentinel, nodes, &master, deadline, error) == 0) {
            sentinel->first = k;
            return nodes->list[sentinel->master - 1].connection;
        }

        if (!nodes->retry) {
            return NULL;
        }

        /* it may be cut off from the others: they are asked first next time */

        sentinel->first = (k + 1) % n;
    }

    if (!named) {
        sentinel_none(nodes, no_such_name,
                      (connection_clock() - begin) * 4 >= deadline - begin,
                      &fault, error);
    }

    return NULL;
}
