/*
 * An upstream request: what goes to Ampersand on behalf of one request.
 *
 * One client request can have several: that of its location; nginx's background
 * refresh of a stale answer, a subrequest; one more after each internal
 * redirect to a gateway location (error_page).  Each is an object of its own,
 * and sends what it composed itself, or nothing.
 *
 * The object is made in peer.init of the upstream{}, and brought to SENT there,
 * see ngx_http_ampersand_send.h.  From then on nginx calls the object's own
 * handlers: for the head of an answer, before the next try, at the end.
 *
 *   NEW ── request line and header lines ──▶ COMPOSED ── key ──▶ KEYED
 *   KEYED ── cool-down, budget, units, concurrency ──▶ CHARGED
 *   CHARGED ── the upstream{}'s own peer.init ──▶ SENT
 *   SENT ── the header filter sees upstream's answer ──▶ ANSWERED
 *   SENT, ANSWERED ── nginx ends the upstream request ──▶ ENDED
 *
 *   KEYED ── units have to be leased ──▶ WAITING ── phase runs again ──▶ NEW
 *   NEW, COMPOSED, KEYED, CHARGED ── a reason, or no memory ──▶ UNSENT
 *   NEW ── the host is suspended ──▶ UNSENT: nginx finds no server
 *
 * WAITING: peer.init cannot wait, so nginx's upstream request is ended as if it
 * had never been made, and the cache's lock is given back.  The content handler
 * runs again later and makes another one, for the same object.
 * UNSENT: it is ended in the same way, and the client gets the problem from
 * ngx_http_ampersand_deny().  A refresh gets nginx's 500, which nobody sees.
 *
 * Two kinds of requests have one: the main request, when the access phase has
 * passed it and no internal redirect followed; and a refresh, which is a
 * subrequest in the background of such a request, while nginx says that it made
 * one (r->parent->cache->background).  A subrequest that came through the
 * phases (mirror, auth_request, SSI) is refused before it is proxied, see
 * ngx_http_ampersand_send.h.  Any other request sends nothing.
 *
 * Memory: the object and its head are of the pool of the client request.  The
 * key stands in the head only, from KEYED on: nginx reads the head when it
 * sends, and again when it tries the next server.  It is wiped when nginx ends
 * the upstream request, or at the latest with the pool.
 */

#ifndef NGX_HTTP_AMPERSAND_UPSTREAM_H
#define NGX_HTTP_AMPERSAND_UPSTREAM_H


#include "ngx_http_ampersand_answer.h"
#include "ngx_http_ampersand_breaker.h"
#include "ngx_http_ampersand_context.h"
#include "ngx_http_ampersand_peer.h"


/* The order matters: an upstream request that was sent is SENT or greater. */

typedef enum {
    NGX_HTTP_AMPERSAND_UPSTREAM_NEW = 0,
    NGX_HTTP_AMPERSAND_UPSTREAM_COMPOSED,
    NGX_HTTP_AMPERSAND_UPSTREAM_KEYED,
    NGX_HTTP_AMPERSAND_UPSTREAM_CHARGED,
    NGX_HTTP_AMPERSAND_UPSTREAM_WAITING,
    NGX_HTTP_AMPERSAND_UPSTREAM_UNSENT,
    NGX_HTTP_AMPERSAND_UPSTREAM_SENT,
    NGX_HTTP_AMPERSAND_UPSTREAM_ANSWERED,
    NGX_HTTP_AMPERSAND_UPSTREAM_ENDED
} ngx_http_ampersand_upstream_state_e;


typedef struct {
    ngx_http_ampersand_upstream_state_e   state;
    ngx_http_request_t                   *request;
    ngx_http_upstream_t                  *upstream; /* nginx's                */
    ngx_http_ampersand_ctx_t             *ctx;      /* which decided on it    */
    ngx_http_ampersand_limited_t         *limited;  /* ctx's, or a refresh's
                                                       own                    */
    ngx_str_t                             head;     /* request line, headers  */
    ngx_str_t                             key;      /* its place in the head;
                                                       len 0: none, or wiped  */
    ngx_http_ampersand_answer_t           answer;
    ngx_http_ampersand_breaker_t          breaker;
    ngx_http_ampersand_peer_t        peer;
    time_t                                suspended; /* seconds: not sent, a
                                                       stale answer may serve */
    ngx_uint_t                            reached;  /* upstream may have got it,
                                                       in one of the tries    */
    ngx_uint_t                            lost;     /* 502 or 504 of a try
                                                       after which no other is
                                                       allowed (nginx answers
                                                       500 then), or 0        */
    void                                (*finalize)(ngx_http_request_t *r,
                                                    ngx_int_t rc);
} ngx_http_ampersand_upstream_t;


#define ngx_http_ampersand_upstream_sent(up)                                  \
    ((up) && (up)->state >= NGX_HTTP_AMPERSAND_UPSTREAM_SENT)


/*
 * The object of r->upstream; NULL where it has none, as an answer from the
 * cache or the upstream request of a location that is no gateway's.
 */

ngx_http_ampersand_upstream_t *ngx_http_ampersand_upstream(
    ngx_http_request_t *r);

/*
 * A new object for r->upstream, or the one that has waited, with its handlers
 * in place of nginx's.  ctx: by which r may go upstream.  NULL: no memory.
 */

ngx_http_ampersand_upstream_t *ngx_http_ampersand_upstream_create(
    ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx);

/*
 * Sets how long an answer may take: the time-out of the operation's class,
 * unless proxy_read_timeout is another than nginx's default; and that no stale
 * entry is served that may not be.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_upstream_conf(ngx_http_ampersand_upstream_t *up);

/*
 * The write succeeded, or may have: invalidates the families that it writes,
 * once a request.
 */

void ngx_http_ampersand_written(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


#endif /* NGX_HTTP_AMPERSAND_UPSTREAM_H */
