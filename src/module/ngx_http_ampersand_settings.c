#include "ngx_http_ampersand_settings.h"


extern ngx_module_t  ngx_http_proxy_module;


/* A word of the proxy module's configuration; unset, each of them is -1. */

typedef struct {
    const char  *directive;
    intptr_t     value;         /* a flag, a number, or 0: no list            */
} ngx_http_ampersand_pin_t;


static ngx_command_t *ngx_http_ampersand_settings_command(ngx_conf_t *cf,
    const char *name);
static ngx_int_t ngx_http_ampersand_settings_refuse(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf, const char *directive,
    const char *reason);
static ngx_int_t ngx_http_ampersand_settings_address(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);
static ngx_int_t ngx_http_ampersand_settings_cache(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf);
static void ngx_http_ampersand_settings_memory(
    ngx_http_ampersand_loc_conf_t *alcf, ngx_http_upstream_conf_t *conf);


static ngx_str_t  ngx_http_ampersand_address =
    ngx_string("$ampersand_upstream$ampersand_uri");
static ngx_str_t  ngx_http_ampersand_cache_zone = ngx_string("ampersand");
static ngx_str_t  ngx_http_ampersand_cache_variable =
    ngx_string("$ampersand_cache");
static ngx_str_t  ngx_http_ampersand_cache_key_variable =
    ngx_string("$ampersand_cache_key");


/* nginx reads this list without asking whether there is one */

static ngx_array_t  ngx_http_ampersand_no_headers;


static ngx_http_ampersand_pin_t  ngx_http_ampersand_pins[] = {

    /* Ampersand's answers are passed on: its errors, ranges and headers */

    { "proxy_intercept_errors", 0 },
    { "proxy_force_ranges", 0 },
    { "proxy_pass_header", (intptr_t) &ngx_http_ampersand_no_headers },

    /* the body that was checked is sent */

    { "proxy_pass_request_body", 1 },

    /* what is stored is as docs/cache.md says */

    { "proxy_buffering", 1 },
    { "proxy_cache_bypass", 0 },
    { "proxy_cache_convert_head", 1 },
    { "proxy_cache_min_uses", 1 },
    { "proxy_cache_valid", 0 },
    { "proxy_no_cache", 0 },

    { NULL, 0 }
};


ngx_int_t
ngx_http_ampersand_settings_pin(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    intptr_t                  *value;
    ngx_command_t             *cmd;
    ngx_http_ampersand_pin_t  *pin;

    for (pin = ngx_http_ampersand_pins; pin->directive; pin++) {

        cmd = ngx_http_ampersand_settings_command(cf, pin->directive);
        if (cmd == NULL) {
            return NGX_ERROR;
        }

        value = (intptr_t *)
                ((char *) alcf->settings[ngx_http_proxy_module.ctx_index]
                 + cmd->offset);

        if (*value == -1) {
            *value = pin->value;
        }
    }

    return NGX_OK;
}


static ngx_command_t *
ngx_http_ampersand_settings_command(ngx_conf_t *cf, const char *name)
{
    ngx_command_t  *cmd;

    for (cmd = ngx_http_proxy_module.commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, name) == 0) {
            return cmd;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "ampersand: this nginx has no \"%s\", see \"Private parts of "
                  "nginx\" in docs/development.md", name);

    return NULL;
}


