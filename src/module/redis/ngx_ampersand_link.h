/*
 * A link to one Redis, Sentinel or cluster node: pipelined, never blocking,
 * and made again when it is lost.
 *
 *   DOWN ──timer──▶ LOCATING ──▶ RESOLVING ──▶ CONNECTING ──▶ GREETING ──▶ READY
 *    ▲                 │             │             │              │          │
 *    └─────────────────┴── error, time-out, refusal, garbage, EOF ┴──────────┘
 *
 * LOCATING asks the link's owner where to go, RESOLVING the resolver for the
 * name, CONNECTING includes TLS.  GREETING sends AUTH and SELECT where
 * configured, then PING, or ROLE where only a master will do: what accepts
 * connections but does not answer (stopped, loading, wrong password) never
 * becomes READY.  All this has one time-out.
 *
 * Commands are taken while READY, and while the first attempt after a start or
 * a loss is under way: these leave when the link is READY, or fail with the
 * attempt.  Otherwise they are declined at once, so that an outage costs a
 * caller microseconds.
 *
 * A link is proven by the first command it answers, or by staying READY for
 * ten time-outs.  Losing a proven link is no outage yet: Redis was restarted or
 * threw idle clients out, and it connects again at once; so it does a few times
 * when one that was READY is lost before it is proven.  An outage is one line
 * when it begins and one when the link is proven again; attempts follow each
 * other with jittered back-off, so that many workers are no storm.
 *
 * Each command has a deadline.  The oldest one missing it takes the whole link
 * down: what follows it on the same connection could only be later.  A
 * subscription, silent by nature, is asked for a PONG every ten time-outs.
 *
 * What an error reply does:
 *   in greeting, to SUBSCRIBE             the link goes down
 *   NOAUTH WRONGPASS LOADING MASTERDOWN   the link goes down: any command would
 *                                         get it
 *   READONLY                              the owner is asked again where the
 *                                         master is, at most every ten seconds;
 *                                         else as the next ones
 *   NOPERM MISCONF OOM CLUSTERDOWN        the command's caller gets it; a line a
 *                                         worker, until it succeeds for good
 *   others                                the command's caller gets it
 * Garbage, a reply that nobody asked for or one of more than a megabyte takes
 * the link down.
 */

#ifndef NGX_AMPERSAND_LINK_H
#define NGX_AMPERSAND_LINK_H


#include "ngx_ampersand_resolver.h"
#include "ngx_ampersand_connection.h"
#include "ngx_ampersand_handshake.h"


#define NGX_AMPERSAND_LINK_QUEUE        4096        /* commands in flight     */
#define NGX_AMPERSAND_LINK_BACKOFF      100         /* ms, doubled each time  */
#define NGX_AMPERSAND_LINK_BACKOFF_MAX  1000
#define NGX_AMPERSAND_LINK_HASTY        3
#define NGX_AMPERSAND_LINK_READONLY     10000       /* ms                     */
#define NGX_AMPERSAND_LINK_REFUSED      1000        /* ms, a refusal is not
                                                       over before            */


typedef struct ngx_ampersand_link_s  ngx_ampersand_link_t;


typedef struct {
    ngx_atomic_uint_t  connects;
    ngx_atomic_uint_t  failures;
    ngx_atomic_uint_t  commands;
    ngx_atomic_uint_t  timeouts;
    ngx_atomic_uint_t  moves;       /* to another master                      */
    ngx_atomic_uint_t  redirects;   /* MOVED and ASK that were followed       */
    ngx_atomic_uint_t  refreshes;   /* of the slot map                        */
} ngx_ampersand_redis_counters_t;


/*
 * Where to connect to.  NGX_OK: host is set.  NGX_AGAIN:
 * ngx_ampersand_link_located() will say.  NGX_ERROR: *why is set.
 */

typedef ngx_int_t (*ngx_ampersand_link_locate_pt)(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);

/*
 * A link has become READY (up = 1), or has left READY or failed once more in
 * becoming it (up = 0).  No link may be closed here.
 */

typedef void (*ngx_ampersand_link_state_pt)(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);


/* A link has become READY; the server may have no name (len 0). */

