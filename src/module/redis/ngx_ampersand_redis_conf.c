#include "ngx_ampersand_redis_conf.h"
#include "amp_keys.h"


#define NGX_AMPERSAND_REDIS_KEY_FILE  65536


static char *ngx_ampersand_redis_conf_url(ngx_conf_t *cf, ngx_str_t *text,
    ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_hosts(ngx_conf_t *cf,
    amp_redis_url_t *url, ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_resolve(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_redis_host_t *host);
static char *ngx_ampersand_redis_conf_tls(ngx_conf_t *cf,
    ngx_ampersand_tls_t *said, ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_copy(ngx_conf_t *cf,
    const char *text, ngx_str_t *out);


char *
ngx_ampersand_redis_conf(ngx_conf_t *cf, ngx_ampersand_redis_conf_t *conf)
{
    ngx_str_t            *value, s;
    ngx_uint_t            i, j;
    ngx_ampersand_tls_t   said;

    struct {
        ngx_str_t   name;
        ngx_str_t  *value;
    } files[] = {
        { ngx_string("ca_file="), &said.ca_file },
        { ngx_string("cert_file="), &said.cert_file },
        { ngx_string("key_file="), &said.key_file },
        { ngx_string("server_name="), &said.server_name }
    };

    value = cf->args->elts;

    conf->timeout = NGX_AMPERSAND_REDIS_TIMEOUT;
    ngx_str_set(&conf->prefix, AMP_KEYS_PREFIX);
    ngx_memzero(&said, sizeof(said));

    if (ngx_ampersand_redis_conf_url(cf, &value[1], conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "timeout=", 8) == 0) {
            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            conf->timeout = ngx_parse_time(&s, 0);

            if (conf->timeout == (ngx_msec_t) NGX_ERROR || conf->timeout == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid timeout \"%V\", write for example "
                                   "timeout=100ms", &s);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "prefix=", 7) == 0) {
            conf->prefix.data = value[i].data + 7;
            conf->prefix.len = value[i].len - 7;

            if (!amp_keys_prefix_valid(amp_span_make(conf->prefix.data,
                                                     conf->prefix.len)))
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid prefix \"%V\", write 1 to %d of "
                                   "A-Z a-z 0-9 . _ : -", &conf->prefix,
                                   AMP_KEYS_PREFIX_MAX);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "password_file=", 14) == 0) {
            s.data = value[i].data + 14;
            s.len = value[i].len - 14;

            if (ngx_ampersand_secret_file(cf, &s, 1024, &conf->password)
                != NGX_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        for (j = 0; j < sizeof(files) / sizeof(files[0]); j++) {
            if (value[i].len > files[j].name.len
                && ngx_strncmp(value[i].data, files[j].name.data,
                               files[j].name.len)
                   == 0)
            {
                files[j].value->data = value[i].data + files[j].name.len;
                files[j].value->len = value[i].len - files[j].name.len;
                break;
            }
        }

        if (j == sizeof(files) / sizeof(files[0])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter after the Redis URL (not "
                               "shown, it may hold a password), there are "
                               "timeout=, prefix=, password_file=, ca_file=, "
                               "cert_file=, key_file= and server_name=");
            return NGX_CONF_ERROR;
        }
    }

    if (conf->user.len && conf->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the Redis URL names a user and no password, add "
                           "password_file=FILE");
        return NGX_CONF_ERROR;
    }

    return ngx_ampersand_redis_conf_tls(cf, &said, conf);
}


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


