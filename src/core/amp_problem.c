#include "amp_json.h"
#include "amp_problem.h"


#define AMP_PROBLEM_URN   "urn:ampersand-gateway:problem:"
#define AMP_PROBLEM_NAME  64        /* bytes of a fault's name                */


static const amp_problem_t  amp_problems[AMP_REASON_COUNT] = {

    [AMP_BAD_REQUEST] = {
        "bad-request", 400, 0, "Malformed request",
        "The request is not valid HTTP.",
        "Correct the request line and headers before sending it again."
    },

    [AMP_BAD_PATH] = {
        "bad-path", 400, 0, "Malformed path",
        "The path contains a dot segment, an encoded slash or backslash, a"
        " control byte, an empty segment or an invalid percent-encoding.",
        "Percent-encode each path parameter once, as a single segment."
    },

    [AMP_BAD_QUERY] = {
        "bad-query", 400, 0, "Malformed query",
        "A query parameter is malformed, occurs twice, or differs from a"
        " documented one only in case; or there are too many parameters.",
        "Send each query parameter once, spelt and encoded as documented."
    },

    [AMP_KEY_IN_QUERY] = {
        "key-in-query", 400, 0, "API key in the query",
        "A query parameter is named like an API key. Keys must not be sent in"
        " URLs, which are written to logs.",
        "Send the gateway token in X-Api-Key or Authorization: Bearer. If the"
        " parameter was an Ampersand key, rotate that key."
    },

    [AMP_BAD_HEADER] = {
        "bad-header", 400, 0, "Malformed header",
        "An x-amp-* header is malformed or occurs twice.",
        "Send each x-amp-* header once, with one value."
    },

    [AMP_BAD_BODY] = {
        "bad-body", 400, 0, "Malformed body",
        "The body has to be one JSON object in UTF-8 without duplicate"
        " members; projectIdOrName and groupRef have to be strings and spelt"
        " exactly so.",
        "Send one JSON object with the members that the operation documents."
    },

    [AMP_NO_CERTIFICATE] = {
        "no-certificate", 400, 0, "No client certificate",
        "This gateway asks for a client certificate, and the client sent"
        " none.",
        "Send the client certificate that the platform team gave you, with its"
        " key. Operators: see ssl_verify_client."
    },

    [AMP_BAD_CERTIFICATE] = {
        "bad-certificate", 400, 0, "Client certificate not accepted",
        "The client certificate has expired, was revoked, or is not signed by"
        " an authority that this gateway trusts.",
        "Send the client certificate that the platform team gave you."
        " Operators: see ssl_client_certificate and ssl_verify_depth."
    },

    [AMP_PLAIN_HTTP] = {
        "plain-http", 400, 0, "Plain HTTP on a port for HTTPS",
        "The request was sent as plain HTTP to a port that speaks TLS.",
        "Write https:// in the base URL. A token that was sent like this may"
        " have been read on its way: ask the platform team for a new one."
    },

    [AMP_NO_TOKEN] = {
        "no-token", 401, 0, "No gateway token",
        "The request contains no gateway token.",
        "Send your token (agw_...) in X-Api-Key or Authorization: Bearer. The"
        " platform team issues one: ampctl token issue <tenant>"
    },

    [AMP_BAD_TOKEN] = {
        "bad-token", 401, 0, "Malformed gateway token",
        "The credential is not a gateway token, or is incomplete: its prefix,"
        " length or checksum is wrong.",
        "Send the complete token as issued (agw_ and 36 characters), not an"
        " Ampersand key."
    },

    [AMP_TWO_CREDENTIALS] = {
        "two-credentials", 401, 0, "More than one credential",
        "A credential header occurs twice, or X-Api-Key and Authorization"
        " contain different tokens.",
        "Send one token, either in X-Api-Key or in Authorization: Bearer."
    },

    [AMP_UNKNOWN_TOKEN] = {
        "unknown-token", 401, 0, "Unknown gateway token",
        "The gateway token is unknown, revoked or expired.",
        "Ask the platform team for a new token: ampctl token issue <tenant>"
    },

    [AMP_TENANT_DISABLED] = {
        "tenant-disabled", 401, 0, "Tenant disabled",
        "The tenant of this token is disabled.",
        "Ask the platform team: ampctl tenant enable <tenant>"
    },

    [AMP_NO_IDENTITY] = {
        "no-identity", 401, 0, "No usable identity",
        "The identity that determines the tenant is missing, or is not the id"
        " of a tenant, or not an identity that a tenant was given.",
        "Present the credential that this gateway expects, such as a client"
        " certificate. Operators: ampersand_identity has to be a tenant's id,"
        " which a map{} makes of another value; or, with by=, what \"ampctl"
        " identity add\" has given to a tenant."
    },

    [AMP_OTHER_PROJECT] = {
        "other-project", 403, 0, "Another project",
        "The project in the request is not the project of this tenant.",
        "Use your own project's id or name, \"-\", or the path without"
        " /projects/{projectIdOrName}."
    },

    [AMP_NOT_SERVED] = {
        "operation-not-served", 403, 0, "Operation not served",
        "Organisation, user and billing operations are never served to"
        " tenants.",
        "Ask the platform team to do this in the Ampersand dashboard."
    },

    [AMP_NOT_GRANTED] = {
        "operation-not-granted", 403, 0, "Operation not granted",
        "The tenant's grants do not include this operation.",
        "Ask the platform team: ampctl grant add <tenant> --allow"
        " <operationId>"
    },

    [AMP_SECRETS_NOT_GRANTED] = {
        "secrets-not-granted", 403, 0, "Secrets not granted",
        "The response would contain credentials, and the tenant is not granted"
        " the class secrets.",
        "Leave out the parameter that asks for credentials, or ask the"
        " platform team: ampctl grant add <tenant> --allow secrets"
    },

    [AMP_CHANGE_NOT_GRANTED] = {
        "change-not-granted", 403, 0, "Change not granted",
        "A query parameter makes this read operation change state, and the"
        " tenant is not granted the class write.",
        "Leave out the parameter, or ask the platform team: ampctl grant add"
        " <tenant> --allow write"
    },

    [AMP_OTHER_GROUP] = {
        "other-group", 403, 0, "Another group",
        "The group in the request is not one of the tenant's groups.",
        "Use a groupRef that the tenant is bound to. The platform team can"
        " list them: ampctl tenant show <tenant>"
    },

    [AMP_OTHER_ORIGIN] = {
        "other-origin", 403, 0, "Another origin",
        "A browser asks for a page of an origin that this gateway does not"
        " serve.",
        "Ask the platform team to add the page's origin to ampersand_cors."
    },

    [AMP_NO_GROUP] = {
        "no-group", 403, 0, "No group named",
        "The tenant is bound to groups, and the request does not name one.",
        "Send one of the tenant's groups as groupRef, or use an operation that"
        " takes a groupRef. The platform team can list the groups: ampctl"
        " tenant show <tenant>"
    },

    [AMP_TOKEN_NOT_GRANTED] = {
        "token-not-granted", 403, 0, "Not granted to this token",
        "The tenant may do this, but this token may not: it was issued for"
        " less.",
        "Use another token of your tenant, or ask the platform team for one"
        " that may: ampctl token issue <tenant> --allow <operationId>"
    },

    [AMP_TOKEN_GROUP] = {
        "token-group", 403, 0, "Not a group of this token",
        "This token is bound to groups, and the request names none of them.",
        "Name one of the token's groups, or use another token. The platform"
        " team can list the groups: ampctl token show <token id>"
    },

    [AMP_TOKEN_ORIGIN] = {
        "token-origin", 403, 0, "Not an origin of this token",
        "This token is for browsers on certain origins, and the request's"
        " Origin is missing or another one.",
        "Use a token without origins outside of browsers. The platform team"
        " can list the origins: ampctl token show <token id>"
    },

    [AMP_NO_OPERATION] = {
        "unknown-operation", 404, 0, "No such operation",
        "No operation of this API has this path.",
        "Compare the path with Ampersand's reference, or list the operations"
        " that the gateway serves: ampctl operations"
    },

    [AMP_NO_METHOD] = {
        "method-not-allowed", 405, 0, "Method not allowed",
        "The path exists, but not with this method.",
        "Use one of the methods in the response header Allow."
    },

    [AMP_TOO_LARGE] = {
        "body-too-large", 413, 0, "Body too large",
        "The body is larger than the gateway accepts for this request.",
        "Send less data in one request. Operators: ampersand_body_max decides;"
        " of a body in which the gateway looks for a project or group it takes"
        " 1 MB at most."
    },

    [AMP_URI_TOO_LONG] = {
        "uri-too-long", 414, 0, "Target too long",
        "The path and query are longer than the gateway accepts.",
        "Shorten the query, or split the request."
    },

    [AMP_BAD_ENCODING] = {
        "body-encoded", 415, 0, "Encoded body",
        "The body has a Content-Encoding, but the gateway has to read it.",
        "Send the body as plain JSON, without Content-Encoding."
    },

    [AMP_PRECONDITION] = {
        "precondition-failed", 412, 0, "Precondition failed",
        "The cached response does not satisfy If-Match or"
        " If-Unmodified-Since.",
        "Get the resource again, and use its current ETag or Last-Modified."
    },

    [AMP_RANGE] = {
        "range-not-satisfiable", 416, 0, "Range not satisfiable",
        "The cached response does not contain this range.",
        "Send the request without Range."
    },

    [AMP_NOT_CACHED] = {
        "not-cached", 504, 0, "Not in the cache",
        "The request demands only-if-cached, and the cache has no usable"
        " response.",
        "Send the request without Cache-Control: only-if-cached."
    },

    [AMP_RATE_LIMITED] = {
        "rate-limited", 429, 1, "Rate limit reached",
        "The tenant has reached its rate limit.",
        "Wait as long as Retry-After says. For a higher limit ask the platform"
        " team: ampctl limit set <tenant> --rate <rate> --burst <burst>"
    },

    [AMP_TOKEN_RATE_LIMITED] = {
        "token-rate-limited", 429, 1, "Rate limit of this token reached",
        "This token has reached its own rate limit; the tenant has not reached"
        " its limit.",
        "Wait as long as Retry-After says, or ask the platform team for a"
        " token with a higher limit: ampctl token issue <tenant> --rate <rate>"
    },

    [AMP_PROJECT_RATE_LIMITED] = {
        "project-rate-limited", 429, 1, "Rate limit of the project reached",
        "All tenants of this project together have reached the project's rate"
        " limit; the tenant has not reached its own.",
        "Wait as long as Retry-After says. For a higher limit ask the platform"
        " team: ampctl limit set --project <project> --rate <rate> --burst"
        " <burst>"
    },

    [AMP_TOO_MANY] = {
        "too-many-at-once", 429, 1, "Too many concurrent requests",
        "The tenant has as many requests in flight as its limit allows.",
        "Wait for responses before sending more requests. For a higher limit"
        " ask the platform team: ampctl limit set <tenant> --concurrency"
        " <number>"
    },

    [AMP_COOLING_DOWN] = {
        "cooling-down", 429, 1, "Ampersand's rate limit reached",
        "Ampersand answered 429 to a request of this tenant. The gateway sends"
        " it no more until the time in Retry-After has passed.",
        "Wait as long as Retry-After says, and then send requests at a lower"
        " rate."
    },

    [AMP_STORE_DOWN] = {
        "store-down", 503, 1, "Tenant cannot be looked up",
        "The gateway cannot reach its store, and has no copy of this tenant's"
        " record.",
        "Try again after the time in Retry-After. Operators: run ampctl doctor"
    },

    [AMP_BUSY] = {
        "busy", 503, 1, "Too many unknown tokens",
        "The gateway has no copy of this token's record, and is looking up too"
        " many other tokens.",
        "Try again after the time in Retry-After."
    },

    [AMP_FROZEN] = {
        "frozen", 503, 1, "Requests are frozen",
        "The platform team has stopped requests of this kind for a while.",
        "Try again after the time in Retry-After. This request was not sent."
        " Operators: ampctl freeze list shows what is frozen, ampctl thaw ends"
        " it."
    },

    [AMP_BAD_RECORD] = {
        "bad-record", 503, 1, "Tenant record unreadable",
        "The record of this token or tenant in the gateway's store cannot be"
        " read.",
        "Report this to the platform team: ampctl doctor finds the faulty"
        " record."
    },

    [AMP_NO_KEY] = {
        "no-key", 503, 1, "No Ampersand key",
        "The tenant has no Ampersand key that this gateway can use.",
        "Ask the platform team: ampctl key set <tenant> --key-file <file>; or"
        " ampctl doctor, if the master key has changed."
    },

    [AMP_UPSTREAM_FAILED] = {
        "upstream-failed", 502, 1, "No valid response from Ampersand",
        "The gateway got no valid response from Ampersand.",
        "Try again later. A write may have succeeded: check before you repeat"
        " it."
    },

    [AMP_UPSTREAM_TIMEOUT] = {
        "upstream-timeout", 504, 1, "Ampersand timed out",
        "Ampersand did not respond in time.",
        "Try again later. A write may have succeeded: check before you repeat"
        " it."
    },

    [AMP_UPSTREAM_SUSPENDED] = {
        "upstream-suspended", 503, 1, "Ampersand is failing",
        "This host of Ampersand has failed several times in a row. The gateway"
        " sends it no request until the time in Retry-After, and one request"
        " then, to see whether it works again.",
        "Try again after the time in Retry-After. This request was not sent."
        " Operators: the error log names the host."
    },

    [AMP_UNAVAILABLE] = {
        "unavailable", 503, 1, "Gateway unavailable",
        "The gateway cannot process this request now.",
        "Try again after a short while."
    },

    [AMP_REQUEST_TIMEOUT] = {
        "request-timeout", 408, 1, "Request timed out",
        "The complete request did not arrive in time.",
        "Send the complete request again."
    },

    [AMP_HEADERS_TOO_LARGE] = {
        "headers-too-large", 431, 0, "Headers too large",
        "The request headers are larger than the gateway accepts.",
        "Send fewer or shorter headers. The gateway needs no cookies."
    },

    [AMP_INTERNAL] = {
        "internal", 500, 0, "Internal error",
        "The gateway failed to process this request.",
        "Give the requestId to the platform team. A write may have succeeded:"
        " check before you repeat it."
    },

    [AMP_FORBIDDEN] = {
        "forbidden", 403, 0, "Forbidden by nginx",
        "An access rule in the configuration of nginx around the gateway"
        " refuses this client or method. The tenant's grants were not asked.",
        "Ask the platform team for access from your network. Operators: see"
        " allow, deny, limit_except and auth_request in nginx's configuration."
    },

    [AMP_NGINX_AUTH] = {
        "nginx-auth", 401, 0, "Not authenticated by nginx",
        "nginx around the gateway asks for another credential than the gateway"
        " token.",
        "Send the credential that WWW-Authenticate names, and the gateway token"
        " in X-Api-Key. Operators: see auth_basic and auth_request in nginx's"
        " configuration."
    },

    [AMP_NGINX_LIMIT] = {
        "nginx-limit", 0, 1, "nginx's own limit reached",
        "A limit in the configuration of nginx around the gateway is reached."
        " It is not the rate of the tenant.",
        "Send requests more slowly, or fewer at once. Operators: see limit_req"
        " and limit_conn in nginx's configuration."
    },

    [AMP_NGINX_REFUSED] = {
        "nginx-refused", 0, 0, "Refused by nginx",
        "The configuration of nginx around the gateway refuses this request"
        " with this status.",
        "Ask the platform team. Operators: look for the status in nginx's"
        " configuration, for example in return."
    },

    [AMP_NGINX_FAILED] = {
        "nginx-failed", 0, 0, "nginx failed",
        "nginx around the gateway failed before the request was sent to"
        " Ampersand.",
        "Give the requestId to the platform team. Operators: see the error log;"
        " a server that auth_request asks has to answer 2xx, 401 or 403."
    }
};


