/*
 * The checks of Redis.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "../core/amp_keys.h"
#include "../core/amp_redis_host.h"
#include "../core/amp_script.h"
#include "doctor_redis.h"
#include "doctor_rights.h"
#include "fault.h"
#include "sentinel.h"


#define DOCTOR_SKEW_WARN  2000      /* ms                                     */
#define DOCTOR_SKEW_FAIL  30000
#define DOCTOR_TIMEOUT    100       /* ms, default of ampersand_redis         */
#define DOCTOR_TRIPS      3
#define DOCTOR_CERT_DAYS  14


/* Runs a command.  The reply, or NULL with the error filled. */

static redisReply *
doctor_command(doctor_t *doctor, connection_t *c, const char *fmt, ...)
{
    int           len;
    char         *text;
    int64_t       deadline;
    va_list       args;
    redisReply   *reply;
    ctl_error_t  *error;

    error = &doctor->ctl->error;
    deadline = connection_clock() + doctor->ctl->timeout;

    va_start(args, fmt);
    len = redisvFormatCommand(&text, fmt, args);
    va_end(args);

    if (len < 0) {
        abort();
    }

    reply = NULL;

    if (connection_write(c, text, (size_t) len, deadline, error) == 0) {
        reply = connection_read(c, deadline, error);
    }

    redisFreeCommand(text);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        (void) fault_reply(error, connection_who(c), reply);
        freeReplyObject(reply);
        return NULL;
    }

    return reply;
}


/* A field of INFO; empty when there is none. */

static const char *
doctor_info(const redisReply *info, const char *name, char *value, size_t size)
{
    size_t       len;
    const char  *p;

    len = strlen(name);
    value[0] = '\0';

    for (p = info->str; p != NULL; p = strchr(p, '\n')) {
        p += (*p == '\n');

        if (strncmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            snprintf(value, size, "%.*s", (int) strcspn(p, "\r\n"), p);
            break;
        }
    }

    return value;
}


static void
doctor_version(doctor_t *doctor, const redisReply *info)
{
    int          valkey;
    char         value[64];
    const char  *version;

    version = doctor_info(info, "valkey_version", value, sizeof(value));
    valkey = (*version != '\0');

    if (!valkey) {
        version = doctor_info(info, "redis_version", value, sizeof(value));
    }

    doctor_add(doctor, "redis version", (valkey || atoi(version) >= 6)
               ? DOCTOR_OK : DOCTOR_FAIL,
               "use Redis 6 or later, or Valkey", "%s %s",
               valkey ? "Valkey" : "Redis", *version ? version : "unknown");
}


/* Returns 1 when the server takes writes. */

static int
doctor_role(doctor_t *doctor, const redisReply *info)
{
    int   replica;
    char  value[64];

    replica = (strcmp(doctor_info(info, "role", value, sizeof(value)),
                      "slave") == 0);

    doctor_add(doctor, "redis role", replica ? DOCTOR_FAIL : DOCTOR_OK,
               "name the master in --redis (AMPERSAND_REDIS)", "%s",
               replica ? "a replica, which takes no writes" : "takes writes");

    return !replica;
}


static void
doctor_memory(doctor_t *doctor, const redisReply *info)
{
    char         max[64], policy[64];
    doctor_e     state;

    doctor_info(info, "maxmemory", max, sizeof(max));
    doctor_info(info, "maxmemory_policy", policy, sizeof(policy));

    state = (strcmp(policy, "noeviction") == 0 || *policy == '\0')
            ? DOCTOR_OK : DOCTOR_WARN;

    doctor_add(doctor, "redis memory", state,
               "run CONFIG SET maxmemory-policy noeviction in Redis: with "
               "another policy Redis may delete tenants, tokens or rate state",
               "maxmemory %s, policy %s",
               strcmp(max, "0") == 0 ? "unlimited" : max,
               *policy ? policy : "unknown");
}


