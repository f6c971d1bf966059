/*
 * The projects of the zone: what cache keys are made of, and which
 * invalidations Redis has not confirmed yet.
 */

#ifndef NGX_AMPERSAND_GENERATIONS_H
#define NGX_AMPERSAND_GENERATIONS_H


#include "ngx_ampersand_zone.h"


/* Families of a project whose invalidation Redis has not confirmed. */

typedef struct {
    uint32_t       families;        /* AMP_F(...) | ...                       */
    size_t         len;
    u_char         project[AMP_PROJECT_ID_MAX];
} ngx_ampersand_pending_t;


/*
 * Stores the generations and the limit that Redis has.  Where the project was
 * invalidated since begun, see ngx_ampersand_records_begin(), they are stored
 * as stale, and the limit only where the zone has none of that project.
 */

void ngx_ampersand_generations_store(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t project, const uint32_t gens[AMP_FAMILY_COUNT],
    const amp_rate_t *limit);

/* Fills gens, bumps and limit of the record, where the zone has the project. */

void ngx_ampersand_generations_read(ngx_ampersand_zone_t *zone,
    amp_span_t project, ngx_ampersand_record_t *record);

/*
 * These families were written: their cache keys change at once, and a command
 * to Redis follows.
 */

void ngx_ampersand_generations_bump(ngx_ampersand_zone_t *zone,
    amp_span_t project, uint32_t families);

/*
 * A command to Redis for these families begins, or has ended, in whatever way.
 * The zone knows of it in case its worker dies.
 */

void ngx_ampersand_generations_begin(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending);
void ngx_ampersand_generations_end(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending);

/* Adds pending invalidations, where the zone has room for the project. */

void ngx_ampersand_generations_pending_add(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending);

/*
 * Takes up to max pending invalidations off the zone and returns their number;
 * also those whose commands began more than lost ms ago and have not ended: the
 * worker is gone, or they are sent twice, which costs one extra cache miss.
 */

ngx_uint_t ngx_ampersand_generations_pending_take(ngx_ampersand_zone_t *zone,
    ngx_ampersand_pending_t *pending, ngx_uint_t max, ngx_msec_t lost);

/*
 * With the lock held: Redis has this generation of a family, see
 * ngx_ampersand_project_node_t.
 */

void ngx_ampersand_generations_set(ngx_ampersand_shared_t *sh,
    ngx_ampersand_project_node_t *pn, ngx_uint_t family, uint32_t gen);


#endif /* NGX_AMPERSAND_GENERATIONS_H */
