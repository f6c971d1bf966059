/*
 * What keys an entry of proxy_cache, and what makes keys change.
 *
 *   <owner>|<operation><generations>|<rest of path and query>[|<Accept>]
 *
 * "|" stands in none of the first three, and nothing follows Accept.  The owner
 * is the tenant in its project, amp_tenant_t's; the operation is the number of
 * its line in the table, which belongs to one API.  Generations are
 * "<family>gen.bump," for each family that the operation reads; zeroes, and
 * families without either, are left out (see ngx_ampersand_project_node_t).
 * nginx hashes keys twice, byte by byte, so what owner and operation say
 * already is left out: the path before its first parameter, and Accept when it
 * is application/json.  The public catalogue is one entry for all tenants: its
 * owner is "*", and it has no generations.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_KEY_H
#define NGX_HTTP_AMPERSAND_CACHE_KEY_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "zone/ngx_ampersand_zone.h"


/*
 * Composes the key of the operation with this path and query (uri, as composed
 * for upstream) and Accept header, from the pool.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    const ngx_ampersand_record_t *record, const amp_operation_t *op,
    const ngx_str_t *uri, amp_span_t accept, ngx_str_t *key);

/*
 * While nginx evaluates proxy_cache_key: no stored answer serves this request,
 * its own answer may be stored.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_bypass(ngx_http_request_t *r);


#endif /* NGX_HTTP_AMPERSAND_CACHE_KEY_H */
