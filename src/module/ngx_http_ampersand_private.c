#include "ngx_http_ampersand_private.h"


#define NGX_HTTP_AMPERSAND_CHANGED                                            \
    "see \"Private parts of nginx\" in docs/development.md"

/* Has the member of the structure this type? */

#define ngx_http_ampersand_type(structure, member, type)                      \
    _Static_assert(__builtin_types_compatible_p(                              \
                       __typeof__(((structure *) 0)->member), type),          \
                   "nginx has changed " #structure "." #member ", "           \
                   NGX_HTTP_AMPERSAND_CHANGED)

/* Does the second member follow the first, with nothing in between? */

#define ngx_http_ampersand_follows(structure, first, second)                  \
    _Static_assert(offsetof(structure, second)                                \
                   == offsetof(structure, first)                              \
                      + sizeof(((structure *) 0)->first),                     \
                   "nginx has changed " #structure "." #second ", "           \
                   NGX_HTTP_AMPERSAND_CHANGED)

#define ngx_http_ampersand_holds(what)                                        \
    _Static_assert(what, "nginx has changed " #what ", "                      \
                   NGX_HTTP_AMPERSAND_CHANGED)


/* the head of a file of the cache, into which the ETag is written */

ngx_http_ampersand_holds(NGX_HTTP_CACHE_VERSION == 5);
ngx_http_ampersand_holds(NGX_HTTP_CACHE_ETAG_LEN >= 34);
ngx_http_ampersand_type(ngx_http_file_cache_header_t, etag_len, u_char);
ngx_http_ampersand_follows(ngx_http_file_cache_header_t, etag_len, etag);

/* the pipe, through which the body of an answer goes into that file */

ngx_http_ampersand_type(ngx_http_upstream_t, input_filter_init,
                        ngx_int_t (*)(void *data));
ngx_http_ampersand_type(ngx_event_pipe_t, input_filter,
                        ngx_event_pipe_input_filter_pt);
ngx_http_ampersand_type(ngx_event_pipe_t, input_ctx, void *);
ngx_http_ampersand_type(ngx_event_pipe_t, in, ngx_chain_t *);
ngx_http_ampersand_type(ngx_event_pipe_t, last_in, ngx_chain_t **);
ngx_http_ampersand_type(ngx_event_pipe_t, buf_to_file, ngx_buf_t *);
ngx_http_ampersand_type(ngx_event_pipe_t, temp_file, ngx_temp_file_t *);
ngx_http_ampersand_type(ngx_event_pipe_t, writing, ngx_chain_t *);
ngx_http_ampersand_type(ngx_event_pipe_t, length, off_t);

/* the lock of the cache, and the requests that wait for it */

ngx_http_ampersand_type(ngx_http_request_t, cache, ngx_http_cache_t *);
ngx_http_ampersand_type(ngx_http_cache_t, wait_event, ngx_event_t);
ngx_http_ampersand_type(ngx_http_cache_t, wait_time, ngx_msec_t);
ngx_http_ampersand_type(ngx_http_cache_t, node, ngx_http_file_cache_node_t *);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, lock_time, ngx_msec_t);
ngx_http_ampersand_type(ngx_http_cache_t, main,
                        u_char [NGX_HTTP_CACHE_KEY_LEN]);
ngx_http_ampersand_holds(NGX_HTTP_CACHE_KEY_LEN >= 8);

/* an entry of the cache, which is removed where its answer has gone */

ngx_http_ampersand_type(ngx_http_cache_t, file_cache, ngx_http_file_cache_t *);
ngx_http_ampersand_type(ngx_http_file_cache_t, shpool, ngx_slab_pool_t *);
ngx_http_ampersand_type(ngx_http_file_cache_t, sh, ngx_http_file_cache_sh_t *);
ngx_http_ampersand_type(ngx_http_file_cache_sh_t, size, off_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, fs_size, off_t);
ngx_http_ampersand_type(ngx_slab_pool_t, mutex, ngx_shmtx_t);
ngx_http_ampersand_type(ngx_http_file_cache_header_t, version, ngx_uint_t);

/* the files of the cache that are held open, and what is read of them */

ngx_http_ampersand_type(ngx_http_core_loc_conf_t, open_file_cache,
                        ngx_open_file_cache_t *);