ngx_int_t
ngx_http_ampersand_settings_check(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    u_char                    *plcf;
    ngx_str_t                 *body;
    ngx_command_t             *cmd;
    ngx_http_complex_value_t  *method;

    plcf = alcf->settings[ngx_http_proxy_module.ctx_index];

    cmd = ngx_http_ampersand_settings_command(cf, "proxy_set_body");
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    body = (ngx_str_t *) (plcf + cmd->offset);

    if (body->data) {
        return ngx_http_ampersand_settings_refuse(cf, alcf, "proxy_set_body",
                                     "another body than the client's is not "
                                     "sent");
    }

    cmd = ngx_http_ampersand_settings_command(cf, "proxy_method");
    if (cmd == NULL) {
        return NGX_ERROR;
    }

    method = *(ngx_http_complex_value_t **) (plcf + cmd->offset);

    if (method && method != NGX_CONF_UNSET_PTR) {
        return ngx_http_ampersand_settings_refuse(cf, alcf, "proxy_method",
                                     "another method than the client's is not "
                                     "sent");
    }

    if (ngx_http_ampersand_settings_address(cf, alcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_settings_cache(cf, alcf);
}


static ngx_int_t
ngx_http_ampersand_settings_refuse(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf, const char *directive,
    const char *reason)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"ampersand\" in %s:%ui: %s, remove \"%s\" from the "
                  "location, its server{} and http{}, or write it in the "
                  "locations that need it",
                  alcf->file, alcf->line, reason, directive);

    return NGX_ERROR;
}


/*
 * An address with variables that is no upstream{} would be asked without this
 * module: nginx makes no peer.init for it.
 */

static ngx_int_t
ngx_http_ampersand_settings_address(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    ngx_str_t  *address;

    address = &ngx_http_ampersand_address;

    if (alcf->address.data == NULL
        || (alcf->address.len == address->len
            && ngx_memcmp(alcf->address.data, address->data, address->len)
               == 0))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"ampersand\" in %s:%ui: \"proxy_pass %V\" has an address "
                  "of its own, write \"proxy_pass %V;\", as in "
                  "ampersand/proxy.conf, and name the address with "
                  "ampersand_upstream", alcf->file, alcf->line,
                  &alcf->address, address);

    return NGX_ERROR;
}


/* proxy.conf says "proxy_cache $ampersand_cache", which is "ampersand". */

static ngx_int_t
ngx_http_ampersand_settings_cache(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    ngx_str_t                 *name, *variable;
    ngx_uint_t                 i;
    ngx_shm_zone_t            *zone;
    ngx_list_part_t           *part;
    ngx_http_upstream_conf_t  *conf;

    name = &ngx_http_ampersand_cache_zone;
    variable = &ngx_http_ampersand_cache_variable;

    /* the first member of the proxy module's configuration */

    conf = alcf->settings[ngx_http_proxy_module.ctx_index];

    if (conf->cache_value == NULL
        || conf->cache_value->value.len != variable->len
        || ngx_memcmp(conf->cache_value->value.data, variable->data,
                      variable->len) != 0)
    {
        return NGX_OK;
    }

    part = &cf->cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].tag == &ngx_http_proxy_module
            && zone[i].shm.name.len == name->len
            && ngx_memcmp(zone[i].shm.name.data, name->data, name->len) == 0)
        {
            ngx_http_ampersand_settings_memory(alcf, conf);
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"ampersand\" in %s:%ui: \"proxy_cache $ampersand_cache\" "
                  "needs, in http{}, for example \"proxy_cache_path "
                  "/var/cache/ampersand levels=1:2 keys_zone=ampersand:16m "
                  "max_size=1g inactive=10m use_temp_path=off;\"; with a zone "
                  "of another name see \"A location of your own\" in "
                  "docs/configuration.md", alcf->file, alcf->line);

    return NGX_ERROR;
}


/*
 * A hit may come out of a worker's memory where its key, and nothing else, says
 * which answer of which cache it is; and for as long as a file is held open.
 */

static void
ngx_http_ampersand_settings_memory(ngx_http_ampersand_loc_conf_t *alcf,
    ngx_http_upstream_conf_t *conf)
{
    ngx_str_t                 *key;
    ngx_http_core_loc_conf_t  *clcf;

    key = &ngx_http_ampersand_cache_key_variable;
    clcf = alcf->settings[ngx_http_core_module.ctx_index];

    alcf->memory = clcf->open_file_cache != NULL && conf->cache_bypass == NULL
                   && alcf->cache_key.len == key->len
                   && ngx_memcmp(alcf->cache_key.data, key->data, key->len)
                      == 0;
}
