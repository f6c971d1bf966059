/*
 * Failures of upstream that many clients wait for: amp_waves_t by cache key, in
 * the zone, so that all workers count together.  The table is small: of two
 * keys with one place the later one has it, and the clients of the other wait
 * for one another.
 */

#ifndef NGX_AMPERSAND_WAVES_H
#define NGX_AMPERSAND_WAVES_H


#include "ngx_ampersand_zone.h"
#include "amp_waves.h"


/*
 * key: the first bytes of the cache key.  A failure is forgotten after 10 s.
 * began() and stored() take the mutex only where the key has failed.
 */

/* An upstream request for the key has ended without an answer to share. */

void ngx_ampersand_waves_failed(ngx_ampersand_zone_t *zone, uint64_t key,
    ngx_uint_t status);

/* A request that did not wait goes upstream for it. */

void ngx_ampersand_waves_began(ngx_ampersand_zone_t *zone, uint64_t key);

/* The answer is about to be stored: what was counted is forgotten. */

void ngx_ampersand_waves_stored(ngx_ampersand_zone_t *zone, uint64_t key);

/*
 * May one that waits for the key go upstream?  NGX_OK: it may; NGX_AGAIN: it
 * has to wait, with *status set where nobody else will be sent; NGX_ABORT: it
 * is refused with *status, 502 or 504, as the last failure; NGX_DECLINED: the
 * key has not failed.  What has been under way for longer than timeout, ms, is
 * taken as failed: its worker was killed.
 */

ngx_int_t ngx_ampersand_waves_next(ngx_ampersand_zone_t *zone, uint64_t key,
    ngx_msec_t timeout, ngx_uint_t *status);


#endif /* NGX_AMPERSAND_WAVES_H */
