/*
 * The files of the cache that workers hold open (open_file_cache), so that a
 * hit needs no open(), fstat() and close().
 *
 * nginx makes an open_file_cache for each location that has the directive; the
 * five gateway locations share one.  nginx holds the inode of a held file
 * against that of the cache's node in shared memory, so an entry that was
 * replaced is never read.  It does not look:
 *
 *   how many descriptors there are: where none is left, a hit is a 500.  A
 *   worker holds no more files than worker_connections, and answers that are
 *   being written for half of these, leave.  "nginx -t" warns
 *
 *   at files in a worker without requests: one that was deleted meanwhile
 *   keeps its blocks of the disk.  A timer closes what was not used for the
 *   time "inactive" of open_file_cache
 *
 *   into the directory, until open_file_cache_valid: until then a file that
 *   was removed by hand is read
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_FILES_H
#define NGX_HTTP_AMPERSAND_CACHE_FILES_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


typedef struct {
    ngx_array_t   caches;       /* ngx_open_file_cache_t *, each once         */
    ngx_event_t   close;        /* a worker's timer                           */
} ngx_http_ampersand_cache_files_t;


/*
 * The merged settings of all modules for a gateway location: it shares the
 * open_file_cache of the first one that has the same parameters.  In
 * postconfiguration.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_files_add(ngx_conf_t *cf,
    ngx_http_ampersand_cache_files_t *files, void **settings);

/* For init_module, when events{} is known: warns of too few descriptors. */

void ngx_http_ampersand_cache_files_check(
    ngx_http_ampersand_cache_files_t *files, ngx_cycle_t *cycle);

/* For init_process. */

void ngx_http_ampersand_cache_files_init(
    ngx_http_ampersand_cache_files_t *files, ngx_cycle_t *cycle);


#endif /* NGX_HTTP_AMPERSAND_CACHE_FILES_H */
