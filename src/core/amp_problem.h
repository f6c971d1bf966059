/*
 * Why the gateway refuses, and the document that says so.
 *
 * Every decision of the core answers an amp_reason_e: AMP_OK or the reason of
 * the refusal.  One table maps a reason to its HTTP status, its stable type
 * URN ("urn:ampersand-gateway:problem:<name>"), a title, a default detail and
 * a remedy.
 */

#ifndef AMP_PROBLEM_H
#define AMP_PROBLEM_H


#include "amp_span.h"


typedef enum {
    AMP_OK = 0,

    /* 400: what the client wrote cannot be taken */
    AMP_BAD_REQUEST,            /* nginx could not parse the request          */
    AMP_BAD_PATH,               /* dot segment, encoded slash, control byte.. */
    AMP_BAD_QUERY,              /* malformed or repeated query parameter      */
    AMP_KEY_IN_QUERY,           /* an apiKey parameter, however spelt         */
    AMP_BAD_HEADER,             /* malformed or repeated x-amp-* header       */
    AMP_BAD_BODY,               /* not one strict JSON object                 */

    /* 401 with WWW-Authenticate: who is calling is not known */
    AMP_NO_TOKEN,
    AMP_BAD_TOKEN,              /* wrong prefix, alphabet, length or checksum */
    AMP_TWO_CREDENTIALS,        /* repeated header, or two different tokens   */
    AMP_UNKNOWN_TOKEN,          /* unknown, revoked or expired: not told apart */
    AMP_TENANT_DISABLED,
    AMP_NO_IDENTITY,            /* the ampersand_identity variable is unusable */

    /* 403: known, and not allowed */
    AMP_OTHER_PROJECT,
    AMP_NOT_SERVED,             /* organisation, user, billing operations     */
    AMP_NOT_GRANTED,
    AMP_SECRETS_NOT_GRANTED,    /* needs the class "secrets"                  */
    AMP_CHANGE_NOT_GRANTED,     /* state-changing parameter needs "write"     */
    AMP_OTHER_GROUP,
    AMP_NO_GROUP,               /* tenant bound to groups, request names none */

    /* 404, 405 with Allow, 413, 414, 415 */
    AMP_NO_OPERATION,
    AMP_NO_METHOD,
    AMP_TOO_LARGE,
    AMP_URI_TOO_LONG,
    AMP_BAD_ENCODING,           /* Content-Encoding on a body that is checked */

    /* 412, 416: what the client asked of an answer from the cache */
    AMP_PRECONDITION,
    AMP_RANGE,

    AMP_NOT_CACHED,             /* 504: only-if-cached, and it is not          */

    /* 429 with Retry-After */
    AMP_RATE_LIMITED,
    AMP_TOO_MANY,               /* requests of the tenant at once             */
    AMP_COOLING_DOWN,           /* Ampersand itself answered 429              */

    /* 503 with Retry-After: the gateway cannot decide now */
    AMP_STORE_DOWN,             /* Redis out of reach, tenant not known here  */
    AMP_BUSY,                   /* too many unknown tokens to ask for another */
    AMP_BAD_RECORD,             /* record in Redis that cannot be read        */
    AMP_NO_KEY,                 /* tenant without a usable Ampersand key      */

    /* the rest of what nginx itself answers in a gateway's server */
    AMP_UPSTREAM_FAILED,        /* 502 */
    AMP_UPSTREAM_TIMEOUT,       /* 504 */
    AMP_UNAVAILABLE,            /* 503 */
    AMP_REQUEST_TIMEOUT,        /* 408 */
    AMP_HEADERS_TOO_LARGE,      /* 431, and nginx's 494 */
    AMP_FORBIDDEN,              /* 403 by allow, deny and the like */
    AMP_INTERNAL,               /* 500 */

    AMP_REASON_COUNT
} amp_reason_e;


typedef struct {
    const char  *name;          /* tail of the URN, metric label, log word    */
    unsigned     status;
    unsigned     retryable:1;
    const char  *title;
    const char  *detail;
    const char  *remedy;
} amp_problem_t;


/*
 * Facts of one refusal.  Any span may be empty and is then left out;
 * detail replaces the table's default.  None may hold a secret.
 */

typedef struct {
    amp_span_t  detail;
    amp_span_t  request_id;
    amp_span_t  time;           /* RFC 3339, UTC                              */
    amp_span_t  retry_after;    /* RFC 3339, UTC                              */
    amp_span_t  operation;      /* operationId, for "context"                 */
    amp_span_t  tenant;         /* tenant id, for "context"                   */
} amp_problem_facts_t;


/* NULL only outside 0 < reason < AMP_REASON_COUNT; static storage. */

const amp_problem_t *amp_problem(amp_reason_e reason);

/*
 * The reason for a status that nginx decided by itself (400, 401, 403, 404,
 * 405, 408, 413, 414, 415, 429, 431, 494, 500, 502, 503, 504); AMP_INTERNAL
 * for other 5xx and AMP_BAD_REQUEST for other 4xx.
 */

amp_reason_e amp_problem_by_status(unsigned status);

/*
 * Writes the application/problem+json document (RFC 9457 plus Ampersand's
 * ApiProblem members: subsystem "gateway", time, requestId, causes, remedy,
 * retryable, retryAfter, context).  Every span is JSON-escaped; bytes that
 * are no valid UTF-8 become U+FFFD.  AMP_PROBLEM_MAX bytes always suffice for
 * facts of at most 256 bytes each.  On overflow out->overflow is set.
 */

#define AMP_PROBLEM_MAX  12288     /* six facts of control bytes: 6 * 6 * 256 */

void amp_problem_write(amp_reason_e reason, const amp_problem_facts_t *facts,
    amp_buf_t *out);


#endif /* AMP_PROBLEM_H */