static void
doctor_persistence(doctor_t *doctor, connection_t *c, const redisReply *info)
{
    int          rdb;
    char         aof[16], save[16], rewrite[16];
    redisReply  *reply;

    doctor_info(info, "aof_enabled", aof, sizeof(aof));
    doctor_info(info, "rdb_last_bgsave_status", save, sizeof(save));
    doctor_info(info, "aof_last_write_status", rewrite, sizeof(rewrite));

    if (strcmp(save, "err") == 0 || strcmp(rewrite, "err") == 0) {
        doctor_add(doctor, "redis persistence", DOCTOR_FAIL,
                   "read the log of Redis; free disk space, or repair the "
                   "directory of Redis", "the last save to disk failed");
        return;
    }

    if (strcmp(aof, "1") == 0) {
        doctor_add(doctor, "redis persistence", DOCTOR_OK, "",
                   "append-only file");
        return;
    }

    /* managed services and ACLs often deny CONFIG */

    reply = doctor_command(doctor, c, "CONFIG GET save");
    if (reply == NULL) {
        doctor_add(doctor, "redis persistence", DOCTOR_WARN,
                   "make sure that Redis saves to disk, best with appendonly "
                   "yes", "no append-only file; whether Redis makes snapshots "
                   "is unknown, because it denies CONFIG GET");
        return;
    }

    rdb = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
          && reply->element[1]->len != 0;

    freeReplyObject(reply);

    doctor_add(doctor, "redis persistence", DOCTOR_WARN,
               "set appendonly yes in Redis: a crash then loses at most one "
               "second", rdb ? "snapshots only: a crash loses the changes "
               "after the last one" : "neither snapshots nor append-only file: "
               "a restart loses every tenant and token");
}


