/*
 * A copy of a small stored answer in a worker's memory: the head as nginx read
 * it from the file, what nginx passed on of it, and the body.  A request that
 * sends it looks to all filters and variables like a hit of nginx's own, but
 * for $proxy_host and $proxy_port, which are the proxy module's.
 *
 * A copy is one block of memory and does not change.  It is counted, once for
 * the index that it stands in and once for each request that sends it, and
 * freed with the last of them.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_COPY_H
#define NGX_HTTP_AMPERSAND_CACHE_COPY_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* the bits of "unsent" */

#define NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS  64

/* The pointers to headers in ngx_http_headers_out_t; they are neighbours. */

#define NGX_HTTP_AMPERSAND_CACHE_COPY_KNOWN                                   \
    ((offsetof(ngx_http_headers_out_t, NGX_AMPERSAND_HEADERS_OUT_LAST)        \
      - offsetof(ngx_http_headers_out_t, server)) / sizeof(void *) + 1)


typedef struct ngx_http_ampersand_cache_copy_s  ngx_http_ampersand_cache_copy_t;

struct ngx_http_ampersand_cache_copy_s {
    ngx_uint_t                        count;
    size_t                            size;     /* of the block, bytes        */

    /* of ngx_http_ampersand_cache_memory.c: where it stands, what it is of */

    ngx_http_ampersand_cache_copy_t  *next;
    ngx_queue_t                       queue;
    uint32_t                          hash;
    ngx_str_t                         key;      /* of the cache               */
    ngx_str_t                         encoding; /* Accept-Encoding            */
    ngx_uint_t                        varies;   /* by Accept-Encoding         */
    void                            **location; /* r->loc_conf                */
    ngx_http_file_cache_t            *file_cache;
    ngx_file_uniq_t                   uniq;
    time_t                            stamp;
    time_t                            until;
    time_t                            used;

    /* the answer */

    ngx_http_cache_t                  cache;    /* r->cache: without a node   */
    ngx_buf_t                         file;     /* cache.buf: nginx's own head
                                                   of the file                */
    ngx_list_t                        upstream; /* u->headers_in.headers      */
    u_char                            passed[
                                         NGX_HTTP_AMPERSAND_CACHE_COPY_HEADERS];
                                                /* which the client gets, by
                                                   place in upstream          */
    ngx_uint_t                        npassed;
    uint64_t                          unsent;   /* bits by place in passed:
                                                   nginx keeps its own, too   */
    u_char                            known[
                                           NGX_HTTP_AMPERSAND_CACHE_COPY_KNOWN];
                                                /* by place in passed, from 1;
                                                   0: none                    */
    u_char                            cache_control;
    ngx_str_t                         status_line;
    ngx_str_t                         content_type;
    ngx_str_t                         charset;
    size_t                            content_type_len;
    off_t                             content_length;
    time_t                            last_modified;
    ngx_str_t                         body;

    unsigned                          allow_ranges:1;
    unsigned                          single_range:1;
    unsigned                          disable_not_modified:1;
};


/*
 * Copies the answer that r, a hit of nginx's cache, is about to send: in the
 * first header filter, with the whole file in r->cache->buf.  The copy has its
 * own key and encoding.  NULL: no memory, or the answer has something that is
 * not copied (a header that is not in the file, one of several lines that nginx
 * chains, more than 64 headers).
 */

ngx_http_ampersand_cache_copy_t *ngx_http_ampersand_cache_copy(
    ngx_http_request_t *r, ngx_str_t *key, ngx_str_t *encoding);

/* One user less. */

void ngx_http_ampersand_cache_copy_release(
    ngx_http_ampersand_cache_copy_t *copy);

/* A content handler's work: sends the copy, with all filters. */

ngx_int_t ngx_http_ampersand_cache_copy_send(ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy);


#endif /* NGX_HTTP_AMPERSAND_CACHE_COPY_H */
