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
 *   { "v": 1, "type": "freeze", "rev": 5, "classes": [ "write" ] }
 *   { "v": 1, "type": "mark", "rev": 4711 }
 *   { "v": 1, "type": "limit", "project": "<id>",
 *     "limit": { "rate": "50/s", "burst": 100 } }
 *
 * "rev" is the record's revision, or the new generation.  "ms" is how long a
 * cool-down lasts from now on: of the tenant, or of the part of its requests
 * that "scope" (optional) names; 0 ends it.  It is a duration because clocks
 * differ.  "freeze" says what is frozen for all tenants from now on, see
 * amp_frozen.h.  A mark changes nothing: a gateway that has it in its record
 * (amp_gateway.h) has applied all that the same server published before.
 * "limit" is that of a project (amp_project.h) from now on; {}: it has none.
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
    AMP_EVENT_COOLDOWN,
    AMP_EVENT_FREEZE,
    AMP_EVENT_MARK,
    AMP_EVENT_LIMIT
} amp_event_e;


typedef struct {
    amp_event_e    type;
    uint64_t       rev;         /* of a cool-down its ms                      */
    amp_family_e   family;
    size_t         tenant_len;
    size_t         project_len;
    unsigned char  tenant[AMP_TENANT_ID_MAX];
    unsigned char  project[AMP_PROJECT_ID_MAX];
    unsigned char  digest[AMP_TOKEN_DIGEST];    /* of a token, or the scope   */
    unsigned       scoped;      /* a cool-down has a scope                    */
    unsigned       classes;     /* that are frozen, 1 << amp_class_e          */
    amp_rate_t     rate;        /* of a project; count 0: none                */
} amp_event_t;


/*
 * Decodes a message: 0 with all members of its type filled and the others zero,
 * or -1 when it is not an event of version 1.
 */

int amp_event_decode(amp_span_t json, amp_event_t *event);

/* Appends the message of an event; AMP_EVENT_MAX bytes are enough. */

void amp_event_write(const amp_event_t *event, amp_buf_t *out);


#endif /* AMP_EVENT_H */
