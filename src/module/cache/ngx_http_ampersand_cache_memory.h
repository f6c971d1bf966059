/*
 * Small stored answers in a worker's memory, so that a hit needs neither the
 * file of its entry nor nginx's reading of it: see "Cost" in
 * docs/development.md.  Which answer is right remains nginx's to say.  A copy
 * is made of an answer that nginx serves as a hit, and is sent while
 *
 *   it is fresh, and not older in memory than open_file_cache_valid
 *   the node of its key exists in the shared memory of nginx's cache, with the
 *   inode of the copied file and with the stamp of the copy
 *
 * The inode alone would not do, since a later file may get that of a removed
 * one.  The stamp is a random number in the node, in valid_sec, where nginx has
 * until when a stored error lasts: a negative one, so that it is over.  A new
 * node has none, and:
 *
 *   a worker copies an answer ──▶ the node has its stamp, or gets one
 *   an answer has been stored, ─▶ the node has none: copies are outdated
 *   or removed
 *
 * Storing takes two steps: nginx sets the inode of the node, then this module
 * clears the stamp.  In between, the inode is another one than that of a copied
 * file which had its name until then.
 *
 * Not copied are answers with Vary, but for Accept-Encoding, of which only the
 * variant that has the main key; and those larger than 32 KB.  A worker has at
 * most 32 MB, all workers 128 MB; what was not used for longest goes.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_MEMORY_H
#define NGX_HTTP_AMPERSAND_CACHE_MEMORY_H


#include "ngx_ampersand_random.h"
#include "ngx_http_ampersand_cache_copy.h"


#define NGX_HTTP_AMPERSAND_CACHE_MEMORY_BUCKETS  8192       /* a power of 2   */
#define NGX_HTTP_AMPERSAND_CACHE_MEMORY_WORKER   (32 * 1024 * 1024)
#define NGX_HTTP_AMPERSAND_CACHE_MEMORY_ALL      (128 * 1024 * 1024)


/* A worker's. */

typedef struct {
    ngx_http_ampersand_cache_copy_t  **buckets;
    ngx_queue_t                        queue;   /* the last used comes first  */
    size_t                             size;    /* of all copies, bytes       */
    size_t                             most;
    ngx_ampersand_random_t            *random;  /* for stamps                 */
} ngx_http_ampersand_cache_memory_t;


/* For init_process.  NGX_ERROR: no memory. */

ngx_int_t ngx_http_ampersand_cache_memory_init(
    ngx_http_ampersand_cache_memory_t *memory, ngx_cycle_t *cycle,
    ngx_ampersand_random_t *random);

/*
 * The copy that answers r, a GET with this key of the cache; NULL: nginx looks
 * itself.  It is valid until the caller returns to the event loop, longer if
 * ngx_http_ampersand_cache_copy_send() has it.
 */

ngx_http_ampersand_cache_copy_t *ngx_http_ampersand_cache_memory_find(
    ngx_http_ampersand_cache_memory_t *memory, ngx_http_request_t *r,
    ngx_str_t *key);

/*
 * In the first header filter, for any answer of nginx's cache to r, whose key
 * this is: copies it, if that can be done.
 */

void ngx_http_ampersand_cache_memory_keep(
    ngx_http_ampersand_cache_memory_t *memory, ngx_http_request_t *r,
    ngx_str_t *key);

/* An upstream request of r ends: outdates copies if it stored an answer. */

void ngx_http_ampersand_cache_memory_stored(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_MEMORY_H */
