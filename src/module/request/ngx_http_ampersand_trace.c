#include "ngx_http_ampersand_trace.h"
#include "ngx_http_ampersand_header_list.h"


static ngx_int_t ngx_http_ampersand_trace_index(ngx_conf_t *cf,
    const char *text);
static ngx_int_t ngx_http_ampersand_trace_client(ngx_http_request_t *r,
    amp_trace_t *trace);
static ngx_int_t ngx_http_ampersand_trace_otel(ngx_http_request_t *r,
    ngx_http_ampersand_main_conf_t *amcf, amp_trace_t *trace);
static ngx_int_t ngx_http_ampersand_trace_make(
    ngx_http_ampersand_main_conf_t *amcf, amp_trace_t *trace, ngx_uint_t taken);


ngx_int_t
ngx_http_ampersand_trace_init(ngx_conf_t *cf,
    ngx_http_ampersand_main_conf_t *amcf)
{
    amcf->otel_trace = ngx_http_ampersand_trace_index(cf, "otel_trace_id");
    amcf->otel_span = ngx_http_ampersand_trace_index(cf, "otel_span_id");

    return (amcf->otel_trace == NGX_ERROR || amcf->otel_span == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}


/* The index of a variable, NGX_DECLINED where nothing defines it. */

static ngx_int_t
ngx_http_ampersand_trace_index(ngx_conf_t *cf, const char *text)
{
    ngx_str_t                   name;
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    key = cmcf->variables_keys->keys.elts;

    name.len = ngx_strlen(text);
    name.data = (u_char *) text;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {

        if (key[i].key.len == name.len
            && ngx_memcmp(key[i].key.data, name.data, name.len) == 0)
        {
            return ngx_http_get_variable_index(cf, &name);
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_ampersand_trace(ngx_http_request_t *r, ngx_http_ampersand_ctx_t *ctx)
{
    ngx_int_t                        taken;
    amp_trace_t                      sent;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (ctx->traced) {
        return ctx->trace.id[0] ? NGX_OK : NGX_DECLINED;
    }

    ctx->traced = 1;
    r = r->main;
    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    taken = (ngx_http_ampersand_trace_client(r, &sent) == NGX_OK);

    if (taken) {
        ctx->trace = sent;
    }

    if (ngx_http_ampersand_trace_otel(r, amcf, &ctx->trace) == NGX_OK) {

        /* the flags and the state are those of another trace? */

        if (taken && ngx_memcmp(ctx->trace.id, sent.id, AMP_TRACE_ID) != 0) {
            taken = 0;
            ctx->trace.flags = 0;
        }

    } else if (ngx_http_ampersand_trace_make(amcf, &ctx->trace, taken)
               != NGX_OK)
    {
        ctx->trace.id[0] = 0;
        return NGX_DECLINED;
    }

    ctx->policy.tracestate = taken;

    return NGX_OK;
}


/* The request's traceparent; several of them say nothing. */

static ngx_int_t
ngx_http_ampersand_trace_client(ngx_http_request_t *r, amp_trace_t *trace)
{
    ngx_table_elt_t            *h, *found;
    ngx_http_ampersand_walk_t   walk;

    found = NULL;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "traceparent")) {

            if (found) {
                return NGX_DECLINED;
            }

            found = h;
        }
    }

    return (found
            && amp_trace_read(ngx_ampersand_span(found->value), trace) == 0)
           ? NGX_OK : NGX_DECLINED;
}


/* nginx's otel module has a span for the request: its ids. */

static ngx_int_t
ngx_http_ampersand_trace_otel(ngx_http_request_t *r,
    ngx_http_ampersand_main_conf_t *amcf, amp_trace_t *trace)
{
    amp_trace_t                 own;
    ngx_http_variable_value_t  *id, *span;

    if (amcf->otel_trace < 0 || amcf->otel_span < 0) {
        return NGX_DECLINED;
    }

    id = ngx_http_get_flushed_variable(r, amcf->otel_trace);
    span = ngx_http_get_flushed_variable(r, amcf->otel_span);

    if (id == NULL || id->not_found || span == NULL || span->not_found
        || amp_trace_read_id(amp_span_make(id->data, id->len), own.id) != 0
        || amp_trace_read_span(amp_span_make(span->data, span->len), own.span)
           != 0)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(trace->id, own.id, AMP_TRACE_ID);
    ngx_memcpy(trace->span, own.span, AMP_TRACE_SPAN);

    return NGX_OK;
}


/*
 * A new span, of a new trace where none was taken on.  Nobody has sampled a new
 * one, so it does not ask upstream to.
 */

static ngx_int_t
ngx_http_ampersand_trace_make(ngx_http_ampersand_main_conf_t *amcf,
    amp_trace_t *trace, ngx_uint_t taken)
{
    const u_char  *random;

    random = ngx_ampersand_random(&amcf->worker->random,
                                  (AMP_TRACE_ID + AMP_TRACE_SPAN) / 2);
    if (random == NULL) {
        return NGX_ERROR;
    }

    amp_trace_make_span(trace, random);

    if (!taken) {
        amp_trace_make_id(trace, random + AMP_TRACE_SPAN / 2);
        trace->flags = 0;
    }

    return NGX_OK;
}
