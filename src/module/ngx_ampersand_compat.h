/*
 * The one place that knows nginx and hiredis versions.
 * nginx 1.22.1 to mainline 1.31, hiredis 0.14 to 1.x.
 */

#ifndef NGX_AMPERSAND_COMPAT_H
#define NGX_AMPERSAND_COMPAT_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <hiredis/hiredis.h>
#include "amp_span.h"


/* an ngx_str_t as core's span */

#define ngx_ampersand_span(s)  amp_span_make((s).data, (s).len)


/* 1.23.0 chains headers of one name through ngx_table_elt_t.next */

#if (nginx_version >= 1023000)
#define ngx_ampersand_header_init(h)  (h)->next = NULL
#else
#define ngx_ampersand_header_init(h)
#endif


/* 0.14 counts array elements and string bytes in int, 1.0 in size_t */

#define ngx_ampersand_reply_len(reply)  ((size_t) (reply)->len)

#if (HIREDIS_MAJOR < 1)
typedef int     ngx_ampersand_elements_t;
#else
typedef size_t  ngx_ampersand_elements_t;
#endif


#endif /* NGX_AMPERSAND_COMPAT_H */
