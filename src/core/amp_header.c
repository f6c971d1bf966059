#include "amp_header.h"
#include "amp_escape.h"


/* A denied name is shorter. */

#define AMP_HEADER_NAME_MAX  64

#define amp_header_name(text)                                                 \
    { sizeof(text) - 1, (const unsigned char *) (text) }

#define amp_header_is(name, text)                                             \
    ((name).len == sizeof(text) - 1                                           \
     && memcmp((name).data, text, sizeof(text) - 1) == 0)

#define amp_header_begins(name, text)                                         \
    ((name).len >= sizeof(text) - 1                                           \
     && memcmp((name).data, text, sizeof(text) - 1) == 0)


/*
 * Credentials, fields of one connection, and what proxies, load balancers and
 * platforms in front of the gateway say of the client and its request.  Names
 * that begin with "x" stand apart: most headers of a client do not.
 */

static const amp_span_t  amp_header_denied[] = {
    amp_header_name("authorization"),
    amp_header_name("cookie"),
    amp_header_name("cookie2"),
    amp_header_name("host"),
    amp_header_name("connection"),
    amp_header_name("keep-alive"),
    amp_header_name("te"),
    amp_header_name("traceparent"),
    amp_header_name("trailer"),
    amp_header_name("transfer-encoding"),
    amp_header_name("upgrade"),
    amp_header_name("http2-settings"),
    amp_header_name("expect"),
    amp_header_name("via"),
    amp_header_name("client-ip"),
    amp_header_name("true-client-ip"),
    amp_header_name("remote-addr"),
    amp_header_name("remote-user"),
    amp_header_name("incap-client-ip"),
    amp_header_name("cf-ray"),
    amp_header_name("cf-visitor"),
    amp_header_name("cf-worker"),
    amp_header_name("cf-ew-via"),
    amp_header_name("cf-access-jwt-assertion"),
    amp_header_name("cf-access-authenticated-user-email"),
    amp_header_name("disguised-host"),
    amp_header_name("was-default-hostname"),
    { 0, NULL }
};


static const amp_span_t  amp_header_denied_x[] = {
    amp_header_name("x-api-key"),
    amp_header_name("x-request-id"),
    amp_header_name("x-host"),
    amp_header_name("x-scheme"),
    amp_header_name("x-url-scheme"),
    amp_header_name("x-rewrite-url"),
    amp_header_name("x-override-url"),
    amp_header_name("x-backend-host"),
    amp_header_name("x-http-method-override"),
    amp_header_name("x-http-method"),
    amp_header_name("x-http-host-override"),
    amp_header_name("x-method-override"),
    amp_header_name("x-client-ip"),
    amp_header_name("x-client-cert"),
    amp_header_name("x-client-dn"),
    amp_header_name("x-client-verify"),
    amp_header_name("x-cluster-client-ip"),
    amp_header_name("x-real-ip"),
    amp_header_name("x-real-port"),
    amp_header_name("x-remote-addr"),
    amp_header_name("x-remote-ip"),
    amp_header_name("x-remote-user"),
    amp_header_name("x-originating-ip"),
    amp_header_name("x-proxyuser-ip"),
    amp_header_name("x-proxy-user-ip"),
    amp_header_name("x-user-ip"),
    amp_header_name("x-amzn-trace-id"),
    { 0, NULL }
};


static const amp_span_t  amp_header_denied_prefixes[] = {
    amp_header_name("proxy-"),
    amp_header_name("forwarded"),
    amp_header_name("cf-connecting-"),
    amp_header_name("cf-ip"),
    amp_header_name("cf-pseudo-"),
    amp_header_name("fastly-"),
    amp_header_name("fly-"),
    amp_header_name("akamai-"),
    amp_header_name("ssl-client-"),
    amp_header_name("wl-proxy-"),
    amp_header_name("z-forwarded"),
    { 0, NULL }
};


