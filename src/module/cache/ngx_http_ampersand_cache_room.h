/*
 * Room on the disk.  nginx begins to send an answer while it writes it: where
 * it cannot write any more it closes the connection, and the client has half an
 * answer.  So what may not fit is not stored.  min_free of proxy_cache_path
 * keeps room, but looks only now and then.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_ROOM_H
#define NGX_HTTP_AMPERSAND_CACHE_ROOM_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* What has to be free beside the answer itself: others are written, too. */

#define NGX_HTTP_AMPERSAND_CACHE_ROOM  (1024 * 1024)


/*
 * 1: the directory of the cache can be written, and has room for the answer of
 * r->upstream; else 0, which is logged once a minute and worker.  While 2 GB
 * are free, the file system is asked once a second.
 */

ngx_uint_t ngx_http_ampersand_cache_room(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_ROOM_H */
