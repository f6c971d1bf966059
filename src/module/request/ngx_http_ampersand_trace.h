/*
 * Which trace a request belongs to (W3C Trace Context).
 *
 *   otel module    its trace and its span, so that its spans, the log and
 *                  upstream agree
 *   client         the trace of a valid traceparent, in a new span
 *   otherwise      a new trace, in a new span
 *
 * The span is that of the request as a whole: each try and each refresh tells
 * it to upstream as its parent.
 */

#ifndef NGX_HTTP_AMPERSAND_TRACE_H
#define NGX_HTTP_AMPERSAND_TRACE_H


#include "ngx_http_ampersand_context.h"


/* For postconfiguration: does anything define the variables $otel_*_id? */

ngx_int_t ngx_http_ampersand_trace_init(ngx_conf_t *cf,
    ngx_http_ampersand_main_conf_t *amcf);

/*
 * Fills ctx->trace and ctx->policy.tracestate, once a request; not before the
 * rewrite phase, where the otel module begins its span.  NGX_OK, or
 * NGX_DECLINED: the request has no trace, since OpenSSL has no random bytes.
 */

ngx_int_t ngx_http_ampersand_trace(ngx_http_request_t *r,
    ngx_http_ampersand_ctx_t *ctx);


#endif /* NGX_HTTP_AMPERSAND_TRACE_H */
