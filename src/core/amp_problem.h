/*
 * Why the gateway refuses a request, and the document that it sends then.
 *
 * Every decision of the core returns an amp_reason_e: AMP_OK or the reason to
 * refuse.  One table maps a reason to its HTTP status, its stable type URN
 * ("urn:ampersand-gateway:problem:<name>"), a title, a default detail and a
 * remedy.
 */

#ifndef AMP_PROBLEM_H
#define AMP_PROBLEM_H


#include "amp_span.h"


typedef enum {
    AMP_OK = 0,

    /* 400: the request is malformed */
    AMP_BAD_REQUEST,            /* nginx could not parse the request          */
    AMP_BAD_PATH,               /* dot segment, encoded slash, control byte.. */
    AMP_BAD_QUERY,              /* malformed or repeated query parameter      */
    AMP_KEY_IN_QUERY,           /* an apiKey parameter, however spelt         */
    AMP_BAD_HEADER,             /* malformed or repeated x-amp-* header       */
    AMP_BAD_BODY,               /* not one strict JSON object                 */
    AMP_NO_CERTIFICATE,         /* ssl_verify_client, and none was sent       */
    AMP_BAD_CERTIFICATE,        /* it is not one that is trusted              */
    AMP_PLAIN_HTTP,             /* on a port for TLS                          */

    /* 401 with WWW-Authenticate: no tenant can be identified */
    AMP_NO_TOKEN,
    AMP_BAD_TOKEN,              /* wrong prefix, alphabet, length or checksum */
    AMP_TWO_CREDENTIALS,        /* repeated header, or different tokens       */
    AMP_UNKNOWN_TOKEN,          /* unknown, revoked or expired                */
    AMP_TENANT_DISABLED,
    AMP_NO_IDENTITY,            /* the variable of ampersand_identity is
                                   missing or malformed                       */

    /* 403: the tenant may not do this */
    AMP_OTHER_PROJECT,
    AMP_NOT_SERVED,             /* organisation, user, billing operations     */
    AMP_NOT_GRANTED,
    AMP_SECRETS_NOT_GRANTED,    /* needs the class "secrets"                  */
    AMP_CHANGE_NOT_GRANTED,     /* state-changing parameter needs "write"     */
    AMP_OTHER_GROUP,
    AMP_OTHER_ORIGIN,           /* a preflight, not of ampersand_cors         */
    AMP_NO_GROUP,               /* tenant bound to groups, request names none */
    AMP_TOKEN_NOT_GRANTED,      /* the tenant may do it, this token may not   */
    AMP_TOKEN_GROUP,            /* not one of the token's groups              */
    AMP_TOKEN_ORIGIN,           /* the token is for other origins             */

    /* 404, 405 with Allow, 413, 414, 415 */
    AMP_NO_OPERATION,
    AMP_NO_METHOD,
    AMP_TOO_LARGE,
    AMP_URI_TOO_LONG,
    AMP_BAD_ENCODING,           /* Content-Encoding on a body that is checked */

    /* 412, 416, 504: conditions that the cached response does not satisfy */
    AMP_PRECONDITION,
    AMP_RANGE,
    AMP_NOT_CACHED,             /* only-if-cached                             */

    /* 429 with Retry-After */
    AMP_RATE_LIMITED,
    AMP_TOKEN_RATE_LIMITED,     /* the token's own limit                      */
    AMP_PROJECT_RATE_LIMITED,   /* that of all tenants of its project         */
    AMP_TOO_MANY,               /* concurrent requests                        */
    AMP_COOLING_DOWN,           /* after a 429 of Ampersand                   */

    /* 503 with Retry-After: the gateway cannot decide now */
    AMP_STORE_DOWN,             /* Redis out of reach, tenant not in the zone */
    AMP_BUSY,                   /* look-up limit: too many unknown tokens     */
    AMP_FROZEN,                 /* by ampctl freeze                           */
    AMP_BAD_RECORD,             /* record in Redis that cannot be read        */
    AMP_NO_KEY,                 /* tenant without a usable Ampersand key      */

    /* other errors that nginx itself answers in a gateway location */
    AMP_UPSTREAM_FAILED,        /* 502                                        */
    AMP_UPSTREAM_TIMEOUT,       /* 504                                        */
    AMP_UPSTREAM_SUSPENDED,     /* 503: the host failed, see amp_breaker.h    */
    AMP_UNAVAILABLE,            /* 503                                        */
    AMP_REQUEST_TIMEOUT,        /* 408                                        */
    AMP_HEADERS_TOO_LARGE,      /* 431, and nginx's 494                       */
    AMP_INTERNAL,               /* 500                                        */

    /* the configuration of nginx around the gateway refuses */
    AMP_FORBIDDEN,              /* 403, by allow, deny, limit_except, ...     */
    AMP_NGINX_AUTH,             /* 401, by auth_basic, auth_request           */
    AMP_NGINX_LIMIT,            /* nginx's status: limit_req, limit_conn      */
    AMP_NGINX_REFUSED,          /* nginx's status: "return", ...              */
    AMP_NGINX_FAILED,           /* nginx's status: auth_request, "return"     */

    AMP_REASON_COUNT
} amp_reason_e;