const amp_problem_t *
amp_problem(amp_reason_e reason)
{
    if (reason <= AMP_OK || reason >= AMP_REASON_COUNT) {
        return NULL;
    }

    return &amp_problems[reason];
}


amp_reason_e
amp_problem_by_status(unsigned status)
{
    switch (status) {

    case 401:
        return AMP_NO_TOKEN;

    case 403:
        return AMP_FORBIDDEN;

    case 404:
        return AMP_NO_OPERATION;

    case 405:
        return AMP_NO_METHOD;

    case 408:
        return AMP_REQUEST_TIMEOUT;

    case 413:
        return AMP_TOO_LARGE;

    case 414:
        return AMP_URI_TOO_LONG;

    case 412:
        return AMP_PRECONDITION;

    case 415:
        return AMP_BAD_ENCODING;

    case 416:
        return AMP_RANGE;

    case 429:                           /* the gateway's own are not asked    */
        return AMP_COOLING_DOWN;

    case 431:
    case 494:                           /* nginx's own, sent as 400           */
        return AMP_HEADERS_TOO_LARGE;

    case 502:
        return AMP_UPSTREAM_FAILED;

    case 503:
        return AMP_UNAVAILABLE;

    case 504:
        return AMP_UPSTREAM_TIMEOUT;
    }

    return (status >= 400 && status < 500) ? AMP_BAD_REQUEST : AMP_INTERNAL;
}


