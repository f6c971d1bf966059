#include "ngx_http_ampersand_secret.h"
#include "ngx_ampersand_log.h"
#include "amp_tenant_key.h"


ngx_int_t
ngx_http_ampersand_secret_open(ngx_http_request_t *r,
    const amp_tenant_t *tenant, ngx_str_t *key)
{
    int                              n;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    key->data = ngx_pnalloc(r->pool, tenant->opened ? tenant->sealed.len
                                                    : AMP_SECRET_MAX);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    n = amp_tenant_key(amcf->keyring, tenant, key->data);

    if (n <= 0) {
        ngx_log_error(ngx_ampersand_log_level(&amcf->logged),
                      r->connection->log, 0,
                      "ampersand: the tenant's key does not open with any "
                      "ampersand_master_key");
        return NGX_DECLINED;
    }

    key->len = n;

    return NGX_OK;
}


void
ngx_http_ampersand_secret_wipe(ngx_http_request_t *r)
{
    ngx_http_variable_value_t       *v;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);
    v = &r->variables[amcf->key_index];

    if (v->valid) {
        ngx_explicit_memzero(v->data, v->len);
        v->valid = 0;
        v->not_found = 1;
        v->len = 0;
    }
}
