#include "ngx_http_ampersand_cache_files.h"
#include <sys/resource.h>


#define NGX_HTTP_AMPERSAND_CACHE_CLOSE  10000   /* ms between two looks       */
#define NGX_HTTP_AMPERSAND_CACHE_OTHER  64      /* listeners, logs, Redis     */


static ngx_uint_t ngx_http_ampersand_cache_files_max(
    ngx_http_ampersand_cache_files_t *files);
static ngx_uint_t ngx_http_ampersand_cache_files_other(ngx_cycle_t *cycle);
static void ngx_http_ampersand_cache_files_close(ngx_event_t *ev);
static void ngx_http_ampersand_cache_files_close_unused(
    ngx_open_file_cache_t *cache, ngx_log_t *log);


ngx_int_t
ngx_http_ampersand_cache_files_add(ngx_conf_t *cf,
    ngx_http_ampersand_cache_files_t *files, void **settings)
{
    ngx_uint_t                 i;
    ngx_open_file_cache_t    **caches, **cache;
    ngx_http_core_loc_conf_t  *clcf;

    if (files->caches.elts == NULL
        && ngx_array_init(&files->caches, cf->pool, 1, sizeof(*cache))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    clcf = settings[ngx_http_core_module.ctx_index];

    if (clcf->open_file_cache == NULL) {
        return NGX_OK;
    }

    caches = files->caches.elts;

    for (i = 0; i < files->caches.nelts; i++) {

        if (caches[i]->max == clcf->open_file_cache->max
            && caches[i]->inactive == clcf->open_file_cache->inactive)
        {
            clcf->open_file_cache = caches[i];
            return NGX_OK;
        }
    }

    cache = ngx_array_push(&files->caches);
    if (cache == NULL) {
        return NGX_ERROR;
    }

    *cache = clcf->open_file_cache;

    return NGX_OK;
}


void
ngx_http_ampersand_cache_files_check(ngx_http_ampersand_cache_files_t *files,
    ngx_cycle_t *cycle)
{
    ngx_uint_t        max, limit, other;
    struct rlimit     rlmt;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->rlimit_nofile != NGX_CONF_UNSET) {
        limit = (ngx_uint_t) ccf->rlimit_nofile;

    } else if (getrlimit(RLIMIT_NOFILE, &rlmt) == 0) {
        limit = (ngx_uint_t) ngx_min(rlmt.rlim_cur, NGX_MAX_INT_T_VALUE);

    } else {
        return;
    }

    max = ngx_http_ampersand_cache_files_max(files);

    other = ngx_http_ampersand_cache_files_other(cycle);

    if (max == 0 || limit >= other + max) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "ampersand: a worker may open %ui files, which is too few "
                  "for %ui worker_connections and open_file_cache max=%ui: "
                  "it will hold fewer, or write \"worker_rlimit_nofile %ui;\"",
                  limit, cycle->connection_n, max, other + max);
}


void
ngx_http_ampersand_cache_files_init(ngx_http_ampersand_cache_files_t *files,
    ngx_cycle_t *cycle)
{
    ngx_uint_t               i, left, other;
    struct rlimit            rlmt;
    ngx_open_file_cache_t  **caches;

    if (files->caches.nelts == 0) {
        return;
    }

    if (getrlimit(RLIMIT_NOFILE, &rlmt) == 0) {
        left = (ngx_uint_t) ngx_min(rlmt.rlim_cur, NGX_MAX_INT_T_VALUE);
        other = ngx_http_ampersand_cache_files_other(cycle);
        left = (left > other) ? left - other : 0;
        caches = files->caches.elts;

        for (i = 0; i < files->caches.nelts; i++) {
            caches[i]->max = ngx_min(caches[i]->max,
                                     left / files->caches.nelts);
        }
    }

    files->close.handler = ngx_http_ampersand_cache_files_close;
    files->close.data = files;
    files->close.log = cycle->log;
    files->close.cancelable = 1;

    ngx_add_timer(&files->close, NGX_HTTP_AMPERSAND_CACHE_CLOSE);
}


static ngx_uint_t
ngx_http_ampersand_cache_files_max(ngx_http_ampersand_cache_files_t *files)
{
    ngx_uint_t               i, max;
    ngx_open_file_cache_t  **caches;

    max = 0;
    caches = files->caches.elts;

    for (i = 0; i < files->caches.nelts; i++) {
        max += caches[i]->max;
    }

    return max;
}


/* How many descriptors others need: for half of the connections, a file. */

static ngx_uint_t
ngx_http_ampersand_cache_files_other(ngx_cycle_t *cycle)
{
    return cycle->connection_n + cycle->connection_n / 2
           + NGX_HTTP_AMPERSAND_CACHE_OTHER;
}


static void
ngx_http_ampersand_cache_files_close(ngx_event_t *ev)
{
    ngx_uint_t                         i;
    ngx_open_file_cache_t            **caches;
    ngx_http_ampersand_cache_files_t  *files;

    files = ev->data;
    caches = files->caches.elts;

    for (i = 0; i < files->caches.nelts; i++) {
        ngx_http_ampersand_cache_files_close_unused(caches[i], ev->log);
    }

    ngx_add_timer(ev, NGX_HTTP_AMPERSAND_CACHE_CLOSE);
}


/* As ngx_expire_old_cached_files() does, a file or two at each request. */

static void
ngx_http_ampersand_cache_files_close_unused(ngx_open_file_cache_t *cache,
    ngx_log_t *log)
{
    ngx_queue_t             *q;
    ngx_cached_open_file_t  *file;

    while (!ngx_queue_empty(&cache->expire_queue)) {

        q = ngx_queue_last(&cache->expire_queue);
        file = ngx_queue_data(q, ngx_cached_open_file_t, queue);

        /* a file in use is the last only if all others are, too */

        if (file->count || file->event
            || ngx_time() - file->accessed <= cache->inactive)
        {
            return;
        }

        ngx_queue_remove(q);
        ngx_rbtree_delete(&cache->rbtree, &file->node);
        cache->current--;

        if (file->fd != NGX_INVALID_FILE
            && ngx_close_file(file->fd) == NGX_FILE_ERROR)
        {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                          ngx_close_file_n " \"%s\" failed", file->name);
        }

        ngx_free(file->name);
        ngx_free(file);
    }
}
