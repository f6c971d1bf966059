/*
 * What keys an entry of proxy_cache, and what makes keys change.
 *
 *   <owner>|<operation><generations>|<rest of path and query>[|<selects>]
 *
 * "|" stands in none of the first three, and nothing follows the last.  The
 * owner is the tenant in its project with its groups, amp_tenant_t's; the
 * operation is the number of its line in the table, which belongs to one API.
 * Generations are "<family>gen.bump," for each family that the operation reads;
 * zeroes, and families without either, are left out (see
 * ngx_ampersand_project_node_t).  nginx hashes keys twice, byte by byte, so
 * what owner and operation say already is left out: the path before its first
 * parameter.  The public catalogue is one entry for all tenants: its owner is
 * "*", and it has no generations.
 *
 * What else selects the answer is Accept, left out when it is application/json;
 * other headers by Vary.  Behind the proxy API any header may name an account,
 * and few providers send Vary: there it is "#" and the SHA-256 of all headers
 * that go upstream and amp_header_selects(), as name, ":", value and LF each.
 * They may hold secrets of the provider, so they do not stand in the key.
 */

#ifndef NGX_HTTP_AMPERSAND_CACHE_KEY_H
#define NGX_HTTP_AMPERSAND_CACHE_KEY_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>
#include "zone/ngx_ampersand_zone.h"
#include "amp_header.h"


/*
 * Composes the key of the operation with this path and query (uri, as composed
 * for upstream) and Accept header, or with those that the policy forwards, from
 * the pool.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_http_ampersand_cache_key(ngx_http_request_t *r,
    const ngx_ampersand_record_t *record, const amp_operation_t *op,
    const ngx_str_t *uri, const amp_header_policy_t *policy, amp_span_t accept,
    ngx_str_t *key);

/*
 * While nginx evaluates proxy_cache_key.  bypass: no stored answer serves this
 * request, its own answer may be stored.  And "proxy_cache_use_stale updating"
 * has no effect, since it has no bound: each entry knows its own.  NGX_ERROR:
 * no memory.
 */

ngx_int_t ngx_http_ampersand_cache_conf(ngx_http_request_t *r,
    ngx_uint_t bypass);


#endif /* NGX_HTTP_AMPERSAND_CACHE_KEY_H */
