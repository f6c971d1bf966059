/*
 * Cache lifetimes in configuration (ampersand_cache_ttl) and in tenant records
 * ("cache"): a name and a time.
 *
 * The name is an operationId, a class or "default"; the first of these has
 * precedence over the second, and that over the third.  A class or "default"
 * changes the lifetime of operations that the table makes cacheable; an
 * operationId also makes an operation cacheable where that is safe.
 */

#ifndef AMP_LIFETIME_H
#define AMP_LIFETIME_H


#include "amp_operations.h"


#define AMP_LIFETIME_MAX       (30 * 86400)
#define AMP_LIFETIME_TEXT_MAX  12


typedef enum {
    AMP_LIFETIME_UNKNOWN = 0,   /* neither operationId, class nor "default"   */
    AMP_LIFETIME_NEVER,         /* never cached: writes, or returns secrets   */
    AMP_LIFETIME_SHARED,        /* the catalog: one entry for all tenants     */
    AMP_LIFETIME_OWN            /* tenants have entries of their own          */
} amp_lifetime_e;


/* What a name means. */

amp_lifetime_e amp_lifetime_name(amp_span_t name);

/*
 * The precedence of a name for an operation: 3 its operationId, 2 its class, 1
 * "default", 0 the name does not apply to it.
 */

unsigned amp_lifetime_rank(amp_span_t name, const amp_operation_t *op);

/*
 * 1 for progress and status, which clients poll: a stale answer would always be
 * that of the poll before.
 */

int amp_lifetime_polled(const amp_operation_t *op);

/*
 * Parses a time: "90", "90s", "15m", "1h", "1d" or "0" (never cached), at most
 * AMP_LIFETIME_MAX seconds.  0 with *seconds filled, or -1.
 */

int amp_lifetime_parse(amp_span_t text, uint32_t *seconds);


#endif /* AMP_LIFETIME_H */
