#include "ngx_http_ampersand_directives.h"
#include "redis/ngx_ampersand_redis_conf.h"
#include "redis/ngx_ampersand_secret_file.h"
#include "amp_origin.h"


static void ngx_http_ampersand_keyring_cleanup(void *data);
static char *ngx_http_ampersand_nginx_directive(ngx_conf_t *cf,
    ngx_uint_t context, ngx_str_t *words, ngx_uint_t n);


char *
ngx_http_ampersand_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_main_conf_t *amcf = conf;

    ssize_t     size;
    ngx_str_t  *value, name = ngx_string("ampersand_zone");

    if (amcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size < NGX_AMPERSAND_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\", write for example 16m "
                           "(at least 256k, about 1k a tenant)", &value[1]);
        return NGX_CONF_ERROR;
    }

    amcf->zone = ngx_pcalloc(cf->pool, sizeof(*amcf->zone));
    if (amcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf->zone->created = ngx_ampersand_lease_init;

    amcf->shm_zone = ngx_shared_memory_add(cf, &name, size,
                                           &ngx_http_ampersand_module);
    if (amcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf->shm_zone->init = ngx_ampersand_zone_init;
    amcf->shm_zone->data = amcf->zone;

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_main_conf_t *amcf = conf;

    if (amcf->redis_conf) {
        return "is duplicate";
    }

    amcf->redis_conf = ngx_pcalloc(cf->pool, sizeof(*amcf->redis_conf));
    if (amcf->redis_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_ampersand_redis_conf(cf, amcf->redis_conf);
}


char *
ngx_http_ampersand_set_master_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_ampersand_main_conf_t *amcf = conf;

    int                  rc;
    ngx_str_t           *value, text;
    const char          *error;
    ngx_pool_cleanup_t  *cln;

    value = cf->args->elts;

    if (amcf->keyring == NULL) {
        cln = ngx_pool_cleanup_add(cf->pool, 0);
        amcf->keyring = amp_keyring_create();

        if (cln == NULL || amcf->keyring == NULL) {
            return NGX_CONF_ERROR;
        }

        cln->handler = ngx_http_ampersand_keyring_cleanup;
        cln->data = amcf->keyring;
    }

    if (ngx_ampersand_secret_line(cf, &value[1], &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rc = amp_keyring_add(amcf->keyring,
                         ngx_ampersand_span(text), &error);
    ngx_explicit_memzero(text.data, text.len);

    if (rc != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "master key file \"%V\": %s, make one with "
                           "\"ampctl masterkey new FILE\"", &value[1], error);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void
ngx_http_ampersand_keyring_cleanup(void *data)
{
    amp_keyring_free(data);
}


char *
ngx_http_ampersand_set_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    ngx_str_t                         *value, by;
    ngx_http_ampersand_identity_t     *identity;
    ngx_http_compile_complex_value_t   ccv;

    if (alcf->identity != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    identity = ngx_pcalloc(cf->pool, sizeof(*identity));
    if (identity == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &identity->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    alcf->identity = identity;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    by = value[2];

    if (ngx_strcmp(by.data, "by=id") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(by.data, "by=fingerprint") == 0) {
        identity->kind = AMP_IDENTITY_FINGERPRINT;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(by.data, "by=subject") == 0) {
        identity->kind = AMP_IDENTITY_SUBJECT;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(by.data, "by=claim:", 9) == 0) {
        identity->kind = AMP_IDENTITY_CLAIM;
        identity->claim.data = by.data + 9;
        identity->claim.len = by.len - 9;

        if (amp_identity_claim_valid(ngx_ampersand_span(identity->claim))) {
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\", write by=id, by=fingerprint, "
                       "by=subject, or by=claim:NAME with the name of a claim, "
                       "for example by=claim:sub", &by);
    return NGX_CONF_ERROR;
}


char *
ngx_http_ampersand_set_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    int                              api;
    ngx_str_t                       *value;
    ngx_http_ampersand_srv_conf_t   *ascf;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (alcf->api != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        alcf->api = NGX_HTTP_AMPERSAND_OFF;
        return NGX_CONF_OK;
    }

    api = amp_api_find(ngx_ampersand_span(value[1]));

    if (api < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown API \"%V\", write platform, read, write, "
                           "search, proxy or off", &value[1]);
        return NGX_CONF_ERROR;
    }

    alcf->api = api;
    alcf->own = 1;
    alcf->file = cf->conf_file->file.name.data;
    alcf->line = cf->conf_file->line;

    ascf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ampersand_module);
    ascf->gateway = 1;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);
    amcf->used = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    u_char     *p, *last;
    ngx_str_t  *value;

    if (alcf->upstream.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    p = value[1].data;
    last = p + value[1].len;

    if (ngx_strncmp(p, "http://", 7) == 0) {
        p += 7;

    } else if (ngx_strncmp(p, "https://", 8) == 0) {
        p += 8;

    } else {
        p = last;
    }

    alcf->upstream = value[1];

    /* the API's own host, which is appended when the API is known */

    if (ngx_strcmp(p, "$ampersand_host") == 0) {
        alcf->upstream.len = p - value[1].data;
        return NGX_CONF_OK;
    }

    if (p == last || ngx_strlchr(p, last, '/') || ngx_strlchr(p, last, '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid upstream \"%V\", write http://NAME or "
                           "https://NAME of an upstream{} block, or "
                           "http://$ampersand_host", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_server(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                            *rv;
    ngx_str_t                       *value, *words, zone[3];
    ngx_uint_t                       n;
    ngx_http_conf_ctx_t             *http;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_upstream_srv_conf_t    *uscf;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);
    n = cf->args->nelts;

    words = ngx_palloc(cf->pool, (n + 2) * sizeof(ngx_str_t));
    if (words == NULL) {
        return NGX_CONF_ERROR;
    }

    /* nginx takes the last of two equal parameters: what is written counts */

    value = cf->args->elts;

    ngx_str_set(&words[0], "server");
    words[1] = value[1];
    ngx_str_set(&words[2], "fail_timeout=1s");
    ngx_memcpy(&words[3], &value[2], (n - 2) * sizeof(ngx_str_t));
    n++;

    /* upstream{} has a loc_conf of its own: what http{} says so far */

    http = (ngx_http_conf_ctx_t *) cf->cycle->conf_ctx[ngx_http_module.index];
    clcf = http->loc_conf[ngx_http_core_module.ctx_index];

    if (clcf->resolver == NULL || !NGX_AMPERSAND_RESOLVE) {
        amcf->unresolved = NGX_AMPERSAND_RESOLVE;

        return ngx_http_ampersand_nginx_directive(cf, NGX_HTTP_UPS_CONF, words,
                                                  n);
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->shm_zone == NULL) {
        ngx_str_set(&zone[0], "zone");
        zone[1] = uscf->host;
        ngx_str_set(&zone[2], "64k");

        rv = ngx_http_ampersand_nginx_directive(cf, NGX_HTTP_UPS_CONF, zone, 3);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    ngx_str_set(&words[n], "resolve");

    return ngx_http_ampersand_nginx_directive(cf, NGX_HTTP_UPS_CONF, words,
                                              n + 1);
}


/*
 * This module stands before the proxy module and the rewrite module, so nginx
 * finds these three directives here first.
 */

char *
ngx_http_ampersand_set_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value, *word;

    value = cf->args->elts;

    word = (ngx_str_t *) ((char *) conf + cmd->offset);
    *word = value[1];

    return ngx_http_ampersand_nginx_directive(cf, cmd->type, value, 2);
}


char *
ngx_http_ampersand_set_rewrite(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    alcf->rewrites = 1;

    return ngx_http_ampersand_nginx_directive(cf, cmd->type, cf->args->elts,
                                              cf->args->nelts);
}


/* Does what nginx itself does with these words. */

static char *
ngx_http_ampersand_nginx_directive(ngx_conf_t *cf, ngx_uint_t context,
    ngx_str_t *words, ngx_uint_t n)
{
    char           *rv;
    void          **confs;
    ngx_uint_t      i;
    ngx_array_t    *args, own;
    ngx_command_t  *cmd;

    args = cf->args;
    own = *args;
    own.elts = words;
    own.nelts = n;

    for (i = 0; cf->cycle->modules[i]; i++) {
        cmd = cf->cycle->modules[i]->commands;

        if (cf->cycle->modules[i]->type != NGX_HTTP_MODULE || cmd == NULL
            || cf->cycle->modules[i] == &ngx_http_ampersand_module)
        {
            continue;
        }

        for ( /* void */ ; cmd->name.len; cmd++) {

            if (!(cmd->type & context)
                || cmd->name.len != words[0].len
                || ngx_strcmp(cmd->name.data, words[0].data) != 0)
            {
                continue;
            }

            /* as in ngx_conf_handler() */

            confs = *(void ***) ((char *) cf->ctx + cmd->conf);

            cf->args = &own;
            rv = cmd->set(cf, cmd, confs[cf->cycle->modules[i]->ctx_index]);
            cf->args = args;

            return rv;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "this nginx has no \"%V\" here", &words[0]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_ampersand_set_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    ngx_str_t   *value, *origin;
    ngx_uint_t   i;
    const char  *fault;

    if (alcf->cors != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        alcf->cors = NULL;
        return NGX_CONF_OK;
    }

    alcf->cors = ngx_array_create(cf->pool, cf->args->nelts,
                                  sizeof(ngx_str_t));
    if (alcf->cors == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        fault = amp_origin_fault(ngx_ampersand_span(value[i]));

        if (fault) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid origin \"%V\", %s", &value[i], fault);
            return NGX_CONF_ERROR;
        }

        /* the array has room for it */

        origin = ngx_array_push(alcf->cors);
        *origin = value[i];
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_ttl(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i, missing;
    amp_lifetime_e             what;
    ngx_http_ampersand_ttl_t  *ttl, *others;

    value = cf->args->elts;
    missing = (ngx_strcmp(value[1].data, "404") == 0);
    what = amp_lifetime_name(ngx_ampersand_span(value[1]));

    if (what == AMP_LIFETIME_NEVER) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is never cached: it is not a GET that "
                           "only reads, or its answers hold secrets; write an "
                           "operation, catalog, read, default or 404",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (what == AMP_LIFETIME_UNKNOWN && !missing) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not an operation, class, \"default\" or "
                           "404, see \"ampctl operations\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (alcf->ttls == NGX_CONF_UNSET_PTR) {
        alcf->ttls = ngx_array_create(cf->pool, 4, sizeof(*ttl));
        if (alcf->ttls == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ttl = ngx_array_push(alcf->ttls);
    if (ttl == NULL) {
        return NGX_CONF_ERROR;
    }

    ttl->name = value[1];
    ttl->missing = missing;
    ttl->ttl = ngx_parse_time(&value[2], 1);

    if (ttl->ttl == (time_t) NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\", write for example 30s",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    others = alcf->ttls->elts;

    for (i = 0; i < alcf->ttls->nelts - 1; i++) {
        if (others[i].name.len == ttl->name.len
            && ngx_strcmp(others[i].name.data, ttl->name.data) == 0)
        {
            return "is duplicate";
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_loc_conf_t *alcf = conf;

    time_t      *seconds;
    ngx_str_t   *value, text;
    ngx_uint_t   i;

    if (alcf->stale != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        text = value[i];
        seconds = &alcf->stale;

        if (i == 2) {
            if (ngx_strncmp(text.data, "error=", 6) != 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid parameter \"%V\", write for "
                                   "example error=10m", &value[i]);
                return NGX_CONF_ERROR;
            }

            text.data += 6;
            text.len -= 6;
            seconds = &alcf->stale_error;
        }

        *seconds = (ngx_strcmp(text.data, "off") == 0)
                   ? 0 : ngx_parse_time(&text, 1);

        if (*seconds == (time_t) NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\", write for example 30s, "
                               "or off", &text);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ampersand_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ampersand_main_conf_t *amcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i;
    amp_rate_t  *rate;

    rate = &amcf->limit.rate;

    if (rate->count) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (amp_rate_parse(ngx_ampersand_span(value[1]), rate) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid rate \"%V\", write for example 50/s, "
                           "600/m, 5000/h or 10000/d", &value[1]);
        return NGX_CONF_ERROR;
    }

    rate->burst = amp_rate_default_burst(rate);

    for (i = 2; i < cf->args->nelts; i++) {
        n = NGX_ERROR;

        if (ngx_strncmp(value[i].data, "burst=", 6) == 0) {
            n = ngx_atoi(value[i].data + 6, value[i].len - 6);
            rate->burst = (uint32_t) n;

        } else if (ngx_strncmp(value[i].data, "concurrency=", 12) == 0) {
            n = ngx_atoi(value[i].data + 12, value[i].len - 12);
            amcf->limit.concurrency = n;
        }

        if (n < 1 || n > AMP_BURST_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", write burst=N or "
                               "concurrency=N, N from 1 to %d", &value[i],
                               AMP_BURST_MAX);
            return NGX_CONF_ERROR;
        }
    }

    if (rate->burst > amp_lease_burst_max(rate)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a burst of %uD takes too long to refill at %V, "
                           "write burst=%uD or less", rate->burst, &value[1],
                           amp_lease_burst_max(rate));
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