amp_reason_e
amp_problem_by_nginx(unsigned status, int limited)
{
    if (limited) {
        return AMP_NGINX_LIMIT;
    }

    switch (status) {

    /* nginx's answers to any client, whatever its configuration says */

    case 400:
    case 404:
    case 405:
    case 408:
    case 412:
    case 413:
    case 414:
    case 415:
    case 416:
    case 431:
    case 494:
    case 502:
    case 503:
    case 504:
        return amp_problem_by_status(status);

    case 401:
        return AMP_NGINX_AUTH;

    case 403:
        return AMP_FORBIDDEN;
    }

    return (status >= 400 && status < 500) ? AMP_NGINX_REFUSED
                                           : AMP_NGINX_FAILED;
}


static amp_span_t
amp_problem_text(const char *text)
{
    return amp_span_make(text, strlen(text));
}


/* ,"name":"value", or nothing for an empty value. */

static void
amp_problem_member(const char *name, amp_span_t value, amp_buf_t *out)
{
    if (value.len != 0) {
        amp_buf_byte(out, ',');
        amp_json_string(amp_problem_text(name), out);
        amp_buf_byte(out, ':');
        amp_json_string(value, out);
    }
}


/* The sentence of the fault; a long name is cut. */

static void
amp_problem_cause(const amp_fault_t *fault, amp_span_t detail, amp_buf_t *out)
{
    amp_buf_t      text;
    amp_span_t     name;
    const char    *gap;
    unsigned char  bytes[AMP_PROBLEM_TEXT];

    gap = fault->text ? strchr(fault->text, '%') : NULL;

    if (gap == NULL) {
        amp_json_string(fault->text ? amp_problem_text(fault->text) : detail,
                        out);
        return;
    }

    name = fault->name;
    amp_buf_init(&text, bytes, sizeof(bytes));
    amp_buf_put(&text, fault->text, (size_t) (gap - fault->text));
    amp_buf_put(&text, name.data, name.len > AMP_PROBLEM_NAME
                                  ? AMP_PROBLEM_NAME : name.len);

    if (name.len > AMP_PROBLEM_NAME) {
        amp_buf_text(&text, "...");
    }

    amp_buf_span(&text, amp_problem_text(gap + 1));
    amp_json_string(amp_buf_written(&text), out);
}


