#include "ngx_ampersand_invalidation.h"
#include "ngx_ampersand_cooldown.h"
#include "ngx_ampersand_records.h"


static void ngx_ampersand_invalidation_mark(ngx_ampersand_zone_t *zone,
    uint64_t mark);


void
ngx_ampersand_invalidation_message(ngx_ampersand_zone_t *zone,
    amp_span_t message)
{
    u_char       owner[AMP_TENANT_OWNER];
    amp_span_t   id;
    amp_event_t  event;

    if (amp_event_decode(message, &event) != 0) {
        return;
    }

    if (event.type == AMP_EVENT_MARK) {
        ngx_ampersand_invalidation_mark(zone, event.rev);
        ngx_ampersand_count(ngx_ampersand_zone_counters(zone), events);
        return;
    }

    if (event.type == AMP_EVENT_COOLDOWN) {
        id = event.scoped ? amp_span_make(event.digest, AMP_TOKEN_DIGEST)
                          : amp_span_make(owner, AMP_TENANT_OWNER);

        /* of a tenant that is not in the zone its look-up reads the key */

        if (event.scoped
            || ngx_ampersand_records_owner(zone,
                                           amp_span_make(event.tenant,
                                                         event.tenant_len),
                                           owner)
               == NGX_OK)
        {
            (void) ngx_ampersand_cooldown_set(zone, id, (ngx_msec_t) event.rev);
        }

    } else if (event.type == AMP_EVENT_FREEZE) {

        /* counted first: a reply that was asked for before is not used then */

        (void) ngx_atomic_fetch_add(&zone->sh->frozen_events, 1);
        zone->sh->frozen = event.classes;

    } else {
        ngx_ampersand_records_invalidate(zone, &event);
    }

    ngx_ampersand_zone_lock(zone);

    zone->sh->event = event;
    zone->sh->applied = ngx_time();

    ngx_ampersand_zone_unlock(zone);

    ngx_ampersand_count(ngx_ampersand_zone_counters(zone), events);
}


/* During a reload two workers receive each message, and marks are repeated. */

static void
ngx_ampersand_invalidation_mark(ngx_ampersand_zone_t *zone, uint64_t mark)
{
    ngx_uint_t               i;
    ngx_ampersand_shared_t  *sh;

    sh = zone->sh;

    ngx_ampersand_zone_lock(zone);

    for (i = 0; i < ngx_min(sh->nmarks, AMP_GATEWAY_MARKS); i++) {
        if (sh->marks[i] == mark) {
            goto done;
        }
    }

    sh->marks[sh->nmarks++ % AMP_GATEWAY_MARKS] = mark;

done:

    ngx_ampersand_zone_unlock(zone);
}


void
ngx_ampersand_invalidation_subscribed(ngx_ampersand_zone_t *zone,
    ngx_uint_t up)
{
    ngx_ampersand_counters_t  *counters;

    counters = ngx_ampersand_zone_counters(zone);

    if (counters->events_up && !up) {
        ngx_ampersand_count(counters, events_missed);
    }

    counters->events_up = up;

    if (up) {
        ngx_ampersand_zone_mark_stale(zone);
    }
}
