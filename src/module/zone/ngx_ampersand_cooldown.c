#include "ngx_ampersand_cooldown.h"
#include "ngx_ampersand_node.h"


/* The state of a node of kind COOLDOWN: ngx_current_msec when it ends. */


ngx_uint_t
ngx_ampersand_cooldown_set(ngx_ampersand_zone_t *zone, amp_span_t id,
    ngx_msec_t ms)
{
    ngx_msec_t            *end, until;
    ngx_uint_t             longer;
    ngx_ampersand_node_t  *node;

    longer = 0;
    until = ngx_current_msec + ngx_min(ms, NGX_AMPERSAND_COOLDOWN_MAX);

    ngx_ampersand_zone_lock(zone);

    if (ms == 0) {
        node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_COOLDOWN, id);
        if (node) {
            ngx_ampersand_node_free(zone, node);
        }

        ngx_ampersand_zone_unlock(zone);
        return 0;
    }

    node = ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_COOLDOWN, id,
                                   sizeof(*end));
    if (node) {
        end = ngx_ampersand_node_state(node);
        longer = (ngx_max(*end, ngx_current_msec) + 1000 <= until);
        *end = ngx_max(*end, until);
        zone->sh->cooldown_end = ngx_max(zone->sh->cooldown_end, *end);
    }

    ngx_ampersand_zone_unlock(zone);

    return longer;
}


ngx_msec_t
ngx_ampersand_cooldown_left(ngx_ampersand_zone_t *zone, amp_span_t id)
{
    ngx_msec_t             left, *end;
    ngx_ampersand_node_t  *node;

    left = 0;

    ngx_ampersand_zone_lock(zone);

    node = ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_COOLDOWN, id);
    if (node) {
        end = ngx_ampersand_node_state(node);

        if (*end > ngx_current_msec) {
            left = *end - ngx_current_msec;

        } else {
            ngx_ampersand_node_free(zone, node);
        }
    }

    ngx_ampersand_zone_unlock(zone);

    return left;
}


ngx_uint_t
ngx_ampersand_cooldown_any(ngx_ampersand_zone_t *zone)
{
    return zone->sh->cooldown_end > ngx_current_msec;
}
