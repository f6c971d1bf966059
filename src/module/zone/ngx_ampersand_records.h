/*
 * Tokens and tenant records in the zone.
 */

#ifndef NGX_AMPERSAND_RECORDS_H
#define NGX_AMPERSAND_RECORDS_H


#include "ngx_ampersand_zone.h"
#include "amp_event.h"


#define NGX_AMPERSAND_RECORDS_RECENT  1024


typedef enum {
    NGX_AMPERSAND_RECORD_MISS = 0,  /* the zone does not have it              */
    NGX_AMPERSAND_RECORD_NEGATIVE,  /* no such token or tenant exists         */
    NGX_AMPERSAND_RECORD_CHANGED,   /* it exists, or did, but the entry is
                                       outdated                               */
    NGX_AMPERSAND_RECORD_STALE,     /* filled; has to be looked up            */
    NGX_AMPERSAND_RECORD_FRESH,     /* filled                                 */
    NGX_AMPERSAND_RECORD_LARGE      /* record->size bytes are needed          */
} ngx_ampersand_record_e;


/*
 * Finds the tenant of a token by its digest (AMP_TOKEN_DIGEST bytes), or the
 * tenant with this id where digest is NULL.  STALE and FRESH fill the record.
 * A token past its expiry is NEGATIVE.
 */

ngx_ampersand_record_e ngx_ampersand_records_find(ngx_ampersand_zone_t *zone,
    const u_char *digest, amp_span_t tenant, ngx_ampersand_record_t *record);

/*
 * Copies the owner (AMP_TENANT_OWNER bytes, see amp_tenant.h) of the tenant
 * with this id.  NGX_OK, or NGX_DECLINED: the zone does not have its record.
 */

ngx_int_t ngx_ampersand_records_owner(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, u_char *owner);

/*
 * Copies the record of a tenant that may be served without Redis: that at this
 * place (from 0) among those used most recently; disabled tenants do not count,
 * and only NGX_AMPERSAND_RECORDS_RECENT nodes are looked at.  out has
 * AMP_TENANT_FLAT_MAX bytes.  NGX_OK, or NGX_DECLINED: there is none.
 */

ngx_int_t ngx_ampersand_records_recent(ngx_ampersand_zone_t *zone,
    ngx_uint_t place, amp_tenant_t *out);

/*
 * To be called when a look-up sends a command; the result is for the functions
 * below that store its reply, and for ngx_ampersand_generations_store().
 */

uint64_t ngx_ampersand_records_begin(ngx_ampersand_zone_t *zone);

/*
 * Stores a token.  tenant empty: no such token exists.  id: the end of its id,
 * AMP_TOKEN_ID_RANDOM bytes.  expires: Unix seconds, 0: never.  scope: NULL
 * where it may do all that its tenant may.  NGX_OK, also where there is no
 * room; NGX_DECLINED: it was invalidated since begun, look it up again.
 */

ngx_int_t ngx_ampersand_records_store_token(ngx_ampersand_zone_t *zone,
    uint64_t begun, const u_char *digest, amp_span_t tenant, const u_char *id,
    time_t expires, const amp_token_scope_t *scope);

/*
 * Sets the day of a token's last use to another one, where it is `from'; 0: any
 * day.  NGX_OK; NGX_DECLINED: it has that day, or the zone has no such token.
 */

ngx_int_t ngx_ampersand_records_use(ngx_ampersand_zone_t *zone,
    const u_char *digest, uint32_t from, uint32_t to);

/*
 * Stores a tenant record.  As above; and for a record older than the last
 * revision seen NGX_DONE: the zone's record stays, and serves; or NGX_ABORT:
 * the zone's record was invalidated, neither may serve.  That revision counts
 * for the zone's ttl; after it the older record is stored: NGX_BUSY.
 */

ngx_int_t ngx_ampersand_records_store_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, const amp_tenant_t *tenant);

/* No such tenant exists.  NGX_OK, NGX_DECLINED: as above. */

ngx_int_t ngx_ampersand_records_store_no_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t tenant);

/*
 * Applies an invalidation of a token, a tenant, or a project's generation or
 * limit.
 */

void ngx_ampersand_records_invalidate(ngx_ampersand_zone_t *zone,
    const amp_event_t *event);


#endif /* NGX_AMPERSAND_RECORDS_H */
