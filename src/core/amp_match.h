/*
 * A request that matched an operation of the table.
 */

#ifndef AMP_MATCH_H
#define AMP_MATCH_H


#include "amp_operations.h"
#include "amp_problem.h"


#define AMP_PATH_MAX     4096       /* raw bytes of a path                    */


/* A matched request.  Spans point into raw and the scratch buffer. */

typedef struct {
    const amp_operation_t  *op;
    amp_span_t              project;    /* {projectIdOrName}, decoded; empty
                                           in the short spelling              */
    unsigned                short_form;
    unsigned                head;       /* HEAD, matched as GET               */
    unsigned                nparams;
    amp_span_t              params[AMP_PARAMS_MAX]; /* decoded, in order,
                                                       without the project    */
    amp_span_t              rest;       /* proxy: path below /proxy/,
                                           normalised, see amp_path_compose() */
    unsigned                allow;      /* AMP_NO_METHOD: 1 << amp_method_e   */
} amp_match_t;


#endif /* AMP_MATCH_H */
