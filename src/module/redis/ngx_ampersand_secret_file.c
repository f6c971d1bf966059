#include "ngx_ampersand_secret_file.h"


ngx_int_t
ngx_ampersand_secret_file(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *text)
{
    u_char           *buf;
    ssize_t           n;
    ngx_fd_t          fd;
    const char       *why;
    ngx_file_info_t   fi;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    why = NULL;
    n = 0;
    buf = ngx_pnalloc(cf->pool, max + 2);

    if (buf == NULL || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        why = "cannot be read";

    } else if (!ngx_is_file(&fi)) {
        why = "is not a regular file";

    } else if (fi.st_mode & (S_IRWXG|S_IRWXO)) {
        why = "is open to others than its owner: chmod 600 it";

    } else {
        n = ngx_read_fd(fd, buf, max + 2);

        if (n <= 0) {
            why = n == 0 ? "is empty" : "cannot be read";

        } else if ((size_t) n > max + 1) {
            why = "is too long";
        }
    }

    (void) ngx_close_file(fd);

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "file \"%V\" %s", path, why);
        return NGX_ERROR;
    }

    while (n > 0 && (buf[n - 1] == LF || buf[n - 1] == CR)) {
        n--;
    }

    text->data = buf;
    text->len = n;

    return NGX_OK;
}
