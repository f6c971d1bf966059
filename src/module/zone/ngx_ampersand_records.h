/*
 * Tokens and tenant records in the zone.
 */

#ifndef NGX_AMPERSAND_RECORDS_H
#define NGX_AMPERSAND_RECORDS_H


#include "ngx_ampersand_zone.h"
#include "amp_event.h"


typedef enum {
    NGX_AMPERSAND_ZONE_MISS = 0,    /* never heard of it                      */
    NGX_AMPERSAND_ZONE_UNKNOWN,     /* it is known not to exist               */
    NGX_AMPERSAND_ZONE_CHANGED,     /* it exists, or did, but what was known
                                       is of no use any more                  */
    NGX_AMPERSAND_ZONE_STALE,       /* found, to be asked for again           */
    NGX_AMPERSAND_ZONE_FRESH,
    NGX_AMPERSAND_ZONE_LARGE        /* the record needs more than cap: size   */
} ngx_ampersand_zone_e;


/*
 * By token digest (AMP_TOKEN_DIGEST bytes), or by tenant id when digest is
 * NULL.  now is ngx_current_msec; a token past its expiry (Unix seconds) is
 * UNKNOWN.  STALE and FRESH fill known.
 */

ngx_ampersand_zone_e ngx_ampersand_records_find(ngx_ampersand_zone_t *zone,
    const u_char *digest, amp_span_t tenant, ngx_ampersand_record_t *record);

/*
 * Asks the CPU for what the find by this digest will read, as far as steps 0, 1
 * and 2 lead: the place in the table, the token, the tenant.  Each step waits
 * for the one before, so there should be other work in between.  Takes no lock:
 * what it finds is not believed, only fetched.
 */

void ngx_ampersand_records_prefetch(ngx_ampersand_zone_t *zone,
    const u_char *digest, ngx_uint_t step);

/* The moment a look-up begins, for the three store functions. */

uint64_t ngx_ampersand_records_begin(ngx_ampersand_zone_t *zone);

/*
 * NGX_DECLINED: an event overtook the record, ask again.  tenant empty: the
 * token does not exist.  expires 0: never.
 */

ngx_int_t ngx_ampersand_records_store_token(ngx_ampersand_zone_t *zone,
    uint64_t begun, const u_char *digest, amp_span_t tenant, time_t expires);

/*
 * As above; and of an older record than the one known NGX_DONE: it stays, and
 * serves; or NGX_ABORT: an event named what is known, neither may serve.
 */

ngx_int_t ngx_ampersand_records_store_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, const amp_tenant_t *tenant);

/* There is no such tenant. */

ngx_int_t ngx_ampersand_records_store_no_tenant(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t tenant);

/* Applies an event of amp:events. */

void ngx_ampersand_records_invalidate(ngx_ampersand_zone_t *zone,
    const amp_event_t *event);


#endif /* NGX_AMPERSAND_RECORDS_H */
