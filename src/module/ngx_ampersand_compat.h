/*
 * The one place that knows nginx and hiredis versions: nginx 1.22 to mainline
 * 1.31, hiredis 0.14 to 1.x.  A newer nginx is accepted when it passes the
 * checks in ngx_http_ampersand_private.c.
 */

#ifndef NGX_AMPERSAND_COMPAT_H
#define NGX_AMPERSAND_COMPAT_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <hiredis/hiredis.h>
#include "amp_span.h"


#if (nginx_version < 1022000)
#error "the Ampersand module needs nginx 1.22.0 or newer"
#endif

#if !(NGX_HTTP_CACHE)
#error "the Ampersand module needs nginx's cache: no --without-http-cache"
#endif


/* an ngx_str_t as core's span */

#define ngx_ampersand_span(s)  amp_span_make((s).data, (s).len)


/*
 * 1.23.0 chains headers of one name through ngx_table_elt_t.next, from a
 * pointer in ngx_http_headers_out_t; before that there were arrays of
 * Cache-Control and of Link.  "next" is only set in headers that such a pointer
 * leads to.
 */

#if (nginx_version >= 1023000)

#define ngx_ampersand_header_init(h)           (h)->next = NULL
#define NGX_AMPERSAND_HEADER_LAST              next
#define NGX_AMPERSAND_HEADERS_OUT_LAST         link
#define ngx_ampersand_header_chained(h)        ((h)->next != NULL)
#define ngx_ampersand_headers_out_arrays(r)    0
#define ngx_ampersand_cache_control(r)         NULL
#define ngx_ampersand_cache_control_set(r, h)  NGX_OK

#else

#define ngx_ampersand_header_init(h)
#define NGX_AMPERSAND_HEADER_LAST       lowcase_key
#define NGX_AMPERSAND_HEADERS_OUT_LAST  etag

#define ngx_ampersand_header_chained(h)  0

/* are there arrays, but for one Cache-Control? */

#define ngx_ampersand_headers_out_arrays(r)                                   \
    ((r)->headers_out.cache_control.nelts > 1                                 \
     || (r)->headers_out.link.nelts != 0)

#define ngx_ampersand_cache_control(r)                                        \
    ((r)->headers_out.cache_control.nelts == 0 ? NULL                         \
     : *(ngx_table_elt_t **) (r)->headers_out.cache_control.elts)

#define ngx_ampersand_cache_control_set(r, h)                                 \
    ngx_ampersand_header_array(&(r)->headers_out.cache_control, (r)->pool, h)


static ngx_inline ngx_int_t
ngx_ampersand_header_array(ngx_array_t *array, ngx_pool_t *pool,
    ngx_table_elt_t *h)
{
    ngx_table_elt_t  **place;

    if (h == NULL) {
        return NGX_OK;
    }

    if (array->elts == NULL
        && ngx_array_init(array, pool, 1, sizeof(h)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    place = ngx_array_push(array);
    if (place == NULL) {
        return NGX_ERROR;
    }

    *place = h;

    return NGX_OK;
}


#endif


/*
 * 1.25.4 says of a request that was terminated while it was blocked; its
 * connection has to go on then, not the request
 */

#if (nginx_version >= 1025004)
#define ngx_ampersand_terminated(r)  (r)->main->terminated
#else
#define ngx_ampersand_terminated(r)  0
#endif


/* 1.27.3 follows the addresses of a name in upstream{}, given a zone */

#if (nginx_version >= 1027003 && NGX_HTTP_UPSTREAM_ZONE)
#define NGX_AMPERSAND_RESOLVE  1
#else
#define NGX_AMPERSAND_RESOLVE  0
#endif


/* 1.31.5 can read bodies before it chooses a location */

#if (nginx_version >= 1031005)
#define ngx_ampersand_body_early(cscf)  ((cscf)->client_body_early_read != NULL)
#else
#define ngx_ampersand_body_early(cscf)  0
#endif


/* 0.14 counts array elements and string bytes in int, 1.0 in size_t */

#define ngx_ampersand_reply_len(reply)  ((size_t) (reply)->len)

#if (HIREDIS_MAJOR < 1)
typedef int     ngx_ampersand_elements_t;
#else
typedef size_t  ngx_ampersand_elements_t;
#endif


#endif /* NGX_AMPERSAND_COMPAT_H */
