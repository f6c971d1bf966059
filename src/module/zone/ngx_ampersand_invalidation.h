/*
 * Invalidation: what messages on the channel amp:events do to the zone.  One
 * worker of a machine subscribes; all workers share the zone.
 */

#ifndef NGX_AMPERSAND_INVALIDATION_H
#define NGX_AMPERSAND_INVALIDATION_H


#include "ngx_ampersand_zone.h"


/*
 * Applies one message.  A message that this version cannot decode is ignored:
 * it comes from another version of the tools.
 */

void ngx_ampersand_invalidation_message(ngx_ampersand_zone_t *zone,
    amp_span_t message);

/*
 * The subscription was made (up = 1) or lost (up = 0).  Messages may have been
 * missed before it was made, so all entries of the zone are stale then.
 */

void ngx_ampersand_invalidation_subscribed(ngx_ampersand_zone_t *zone,
    ngx_uint_t up);


#endif /* NGX_AMPERSAND_INVALIDATION_H */