typedef struct {
    const char  *name;          /* tail of the URN, metric label, log word    */
    unsigned     status;        /* 0: facts->status                           */
    unsigned     retryable:1;
    const char  *title;
    const char  *detail;
    const char  *remedy;
} amp_problem_t;


/* What was wrong: a sentence, in which "%" stands for the name. */

typedef struct {
    const char  *text;          /* NULL: the detail says all                  */
    amp_span_t   name;          /* of the client's bytes, perhaps             */
} amp_fault_t;


/*
 * Facts about one refusal.  A span that is empty is left out of the document;
 * detail replaces the table's default.  None may contain a secret.
 */

typedef struct {
    unsigned    status;         /* where the table has none                   */
    amp_span_t  detail;
    amp_fault_t fault;          /* for "causes"                               */
    amp_span_t  request_id;
    amp_span_t  time;           /* RFC 3339, UTC                              */
    amp_span_t  retry_after;    /* RFC 3339, UTC                              */
    amp_span_t  operation;      /* operationId, for "context"                 */
    amp_span_t  tenant;         /* tenant id, for "context"                   */
    unsigned    unknown:1;      /* the request was sent, may have had its
                                   effect, and would have it again: a program
                                   must not repeat it by itself (RFC 9110,
                                   section 9.2.2), so retryable is false      */
} amp_problem_facts_t;


/* The table's entry; NULL unless 0 < reason < AMP_REASON_COUNT. */

const amp_problem_t *amp_problem(amp_reason_e reason);

/*
 * The reason for a status that nginx itself has chosen.  AMP_BAD_REQUEST for a
 * 4xx without a reason of its own, AMP_INTERNAL for any other number.
 */

amp_reason_e amp_problem_by_status(unsigned status);

/*
 * The same for a request that nginx's configuration refused, and the gateway
 * did not.  limited: by limit_req or limit_conn.  Such a problem keeps the
 * status.
 */

amp_reason_e amp_problem_by_nginx(unsigned status, int limited);

/*
 * The remedy alone, as plain text: with the tenant's id and the operation's in
 * their places, where they are not empty.  AMP_PROBLEM_TEXT bytes are enough.
 */

#define AMP_PROBLEM_TEXT  1024  /* bytes of a cause or remedy                 */

void amp_problem_remedy(amp_reason_e reason, amp_span_t tenant,
    amp_span_t operation, amp_buf_t *out);

/*
 * The detail of AMP_COOLING_DOWN where the tenant got no 429 itself: its
 * project did, and the request is beyond the tenant's part, see amp_budget.h.
 */

#define AMP_PROBLEM_BUDGET                                                    \
    "Ampersand limits this project: it answered 429 to requests of its"       \
    " tenants. This tenant asked for more than its part of what the project"  \
    " has."

/*
 * Writes the application/problem+json document (RFC 9457 plus Ampersand's
 * ApiProblem members: subsystem "gateway", time, requestId, causes, remedy,
 * retryable, retryAfter, context).  The remedy names tenant and operation where
 * the facts do; at most 64 bytes of a fault's name are shown.  Spans are
 * JSON-escaped; bytes that are not valid UTF-8 become U+FFFD.  AMP_PROBLEM_MAX
 * bytes are enough for facts of at most 256 bytes each; when out is too small,
 * out->overflow is set.  A reason that is not in the table counts as
 * AMP_INTERNAL.
 */

#define AMP_PROBLEM_MAX  20480  /* room for facts of 256 control bytes       */

void amp_problem_write(amp_reason_e reason, const amp_problem_facts_t *facts,
    amp_buf_t *out);


#endif /* AMP_PROBLEM_H */
