/*
 * Which connection a command takes.
 */

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "route.h"


#define ROUTE_HOPS       5          /* redirections without a pause           */
#define ROUTE_SLICE      500        /* ms, of the first attempt               */
#define ROUTE_SLICE_MAX  2000


typedef enum {
    ROUTE_DONE = 0,                 /* the reply is the answer                */
    ROUTE_NOW,                      /* the command is sent again at once      */
    ROUTE_LATER                     /* ... after a pause                      */
} route_verdict_e;


connection_t *
route_connection(route_t *route, unsigned slot, int64_t deadline,
    ctl_error_t *error)
{
    nodes_t  *nodes;

    nodes = &route->nodes;

    switch (nodes->url.form) {

    case AMP_REDIS_SENTINEL:
        return sentinel_connection(&route->sentinel, nodes, deadline, error);

    case AMP_REDIS_CLUSTER:
        return cluster_connection(&route->cluster, nodes, slot, deadline,
                                  error);

    default:
        return nodes_connect(nodes, 0, deadline, error);
    }
}


int
route_serves(const route_t *route, unsigned node)
{
    switch (route->nodes.url.form) {

    case AMP_REDIS_CLUSTER:
        return route->nodes.list[node].slots != 0;

    case AMP_REDIS_SENTINEL:
        return route->sentinel.master == node + 1;

    default: /* AMP_REDIS_SINGLE */
        return 1;
    }
}


void
route_lost(route_t *route, connection_t *c)
{
    nodes_lost(&route->nodes, c);

    route->sentinel.master = 0;
    route->cluster.mapped = 0;
}


/*
 * After MOVED or ASK.  *ask: 1 + the index of the node that gets the command,
 * after ASKING, where the reply is an ASK.
 */

static route_verdict_e
route_redirect(route_t *route, connection_t *c, const redisReply *reply,
    unsigned *ask)
{
    int               node;
    nodes_t          *nodes;
    unsigned          i;
    amp_redirect_t    to;
    amp_redis_host_t  answered;

    nodes = &route->nodes;
    memset(&answered, 0, sizeof(answered));

    for (i = 0; i < nodes->n; i++) {
        if (nodes->list[i].connection == c) {
            answered = nodes->list[i].host;
        }
    }

    if (amp_redirect_parse(amp_span_make(reply->str, (size_t) reply->len),
                           &answered, &to)
        != 0)
    {
        return ROUTE_DONE;
    }

    node = cluster_redirect(&route->cluster, nodes, &to);

    if (node == -1) {
        return ROUTE_LATER;
    }

    if (to.ask) {
        *ask = (unsigned) node + 1;
    }

    return ROUTE_NOW;
}


/* What follows from a reply. */

static route_verdict_e
route_judge(route_t *route, connection_t *c, const redisReply *reply,
    unsigned *ask)
{
    unsigned  cluster;

    if (reply->type != REDIS_REPLY_ERROR
        || route->nodes.url.form == AMP_REDIS_SINGLE)
    {
        return ROUTE_DONE;
    }

    cluster = (route->nodes.url.form == AMP_REDIS_CLUSTER);

    switch (fault_class(reply)) {

    case AMP_REDIS_ERROR_READONLY:
        route_lost(route, c);
        return ROUTE_NOW;

    case AMP_REDIS_ERROR_LOADING:
    case AMP_REDIS_ERROR_MASTERDOWN:
        route_lost(route, c);
        return ROUTE_LATER;

    case AMP_REDIS_ERROR_TRYAGAIN:
        return cluster ? ROUTE_LATER : ROUTE_DONE;

    case AMP_REDIS_ERROR_CLUSTERDOWN:
        if (cluster) {
            route->cluster.mapped = 0;
            return ROUTE_LATER;
        }

        return ROUTE_DONE;

    case AMP_REDIS_ERROR_MOVED:
    case AMP_REDIS_ERROR_ASK:
        return cluster ? route_redirect(route, c, reply, ask) : ROUTE_DONE;

    default:
        return ROUTE_DONE;
    }
}


/*
 * The error of the reply.  Of a value of another type, the key is named: the
 * first argument, of a script the third.
 */

