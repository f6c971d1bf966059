/*
 * A link: the lasting path to one server, a Redis, a Sentinel or a cluster
 * node.  It never blocks, and connects again when its connection is lost.
 *
 *   DOWN ──▶ LOCATING ──▶ RESOLVING ──▶ CONNECTING ──▶ HANDSHAKE ──▶ READY
 *    ▲          │             │           │  ▲ next address │           │
 *    │          │             │           │  └──────────────┤           │
 *    └──────────┴─────────────┴───────────┴─────────────────┴───────────┘
 *                                failed
 *
 *   state        what happens               goes to
 *   DOWN         nothing, until the         LOCATING: after the back-off, or
 *                back-off is over           in ngx_ampersand_link_retry()
 *   LOCATING     the owner says which host  RESOLVING; DOWN: it cannot
 *   RESOLVING    the host's addresses are   CONNECTING; DOWN: there is none
 *                found
 *   CONNECTING   TCP, and TLS               HANDSHAKE; CONNECTING with the next
 *                                           address; DOWN: all were tried
 *   HANDSHAKE    AUTH, SELECT, INFO, then   READY; CONNECTING with the next
 *                PING or ROLE; SUBSCRIBE    address; DOWN: all were tried
 *   READY        commands and replies       DOWN, or LOCATING at once
 *   any          the owner moves the link   LOCATING
 *
 * An attempt is all that from LOCATING to READY.  It fails when every address
 * of the host has failed: by an error, a time-out, an error reply, bytes that
 * are no reply, or the server's closing.  An attempt has one time-out, the
 * configured one: each address can use half of the time that is left, the last
 * one all of it.
 *
 * A command is taken while the link is READY, and during an attempt until a
 * failure is counted: that after the start, and those that follow a loss at
 * once.  There it is sent when the link is READY, or fails with the attempt.
 * Otherwise it is declined at once, so that an outage costs the caller
 * microseconds.  Where another link of this gateway, of any worker, became
 * READY since the last failure, the server is there again: then a command ends
 * the back-off, and is taken.  Each command has a deadline.  When the oldest
 * one misses it the connection is given up: replies come in order, so that no
 * later command can be answered either.  A subscription, which can be silent,
 * is asked for a PONG every ten time-outs.
 *
 * A link is stable from its first reply without an error while READY, or after
 * ten time-outs.  When the server closes a stable link's connection, the link
 * connects again at once: Redis was restarted, or closed idle clients.  It does
 * so a few times too when a READY link is lost before it is stable.  Other
 * failures begin an outage, which is a line in the log when it begins, one for
 * each new cause that lasts, and one when the link is stable again; attempts in
 * between follow each other with a random back-off, so that many workers do not
 * connect at the same time.
 *
 * What an error reply does:
 *   in the handshake, to SUBSCRIBE        the address has failed
 *   NOAUTH WRONGPASS LOADING MASTERDOWN   the link fails: any command would get
 *                                         this reply
 *   READONLY                              the link fails, and is LOCATING the
 *                                         master; once in ten seconds, else
 *                                         as the next ones
 *   NOPERM MISCONF OOM NOREPLICAS BUSY    the command's caller gets it; a line
 *   CLUSTERDOWN                           in each worker's log, until a command
 *                                         of that name succeeds
 *   others                                the command's caller gets it
 * Bytes that are no reply, a reply without a command and a reply of more than
 * a megabyte make the link fail.
 */

#ifndef NGX_AMPERSAND_LINK_H
#define NGX_AMPERSAND_LINK_H


#include "ngx_ampersand_link_opts.h"


/*
 * Creates a link and starts to connect.  Before this returns, with *link set,
 * locate() is called where opts->host is NULL, and state(.., 0) where the
 * attempt fails at once.  With a channel the link subscribes to it in each
 * handshake, and is READY when that is confirmed; the caller must not give it
 * commands, which is not checked.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_link_create(ngx_ampersand_link_t **link,
    ngx_ampersand_link_opts_t *opts);

/*
 * Sends a command; argv is copied, handler (see ngx_ampersand_reply_pt) may be
 * NULL.  NGX_OK: taken, the handler will be called.  NGX_DECLINED: the link
 * does not take commands now, see above.  NGX_BUSY: NGX_AMPERSAND_LINK_QUEUE
 * commands wait.  NGX_ERROR: no memory, or too many arguments.
 */

ngx_int_t ngx_ampersand_link_command(ngx_ampersand_link_t *link,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler,
    void *data);

/*
 * What locate() did not know: the host, which is copied, or NULL and why, a
 * static text for the log.  Ignored unless the link is LOCATING.
 */

void ngx_ampersand_link_located(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host, const char *why);

/*
 * Connects to another host at once, unless the link is there or connects to it
 * already.  Commands without a reply fail.  Not from a handler of this link.
 */

void ngx_ampersand_link_move(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host);

/* Ends the back-off: connects at once.  Nothing in other states than DOWN. */

void ngx_ampersand_link_retry(ngx_ampersand_link_t *link);

/* 1: READY, else 0. */

ngx_uint_t ngx_ampersand_link_ready(ngx_ampersand_link_t *link);

/* The server, valid until the connection is lost; NULL unless READY. */

const ngx_ampersand_server_t *ngx_ampersand_link_server(
    ngx_ampersand_link_t *link);

/*
 * Attempts that failed, and READY links that were lost in an outage, since the
 * link was stable.
 */

ngx_uint_t ngx_ampersand_link_failures(ngx_ampersand_link_t *link);

/* Sets the level of the lines that begin outages. */

void ngx_ampersand_link_set_level(ngx_ampersand_link_t *link,
    ngx_uint_t level);

/* No command waits for a reply. */

ngx_uint_t ngx_ampersand_link_idle(ngx_ampersand_link_t *link);

/*
 * The host of the current attempt or connection, or of the last one; empty
 * before there was one.  Valid until ngx_ampersand_link_close().
 */

const amp_redis_host_t *ngx_ampersand_link_host(ngx_ampersand_link_t *link);

/* Closes and frees it, calls no handler; not from its own handlers. */

void ngx_ampersand_link_close(ngx_ampersand_link_t *link);


#endif /* NGX_AMPERSAND_LINK_H */
