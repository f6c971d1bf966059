/*
 * Which connection a command takes.
 */

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "fault.h"
#include "route.h"
#include "sentinel.h"


#define ROUTE_HOPS       5          /* redirections without a pause           */
#define ROUTE_SLICE      500        /* ms, of the first attempt               */
#define ROUTE_SLICE_MAX  2000


typedef enum {
    ROUTE_DONE = 0,                 /* the reply is the answer                */
    ROUTE_NOW,                      /* once more, elsewhere                   */
    ROUTE_LATER                     /* once more, after a while               */
} route_verdict_e;


void
route_init(route_t *route)
{
    unsigned  i;

    route->options.what = "Redis";
    route->options.user = route->url.user;
    route->options.password = secret_span(&route->password);
    route->options.db = route->url.db;
    route->options.timeout = route->timeout;

    if (route->url.form == AMP_REDIS_SENTINEL) {
        return;
    }

    for (i = 0; i < route->url.nhosts; i++) {
        (void) route_node(route, &route->url.hosts[i]);
    }

    if (route->url.nhosts == 0) {
        (void) route_node(route, &route->url.hosts[0]);     /* a socket */
    }
}


void
route_close(route_t *route)
{
    unsigned  i;

    for (i = 0; i < route->nnodes; i++) {
        connection_close(route->nodes[i].connection);
    }

    free(route->nodes);
    route->nodes = NULL;
    route->nnodes = 0;
}


unsigned
route_node(route_t *route, const amp_redis_host_t *host)
{
    unsigned       i;
    route_node_t  *nodes;

    for (i = 0; i < route->nnodes; i++) {
        if (route->nodes[i].host.port == host->port
            && strcmp(route->nodes[i].host.host, host->host) == 0)
        {
            return i;
        }
    }

    nodes = realloc(route->nodes, (i + 1) * sizeof(*nodes));
    if (nodes == NULL) {
        abort();
    }

    memset(&nodes[i], 0, sizeof(nodes[i]));
    nodes[i].host = *host;

    route->nodes = nodes;
    route->nnodes++;

    return i;
}


int64_t
route_share(const route_t *route, unsigned n, int64_t deadline)
{
    int64_t  now, share, most;

    now = connection_clock();
    share = route->timeout / (n + 1);
    most = n > 1 ? (deadline - now) / 2 : deadline - now;

    return now + (share < most ? share : most);
}


connection_t *
route_open(route_t *route, unsigned node, int64_t deadline,
    ctl_error_t *error)
{
    route_node_t  *n;

    n = &route->nodes[node];

    if (n->connection == NULL) {
        n->connection = connection_open(&route->options, route->url.path[0]
                                        ? route->url.path : NULL, &n->host,
                                        deadline, error);
    }

    n->lost = (n->connection == NULL);

    route->later = n->lost && strcmp(error->code, "redis_unreachable") == 0;

    return n->connection;
}


connection_t *
route_connection(route_t *route, unsigned slot, int64_t deadline,
    ctl_error_t *error)
{
    switch (route->url.form) {

    case AMP_REDIS_SENTINEL:
        return sentinel_connection(route, deadline, error);

    case AMP_REDIS_CLUSTER:
        return cluster_connection(route, slot, deadline, error);

    default:
        return route_open(route, 0, deadline, error);
    }
}


void
route_lost(route_t *route, connection_t *c)
{
    unsigned  i;

    for (i = 0; i < route->nnodes; i++) {
        if (route->nodes[i].connection == c) {
            route->nodes[i].connection = NULL;
            route->nodes[i].lost = 1;
        }
    }

    connection_close(c);

    route->master = 0;
    route->learned = 0;
}


/*
 * What a reply means for the way.  A redirection is noted in to, with the host
 * of whoever answered where it names none.
 */

static route_verdict_e
route_judge(route_t *route, connection_t *c, const redisReply *reply,
    amp_redirect_t *to)
{
    unsigned                 i;
    const amp_redis_host_t  *answered;

    if (reply->type != REDIS_REPLY_ERROR
        || route->url.form == AMP_REDIS_SINGLE)
    {
        return ROUTE_DONE;
    }

    /* a master that was one a moment ago; Redis 6 wraps a script's error */

    if (strstr(reply->str, "READONLY") != NULL) {
        route_lost(route, c);
        return ROUTE_NOW;
    }

    if (fault_is(reply, "LOADING") || fault_is(reply, "MASTERDOWN")) {
        route_lost(route, c);
        return ROUTE_LATER;
    }

    if (route->url.form != AMP_REDIS_CLUSTER) {
        return ROUTE_DONE;
    }

    if (fault_is(reply, "TRYAGAIN")) {
        return ROUTE_LATER;
    }

    if (fault_is(reply, "CLUSTERDOWN")) {
        route->learned = 0;
        return ROUTE_LATER;
    }

    answered = &route->url.hosts[0];

    for (i = 0; i < route->nnodes; i++) {
        if (route->nodes[i].connection == c) {
            answered = &route->nodes[i].host;
        }
    }

    if (amp_redirect_parse(amp_span_make(reply->str, (size_t) reply->len),
                           answered, to)
        != 0)
    {
        return ROUTE_DONE;
    }

    if (!to->ask) {
        route->slots[to->slot] = (unsigned short)
                                 (route_node(route, &to->host) + 1);
    }

    return ROUTE_NOW;
}


/* ASKING lets the one command that follows in. */

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
 * When this attempt ends: who is frozen must not use up the time of who takes
 * its place.  The first is the shortest; none takes longer than two seconds or
 * a quarter of the time, whichever is more.
 */

static int64_t
route_slice(const route_t *route, unsigned lost, int64_t deadline)
{
    int64_t  end, slice;

    if (route->url.form == AMP_REDIS_SINGLE) {
        return deadline;
    }

    slice = route->timeout / 4 > ROUTE_SLICE_MAX ? route->timeout / 4
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
    unsigned          hops, lost, sent;
    int64_t           deadline, end;
    redisReply       *reply;
    connection_t     *c;
    amp_redirect_t    to, ask;
    route_verdict_e   verdict;

    deadline = connection_clock() + route->timeout;
    hops = 0;
    lost = 0;
    memset(&to, 0, sizeof(to));

    do {
        ask = to;
        memset(&to, 0, sizeof(to));
        verdict = ROUTE_LATER;
        end = route_slice(route, lost, deadline);

        c = ask.ask
            ? route_open(route, route_node(route, &ask.host), end, error)
            : route_connection(route, command->slot, end, error);

        if (c == NULL) {
            if (!route->later || route->url.form == AMP_REDIS_SINGLE) {
                return NULL;
            }

            route->learned = 0;
            lost++;

        } else {
            sent = 0;
            reply = route_try(command, c, ask.ask,
                              command->twice ? end : deadline, &sent, error);

            if (reply == NULL) {
                route_lost(route, c);

                if (sent && !command->twice) {
                    (void) ctl_remedy(error, "nobody knows whether it was "
                                      "done: run the command again once Redis "
                                      "can be reached");
                    return NULL;
                }

                if (route->url.form == AMP_REDIS_SINGLE
                    || strcmp(error->code, "redis_unreachable") != 0)
                {
                    return NULL;
                }

                lost++;

            } else {
                if (reply->type == REDIS_REPLY_ERROR) {
                    (void) fault_reply(error, connection_who(c), reply);
                }

                verdict = route_judge(route, c, reply, &to);

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

    return NULL;
}
