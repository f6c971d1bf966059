/*
 * The table of operations: one line for each operation of the Ampersand API.
 * Policy, cache keys, invalidation, metric labels and "ampctl operations" all
 * come from that line.  t/operations.t compares the table with Ampersand's own
 * documents.
 */

#ifndef AMP_OPERATIONS_H
#define AMP_OPERATIONS_H


#include "amp_span.h"


typedef enum {
    AMP_API_PLATFORM = 0,
    AMP_API_READ,
    AMP_API_WRITE,
    AMP_API_SEARCH,
    AMP_API_PROXY,
    AMP_API_COUNT
} amp_api_e;


/* AMP_METHOD_ANY is only in the line of the proxy API. */

typedef enum {
    AMP_METHOD_GET = 0,
    AMP_METHOD_POST,
    AMP_METHOD_PUT,
    AMP_METHOD_PATCH,
    AMP_METHOD_DELETE,
    AMP_METHOD_ANY,
    AMP_METHOD_COUNT
} amp_method_e;


/* AMP_CLASS_NONE: never served (organisation, user, billing). */

typedef enum {
    AMP_CLASS_CATALOG = 0,
    AMP_CLASS_READ,
    AMP_CLASS_WRITE,
    AMP_CLASS_DATA,
    AMP_CLASS_SECRETS,
    AMP_CLASS_COUNT,
    AMP_CLASS_NONE = AMP_CLASS_COUNT
} amp_class_e;


/* Where a request names its project or group. */

typedef enum {
    AMP_IN_NOWHERE = 0,
    AMP_IN_PATH,
    AMP_IN_QUERY,
    AMP_IN_BODY,
    AMP_IN_HEADER
} amp_place_e;


/*
 * Resource families: what operations read and write.  The generation of a
 * project's family is part of the cache keys of what reads it; incrementing it
 * invalidates the family.  AMP_FAMILY_ALL is part of every cache key; it is "*"
 * in Redis, and "ampctl cache purge" without a family increments it.
 */

typedef enum {
    AMP_FAMILY_ALL = 0,
    AMP_FAMILY_PROJECTS,
    AMP_FAMILY_INTEGRATIONS,
    AMP_FAMILY_REVISIONS,
    AMP_FAMILY_INSTALLATIONS,
    AMP_FAMILY_CONNECTIONS,
    AMP_FAMILY_DESTINATIONS,
    AMP_FAMILY_PROVIDER_APPS,
    AMP_FAMILY_TOPICS,
    AMP_FAMILY_ROUTES,
    AMP_FAMILY_OPERATIONS,
    AMP_FAMILY_OBJECTS,
    AMP_FAMILY_API_KEYS,
    AMP_FAMILY_JWT_KEYS,
    AMP_FAMILY_GROUPS,
    AMP_FAMILY_PROVIDERS,
    AMP_FAMILY_PROXY,
    AMP_FAMILY_COUNT
} amp_family_e;

#define AMP_F(name)  (1u << AMP_FAMILY_##name)


#define AMP_SEGMENTS_MAX    12      /* of a template, with the project        */
#define AMP_PARAMS_MAX      4       /* of a template, without the project     */
#define AMP_OPERATIONS_MAX  128     /* bits in a set of operations            */


typedef struct {
    amp_api_e     api;
    amp_method_e  method;
    const char   *path;         /* "/projects/{projectIdOrName}/..." as in
                                   Ampersand's document; "/{path}" for proxy  */
    const char   *id;           /* operationId                                */
    const char   *tag;
    amp_class_e   class;
    amp_place_e   project_in;   /* NOWHERE, PATH, BODY, HEADER                */
    amp_place_e   group_in;     /* NOWHERE, QUERY, BODY, HEADER               */
    unsigned      ttl;          /* cache lifetime, seconds; 0: never stored   */
    uint32_t      reads;        /* AMP_F(...) | ...: families whose
                                   generations are in its cache key           */
    uint32_t      writes;       /* AMP_F(...) | ...: families that a success
                                   invalidates; for a GET only with a
                                   parameter of state_query                   */
    const char   *query;        /* declared query parameters, comma-separated
                                   in the document's order, "!" = required;
                                   "" for none                                */
    const char   *secret_query; /* those with which the answer has secrets    */
    const char   *state_query;  /* those with which a GET changes state       */
    const char   *body;         /* declared body fields, "!" = required       */
} amp_operation_t;


/* The first line of the table; *n is the number of lines. */

const amp_operation_t *amp_operations(size_t *n);

/* Index of a line in the table: 0 .. n - 1, the bit in a set of operations. */

unsigned amp_operation_index(const amp_operation_t *op);

/* The line with exactly this operationId, or NULL. */

const amp_operation_t *amp_operation_find(amp_span_t id);


/* Words in configuration and commands.  *_find() returns -1 for others. */

/* How long an answer may take, in ms. */

uint32_t amp_class_timeout(amp_class_e class);

const char *amp_api_name(amp_api_e api);            /* "platform"           */
int amp_api_find(amp_span_t name);
const char *amp_api_host(amp_api_e api);            /* "api.withampersand..." */
const char *amp_method_name(amp_method_e method);   /* "GET", "*" for ANY   */
const char *amp_class_name(amp_class_e class);      /* "catalog" .. "secrets",
                                                       "none"               */
int amp_class_find(amp_span_t name);
const char *amp_family_name(amp_family_e family);   /* "*", "provider-apps" */
int amp_family_find(amp_span_t name);


#endif /* AMP_OPERATIONS_H */
