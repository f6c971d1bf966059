#include "amp_json.h"
#include "amp_problem.h"


#define AMP_PROBLEM_URN  "urn:ampersand-gateway:problem:"


static const amp_problem_t  amp_problems[AMP_REASON_COUNT] = {

    [AMP_BAD_REQUEST] = {
        "bad-request", 400, 0, "Malformed request",
        "The request is not valid HTTP.",
        "Correct the request line and headers before sending it again."
    },

    [AMP_BAD_PATH] = {
        "bad-path", 400, 0, "Malformed path",
        "The path holds a dot segment, an encoded slash or backslash, a"
        " control byte, an empty segment or a bad percent-encoding.",
        "Percent-encode each path parameter once, as a single segment."
    },

    [AMP_BAD_QUERY] = {
        "bad-query", 400, 0, "Malformed query",
        "A query parameter is malformed, stands twice, differs in case from"
        " the documented one, or there are too many of them.",
        "Send each query parameter once, spelt and encoded as documented."
    },

    [AMP_KEY_IN_QUERY] = {
        "key-in-query", 400, 0, "API key in the query",
        "Query parameters must not carry an API key: they end up in logs.",
        "Send the gateway token in X-Api-Key or Authorization: Bearer. If"
        " that was a live Ampersand key, rotate it."
    },

    [AMP_BAD_HEADER] = {
        "bad-header", 400, 0, "Malformed header",
        "An x-amp-* header is malformed or stands twice.",
        "Send each x-amp-* header once, with one plain value."
    },

    [AMP_BAD_BODY] = {
        "bad-body", 400, 0, "Malformed body",
        "The body is not one strict JSON object: UTF-8, no member twice,"
        " projectIdOrName and groupRef as strings in exactly this spelling.",
        "Send one JSON object with the members that the operation documents."
    },

    [AMP_NO_TOKEN] = {
        "no-token", 401, 0, "No gateway token",
        "The request carries no gateway token.",
        "Send your token (agw_...) in X-Api-Key or Authorization: Bearer. The"
        " platform team issues one: ampctl token issue <tenant>"
    },

    [AMP_BAD_TOKEN] = {
        "bad-token", 401, 0, "Malformed gateway token",
        "The credential is not a gateway token, or was mistyped: its prefix,"
        " length or checksum is wrong.",
        "Send the whole token as issued (agw_ and 36 characters), not an"
        " Ampersand key."
    },

    [AMP_TWO_CREDENTIALS] = {
        "two-credentials", 401, 0, "More than one credential",
        "A credential header stands twice, or X-Api-Key and Authorization"
        " carry different tokens.",
        "Send one token, in X-Api-Key or in Authorization: Bearer."
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
        "The identity that should name the tenant is missing or malformed.",
        "Present the credential that this gateway expects, such as a client"
        " certificate; operators: check the variable of ampersand_identity."
    },

    [AMP_OTHER_PROJECT] = {
        "other-project", 403, 0, "Another project",
        "The request names a project that is not the tenant's.",
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
        "Ask the platform team: ampctl grant set <tenant> --allow"
        " <operationId>"
    },

    [AMP_SECRETS_NOT_GRANTED] = {
        "secrets-not-granted", 403, 0, "Secrets not granted",
        "The answer would hold credentials, and the tenant is not granted the"
        " class secrets.",
        "Leave out the parameter that asks for credentials, or ask the"
        " platform team: ampctl grant set <tenant> --allow secrets"
    },

    [AMP_CHANGE_NOT_GRANTED] = {
        "change-not-granted", 403, 0, "Change not granted",
        "A query parameter makes this read change state, and the tenant is"
        " not granted the class write.",
        "Leave out the parameter, or ask the platform team: ampctl grant set"
        " <tenant> --allow write"
    },

    [AMP_OTHER_GROUP] = {
        "other-group", 403, 0, "Another group",
        "The request names a group that is not one of the tenant's.",
        "Use a groupRef that the tenant is bound to (platform team: ampctl"
        " tenant show <tenant>)."
    },

    [AMP_NO_GROUP] = {
        "no-group", 403, 0, "No group named",
        "The tenant is bound to groups, and the request names none.",
        "Name one of the tenant's groups as groupRef, or use an operation"
        " that takes one (platform team: ampctl tenant show <tenant>)."
    },

    [AMP_NO_OPERATION] = {
        "unknown-operation", 404, 0, "No such operation",
        "No operation of this API has this path.",
        "Check the path against Ampersand's reference, or list what the"
        " gateway serves: ampctl operations"
    },

    [AMP_NO_METHOD] = {
        "method-not-allowed", 405, 0, "Method not allowed",
        "The path exists, but not with this method.",
        "Use one of the methods in the header Allow."
    },

    [AMP_TOO_LARGE] = {
        "body-too-large", 413, 0, "Body too large",
        "The body is larger than the gateway takes for this request.",
        "Send less in one request; operators: see client_max_body_size and"
        " client_body_buffer_size."
    },

    [AMP_URI_TOO_LONG] = {
        "uri-too-long", 414, 0, "Target too long",
        "The path and query are longer than the gateway takes.",
        "Shorten the query, or split the request."
    },

    [AMP_BAD_ENCODING] = {
        "body-encoded", 415, 0, "Encoded body",
        "The body has a Content-Encoding, and the gateway has to read it.",
        "Send the body as plain JSON, without Content-Encoding."
    },

    [AMP_PRECONDITION] = {
        "precondition-failed", 412, 0, "Precondition failed",
        "The cached answer does not meet If-Match or If-Unmodified-Since.",
        "Get the resource again, and send the condition that fits it."
    },

    [AMP_RANGE] = {
        "range-not-satisfiable", 416, 0, "Range not satisfiable",
        "The cached answer does not have this range.",
        "Send the request without Range."
    },

    [AMP_NOT_CACHED] = {
        "not-cached", 504, 0, "Not in the cache",
        "The request says only-if-cached, and no usable answer is stored.",
        "Send the request without Cache-Control: only-if-cached."
    },

    [AMP_RATE_LIMITED] = {
        "rate-limited", 429, 1, "Rate limit reached",
        "The tenant has used up its rate.",
        "Wait as long as Retry-After says; for more, ask the platform team:"
        " ampctl limit set <tenant> --rate <rate> --burst <burst>"
    },

    [AMP_TOO_MANY] = {
        "too-many-at-once", 429, 1, "Too many requests at once",
        "The tenant has as many requests in flight as it may have.",
        "Wait for answers before sending more; for more, ask the platform"
        " team: ampctl limit set <tenant> --concurrency <number>"
    },

    [AMP_COOLING_DOWN] = {
        "cooling-down", 429, 1, "Ampersand's rate limit reached",
        "Ampersand has answered 429 to this tenant, and the gateway asks it"
        " nothing more until Retry-After.",
        "Wait as long as Retry-After says, and send fewer requests at once."
    },

    [AMP_STORE_DOWN] = {
        "store-down", 503, 1, "Tenant cannot be looked up",
        "The gateway's store is out of reach, and the tenant is not known"
        " here.",
        "Try again after Retry-After; operators: ampctl doctor"
    },

    [AMP_BUSY] = {
        "busy", 503, 1, "Too many unknown tokens",
        "The token is not known here, and too many that are not are being"
        " asked for at once.",
        "Try again after Retry-After."
    },

    [AMP_BAD_RECORD] = {
        "bad-record", 503, 1, "Tenant record unreadable",
        "The record of this token or tenant cannot be read.",
        "Tell the platform team: ampctl doctor finds the record at fault."
    },

    [AMP_NO_KEY] = {
        "no-key", 503, 1, "No Ampersand key",
        "The tenant has no Ampersand key that this gateway can use.",
        "Ask the platform team: ampctl key set <tenant> --key-file <file>, or"
        " ampctl doctor if the master key has changed."
    },

    [AMP_UPSTREAM_FAILED] = {
        "upstream-failed", 502, 1, "Ampersand out of reach",
        "The gateway got no valid answer from Ampersand.",
        "Try again later. A request that writes may have been done: read"
        " before you repeat it."
    },

    [AMP_UPSTREAM_TIMEOUT] = {
        "upstream-timeout", 504, 1, "Ampersand too slow",
        "Ampersand did not answer in time.",
        "Try again later. A request that writes may have been done: read"
        " before you repeat it."
    },

    [AMP_UNAVAILABLE] = {
        "unavailable", 503, 1, "Gateway not available",
        "The gateway cannot serve this request now.",
        "Try again after a short while."
    },

    [AMP_REQUEST_TIMEOUT] = {
        "request-timeout", 408, 1, "Request too slow",
        "The request did not arrive in time.",
        "Send the request again, whole."
    },

    [AMP_HEADERS_TOO_LARGE] = {
        "headers-too-large", 431, 0, "Headers too large",
        "The request headers are larger than the gateway takes.",
        "Send fewer or shorter headers; cookies are not needed here."
    },

    [AMP_FORBIDDEN] = {
        "forbidden", 403, 0, "Forbidden",
        "The gateway's own access rules refuse this client.",
        "Ask the platform team to let your network or client in."
    },

    [AMP_INTERNAL] = {
        "internal", 500, 0, "Internal error",
        "The gateway failed.",
        "Give the platform team the requestId. A request that writes may have"
        " been done: read before you repeat it."
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

    case 429:
        return AMP_RATE_LIMITED;

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
    amp_span_t            detail;
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
    amp_json_number(p->status, out);
    amp_problem_member("detail", detail, out);
    amp_buf_text(out, ",\"subsystem\":\"gateway\"");
    amp_problem_member("time", facts->time, out);
    amp_problem_member("requestId", facts->request_id, out);
    amp_buf_text(out, ",\"causes\":[");
    amp_json_string(amp_problem_text(p->name), out);
    amp_buf_byte(out, ']');
    amp_problem_member("remedy", amp_problem_text(p->remedy), out);

    if (p->retryable) {
        amp_buf_text(out, ",\"retryable\":true");

    } else {
        amp_buf_text(out, ",\"retryable\":false");
    }

    amp_problem_member("retryAfter", facts->retry_after, out);
    amp_problem_context(facts, out);
    amp_buf_byte(out, '}');
}
