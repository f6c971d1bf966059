#include "ngx_http_ampersand_labels.h"


const char  *ngx_http_ampersand_parts[NGX_AMPERSAND_IN_PARTS] = {
    "gateway", "upstream", "lookup", "lease", "cold-key"
};


const char  *ngx_http_ampersand_tries[NGX_AMPERSAND_TRY_FAILURES] = {
    "connect", "timeout", "invalid", "status"
};


const char  *ngx_http_ampersand_for[NGX_AMPERSAND_FOR] = {
    "lookup", "lease", "invalidation"
};


const char  *ngx_http_ampersand_linked[NGX_AMPERSAND_LINKED] = {
    "up", "connecting", "down"
};


/* By NGX_HTTP_CACHE_..., from NGX_HTTP_CACHE_MISS on. */

const char  *ngx_http_ampersand_cached[NGX_AMPERSAND_METRICS_CACHE] = {
    "miss", "bypass", "expired", "stale", "updating", "revalidated", "hit",
    "scarce"
};


const char *
ngx_http_ampersand_label_api(ngx_uint_t api)
{
    return api < AMP_API_COUNT ? amp_api_name(api) : "none";
}
