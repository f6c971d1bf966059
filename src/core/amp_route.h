/*
 * The index of the table of operations.  Each path template is cut into
 * segments, for matching, and into parts, for composing.  A route is one
 * spelling of an operation; routes are found by API, number of segments and
 * method.
 */

#ifndef AMP_ROUTE_H
#define AMP_ROUTE_H


#include "amp_operations.h"


typedef enum {
    AMP_SEGMENT_LITERAL = 0,
    AMP_SEGMENT_PROJECT,
    AMP_SEGMENT_PARAM
} amp_segment_e;


/*
 * A segment of a template.  text: of a literal its bytes, of a parameter the
 * verb after it, with its colon, or empty.
 */

typedef struct {
    amp_segment_e  kind;
    amp_span_t     text;
} amp_segment_t;


/* Fixed text of a template, with slashes and verbs, and the value after it. */

typedef struct {
    amp_span_t     text;
    amp_segment_e  value;       /* AMP_SEGMENT_LITERAL: this is the last part */
} amp_part_t;


/* One spelling of an operation: its template from segment "skip" on. */

typedef struct {
    const amp_operation_t  *op;
    const amp_segment_t    *segments;
    unsigned                n;
    unsigned                skip;
    size_t                  first;      /* bytes of the first segment, which
                                           is a literal; 0: no segments       */
} amp_route_t;


#define AMP_NO_COLON  ((size_t) -1)

/* A segment of a request's path. */

typedef struct {
    amp_span_t  text;                       /* decoded                        */
    size_t      colon;                      /* offset of the first raw colon  */
    size_t      encoded_colon;              /* of the last colon, if it was
                                               encoded                        */
    unsigned    has;                        /* for amp_path.c alone           */
} amp_piece_t;


/* Builds the index; must be called first.  Another call does nothing. */

void amp_route_init(void);

/* The route that matches n pieces, or NULL. */

const amp_route_t *amp_route_find(amp_api_e api, amp_method_e method,
    const amp_piece_t *pieces, unsigned n);

/* The methods for which a route matches n pieces: bits 1 << amp_method_e. */

unsigned amp_route_methods(amp_api_e api, const amp_piece_t *pieces,
    unsigned n);

/*
 * 1 when the path of a route can begin with this text, which is decoded and
 * empty or begins with a slash; its last segment may be incomplete.  Any text
 * may be a parameter.
 */

int amp_route_begins(amp_api_e api, amp_span_t text);

/*
 * The parts of an operation's upstream path below "/v1", with the project;
 * listProjects has those of getProject, the proxy API one empty part.
 */

const amp_part_t *amp_route_parts(const amp_operation_t *op);

/* 1 when the text, with its colon, is a verb of this API. */

int amp_route_verb(amp_api_e api, amp_span_t text);


#endif /* AMP_ROUTE_H */