ngx_http_ampersand_type(ngx_open_file_cache_t, rbtree, ngx_rbtree_t);
ngx_http_ampersand_type(ngx_open_file_cache_t, expire_queue, ngx_queue_t);
ngx_http_ampersand_type(ngx_open_file_cache_t, current, ngx_uint_t);
ngx_http_ampersand_type(ngx_open_file_cache_t, max, ngx_uint_t);
ngx_http_ampersand_type(ngx_open_file_cache_t, inactive, time_t);
ngx_http_ampersand_type(ngx_cached_open_file_t, node, ngx_rbtree_node_t);
ngx_http_ampersand_type(ngx_cached_open_file_t, queue, ngx_queue_t);
ngx_http_ampersand_type(ngx_cached_open_file_t, accessed, time_t);
ngx_http_ampersand_type(ngx_cached_open_file_t, name, u_char *);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, body_start, size_t);
ngx_http_ampersand_type(ngx_http_cache_t, body_start, size_t);
ngx_http_ampersand_type(ngx_http_cache_t, length, off_t);
ngx_http_ampersand_type(ngx_http_cache_t, buf, ngx_buf_t *);

/* copies of answers: whether they are valid, and what nginx makes of a hit */

ngx_http_ampersand_type(ngx_http_file_cache_sh_t, rbtree, ngx_rbtree_t);
ngx_http_ampersand_type(ngx_http_file_cache_sh_t, queue, ngx_queue_t);
ngx_http_ampersand_type(ngx_http_file_cache_t, inactive, time_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, node, ngx_rbtree_node_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, queue, ngx_queue_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, key,
                        u_char [NGX_HTTP_CACHE_KEY_LEN
                                - sizeof(ngx_rbtree_key_t)]);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, uniq, ngx_file_uniq_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, expire, time_t);
ngx_http_ampersand_type(ngx_http_file_cache_node_t, valid_sec, time_t);
ngx_http_ampersand_type(ngx_http_cache_t, uniq, ngx_file_uniq_t);
ngx_http_ampersand_type(ngx_http_cache_t, key, u_char [NGX_HTTP_CACHE_KEY_LEN]);
ngx_http_ampersand_type(ngx_http_request_t, content_handler,
                        ngx_http_handler_pt);
ngx_http_ampersand_type(ngx_http_upstream_t, headers_in.headers, ngx_list_t);
ngx_http_ampersand_type(ngx_http_headers_out_t, server, ngx_table_elt_t *);
ngx_http_ampersand_type(ngx_http_headers_out_t, NGX_AMPERSAND_HEADERS_OUT_LAST,
                        ngx_table_elt_t *);
ngx_http_ampersand_holds(offsetof(ngx_http_headers_out_t, override_charset)
                      == offsetof(ngx_http_headers_out_t,
                                  NGX_AMPERSAND_HEADERS_OUT_LAST)
                         + sizeof(void *));

/* what an entry will say of itself, and what a stored one says */

ngx_http_ampersand_type(ngx_http_cache_t, valid_sec, time_t);
ngx_http_ampersand_type(ngx_http_cache_t, date, time_t);
ngx_http_ampersand_type(ngx_http_cache_t, etag, ngx_str_t);
ngx_http_ampersand_type(ngx_http_cache_t, vary, ngx_str_t);
ngx_http_ampersand_type(ngx_http_cache_t, header_start, size_t);

/* the copy of u->conf in which proxy_cache_bypass is set */

ngx_http_ampersand_type(ngx_http_upstream_t, conf, ngx_http_upstream_conf_t *);
ngx_http_ampersand_type(ngx_http_upstream_conf_t, cache_bypass, ngx_array_t *);
ngx_http_ampersand_type(ngx_http_complex_value_t, value, ngx_str_t);
ngx_http_ampersand_type(ngx_http_complex_value_t, lengths, void *);

/* the start, the end and the abandonment of an upstream request */

ngx_http_ampersand_type(ngx_http_upstream_srv_conf_t, peer.init,
                        ngx_http_upstream_init_peer_pt);
ngx_http_ampersand_type(ngx_http_upstream_t, finalize_request,
                        void (*)(ngx_http_request_t *r, ngx_int_t rc));
ngx_http_ampersand_type(ngx_http_upstream_t, cleanup, ngx_http_cleanup_pt *);
ngx_http_ampersand_type(ngx_http_request_t, upstream_states, ngx_array_t *);

/* its head, which is replaced, and what says that proxy_pass made it */