static void
doctor_clock(doctor_t *doctor, connection_t *c)
{
    int64_t         before, after, skew;
    redisReply     *reply;
    struct timeval  tv;

    gettimeofday(&tv, NULL);
    before = (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000;

    reply = doctor_command(doctor, c, "TIME");

    if (reply == NULL) {
        doctor_error(doctor, "clock");
        return;
    }

    gettimeofday(&tv, NULL);
    after = (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000;

    skew = DOCTOR_SKEW_FAIL;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[0]->str != NULL && reply->element[1]->str != NULL)
    {
        skew = strtoll(reply->element[0]->str, NULL, 10) * 1000
               + strtoll(reply->element[1]->str, NULL, 10) / 1000
               - (before + after) / 2;
        skew = skew < 0 ? -skew : skew;
    }

    freeReplyObject(reply);

    if (skew < DOCTOR_SKEW_WARN) {
        doctor_add(doctor, "clock", DOCTOR_OK, "", "less than %d ms from the "
                   "clock of Redis", DOCTOR_SKEW_WARN);
        return;
    }

    doctor_add(doctor, "clock", skew >= DOCTOR_SKEW_FAIL ? DOCTOR_FAIL
               : DOCTOR_WARN,
               "run NTP on this host and on that of Redis, by whose clock "
               "tokens expire and rates count", "%lld ms from the clock of "
               "Redis",
               (long long) skew);
}


/*
 * A gateway needs up to five round trips for a connection with TLS, within its
 * timeout=.  The shortest of a few counts: others may have waited elsewhere.
 */

static void
doctor_distance(doctor_t *doctor, connection_t *c)
{
    int          i;
    int64_t      begin, trip, shortest;
    redisReply  *reply;

    shortest = INT64_MAX;

    for (i = 0; i < DOCTOR_TRIPS; i++) {
        begin = connection_clock();

        reply = doctor_command(doctor, c, "PING");

        if (reply == NULL) {
            return;
        }

        freeReplyObject(reply);

        trip = connection_clock() - begin;
        shortest = trip < shortest ? trip : shortest;
    }

    if (shortest * 5 >= DOCTOR_TIMEOUT) {
        doctor_add(doctor, "redis distance", DOCTOR_WARN,
                   "give ampersand_redis timeout= of at least five round "
                   "trips", "a round trip takes %lld ms, and the default of "
                   "timeout= is %d ms: a gateway may not connect in time",
                   (long long) shortest, DOCTOR_TIMEOUT);
    }
}


static void
doctor_tls(doctor_t *doctor, connection_t *c)
{
    int   days;
    char  cipher[96];

    if (!connection_tls(c, cipher, sizeof(cipher), &days)) {
        return;
    }

    doctor_add(doctor, "redis tls", days < DOCTOR_CERT_DAYS ? DOCTOR_WARN
               : DOCTOR_OK, "renew the certificate of Redis",
               "%s; the certificate expires in %d days", cipher, days);
}


/* Writes a key, the doctor's in a slot of the node, and publishes an event. */

static void
doctor_writes(doctor_t *doctor, connection_t *c, amp_span_t key)
{
    amp_buf_t        channel;
    redisReply      *reply;
    unsigned char    buf[AMP_KEYS_MAX];

    amp_buf_init(&channel, buf, sizeof(buf));
    amp_keys_events(store_prefix(doctor->ctl->store), &channel);

    reply = doctor_command(doctor, c, "EVAL %s 1 %b %b %s",
                           (const char *) amp_script_check_writes.text.data,
                           key.data, key.len, buf,
                           amp_buf_written(&channel).len,
                           "{\"v\":1,\"type\":\"doctor\"}");
    if (reply == NULL) {
        doctor_error(doctor, "redis writes");
        return;
    }

    freeReplyObject(reply);

    doctor_add(doctor, "redis writes", DOCTOR_OK, "",
               "a key can be written and an event published");
}


/* A key of the doctor's in a slot of the node. */

static amp_span_t
doctor_key(doctor_t *doctor, unsigned node, char key[AMP_KEYS_MAX])
{
    route_t     *route;
    unsigned     i;
    amp_span_t   prefix;

    route = store_route(doctor->ctl->store);
    prefix = store_prefix(doctor->ctl->store);
    i = 0;

    do {
        snprintf(key, AMP_KEYS_MAX, "%sdoctor:%u", (char *) prefix.data, i++);
    } while (route->nodes.url.form == AMP_REDIS_CLUSTER && i < AMP_SLOTS * 16
             && route->cluster.slots[amp_slot(ctl_span(key))] != node + 1);

    return ctl_span(key);
}


/* The address in "ip=10.0.0.6,port=6379,state=online,...".  0, or -1. */

static int
doctor_replica_host(const char *text, amp_redis_host_t *host)
{
    const char  *ip, *port;

    ip = strstr(text, "ip=");
    port = strstr(text, ",port=");

    if (ip != text || port == NULL) {
        return -1;
    }

    ip += sizeof("ip=") - 1;

    return amp_redis_host_set(host, amp_span_make(ip, (size_t) (port - ip)),
                              atoi(port + sizeof(",port=") - 1));
}


/*
 * The rights at the replicas of a server, which INFO of the server names: one
 * of them may be the next master.
 */

static void
doctor_replicas(doctor_t *doctor, const redisReply *info, amp_span_t key)
{
    char               name[32], text[256];
    route_t           *route;
    unsigned           i;
    const char        *node;
    ctl_error_t       *error;
    connection_t      *c;
    amp_redis_host_t   host;

    error = &doctor->ctl->error;
    route = store_route(doctor->ctl->store);
    node = doctor->node;

    for (i = 0; /* void */ ; i++) {
        snprintf(name, sizeof(name), "slave%u", i);

        if (doctor_replica_host(doctor_info(info, name, text, sizeof(text)),
                                &host)
            != 0)
        {
            break;
        }

        c = connection_open(&route->nodes.options, NULL, &host,
                            connection_clock() + doctor->ctl->timeout, error);

        if (c == NULL) {
            doctor_add(doctor, "redis replicas",
                       strcmp(error->code, "redis_auth") == 0 ? DOCTOR_FAIL
                                                              : DOCTOR_WARN,
                       error->remedy, "a replica, which may be the next "
                       "master: %s", error->message);
            continue;
        }

        doctor->node = connection_who(c);
        doctor_rights(doctor, c, key);
        doctor->node = node;

        connection_close(c);
    }
}


static void
doctor_node(doctor_t *doctor, connection_t *c, unsigned node)
{
    int          writes;
    char         buf[AMP_KEYS_MAX];
    amp_span_t   key;
    redisReply  *info;

    writes = 1;
    key = doctor_key(doctor, node, buf);

    doctor_tls(doctor, c);

    info = doctor_command(doctor, c, "INFO");

    if (info == NULL) {
        doctor_error(doctor, "redis version");

    } else {
        doctor_version(doctor, info);
        writes = doctor_role(doctor, info);
        doctor_memory(doctor, info);
        doctor_persistence(doctor, c, info);
    }

    doctor_clock(doctor, c);
    doctor_distance(doctor, c);

    if (writes) {
        doctor_writes(doctor, c, key);
    }

    doctor_rights(doctor, c, key);

    if (info != NULL) {
        doctor_replicas(doctor, info, key);
        freeReplyObject(info);
    }
}


/* Checks that all Sentinels name the same master. */

static void
doctor_sentinels(doctor_t *doctor)
{
    int                 rc;
    ctl_t              *ctl;
    node_t             *node;
    nodes_t            *nodes;
    route_t            *route;
    unsigned            i, agree;
    const char         *who;
    amp_redis_host_t    master, named;

    ctl = doctor->ctl;
    route = store_route(ctl->store);
    nodes = &route->nodes;
    node = &nodes->list[route->sentinel.master - 1];
    master = node->host;
    who = connection_who(node->connection);
    agree = 0;

    for (i = 0; i < nodes->url.nhosts; i++) {
        rc = sentinel_ask(nodes, i, nodes_share(nodes, nodes->url.nhosts,
                          connection_clock() + ctl->timeout), &named,
                          &ctl->error);

        if (rc == 1 && amp_redis_host_eq(&named, &master)) {
            agree++;

        } else if (rc == -1) {
            doctor_add(doctor, "redis sentinel", DOCTOR_WARN,
                       ctl->error.remedy, "%s", ctl->error.message);

        } else {
            doctor_add(doctor, "redis sentinel", DOCTOR_WARN,
                       "compare the output of SENTINEL masters of all "
                       "Sentinels; SENTINEL RESET NAME makes a Sentinel look "
                       "for the master again",
                       "Sentinel %u of the URL names %s", i + 1,
                       rc == 0 ? "no such master" : "another master");
        }
    }

    doctor_add(doctor, "redis sentinel", DOCTOR_OK, "",
               "%s is master \"%s\", named by %u of %u Sentinels", who,
               nodes->url.name, agree, nodes->url.nhosts);
}


static void
doctor_cluster(doctor_t *doctor)
{
    node_t    *node;
    route_t   *route;
    unsigned   i, nodes, slots, bare;

    route = store_route(doctor->ctl->store);
    nodes = 0;
    slots = 0;
    bare = 0;

    for (i = 0; i < route->nodes.n; i++) {
        node = &route->nodes.list[i];
        nodes += (node->slots != 0);
        slots += node->slots;
        bare += (node->slots != 0 && node->replicas == 0);
    }

    if (slots != AMP_SLOTS) {
        doctor_add(doctor, "redis cluster", DOCTOR_FAIL,
                   "find the missing nodes: redis-cli --cluster check "
                   "HOST:PORT",
                   "%u nodes serve %u of %d slots: tenants in the other slots "
                   "cannot be read", nodes, slots, AMP_SLOTS);
        return;
    }

    if (bare != 0) {
        doctor_add(doctor, "redis cluster", DOCTOR_WARN,
                   "add replicas: redis-cli --cluster add-node NEW OLD "
                   "--cluster-slave", "%u nodes serve all slots, %u of them "
                   "without a replica", nodes, bare);
        return;
    }

    doctor_add(doctor, "redis cluster", DOCTOR_OK, "",
               "%u nodes serve all slots, each with a replica", nodes);
}


/*
 * Sends a first command: whether Redis answers and accepts the credentials.  A
 * missing right is for doctor_rights() to name.
 */

static int
doctor_reach(doctor_t *doctor)
{
    ctl_t         *ctl;
    redisReply    *reply;
    connection_t  *c;

    ctl = doctor->ctl;

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    c = route_connection(store_route(ctl->store), ROUTE_ANY,
                         connection_clock() + ctl->timeout, &ctl->error);
    if (c == NULL) {
        return -1;
    }

    reply = doctor_command(doctor, c, "TIME");

    if (reply == NULL) {
        return strcmp(ctl->error.code, "redis_permission") == 0 ? 0 : -1;
    }

    freeReplyObject(reply);

    return 0;
}


int
doctor_redis(doctor_t *doctor)
{
    int            rc;
    ctl_t         *ctl;
    route_t       *route;
    unsigned       i;
    connection_t  *c;

    ctl = doctor->ctl;

    if (doctor_reach(doctor) != 0) {
        doctor_error(doctor, "redis");
        return -1;
    }

    doctor_add(doctor, "redis", DOCTOR_OK, "", "reached at %s",
               store_address(ctl->store));

    rc = 0;
    route = store_route(ctl->store);

    if (route->nodes.url.form == AMP_REDIS_SENTINEL) {
        doctor_sentinels(doctor);

    } else if (route->nodes.url.form == AMP_REDIS_CLUSTER) {
        doctor_cluster(doctor);
    }

    for (i = 0; i < route->nodes.n; i++) {

        if (!route_serves(route, i)) {
            continue;
        }

        c = nodes_connect(&route->nodes, i, connection_clock() + ctl->timeout,
                          &ctl->error);

        if (c == NULL) {
            doctor_error(doctor, "redis");
            rc = -1;
            continue;
        }

        if (route->nodes.url.form == AMP_REDIS_CLUSTER) {
            doctor->node = connection_who(c);
        }

        doctor_node(doctor, c, i);

        doctor->node = NULL;
    }

    /* the check of the rights may have subscribed */

    for (i = 0; i < route->nodes.n; i++) {
        if (route->nodes.list[i].connection != NULL) {
            route_lost(route, route->nodes.list[i].connection);
        }
    }

    return rc;
}
