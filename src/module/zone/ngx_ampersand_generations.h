/*
 * The projects of the zone: what cache keys are made of, and which invalidations
 * Redis has not confirmed yet.
 */

#ifndef NGX_AMPERSAND_GENERATIONS_H
#define NGX_AMPERSAND_GENERATIONS_H


#include "ngx_ampersand_zone.h"


/* Families of a project that were written, and Redis does not know it. */

typedef struct {
    uint32_t       families;
    size_t         len;
    u_char         project[AMP_PROJECT_ID_MAX];
} ngx_ampersand_pending_t;


/* Overtaken ones are better than none: they are asked for again next time. */

void ngx_ampersand_generations_store(ngx_ampersand_zone_t *zone,
    uint64_t begun, amp_span_t project, const uint32_t gens[AMP_FAMILY_COUNT]);

/* Generations and bumps of a project, where it is known; else as they were. */

void ngx_ampersand_generations_read(ngx_ampersand_zone_t *zone,
    amp_span_t project, ngx_ampersand_record_t *record);

/* This gateway saw a write of these families: their cache keys change now. */

void ngx_ampersand_generations_bump(ngx_ampersand_zone_t *zone, amp_span_t project,
    uint32_t families);

/* Redis could not be told: remembers it, as long as the zone and its room last. */

void ngx_ampersand_generations_pending_add(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_pending_t *pending);

/* Takes off up to max of them: their number. */

ngx_uint_t ngx_ampersand_generations_pending_take(ngx_ampersand_zone_t *zone,
    ngx_ampersand_pending_t *pending, ngx_uint_t max);

/* Redis has this generation of a family, see ngx_ampersand_project_node_t. */

void ngx_ampersand_generations_set(ngx_ampersand_shared_t *sh,
    ngx_ampersand_project_node_t *pn, ngx_uint_t family, uint32_t gen);


#endif /* NGX_AMPERSAND_GENERATIONS_H */
