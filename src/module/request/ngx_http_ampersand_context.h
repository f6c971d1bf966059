/*
 * A request's context: what the gateway knows of it.  It belongs to the main
 * request; subrequests share it.
 */

#ifndef NGX_HTTP_AMPERSAND_CONTEXT_H
#define NGX_HTTP_AMPERSAND_CONTEXT_H


#include "ngx_http_ampersand_conf.h"
#include "ngx_http_ampersand_headers.h"
#include "ngx_ampersand_times.h"
#include "cache/ngx_http_ampersand_cache_status.h"
#include "cache/ngx_http_ampersand_cache_store.h"
#include "limit/ngx_http_ampersand_limit.h"
#include "tenant/ngx_http_ampersand_resolve.h"
#include "amp_trace.h"


/* RFC 9110, section 9.2.2: what may be sent twice */

#define NGX_HTTP_AMPERSAND_IDEMPOTENT                                         \
    (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_PUT|NGX_HTTP_DELETE                  \
     |NGX_HTTP_OPTIONS|NGX_HTTP_TRACE)

/* RFC 9110, section 9.2.1: what changes nothing */

#define NGX_HTTP_AMPERSAND_SAFE                                               \
    (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS|NGX_HTTP_TRACE               \
     |NGX_HTTP_PROPFIND)

#define NGX_HTTP_AMPERSAND_ID_MAX  128          /* bytes of a client's id     */


/* Transitions are in ngx_http_ampersand_access.c. */

typedef enum {
    NGX_HTTP_AMPERSAND_NEW = 0,
    NGX_HTTP_AMPERSAND_RESOLVING,   /* waits for a look-up                    */
    NGX_HTTP_AMPERSAND_RESOLVED,
    NGX_HTTP_AMPERSAND_WAITING,     /* waits for units of its limits          */
    NGX_HTTP_AMPERSAND_READING,     /* nginx reads the body                   */
    NGX_HTTP_AMPERSAND_READ,
    NGX_HTTP_AMPERSAND_PASSED,      /* the variables hold; it may go upstream */
    NGX_HTTP_AMPERSAND_DENIED,
    NGX_HTTP_AMPERSAND_LEFT         /* by an internal redirect                */
} ngx_http_ampersand_state_e;


/* Whom the client's answer is from: X-Gateway-Source. */

typedef enum {
    NGX_HTTP_AMPERSAND_FROM_GATEWAY = 0,
    NGX_HTTP_AMPERSAND_FROM_UPSTREAM,
    NGX_HTTP_AMPERSAND_FROM_CACHE,
    NGX_HTTP_AMPERSAND_SOURCES
} ngx_http_ampersand_source_e;


typedef struct {
    ngx_http_ampersand_state_e       state;
    amp_reason_e                     reason;    /* why it was, or would have
                                                   been, refused              */
    amp_fault_t                      fault;     /* what was wrong with it     */
    ngx_http_ampersand_source_e      source;
    ngx_ampersand_times_t            times;
    ngx_str_t                        request_id;
    ngx_http_ampersand_headers_t     headers;

    ngx_http_ampersand_resolve_t     resolve;
    ngx_ampersand_record_t           record;    /* record.tenant: the tenant  */
    const amp_operation_t           *op;
    unsigned                         methods;   /* Allow of a 405             */
    time_t                           retry;     /* seconds, for Retry-After   */
    time_t                           suspended; /* seconds for which the host
                                                   is suspended, or 0         */

    void                           **passed;    /* r->loc_conf of the location
                                                   that passed it             */
    ngx_str_t                        uri;       /* composed, escaped          */
    amp_header_policy_t              policy;    /* of headers that go upstream*/
    amp_trace_t                      trace;     /* its span is the request's;
                                                   id[0] is 0: none           */
    ngx_str_t                        cache_key;
    uint32_t                         ttl;       /* 0: neither read nor stored */
    uint32_t                         writes;    /* families, AMP_F(...) | ... */
    ngx_http_ampersand_limited_t    *limited;   /* of the client request      */
    ngx_http_ampersand_cache_wait_t  cache_wait;
    off_t                            body_seen;

    unsigned                         identified:1; /* record.tenant is filled */
    unsigned                         traced:1;  /* trace is filled            */
    unsigned                         checked:1; /* the body is to be checked  */
    unsigned                         observed:1; /* would have been refused   */
    unsigned                         unknown:1; /* a request that was sent got
                                                   no answer, and has its
                                                   effect each time           */
    unsigned                         wrap:1;    /* listProjects: the answer
                                                   becomes an array           */
    unsigned                         wrapped:1; /* its "[" was sent           */
    unsigned                         replace:1; /* the body is a problem      */
    ngx_chain_t                     *problem;

    /* room for what limited, request_id and the cache headers point to */

    ngx_http_ampersand_limited_t     charge;
    u_char                           id[NGX_HTTP_AMPERSAND_ID];
    u_char                           number[NGX_OFF_T_LEN]; /* of the fault   */
    u_char                           cache_text[NGX_HTTP_AMPERSAND_CACHE_TEXT];
} ngx_http_ampersand_ctx_t;


extern ngx_str_t  ngx_http_ampersand_sources[NGX_HTTP_AMPERSAND_SOURCES];

/* The context of the main request, also from a subrequest; may be NULL. */

#define ngx_http_ampersand_ctx(r)                                             \
    ngx_http_get_module_ctx((r)->main, ngx_http_ampersand_module)

/*
 * nginx drops the contexts of a request at an internal redirect (error_page,
 * X-Accel-Redirect, post_action), and where a filter makes an error of an
 * answer.  Who sent the request is known all the same:
 *
 * ngx_http_ampersand_known() returns the context, also a dropped one; NULL:
 * there is none.  For logs and for variables that only tell.
 *
 * ngx_http_ampersand_context() does the same and makes it the request's context
 * again, or makes a new one.  A dropped context is LEFT: it does not pass any
 * more, and waits for nothing.  NULL: no memory.
 *
 * ngx_http_ampersand_context_next() is for the access phase in the location of
 * a redirect, where all is decided anew: a new context, which has the request
 * id and the trace of the dropped one, its headers, what it was charged, and
 * whether it may have been done.  NULL: no memory.
 */

ngx_http_ampersand_ctx_t *ngx_http_ampersand_known(ngx_http_request_t *r);
ngx_http_ampersand_ctx_t *ngx_http_ampersand_context(ngx_http_request_t *r);
ngx_http_ampersand_ctx_t *ngx_http_ampersand_context_next(
    ngx_http_request_t *r);

/*
 * The context by which r may go upstream: the main request, after the access
 * phase has passed it; or the clone of it that nginx makes to refresh a stale
 * answer, also when the main request has been redirected since (post_action).
 * NULL: r may not.
 */

ngx_http_ampersand_ctx_t *ngx_http_ampersand_passed(ngx_http_request_t *r);

/* What the request and its location say of storing the answer to it. */

void ngx_http_ampersand_terms(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx, ngx_http_ampersand_cache_terms_t *terms);


#endif /* NGX_HTTP_AMPERSAND_CONTEXT_H */
