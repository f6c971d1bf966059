#include "ngx_ampersand_redis_conf.h"
#include "ngx_ampersand_secret_file.h"
#include "amp_keys.h"


#define NGX_AMPERSAND_REDIS_KEY_MAX  65536          /* bytes of a PEM file    */


typedef ngx_int_t (*ngx_ampersand_redis_conf_pt)(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value);


static ngx_int_t ngx_ampersand_redis_conf_parameter(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_tls_t *tls,
    ngx_str_t *parameter);
static ngx_int_t ngx_ampersand_redis_conf_timeout(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value);
static ngx_int_t ngx_ampersand_redis_conf_prefix(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value);
static ngx_int_t ngx_ampersand_redis_conf_password(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value);
static ngx_int_t ngx_ampersand_redis_conf_url(ngx_conf_t *cf, ngx_str_t *text,
    ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_hosts(ngx_conf_t *cf,
    amp_redis_url_t *url, ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_resolve(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_redis_host_t *host);
static ngx_int_t ngx_ampersand_redis_conf_tls(ngx_conf_t *cf,
    ngx_ampersand_tls_t *tls, ngx_ampersand_redis_conf_t *conf);
static ngx_int_t ngx_ampersand_redis_conf_copy(ngx_conf_t *cf,
    const char *text, ngx_str_t *out);


char *
ngx_ampersand_redis_conf(ngx_conf_t *cf, ngx_ampersand_redis_conf_t *conf)
{
    ngx_str_t            *value;
    ngx_uint_t            i;
    ngx_ampersand_tls_t   tls;

    value = cf->args->elts;

    conf->timeout = NGX_AMPERSAND_REDIS_TIMEOUT;
    ngx_str_set(&conf->prefix, AMP_KEYS_PREFIX);
    ngx_memzero(&tls, sizeof(tls));

    if (ngx_ampersand_redis_conf_url(cf, &value[1], conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_ampersand_redis_conf_parameter(cf, conf, &tls, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (conf->user.len && conf->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the Redis URL names a user and no password, add "
                           "password_file=FILE");
        return NGX_CONF_ERROR;
    }

    return ngx_ampersand_redis_conf_tls(cf, &tls, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_ampersand_redis_conf_parameter(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_ampersand_tls_t *tls,
    ngx_str_t *parameter)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    const struct {
        ngx_str_t                     name;
        ngx_ampersand_redis_conf_pt   set;
        ngx_str_t                    *text;     /* set is NULL                */
    } parameters[] = {
        { ngx_string("timeout="), ngx_ampersand_redis_conf_timeout, NULL },
        { ngx_string("prefix="), ngx_ampersand_redis_conf_prefix, NULL },
        { ngx_string("password_file="), ngx_ampersand_redis_conf_password,
          NULL },
        { ngx_string("ca_file="), NULL, &tls->ca_file },
        { ngx_string("cert_file="), NULL, &tls->cert_file },
        { ngx_string("key_file="), NULL, &tls->key_file },
        { ngx_string("server_name="), NULL, &tls->server_name }
    };

    for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {

        if (ngx_strncmp(parameter->data, parameters[i].name.data,
                        parameters[i].name.len)
            != 0)
        {
            continue;
        }

        value.data = parameter->data + parameters[i].name.len;
        value.len = parameter->len - parameters[i].name.len;

        if (parameters[i].set) {
            return parameters[i].set(cf, conf, &value);
        }

        if (value.len) {
            *parameters[i].text = value;
            return NGX_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter after the Redis URL (not shown, it "
                       "may hold a password), there are timeout=, prefix=, "
                       "password_file=, ca_file=, cert_file=, key_file= and "
                       "server_name=");

    return NGX_ERROR;
}


static ngx_int_t
ngx_ampersand_redis_conf_timeout(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value)
{
    conf->timeout = ngx_parse_time(value, 0);

    if (conf->timeout == (ngx_msec_t) NGX_ERROR || conf->timeout == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid timeout \"%V\", write for example "
                           "timeout=100ms", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_conf_prefix(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value)
{
    conf->prefix = *value;

    if (!amp_keys_prefix_valid(amp_span_make(value->data, value->len))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid prefix \"%V\", write 1 to %d of A-Z a-z "
                           "0-9 . _ : -", value, AMP_KEYS_PREFIX_MAX);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_ampersand_redis_conf_password(ngx_conf_t *cf,
    ngx_ampersand_redis_conf_t *conf, ngx_str_t *value)
{
    return ngx_ampersand_secret_line(cf, value, &conf->password);
}


static ngx_int_t
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
        return NGX_ERROR;
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
        rc = conf->db.data ? NGX_OK : NGX_ERROR;

        if (rc == NGX_OK) {
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

    return rc;
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


static ngx_int_t
ngx_ampersand_redis_conf_tls(ngx_conf_t *cf, ngx_ampersand_tls_t *tls,
    ngx_ampersand_redis_conf_t *conf)
{
    ngx_str_t    key;
    const char  *wrong;

    wrong = NULL;

    if (conf->tls == NULL) {
        if (tls->ca_file.len || tls->cert_file.len || tls->key_file.len
            || tls->server_name.len)
        {
            wrong = "ca_file=, cert_file=, key_file= and server_name= are for "
                    "TLS, write rediss:// in place of redis://";
        }

    } else if ((tls->cert_file.len == 0) != (tls->key_file.len == 0)) {
        wrong = "a client certificate needs both cert_file=FILE and "
                "key_file=FILE";
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", wrong);
        return NGX_ERROR;
    }

    if (conf->tls == NULL) {
        return NGX_OK;
    }

    *conf->tls = *tls;

    if (tls->key_file.len) {
        if (ngx_ampersand_secret_file(cf, &conf->tls->key_file,
                                      NGX_AMPERSAND_REDIS_KEY_MAX, &key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_explicit_memzero(key.data, key.len);
    }

    if (ngx_ampersand_tls_init(cf, conf->tls) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no TLS to \"%V\", ca_file=, cert_file= and "
                           "key_file= have to be PEM files",
                           &conf->display);
        return NGX_ERROR;
    }

    return NGX_OK;
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