static const amp_span_t  amp_header_denied_x_prefixes[] = {
    amp_header_name("x-amp-"),
    amp_header_name("x-accel-"),
    amp_header_name("x-gateway-"),
    amp_header_name("x-forward"),
    amp_header_name("x-original-"),
    amp_header_name("x-envoy-"),
    amp_header_name("x-appengine-"),
    amp_header_name("x-azure-"),
    amp_header_name("x-arr-"),
    amp_header_name("x-waws-"),
    amp_header_name("x-ms-client-principal"),
    amp_header_name("x-ssl-"),
    amp_header_name("x-vercel-"),
    amp_header_name("x-nf-"),
    amp_header_name("x-sucuri-"),
    amp_header_name("x-akamai-"),
    amp_header_name("x-amzn-oidc-"),
    amp_header_name("x-amzn-mtls-"),
    amp_header_name("x-goog-iap-"),
    amp_header_name("x-goog-authenticated-user-"),
    { 0, NULL }
};


/* The x-amp-* headers that the proxy API declares. */

static const amp_span_t  amp_header_declared[] = {
    amp_header_name("x-amp-proxy-version"),
    amp_header_name("x-amp-installation-id"),
    amp_header_name("x-amp-integration-name"),
    amp_header_name("x-amp-group-ref"),
    amp_header_name("x-amp-rate-limiter-mode"),
    { 0, NULL }
};


/* Forwarded, and the same answer whatever they say; see also "if-" below. */

static const amp_span_t  amp_header_neutral[] = {
    amp_header_name("cache-control"),
    amp_header_name("pragma"),
    amp_header_name("range"),
    amp_header_name("traceparent"),
    amp_header_name("tracestate"),
    amp_header_name("baggage"),
    amp_header_name("b3"),
    amp_header_name("sentry-trace"),
    amp_header_name("uber-trace-id"),
    amp_header_name("x-correlation-id"),
    amp_header_name("x-cloud-trace-context"),
    { 0, NULL }
};


static const amp_span_t  amp_header_neutral_prefixes[] = {
    amp_header_name("if-"),
    amp_header_name("x-b3-"),
    amp_header_name("x-datadog-"),
    { 0, NULL }
};


static int
amp_header_allowed(const amp_header_policy_t *policy, amp_span_t name)
{
    switch (name.len ? name.data[0] : 0) {

    case 'a':
        return amp_header_begins(name, "accept")
               && !(policy->identity && amp_header_is(name, "accept-encoding"));

    case 'c':
        return amp_header_begins(name, "content-");

    case 't':
        return amp_header_is(name, "tracestate");

    case 'u':
        return amp_header_is(name, "user-agent");

    default:
        return 0;
    }
}


static int
amp_header_in(const amp_span_t *names, amp_span_t name)
{
    for ( /* void */ ; names->len; names++) {
        if (amp_span_eq(*names, name)) {
            return 1;
        }
    }

    return 0;
}


