/*
 * A link's memory, and the functions of its files:
 *
 *   link.c          the link as its owner sees it: READY, lost, moved, closed
 *   link_attempt.c  from LOCATING to READY, address by address
 *   link_reply.c    replies and messages while connected
 *   link_outage.c   why a link failed, lines in the log, back-off
 *
 * link.c calls the other three; link_attempt.c and link_reply.c call only
 * link_outage.c, and report the end of an attempt by attempt_done(), which
 * link.c sets.
 *
 * Only for these files: everybody else includes ngx_ampersand_link.h.
 */

#ifndef NGX_AMPERSAND_LINK_STATE_H
#define NGX_AMPERSAND_LINK_STATE_H


#include "ngx_ampersand_connection.h"
#include "ngx_ampersand_link_opts.h"
#include "ngx_ampersand_resolver.h"


#define NGX_AMPERSAND_LINK_RETRIES        3     /* at once, of links that are
                                                   lost before they are stable*/
#define NGX_AMPERSAND_LINK_STABLE         10    /* time-outs                  */
#define NGX_AMPERSAND_LINK_READONLY       10000 /* ms                         */
#define NGX_AMPERSAND_LINK_CAUSES         4     /* of an outage, that are logged
                                                   at most                    */
#define NGX_AMPERSAND_LINK_LASTS          2000  /* ms of one cause alone before
                                                   it lasts                   */
#define NGX_AMPERSAND_LINK_REFUSED        1000  /* ms without an error before a
                                                   command counts as accepted */


typedef enum {
    NGX_AMPERSAND_LINK_DOWN = 0,
    NGX_AMPERSAND_LINK_LOCATING,
    NGX_AMPERSAND_LINK_RESOLVING,
    NGX_AMPERSAND_LINK_CONNECTING,
    NGX_AMPERSAND_LINK_HANDSHAKE,
    NGX_AMPERSAND_LINK_READY
} ngx_ampersand_link_state_e;


/* Why an attempt or a READY link failed. */

typedef struct {
    const char                  *why;           /* static; NULL: it did not   */
    ngx_err_t                    err;           /* errno, or 0                */
    size_t                       len;           /* of text, or 0              */
    u_char                       text[NGX_AMPERSAND_CONNECTION_ERROR];
    unsigned                     connected:1;   /* there was a connection     */
} ngx_ampersand_link_reason_t;


/* What was logged of an outage; a hash stands for a reason. */

typedef struct {
    uint32_t                     hashes[NGX_AMPERSAND_LINK_CAUSES];
    ngx_uint_t                   logged;        /* number of these            */
    uint32_t                     last;          /* of the last failure        */
    ngx_msec_t                   since;         /* all failures have had it   */
} ngx_ampersand_link_cause_t;


/*
 * An attempt has ended.  NGX_OK: the connection is ready for commands.
 * NGX_ERROR: no host or address is left, and the reason is set.  It is the last
 * action of an attempt.
 */

typedef void (*ngx_ampersand_link_attempt_pt)(ngx_ampersand_link_t *link,
    ngx_int_t rc);


struct ngx_ampersand_link_s {
    ngx_ampersand_link_opts_t    opts;
    ngx_ampersand_link_state_e   state;

    amp_redis_host_t             host;
    ngx_ampersand_linked_e       counted;       /* as which it is counted     */
    ngx_str_t                    display;       /* the host, for the log      */
    u_char                       display_text[AMP_REDIS_URL_TEXT
                                              + sizeof("[]:65535")];

    ngx_ampersand_resolver_t     resolver;
    ngx_ampersand_connection_t   connection;
    ngx_ampersand_handshake_t    handshake;
    ngx_ampersand_pipeline_t     pipeline;      /* the connection's           */
    ngx_ampersand_pipeline_t     pending;       /* taken before READY         */

    ngx_event_t                  deadline;      /* of the current address, or
                                                   of the oldest command, or of
                                                   PONG                       */
    ngx_event_t                  reconnect;     /* DOWN: end of the back-off;
                                                   cancelable                 */
    ngx_event_t                  keepalive;     /* READY: the link is stable; a
                                                   subscription sends PING;
                                                   cancelable                 */
    ngx_msec_t                   attempt_end;   /* of its time-out            */
    ngx_ampersand_link_attempt_pt  attempt_done;

    ngx_uint_t                   failures;      /* attempts, since stable     */
    ngx_uint_t                   retries;       /* at once, since stable      */
    ngx_atomic_uint_t            reached;       /* counters->ready at the last
                                                   failure                    */
    ngx_ampersand_link_reason_t  reason;
    ngx_ampersand_link_cause_t   cause;
    ngx_ampersand_redis_error_t  error;         /* reply that ends the
                                                   connection                 */
    ngx_msec_t                   readonly_at;   /* last such reply that did   */

    unsigned                     stable:1;
    unsigned                     readonly:1;    /* the error is READONLY      */
    unsigned                     pinged:1;      /* PONG has not come yet      */
    unsigned                     no_subscribe:1; /* SUBSCRIBE got an error    */
};


/* link.c */

/*
 * Counts the link as what it is now; there: 0 where it leaves its host.  One
 * without a host does not count.
 */

void ngx_ampersand_link_count(ngx_ampersand_link_t *link, ngx_uint_t there);


/* link_attempt.c */

/* Begins an attempt.  host NULL: the host of the options, or locate(). */

void ngx_ampersand_link_connect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);

/* LOCATING has an answer. */

void ngx_ampersand_link_resolve(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);

/*
 * The current address has failed, where why is NULL because it is late: tries
 * the next one, or ends the attempt.
 */

void ngx_ampersand_link_address_failed(ngx_ampersand_link_t *link,
    const char *why, ngx_err_t err);

/* Callbacks of the connection and of the handshake. */

ngx_int_t ngx_ampersand_link_connected(void *data);
void ngx_ampersand_link_handshake_done(void *data);


/* link_reply.c: a callback of the connection */

ngx_int_t ngx_ampersand_link_reply(void *data, redisReply *reply);


/* link_outage.c */

/*
 * Sets the reason.  An error reply, or what TLS says, replaces why and err; of
 * an attempt's addresses the last one counts that was connected to.
 */

void ngx_ampersand_link_set_reason(ngx_ampersand_link_t *link, const char *why,
    ngx_err_t err);

/* The reason is the time-out, unless the server has said another one. */

void ngx_ampersand_link_set_late(ngx_ampersand_link_t *link);

/* Logs the reason, and what follows from it. */

void ngx_ampersand_link_log_reason(ngx_ampersand_link_t *link,
    ngx_uint_t level, const char *effect);

/*
 * Counts a failure; logs the first one, and once each other cause that lasts.
 * Returns the back-off in ms.
 */

ngx_msec_t ngx_ampersand_link_outage(ngx_ampersand_link_t *link);

/* Ends an outage, if there is one. */

void ngx_ampersand_link_set_stable(ngx_ampersand_link_t *link);

/*
 * Takes the oldest command's reply: an error that the operator has to act on,
 * or, while a command is refused, any reply.  Logs when Redis begins to refuse
 * a command and when it accepts that command again.
 */

void ngx_ampersand_link_log_refused(ngx_ampersand_link_t *link,
    redisReply *reply);


#endif /* NGX_AMPERSAND_LINK_STATE_H */
