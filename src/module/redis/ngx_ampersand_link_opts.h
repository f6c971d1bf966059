/* What a link is created with: its options, and what links share. */

#ifndef NGX_AMPERSAND_LINK_OPTS_H
#define NGX_AMPERSAND_LINK_OPTS_H


#include "ngx_ampersand_counters.h"
#include "ngx_ampersand_pipeline.h"
#include "ngx_ampersand_handshake.h"
#include "ngx_ampersand_redis_conf.h"


#define NGX_AMPERSAND_LINK_QUEUE        4096    /* commands without a reply   */
#define NGX_AMPERSAND_LINK_BACKOFF      100     /* ms, doubled each time      */
#define NGX_AMPERSAND_LINK_BACKOFF_MAX  1000    /* ms                         */


typedef struct ngx_ampersand_link_s  ngx_ampersand_link_t;


/*
 * Which host to connect to.  NGX_OK: *host is set.  NGX_AGAIN:
 * ngx_ampersand_link_located() will be called.  NGX_ERROR: *why is set, static,
 * for the log.
 */

typedef ngx_int_t (*ngx_ampersand_link_locate_pt)(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);

/*
 * The link has become READY (up = 1); it has left READY, or an attempt has
 * failed (up = 0).  No link may be closed here.
 */

typedef void (*ngx_ampersand_link_state_pt)(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);


/* A link has become READY: its server, valid during the call. */

typedef void (*ngx_ampersand_link_server_pt)(void *data,
    const ngx_ampersand_server_t *server);


/* A link to the host has gone from one state to another. */

typedef void (*ngx_ampersand_link_count_pt)(void *data,
    const amp_redis_host_t *host, ngx_ampersand_linked_e from,
    ngx_ampersand_linked_e to);


/* What the links of a worker share. */

typedef struct {
    ngx_ampersand_redis_conf_t      *conf;
    ngx_log_t                       *log;       /* the cycle's                */
    ngx_ampersand_redis_counters_t  *counters;  /* in shared memory           */
    char                             refused[NGX_AMPERSAND_COMMAND_NAME];
                                                /* the command that Redis
                                                   currently refuses, or ""   */
    ngx_msec_t                       refused_at;
    ngx_ampersand_link_count_pt      count;
    void                            *count_data;
    ngx_ampersand_link_server_pt     on_server; /* or NULL                    */
    void                            *on_server_data;
} ngx_ampersand_links_t;


/* Copied; what it points to has to outlive the link. */

typedef struct {
    ngx_ampersand_links_t           *links;
    const char                      *kind;      /* "Redis" or "Sentinel"      */
    const char                      *effect;    /* of an outage, for the log  */
    ngx_uint_t                       level;     /* of the line that begins an
                                                   outage                     */
    ngx_str_t                        channel;   /* to subscribe to, or empty  */
    ngx_str_t                        channel2;  /* one more, or empty         */
    ngx_ampersand_reply_pt           message;   /* of a channel: rc is NGX_OK,
                                                   reply the message's text   */
    ngx_ampersand_link_state_pt      state;
    void                            *data;      /* of message and state       */
    amp_redis_host_t                *host;      /* or NULL: locate says       */
    ngx_ampersand_link_locate_pt     locate;
    void                            *locate_data;
    ngx_uint_t                       nhosts;    /* hosts that locate names in
                                                   turn: the back-off grows
                                                   when all have failed; 0: 1 */
    unsigned                         master:1;  /* the server has to be one   */
    unsigned                         sentinel:1; /* it is a Sentinel          */
} ngx_ampersand_link_opts_t;


#endif /* NGX_AMPERSAND_LINK_OPTS_H */
