/*
 * The index over the table of operations: templates cut into segments, to be
 * matched, and into parts, to be composed; and routes (an operation in one
 * spelling) by API, number of segments and method.
 */

#ifndef AMP_ROUTE_H
#define AMP_ROUTE_H


#include "amp_operations.h"


typedef enum {
    AMP_SEGMENT_LITERAL = 0,
    AMP_SEGMENT_PROJECT,
    AMP_SEGMENT_PARAM
} amp_segment_e;


/* The text of a parameter is the verb after it, with its colon, or empty. */

typedef struct {
    amp_segment_e  kind;
    amp_span_t     text;
} amp_segment_t;


/* Text, slashes and verbs included, and what follows it. */

typedef struct {
    amp_span_t     text;
    amp_segment_e  value;       /* AMP_SEGMENT_LITERAL: none, the last part  */
} amp_part_t;


/* One spelling of an operation: its template from segment "skip" on. */

typedef struct {
    const amp_operation_t  *op;
    const amp_segment_t    *segments;
    unsigned                n;
    unsigned                skip;
    size_t                  first;      /* bytes of the first segment, a
                                           literal; 0 where there is none     */
} amp_route_t;


#define AMP_NO_COLON  ((size_t) -1)

/* A segment of a request. */

typedef struct {
    amp_span_t  text;                       /* decoded                        */
    size_t      colon;                      /* offset of the first raw colon  */
    size_t      encoded_colon;              /* of the last one, if encoded    */
    unsigned    has;                        /* amp_path.c's own               */
} amp_piece_t;


/* Idempotent; before the first of the others. */

void amp_route_init(void);

/* The route that n pieces take, or NULL. */

const amp_route_t *amp_route_find(amp_api_e api, amp_method_e method,
    const amp_piece_t *pieces, unsigned n);

/* The methods that n pieces have a route for: 1 << amp_method_e. */

unsigned amp_route_methods(amp_api_e api, const amp_piece_t *pieces,
    unsigned n);

/*
 * What an operation is composed from, below "/v1" and the project included; for
 * listProjects getProject's.  The proxy API's has one empty part.
 */

const amp_part_t *amp_route_parts(const amp_operation_t *op);

/* Is the text, colon included, a verb of this API? */

int amp_route_verb(amp_api_e api, amp_span_t text);


#endif /* AMP_ROUTE_H */