static char *
ngx_ampersand_redis_conf_url(ngx_conf_t *cf, ngx_str_t *text,
    ngx_ampersand_redis_conf_t *conf)
{
    ngx_int_t         rc;
    const char       *error;
    amp_redis_url_t   url;

    if (amp_redis_url_parse(amp_span_make(text->data, text->len), &url, &error)
        != 0)
    {
        ngx_explicit_memzero(url.password, sizeof(url.password));
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s, " AMP_REDIS_URL_FORMS,
                           error);
        return NGX_CONF_ERROR;
    }

    conf->form = url.form;
    rc = NGX_OK;

    if (ngx_ampersand_redis_conf_copy(cf, url.shown, &conf->display) != NGX_OK
        || ngx_ampersand_redis_conf_copy(cf, url.user, &conf->user) != NGX_OK
        || ngx_ampersand_redis_conf_copy(cf, url.name, &conf->name) != NGX_OK
        || ngx_ampersand_redis_conf_copy(cf, url.password, &conf->password)
           != NGX_OK)
    {
        rc = NGX_ERROR;
    }

    ngx_explicit_memzero(url.password, sizeof(url.password));

    if (rc == NGX_OK && url.db) {
        conf->db.data = ngx_pnalloc(cf->pool, NGX_INT32_LEN);

        if (conf->db.data) {
            conf->db.len = ngx_sprintf(conf->db.data, "%ui",
                                       (ngx_uint_t) url.db)
                           - conf->db.data;
        }
    }

    if (rc == NGX_OK && url.tls) {
        conf->tls = ngx_pcalloc(cf->pool, sizeof(*conf->tls));
        rc = conf->tls ? NGX_OK : NGX_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_ampersand_redis_conf_hosts(cf, &url, conf);
    }

    return rc == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_ampersand_redis_conf_hosts(ngx_conf_t *cf, amp_redis_url_t *url,
    ngx_ampersand_redis_conf_t *conf)
{
    ngx_uint_t  i;

    conf->nhosts = ngx_max(url->nhosts, 1);

    conf->hosts = ngx_pcalloc(cf->pool, conf->nhosts * sizeof(*conf->hosts));
    if (conf->hosts == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < conf->nhosts; i++) {
        conf->hosts[i].host = url->hosts[i];

        if (url->path[0]) {
            (void) ngx_snprintf((u_char *) conf->hosts[i].host.host,
                                AMP_REDIS_URL_TEXT, "unix:%s%Z", url->path);
        }

        if (ngx_ampersand_redis_conf_resolve(cf, conf, &conf->hosts[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_conf_resolve(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_redis_host_t *host)
{
    u_char      *p;
    ngx_url_t    url;
    const char  *form;

    ngx_memzero(&url, sizeof(url));

    p = ngx_pnalloc(cf->pool, AMP_REDIS_URL_TEXT + sizeof("[]:65535"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    form = ngx_strchr(host->host.host, ':') ? "[%s]:%ui" : "%s:%ui";

    if (ngx_strncmp(host->host.host, "unix:", 5) == 0) {
        form = "%s";
    }

    url.url.data = p;
    url.url.len = ngx_sprintf(p, form, host->host.host,
                              (ngx_uint_t) host->host.port)
                  - p;

    if (ngx_parse_url(cf->pool, &url) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "Redis at \"%V\": %s",
                           &conf->display,
                           url.err ? url.err : "unknown address");
        return NGX_ERROR;
    }

    host->naddrs = url.naddrs;
    host->addrs = url.addrs;

    return NGX_OK;
}


static char *
ngx_ampersand_redis_conf_tls(ngx_conf_t *cf, ngx_ampersand_tls_t *said,
    ngx_ampersand_redis_conf_t *conf)
{
    ngx_str_t    key;
    const char  *wrong;

    wrong = NULL;

    if (conf->tls == NULL) {
        if (said->ca_file.len || said->cert_file.len || said->key_file.len
            || said->server_name.len)
        {
            wrong = "ca_file=, cert_file=, key_file= and server_name= are for "
                    "TLS, write rediss:// in place of redis://";
        }

    } else if ((said->cert_file.len == 0) != (said->key_file.len == 0)) {
        wrong = "a client certificate needs both cert_file=FILE and "
                "key_file=FILE";
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", wrong);
        return NGX_CONF_ERROR;
    }

    if (conf->tls == NULL) {
        return NGX_CONF_OK;
    }

    *conf->tls = *said;

    if (said->key_file.len) {
        if (ngx_ampersand_secret_file(cf, &conf->tls->key_file,
                                      NGX_AMPERSAND_REDIS_KEY_FILE, &key)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        ngx_explicit_memzero(key.data, key.len);
    }

    if (ngx_ampersand_tls_init(cf, conf->tls) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no TLS to \"%V\", ca_file=, cert_file= and "
                           "key_file= have to be PEM files",
                           &conf->display);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_ampersand_redis_conf_copy(ngx_conf_t *cf, const char *text, ngx_str_t *out)
{
    out->len = ngx_strlen(text);
    out->data = ngx_pnalloc(cf->pool, out->len + 1);

    if (out->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(out->data, text, out->len + 1);

    return NGX_OK;
}
