/*
 * Messages on the channel amp:events: what changed, one JSON object each.
 *
 *   { "v": 1, "type": "tenant", "tenant": "acme", "rev": 8 }
 *   { "v": 1, "type": "token", "tenant": "acme", "token": "<sha256 hex>" }
 *   { "v": 1, "type": "generation", "project": "<id>", "family": "connections",
 *     "rev": 12 }
 *   { "v": 1, "type": "purge", "project": "<id>", "family": "*", "rev": 3 }
 *   { "v": 1, "type": "cooldown", "tenant": "acme", "scope": "<sha256 hex>",
 *     "ms": 30000 }
 *
 * "rev" is the record's revision, or the new generation.  "ms" is how long the
 * tenant, or what of it the scope names (optional), is to be left alone from
 * now on; it is a duration because the gateways' clocks may disagree.
 */

#ifndef AMP_EVENT_H
#define AMP_EVENT_H


#include "amp_tenant.h"
#include "amp_token.h"


#define AMP_EVENT_MAX  1024


typedef enum {
    AMP_EVENT_TENANT = 0,
    AMP_EVENT_TOKEN,
    AMP_EVENT_GENERATION,
    AMP_EVENT_PURGE,
    AMP_EVENT_COOLDOWN
} amp_event_e;


typedef struct {
    amp_event_e    type;
    uint64_t       rev;         /* COOLDOWN: ms                               */
    amp_family_e   family;
    size_t         tenant_len;
    size_t         project_len;
    unsigned char  tenant[AMP_TENANT_ID_MAX];
    unsigned char  project[AMP_PROJECT_ID_MAX];
    unsigned char  digest[AMP_TOKEN_DIGEST];    /* the token's, or the scope's */
    unsigned       scoped;      /* COOLDOWN: there is one                     */
} amp_event_t;


/* 0, or -1 when the text is no event of version 1. */

int amp_event_decode(amp_span_t json, amp_event_t *event);

void amp_event_write(const amp_event_t *event, amp_buf_t *out);


#endif /* AMP_EVENT_H */