ngx_http_ampersand_type(ngx_http_upstream_t, request_bufs, ngx_chain_t *);
ngx_http_ampersand_type(ngx_http_upstream_t, method, ngx_str_t);
ngx_http_ampersand_type(ngx_http_upstream_t, uri, ngx_str_t);
ngx_http_ampersand_type(ngx_http_upstream_t, schema, ngx_str_t);
ngx_http_ampersand_type(ngx_http_upstream_t, output.tag, ngx_buf_tag_t);

/* the request: handlers, cleanups */

ngx_http_ampersand_type(ngx_http_request_t, read_event_handler,
                        ngx_http_event_handler_pt);
ngx_http_ampersand_type(ngx_http_request_t, write_event_handler,
                        ngx_http_event_handler_pt);
ngx_http_ampersand_type(ngx_http_request_t, log_handler,
                        ngx_http_log_handler_pt);
ngx_http_ampersand_type(ngx_http_request_t, cleanup, ngx_http_cleanup_t *);
ngx_http_ampersand_type(ngx_http_cleanup_t, handler, ngx_http_cleanup_pt);
ngx_http_ampersand_type(ngx_pool_t, cleanup, ngx_pool_cleanup_t *);
ngx_http_ampersand_type(ngx_http_phase_t, handlers, ngx_array_t);

/* the body of the request, which is replaced where the project is filled in */

ngx_http_ampersand_type(ngx_http_request_body_t, bufs, ngx_chain_t *);
ngx_http_ampersand_type(ngx_http_request_body_t, buf, ngx_buf_t *);
ngx_http_ampersand_type(ngx_http_request_body_t, temp_file, ngx_temp_file_t *);

/* headers of an answer: a member more would be left unset */

ngx_http_ampersand_holds(offsetof(ngx_table_elt_t, NGX_AMPERSAND_HEADER_LAST)
                      + sizeof(void *) == sizeof(ngx_table_elt_t));


/* In nginx's list of modules the first has to stand before the second. */

typedef struct {
    const char  *first;
    const char  *second;
    ngx_uint_t   optional;      /* nginx may be built without one of them     */
} ngx_http_ampersand_order_t;


static ngx_int_t ngx_http_ampersand_place(ngx_cycle_t *cycle,
    const char *name);


static ngx_http_ampersand_order_t  ngx_http_ampersand_orders[] = {

    /* of access handlers, the last runs first */

    { "ngx_http_ampersand_module", "ngx_http_access_module", 1 },
    { "ngx_http_ampersand_module", "ngx_http_auth_basic_module", 1 },
    { "ngx_http_ampersand_module", "ngx_http_auth_request_module", 1 },

    /* settings are pinned before nginx merges them */

    { "ngx_http_ampersand_module", "ngx_http_proxy_module", 0 },

    /* of precontent handlers, too */

    { "ngx_http_mirror_module", "ngx_http_ampersand_module", 1 },
    { "ngx_http_try_files_module", "ngx_http_ampersand_module", 1 },

    /* of filters, too */

    { "ngx_http_headers_filter_module", "ngx_http_ampersand_filter_module", 0 },
    { "ngx_http_ampersand_filter_module", "ngx_http_copy_filter_module", 0 },
    { "ngx_http_not_modified_filter_module",
      "ngx_http_ampersand_etag_filter_module", 0 },

    { NULL, NULL, 0 }
};


ngx_int_t
ngx_http_ampersand_private_check(ngx_conf_t *cf)
{
    ngx_int_t                    first, second;
    ngx_http_ampersand_order_t  *order;

    for (order = ngx_http_ampersand_orders; order->first; order++) {
        first = ngx_http_ampersand_place(cf->cycle, order->first);
        second = ngx_http_ampersand_place(cf->cycle, order->second);

        if (first == NGX_ERROR || second == NGX_ERROR) {
            if (order->optional) {
                continue;
            }

        } else if (first < second) {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "ampersand: this nginx does not have \"%s\" before "
                      "\"%s\" in its list of modules: build the module with "
                      "--add-dynamic-module and load it with load_module; if "
                      "that is so, " NGX_HTTP_AMPERSAND_CHANGED,
                      order->first, order->second);

        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_place(ngx_cycle_t *cycle, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; cycle->modules[i]; i++) {
        if (ngx_strcmp(cycle->modules[i]->name, name) == 0) {
            return i;
        }
    }

    return NGX_ERROR;
}
