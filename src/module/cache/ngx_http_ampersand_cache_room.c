#include "ngx_http_ampersand_cache_room.h"
#include <sys/statvfs.h>


static void ngx_http_ampersand_cache_room_missing(ngx_http_request_t *r,
    ngx_err_t err, const char *what);


ngx_uint_t
ngx_http_ampersand_cache_room(ngx_http_request_t *r)
{
    off_t            needed;
    u_char          *path;
    struct statvfs   fs;

    path = r->cache->file_cache->path->name.data;

    if (statvfs((char *) path, &fs) == -1
        || access((char *) path, W_OK|X_OK) == -1)
    {
        ngx_http_ampersand_cache_room_missing(r, ngx_errno,
                                              "cannot be written");
        return 0;
    }

    needed = NGX_HTTP_AMPERSAND_CACHE_ROOM
             + ngx_max(r->upstream->headers_in.content_length_n, 0);

    /* some file systems have any number of files, and say 0 */

    if ((off_t) (fs.f_bavail * fs.f_frsize) < needed
        || (fs.f_files && fs.f_favail == 0))
    {
        ngx_http_ampersand_cache_room_missing(r, 0, "has no room left");
        return 0;
    }

    return 1;
}


static void
ngx_http_ampersand_cache_room_missing(ngx_http_request_t *r, ngx_err_t err,
    const char *what)
{
    static time_t  said;

    if (said && ngx_time() - said < 60) {
        return;
    }

    said = ngx_time();

    ngx_log_error(NGX_LOG_WARN, r->connection->log, err,
                  "ampersand: the cache \"%V\" %s: answers are not stored",
                  &r->cache->file_cache->path->name, what);
}