static int
amp_header_prefixed(const amp_span_t *prefixes, amp_span_t name)
{
    for ( /* void */ ; prefixes->len; prefixes++) {
        if (prefixes->len <= name.len
            && memcmp(prefixes->data, name.data, prefixes->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
amp_header_is_denied(amp_span_t name)
{
    if (name.len && name.data[0] == 'x') {
        return amp_header_in(amp_header_denied_x, name)
               || amp_header_prefixed(amp_header_denied_x_prefixes, name);
    }

    return amp_header_in(amp_header_denied, name)
           || amp_header_prefixed(amp_header_denied_prefixes, name);
}


int
amp_header_listed(amp_span_t list, amp_span_t name)
{
    amp_span_t  word;

    while ((word = amp_header_word(&list)).len) {
        if (amp_span_caseeq(word, name)) {
            return 1;
        }
    }

    return 0;
}


/*
 * AMP_HEADER_PLAIN: letters, digits and "-" only.  AMP_HEADER_FOLDED: a server
 * may read the name as another one.  AMP_HEADER_BAD: no token of RFC 9110.
 */

typedef enum {
    AMP_HEADER_PLAIN = 0,
    AMP_HEADER_FOLDED,
    AMP_HEADER_BAD
} amp_header_spelling_e;


static int
amp_header_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}


static amp_header_spelling_e
amp_header_spelling(amp_span_t name)
{
    size_t                 i;
    amp_header_spelling_e  spelling;

    spelling = AMP_HEADER_PLAIN;

    for (i = 0; i < name.len; i++) {
        if (amp_header_plain(name.data[i])) {
            continue;
        }

        if (!amp_char_is(name.data[i], AMP_TOKEN)) {
            return AMP_HEADER_BAD;
        }

        spelling = AMP_HEADER_FOLDED;
    }

    return spelling;
}


/* A name that is not plain: is it denied as a server may read it? */

static int
amp_header_folds_to_denied(amp_span_t name)
{
    size_t         i;
    unsigned char  folded[AMP_HEADER_NAME_MAX];

    /* longer than each name in the tables; a prefix is decided by its start */

    if (name.len > sizeof(folded)) {
        name.len = sizeof(folded);
    }

    for (i = 0; i < name.len; i++) {
        folded[i] = amp_header_plain(name.data[i]) ? name.data[i] : '-';
    }

    name.data = folded;

    return amp_header_in(amp_header_declared, name)
           || amp_header_is_denied(name);
}


int
amp_header_forwarded(const amp_header_policy_t *policy, amp_span_t name)
{
    amp_header_spelling_e  spelling;

    if ((!policy->proxy && !amp_header_allowed(policy, name))
        || (!policy->tracestate && amp_header_is(name, "tracestate")))
    {
        return 0;
    }

    spelling = amp_header_spelling(name);

    if (spelling == AMP_HEADER_BAD) {
        return 0;
    }

    if (!policy->proxy) {
        return spelling == AMP_HEADER_PLAIN;
    }

    if (spelling == AMP_HEADER_PLAIN) {

        if (amp_header_in(amp_header_declared, name)) {
            return 1;
        }

        if (amp_header_is_denied(name)) {
            return 0;
        }

    } else if (amp_header_folds_to_denied(name)) {
        return 0;
    }

    return !amp_header_listed(policy->connection, name);
}


int
amp_header_selects(amp_span_t name)
{
    return !amp_header_in(amp_header_neutral, name)
           && !amp_header_prefixed(amp_header_neutral_prefixes, name);
}


amp_span_t
amp_header_word(amp_span_t *rest)
{
    amp_span_t            word;
    const unsigned char  *p, *last;

    p = rest->data;
    last = p + rest->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    word.data = p;

    while (p < last && *p != ' ' && *p != '\t' && *p != ',') {
        p++;
    }

    word.len = p - word.data;
    *rest = amp_span_make(p, last - p);

    return word;
}


static unsigned char *
amp_header_text(unsigned char *out, const void *text, size_t len)
{
    memcpy(out, text, len);

    return out + len;
}


unsigned char *
amp_header_own(amp_api_e api, amp_span_t project, unsigned checked,
    unsigned versioned, unsigned char *out)
{
#define AMP_HEADER_LINE(p, line)                                              \
    amp_header_text(p, line "\r\n", sizeof(line "\r\n") - 1)

    if (checked) {
        out = AMP_HEADER_LINE(out, "Content-Type: application/json");
    }

    if (api == AMP_API_SEARCH) {
        return AMP_HEADER_LINE(out, "X-Amp-Request-Type: search");
    }

    if (api != AMP_API_PROXY) {
        return out;
    }

    out = amp_header_text(out, "X-Amp-Project-Id: ",
                          sizeof("X-Amp-Project-Id: ") - 1);
    out = amp_header_text(out, project.data, project.len);
    out = AMP_HEADER_LINE(out, "");

    return versioned ? out : AMP_HEADER_LINE(out, "X-Amp-Proxy-Version: 1");
}