typedef void (*ngx_ampersand_link_met_pt)(void *data,
    const ngx_ampersand_server_t *server);


/* What the links of a worker share. */

typedef struct {
    ngx_ampersand_redis_conf_t      *conf;
    ngx_log_t                       *log;       /* the cycle's                */
    ngx_ampersand_redis_counters_t  *counters;  /* shared memory              */
    char                             refused[NGX_AMPERSAND_COMMAND_NAME];
                                                /* the command that one of them
                                                   said is, or empty          */
    ngx_msec_t                       refused_at;
    ngx_ampersand_link_met_pt        met;       /* or NULL                    */
    void                            *met_data;
} ngx_ampersand_links_t;


/* Copied; what it points to has to outlive the link. */

typedef struct {
    ngx_ampersand_links_t           *links;
    const char                      *kind;      /* "Redis", for the log       */
    const char                      *effect;    /* what an outage means       */
    ngx_uint_t                       level;     /* of the line that says so   */
    ngx_str_t                        channel;   /* to subscribe to, or empty  */
    ngx_str_t                        also;      /* another channel            */
    ngx_ampersand_reply_pt           message;   /* reply: the payload string  */
    ngx_ampersand_link_state_pt      state;
    void                            *data;
    amp_redis_host_t                *host;      /* where it is, or NULL: ...  */
    ngx_ampersand_link_locate_pt     locate;    /* ... that says              */
    void                            *locate_data;
    ngx_uint_t                       turns;     /* places to try before it is
                                                   time to wait               */
    unsigned                         master:1;  /* nothing else will do       */
    unsigned                         sentinel:1; /* no SELECT, and AUTH when
                                                   it is asked for            */
} ngx_ampersand_link_opts_t;


/*
 * Makes a link and starts to connect: locate() is called before this returns,
 * with *link set.  With a channel the link subscribes to it once greeted: it is
 * READY when that is confirmed, message replies go to message(), and no command
 * may be given.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_link_create(ngx_ampersand_link_t **link,
    ngx_ampersand_link_opts_t *opts);

/*
 * Appends a command.  NGX_OK: taken.  NGX_DECLINED: the link is down.
 * NGX_BUSY: the queue is full.  NGX_ERROR: no memory.  handler may be NULL.
 */

ngx_int_t ngx_ampersand_link_command(ngx_ampersand_link_t *link,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler,
    void *data);

/* The owner's late answer; host NULL: why not.  Ignored unless LOCATING. */

void ngx_ampersand_link_located(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host, const char *why);

/*
 * The owner knows better where to go: connects there at once, unless the link
 * is there or on its way.  Commands in flight fail.  Not from a handler of this
 * very link.
 */

void ngx_ampersand_link_move(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);

/* Connects at once where the link would wait. */

void ngx_ampersand_link_wake(ngx_ampersand_link_t *link);

ngx_uint_t ngx_ampersand_link_ready(ngx_ampersand_link_t *link);

/* Who answers, valid until the link is lost; NULL unless it is READY. */

const ngx_ampersand_server_t *ngx_ampersand_link_server(
    ngx_ampersand_link_t *link);

/* Attempts that failed since it was proven last. */

ngx_uint_t ngx_ampersand_link_failures(ngx_ampersand_link_t *link);

/* Of the lines to come about outages. */

void ngx_ampersand_link_level(ngx_ampersand_link_t *link, ngx_uint_t level);

/* Nobody waits for a reply. */

ngx_uint_t ngx_ampersand_link_idle(ngx_ampersand_link_t *link);

/* Where it is, was, or is about to go. */

const amp_redis_host_t *ngx_ampersand_link_host(ngx_ampersand_link_t *link);

/* Frees it, without calling anybody; not from its own handlers. */

void ngx_ampersand_link_close(ngx_ampersand_link_t *link);


#define ngx_ampersand_count(counters, counter)                                \
    (void) ngx_atomic_fetch_add(&(counters)->counter, 1)

#define ngx_ampersand_span(s)  amp_span_make((s).data, (s).len)


#endif /* NGX_AMPERSAND_LINK_H */
