#include "ngx_ampersand_secret_file.h"
#include "amp_secret_file.h"


static ngx_int_t ngx_ampersand_secret_file_refused(ngx_conf_t *cf,
    ngx_str_t *path, const char *why, const char *remedy);


ngx_int_t
ngx_ampersand_secret_file(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *text)
{
    u_char                      *buf;
    ssize_t                      n;
    ngx_fd_t                     fd;
    const char                  *why;
    ngx_file_info_t              fi;
    const amp_secret_refusal_t  *refusal;

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
    refusal = NULL;
    n = 0;
    buf = ngx_pnalloc(cf->pool, max + 1);

    if (buf == NULL || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        why = "cannot be read";

    } else if (!ngx_is_file(&fi)) {
        why = "is not a regular file";

    } else {
        refusal = amp_secret_file_access(fi.st_mode & 07777, fi.st_uid,
                                         geteuid());
    }

    if (why == NULL && refusal == NULL) {
        n = ngx_read_fd(fd, buf, max + 1);

        if (n <= 0) {
            why = n == 0 ? "is empty" : "cannot be read";

        } else if ((size_t) n > max) {
            ngx_explicit_memzero(buf, n);
            why = "is too long";
        }
    }

    (void) ngx_close_file(fd);

    if (refusal) {
        return ngx_ampersand_secret_file_refused(cf, path, refusal->why,
                                                 refusal->remedy);
    }

    if (why) {
        return ngx_ampersand_secret_file_refused(cf, path, why,
                                                 "give the file of the secret");
    }

    text->data = buf;
    text->len = n;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_secret_line(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *text)
{
    amp_span_t                   line;
    const amp_secret_refusal_t  *refusal;

    /* and its line ends */

    if (ngx_ampersand_secret_file(cf, path, AMP_SECRET_LINE_MAX + 8, text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    refusal = amp_secret_file_line(ngx_ampersand_span(*text), &line);

    if (refusal) {
        ngx_explicit_memzero(text->data, text->len);
        return ngx_ampersand_secret_file_refused(cf, path, refusal->why,
                                                 refusal->remedy);
    }

    text->len = line.len;

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_secret_file_refused(ngx_conf_t *cf, ngx_str_t *path,
    const char *why, const char *remedy)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "file \"%V\" %s: %s", path, why,
                       remedy);

    return NGX_ERROR;
}
