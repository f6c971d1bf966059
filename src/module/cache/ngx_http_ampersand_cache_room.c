#include "ngx_http_ampersand_cache_room.h"
#include <sys/statvfs.h>


/* So much is not written within a second, nor so many files made. */

#define NGX_HTTP_AMPERSAND_CACHE_SECOND        ((off_t) 1024 * 1024 * 1024)
#define NGX_HTTP_AMPERSAND_CACHE_SECOND_FILES  100000


static ngx_int_t ngx_http_ampersand_cache_room_left(ngx_path_t *path,
    off_t needed);
static void ngx_http_ampersand_cache_room_missing(ngx_http_request_t *r,
    ngx_err_t err, const char *what);


ngx_uint_t
ngx_http_ampersand_cache_room(ngx_http_request_t *r)
{
    off_t        needed;
    ngx_int_t    rc;
    ngx_path_t  *path;

    path = r->cache->file_cache->path;

    needed = NGX_HTTP_AMPERSAND_CACHE_ROOM
             + ngx_max(r->upstream->headers_in.content_length_n, 0);

    rc = ngx_http_ampersand_cache_room_left(path, needed);

    if (rc == NGX_ERROR
        || access((char *) path->name.data, W_OK|X_OK) == -1)
    {
        ngx_http_ampersand_cache_room_missing(r, ngx_errno,
                                              "cannot be written");
        return 0;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_ampersand_cache_room_missing(r, 0, "has no room left");
        return 0;
    }

    return 1;
}


/*
 * NGX_DECLINED: too little.  statvfs() is 3 % of a miss, so while there is
 * plenty it is asked once a second.
 */

static ngx_int_t
ngx_http_ampersand_cache_room_left(ngx_path_t *path, off_t needed)
{
    off_t           left;
    ngx_uint_t      files;
    struct statvfs  fs;

    static time_t       plenty;
    static ngx_path_t  *asked;

    if (needed < NGX_HTTP_AMPERSAND_CACHE_SECOND && plenty == ngx_time()
        && asked == path)
    {
        return NGX_OK;
    }

    if (statvfs((char *) path->name.data, &fs) == -1) {
        return NGX_ERROR;
    }

    left = (off_t) (fs.f_bavail * fs.f_frsize);

    /* some file systems have any number of files, and say 0 */

    files = fs.f_files ? fs.f_favail : NGX_MAX_INT_T_VALUE;

    if (left < needed || files == 0) {
        return NGX_DECLINED;
    }

    if (left >= 2 * NGX_HTTP_AMPERSAND_CACHE_SECOND
        && files >= NGX_HTTP_AMPERSAND_CACHE_SECOND_FILES)
    {
        plenty = ngx_time();
        asked = path;
    }

    return NGX_OK;
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
