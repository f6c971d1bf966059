/*
 * A tenant record: JSON in Redis (amp:tenant:<id>), one flat block of bytes
 * everywhere else.  The block has no pointers, so that shared memory, request
 * pools and tests copy it with memcpy().  It contains sealed keys only.
 *
 * JSON, version 1:
 *   { "v": 1, "rev": 7, "id": "acme",
 *     "project": { "id": "...", "name": "..." },
 *     "keys": [ { "id": "k1", "sealed": "v1....", "state": "active" } ],
 *     "grants": { "allow": [ "catalog", "read", ... ], "deny": [ ... ] },
 *     "groups": [ "g1" ],
 *     "limits": { "default": { "rate": "50/s", "burst": 100 }, "read": {},
 *                 "concurrency": 20 },
 *     "cache": { "read": "5m", "listTopics": "10s" }, "disabled": false,
 *     "frozen": [ "write" ] }
 * Items of allow and deny: see amp_grant.h.  Deny wins.  Unknown members are
 * ignored by readers and kept by writers; an unknown grant item is ignored by
 * the gateway and refused by ampctl.
 */

#ifndef AMP_TENANT_H
#define AMP_TENANT_H


#include "amp_frozen.h"
#include "amp_grant.h"
#include "amp_lifetime.h"
#include "amp_rate.h"


#define AMP_TENANT_ID_MAX      64   /* [A-Za-z0-9][A-Za-z0-9._-]{0,63}        */
#define AMP_PROJECT_ID_MAX     128  /* [A-Za-z0-9][A-Za-z0-9._-]{0,127}       */
#define AMP_PROJECT_NAME_MAX   128
#define AMP_KEY_ID_MAX         32   /* [A-Za-z0-9][A-Za-z0-9._-]{0,31}        */
#define AMP_GROUP_MAX          256  /* bytes of one groupRef, printable UTF-8 */
#define AMP_GROUPS_MAX         64
#define AMP_TENANT_OWNER       16   /* bytes of owner                         */
#define AMP_TENANT_FLAT_MAX    16384
#define AMP_TENANT_JSON_MAX    65536


/*
 * Limits: one for all requests of the tenant, and one for each class.  Those
 * from AMP_LIMIT_COUNT on stand elsewhere.
 */

typedef enum {
    AMP_LIMIT_DEFAULT = 0,
    AMP_LIMIT_CATALOG,              /* AMP_LIMIT_CATALOG + amp_class_e        */
    AMP_LIMIT_COUNT = AMP_LIMIT_CATALOG + AMP_CLASS_COUNT,
    AMP_LIMIT_TOKEN = AMP_LIMIT_COUNT,  /* of a token, in no tenant record    */
    AMP_LIMIT_PROJECT,              /* of a project, the same: amp_project.h  */
    AMP_LIMIT_CONCURRENCY,          /* requests in flight                     */
    AMP_LIMIT_ALL
} amp_limit_e;


typedef struct {
    uint16_t  offset;               /* from the start of the block            */
    uint16_t  len;
} amp_field_t;


typedef struct {
    uint32_t     size;              /* of the whole block, this included      */
    uint32_t     limits;            /* bit set: 1 << amp_limit_e              */
    uint32_t     concurrency;       /* requests in flight, 0: any number      */
    unsigned     frozen;            /* classes, see amp_frozen.h              */
    uint64_t     rev;
    uint64_t     granted[AMP_OPERATIONS_MAX / 64];
    uint64_t     cached[AMP_OPERATIONS_MAX / 64];   /* has a lifetime of the
                                       tenant's own                           */
    unsigned     disabled:1;
    unsigned     secrets:1;         /* class "secrets" granted                */
    unsigned     changes:1;         /* class "write" granted                  */
    unsigned     opened:1;          /* set by the caller: the key was opened
                                       and its tag checked, amp_seal_reveal()
                                       is enough                              */
    uint16_t     ngroups;
    unsigned char  owner[AMP_TENANT_OWNER];     /* the start of SHA-256 of id,
                                       project.id, groups and incarnation, in
                                       [A-Za-z0-9_-]: short enough for cache
                                       keys                                   */
    amp_field_t  id;
    amp_field_t  project_id;
    amp_field_t  project_name;      /* lower case; empty if there is none     */
    amp_field_t  key_id;            /* of the active key; empty if none       */
    amp_field_t  sealed;            /* the key, from amp_seal_decode()        */
    amp_field_t  groups;            /* ngroups times: uint16_t length, bytes  */
    amp_field_t  rates;             /* amp_rate_t for each bit of limits, in
                                       order, unaligned                       */
    amp_field_t  cache;             /* uint32_t seconds for each bit of
                                       cached, in order, unaligned            */
} amp_tenant_t;