/* Appends the text, with value in place of "<name>" where there is one. */

static const char *
amp_problem_placeholder(const char *text, const char *name, amp_span_t value,
    amp_buf_t *out)
{
    size_t  len;

    len = strlen(name);

    if (value.len == 0 || strncmp(text, name, len) != 0) {
        return text;
    }

    amp_buf_span(out, value);

    return text + len;
}


void
amp_problem_remedy(amp_reason_e reason, amp_span_t tenant,
    amp_span_t operation, amp_buf_t *out)
{
    const char           *p, *next;
    const amp_problem_t  *problem;

    problem = amp_problem(reason);

    if (problem == NULL) {
        problem = amp_problem(AMP_INTERNAL);
    }

    for (p = problem->remedy; *p != '\0'; p = next) {
        next = p;

        if (*p == '<') {
            next = amp_problem_placeholder(p, "<tenant>", tenant, out);

            if (next == p) {
                next = amp_problem_placeholder(p, "<operationId>", operation,
                                               out);
            }
        }

        if (next == p) {
            amp_buf_byte(out, (unsigned char) *p);
            next++;
        }
    }
}


static void
amp_problem_context(const amp_problem_facts_t *facts, amp_buf_t *out)
{
    if (facts->operation.len == 0 && facts->tenant.len == 0) {
        return;
    }

    amp_buf_text(out, ",\"context\":{");

    if (facts->operation.len != 0) {
        amp_buf_text(out, "\"operation\":");
        amp_json_string(facts->operation, out);
    }

    if (facts->tenant.len != 0) {
        if (facts->operation.len != 0) {
            amp_buf_byte(out, ',');
        }

        amp_buf_text(out, "\"tenant\":");
        amp_json_string(facts->tenant, out);
    }

    amp_buf_byte(out, '}');
}


