/*
 * The query of a request: checked against the operation, and composed for
 * upstream.
 */

#ifndef AMP_QUERY_H
#define AMP_QUERY_H


#include "amp_operations.h"
#include "amp_problem.h"


#define AMP_QUERY_MAX    8192       /* raw bytes of a query                   */
#define AMP_QUERY_ARGS   64         /* parameters in one query                */


typedef struct {
    amp_span_t  name;           /* decoded; proxy: normalised, see below      */
    amp_span_t  value;          /* likewise; empty without "="                */
    uint8_t     declared;       /* by the operation; a byte for each flag is
                                   faster to write than a bit                 */
    uint8_t     has_value;      /* there was a "="                            */
    uint8_t     plain;          /* only unreserved bytes: name, "=" and value
                                   are one piece of the raw query             */
    uint8_t     order;          /* position among the declared ones, or
                                   AMP_QUERY_ARGS                             */
} amp_query_arg_t;


typedef struct {
    unsigned         n;
    amp_query_arg_t  args[AMP_QUERY_ARGS];
    unsigned         secret:1;  /* a parameter asks for secrets               */
    unsigned         changes:1; /* a parameter changes state                  */
    unsigned         has_group:1;
    unsigned         verbatim:1;        /* proxy: normalised, not decoded     */
    amp_span_t       fault;     /* after an error: the raw argument, or empty
                                   where it is the whole query                */
    amp_span_t       group;     /* groupRef, where the operation takes it in
                                   the query                                  */
} amp_query_t;


/*
 * Parses the raw query of an operation, which may be empty.  scratch has at
 * least raw.len bytes; the caller keeps raw and scratch as long as q.
 * Arguments are separated by "&" only, empty ones are dropped; "+" is a space.
 * The result is sorted: declared arguments in the table's order, then the
 * others by name, in a stable order.
 *
 * The proxy API keeps the client's order, and "+" differs from "%2B": names and
 * values are normalised as its path is, not decoded.
 *
 * A parameter asks for secrets or changes state when its name equals one that
 * the operation lists for that, without regard to case, and its value is not
 * "false".  includeCreds, includeRefreshToken and includeSecrets ask for
 * secrets of every operation.
 *
 * AMP_OK
 * AMP_KEY_IN_QUERY  "apikey" in any case or encoding; in the proxy API also
 *                   between ";"
 * AMP_BAD_QUERY     control byte or NUL, raw or encoded, but "%09" in a value;
 *                   "%" not followed by two hex digits; more than
 *                   AMP_QUERY_ARGS arguments; longer than AMP_QUERY_MAX; a
 *                   declared name twice or in another case.  A missing
 *                   required parameter is Ampersand's to refuse.
 */

amp_reason_e amp_query_parse(const amp_operation_t *op, amp_span_t raw,
    unsigned char *scratch, amp_query_t *q);

/* Appends "?" and the encoded query; nothing when q has no arguments. */

void amp_query_compose(const amp_query_t *q, amp_buf_t *out);


#endif /* AMP_QUERY_H */