static void
route_fault(const route_command_t *command, connection_t *c,
    const redisReply *reply, ctl_error_t *error)
{
    char        *end;
    long         len;
    unsigned     i, n;
    const char  *p;

    (void) fault_reply(error, connection_who(c), reply);

    if (fault_class(reply) != AMP_REDIS_ERROR_WRONGTYPE) {
        return;
    }

    /* "*3\r\n$3\r\nGET\r\n$5\r\namp:x\r\n", made by hiredis */

    p = strchr(command->text, '\n') + 1;
    len = strtol(p + 1, &end, 10);
    n = strncmp(end + 2, "EVAL", 4) == 0 ? 3 : 1;

    for (i = 0; i < n; i++) {
        p = end + 2 + len + 2;
        len = strtol(p + 1, &end, 10);
    }

    (void) ctl_remedy(error, "the key is \"%.*s\": ampctl repair mends it or "
                      "says what does; or choose another --prefix", (int) len,
                      end + 2);
}


/* Sends the command, after ASKING where ask is set.  *sent: it was sent. */

static redisReply *
route_try(const route_command_t *command, connection_t *c, unsigned ask,
    int64_t deadline, unsigned *sent, ctl_error_t *error)
{
    redisReply  *reply;

    if (ask) {
        reply = connection_command(c, deadline, error, "ASKING");
        if (reply == NULL) {
            return NULL;
        }

        freeReplyObject(reply);
    }

    *sent = 1;

    if (connection_write(c, command->text, command->len, deadline, error)
        != 0)
    {
        return NULL;
    }

    return connection_read(c, deadline, error);
}


/*
 * The end of this attempt: a server that does not answer must not use up the
 * time of the server that replaces it.  The first attempt is the shortest; none
 * takes longer than two seconds or a quarter of the time-out, whichever is
 * more.
 */

static int64_t
route_slice(const nodes_t *nodes, unsigned lost, int64_t deadline)
{
    int64_t  end, slice;

    if (nodes->url.form == AMP_REDIS_SINGLE) {
        return deadline;
    }

    slice = nodes->timeout / 4 > ROUTE_SLICE_MAX ? nodes->timeout / 4
                                                 : ROUTE_SLICE_MAX;

    if (lost < 8 && ROUTE_SLICE << lost < slice) {
        slice = ROUTE_SLICE << lost;
    }

    end = connection_clock() + slice;

    return end < deadline ? end : deadline;
}


redisReply *
route_call(route_t *route, const route_command_t *command, ctl_error_t *error)
{
    nodes_t          *nodes;
    int64_t           deadline, end;
    unsigned          hops, lost, sent, ask, asking;
    redisReply       *reply;
    ctl_error_t       failover;
    connection_t     *c;
    route_verdict_e   verdict;

    nodes = &route->nodes;
    memset(&failover, 0, sizeof(failover));
    deadline = connection_clock() + nodes->timeout;
    hops = 0;
    lost = 0;
    ask = 0;

    do {
        asking = ask;
        ask = 0;
        verdict = ROUTE_LATER;
        end = route_slice(nodes, lost, deadline);

        c = asking ? nodes_connect(nodes, asking - 1, end, error)
                   : route_connection(route, command->slot, end, error);

        if (c == NULL) {
            if (!nodes->retry || nodes->url.form == AMP_REDIS_SINGLE) {
                return NULL;
            }

            if (strcmp(error->code, "redis_failover") == 0) {
                failover = *error;
            }

            route->cluster.mapped = 0;
            lost++;

        } else {
            sent = 0;
            reply = route_try(command, c, asking, command->idempotent
                              ? end : deadline, &sent, error);

            if (reply == NULL) {
                route_lost(route, c);

                if (sent && !command->idempotent) {
                    (void) ctl_remedy(error, "it is not known whether it was "
                                      "done: run the command again once Redis "
                                      "can be reached");
                    return NULL;
                }

                if (nodes->url.form == AMP_REDIS_SINGLE
                    || strcmp(error->code, "redis_unreachable") != 0)
                {
                    return NULL;
                }

                lost++;

            } else {
                if (reply->type == REDIS_REPLY_ERROR) {
                    route_fault(command, c, reply, error);
                }

                verdict = route_judge(route, c, reply, &ask);

                if (verdict == ROUTE_DONE) {
                    return reply;
                }

                freeReplyObject(reply);
            }
        }

        if (verdict == ROUTE_LATER || ++hops > ROUTE_HOPS) {
            (void) poll(NULL, 0, ROUTE_PAUSE);
        }

    } while (connection_clock() < deadline);

    /* that explains more than the last answer for which no time was left */

    if (failover.code != NULL
        && strcmp(error->code, "redis_unreachable") == 0)
    {
        *error = failover;
    }

    return NULL;
}