void
amp_problem_write(amp_reason_e reason, const amp_problem_facts_t *facts,
    amp_buf_t *out)
{
    amp_buf_t             remedy;
    amp_span_t            detail;
    unsigned char         bytes[AMP_PROBLEM_TEXT];
    const amp_problem_t  *p;

    p = amp_problem(reason);

    if (p == NULL) {
        p = amp_problem(AMP_INTERNAL);
    }

    detail = facts->detail.len ? facts->detail : amp_problem_text(p->detail);

    amp_buf_text(out, "{\"type\":\"" AMP_PROBLEM_URN);
    amp_buf_span(out, amp_problem_text(p->name));
    amp_buf_byte(out, '"');
    amp_problem_member("title", amp_problem_text(p->title), out);
    amp_buf_text(out, ",\"status\":");
    amp_json_number(p->status ? p->status : facts->status, out);
    amp_problem_member("detail", detail, out);
    amp_buf_text(out, ",\"subsystem\":\"gateway\"");
    amp_problem_member("time", facts->time, out);
    amp_problem_member("requestId", facts->request_id, out);
    amp_buf_text(out, ",\"causes\":[");
    amp_problem_cause(&facts->fault, detail, out);
    amp_buf_byte(out, ']');

    amp_buf_init(&remedy, bytes, sizeof(bytes));
    amp_problem_remedy(reason, facts->tenant, facts->operation, &remedy);
    amp_problem_member("remedy", amp_buf_written(&remedy), out);

    if (p->retryable && !facts->unknown) {
        amp_buf_text(out, ",\"retryable\":true");

    } else {
        amp_buf_text(out, ",\"retryable\":false");
    }

    amp_problem_member("retryAfter", facts->retry_after, out);
    amp_problem_context(facts, out);
    amp_buf_byte(out, '}');
}