/* The bytes of a field; valid as long as the block. */

static inline amp_span_t
amp_tenant_field(const amp_tenant_t *t, amp_field_t f)
{
    return (amp_span_t) { f.len, (const unsigned char *) t + f.offset };
}


/*
 * Decodes the JSON of a record into a block at out, which has cap bytes and is
 * aligned for uint64_t; at most AMP_TENANT_FLAT_MAX bytes are used.  Returns
 * the size of the block, or 0 with *error set to a static text, which names
 * the member at fault and contains nothing of its value: not a JSON object,
 * duplicate member, wrong type, unknown "v", id or project outside its
 * alphabet, bad rate, too large.
 *
 * Required: "v", "rev", "id" and "project.id".  null means absent only for
 * "project.name".  Without "keys" the tenant has no key; without "grants" or
 * "grants.allow" it has every class but "secrets".  "incarnation" is another
 * number for each tenant that ever had this id.  A limit of {} is no limit;
 * a rate without "burst" has its count as burst.  "cache" is as in
 * amp_lifetime.h; its unknown names, and those of operations whose lifetime a
 * tenant cannot set, are ignored.
 */

size_t amp_tenant_decode(amp_span_t json, void *out, size_t cap,
    const char **error);

/* The same from a JSON object, which was parsed already. */

struct json_t;

size_t amp_tenant_decode_object(const struct json_t *object, void *out,
    size_t cap, const char **error);

/*
 * The rate and burst of one limit: 1 and *rate filled, or 0 when the tenant
 * has no such limit.
 */

int amp_tenant_rate(const amp_tenant_t *t, amp_limit_e limit,
    amp_rate_t *rate);

/*
 * The tenant's own cache lifetime of an operation, given its index: 1 and
 * *seconds filled, or 0 and *seconds unchanged when the tenant has set none.
 */

int amp_tenant_lifetime(const amp_tenant_t *t, unsigned index,
    uint32_t *seconds);

/*
 * Reads a limit, an object with "rate" and perhaps "burst": 1 with *rate
 * filled, 0 when it is absent or {}, which is no limit, -1 when it is
 * malformed.
 */

int amp_tenant_limit(const struct json_t *limit, amp_rate_t *rate);

/* 1 when a list of n texts (n times: uint16_t length, bytes) has the text. */

int amp_list_has(amp_span_t list, unsigned n, amp_span_t text);

/* 1 when the group is one that the tenant is bound to, else 0. */

int amp_tenant_has_group(const amp_tenant_t *t, amp_span_t group);

/* 1 when the tenant is granted the operation, else 0. */

static inline int
amp_tenant_granted(const amp_tenant_t *t, const amp_operation_t *op)
{
    unsigned  i = amp_operation_index(op);

    return (int) (t->granted[i / 64] >> (i % 64) & 1);
}


/* Length and alphabet, see the macros above: 1 when they are right, else 0. */

int amp_tenant_id_valid(amp_span_t id);
int amp_project_id_valid(amp_span_t id);
int amp_project_name_valid(amp_span_t name);    /* [A-Za-z0-9._-]             */
int amp_key_id_valid(amp_span_t id);
int amp_group_valid(amp_span_t group);
int amp_sealed_text_valid(amp_span_t sealed);   /* only amp_seal_decode() does
                                                   more than that             */

/*
 * The limit of a name ("default" or a class), or -1; the name of any limit,
 * "token", "project" and "concurrency" included.
 */

int amp_limit_find(amp_span_t name);
const char *amp_limit_name(amp_limit_e limit);


#endif /* AMP_TENANT_H */
