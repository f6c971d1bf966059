/*
 * Cache lifetimes as people write them, for ampersand_cache_ttl and for the
 * "cache" of a tenant's record: a name and a time.
 *
 * The name is an operationId, a class or "default", each beating those after
 * it.  A class and "default" change lifetimes, they make no operation cacheable
 * that the table does not; naming an operation does, where that can be safe.
 */

#ifndef AMP_LIFETIME_H
#define AMP_LIFETIME_H


#include "amp_operations.h"


#define AMP_LIFETIME_MAX       (30 * 86400)
#define AMP_LIFETIME_TEXT_MAX  12


typedef enum {
    AMP_LIFETIME_UNKNOWN = 0,   /* no operation, class or "default"           */
    AMP_LIFETIME_NEVER,         /* writes, or its answers hold secrets        */
    AMP_LIFETIME_SHARED,        /* the catalogue: one entry for all tenants   */
    AMP_LIFETIME_OWN
} amp_lifetime_e;


amp_lifetime_e amp_lifetime_name(amp_span_t name);

/*
 * How much the name says of the operation: 3 its own, 2 its class's, 1 default,
 * 0 nothing.
 */

unsigned amp_lifetime_rank(amp_span_t name, const amp_operation_t *op);

/*
 * "90", "90s", "15m", "1h", "1d" or "0", which is never: at most
 * AMP_LIFETIME_MAX seconds.  0, or -1 when it is none.
 */

int amp_lifetime_parse(amp_span_t text, uint32_t *seconds);


#endif /* AMP_LIFETIME_H */
