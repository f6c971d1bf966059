/*
 * What a token may do: its tenant's rights, or less.  The scope of a token is
 * JSON in its record, and one flat block of bytes everywhere else, as a tenant
 * record is.
 *
 *   { "grants": { "allow": [ "read" ], "deny": [ "listTopics" ] },
 *     "groups": [ "g1" ], "limit": { "rate": "5/s", "burst": 10 },
 *     "origins": [ "https://app.example.com" ] }
 *
 * All members may be absent.  A request has to pass the tenant's record and
 * each of them: no scope gives more than the tenant has.
 *   grants   without "allow": all that the tenant is granted, but "deny"
 *   groups   as those of a tenant
 *   limit    of this token, beside the tenant's own limits
 *   origins  of browsers: the request has to have one of them as Origin
 *
 * A reader that does not know a member of the scope, or an item of "deny",
 * cannot hold it: such a record is an error, unlike with tenants.
 */

#ifndef AMP_TOKEN_SCOPE_H
#define AMP_TOKEN_SCOPE_H


#include "amp_tenant.h"


#define AMP_ORIGIN_MAX            272   /* bytes: "https://", a host, a port  */
#define AMP_ORIGINS_MAX           16
#define AMP_TOKEN_SCOPE_MAX       4096  /* bytes of block and of JSON */


typedef struct {
    uint32_t     size;              /* of the whole block, this included      */
    unsigned     secrets:1;         /* class "secrets" is not withheld        */
    unsigned     changes:1;         /* class "write" is not withheld          */
    uint64_t     granted[AMP_GRANT_WORDS];  /* bits: amp_operation_index()    */
    amp_rate_t   rate;              /* count 0: none                          */
    uint16_t     ngroups;
    uint16_t     norigins;
    amp_field_t  id;                /* of the token                           */
    amp_field_t  groups;            /* lists, see amp_list_has()              */
    amp_field_t  origins;
} amp_token_scope_t;


/*
 * Decodes the JSON of the scope of the token with this id into a block at out,
 * which has cap bytes and is aligned for uint64_t; at most AMP_TOKEN_SCOPE_MAX
 * bytes are used.  Returns the size of the block, or 0 with *error set as by
 * amp_tenant_decode().
 */

size_t amp_token_scope_decode(amp_span_t json, amp_span_t id, void *out,
    size_t cap, const char **error);

/* The bytes of a field; valid as long as the block. */

static inline amp_span_t
amp_token_scope_field(const amp_token_scope_t *scope, amp_field_t f)
{
    return (amp_span_t) { f.len, (const unsigned char *) scope + f.offset };
}


/*
 * 1 when a browser on one of the scope's origins has sent this Origin, or when
 * the scope has none; else 0.
 */

int amp_token_scope_origin(const amp_token_scope_t *scope, amp_span_t origin);


#endif /* AMP_TOKEN_SCOPE_H */
