#include "amp_header.h"


#define amp_header_name(text)                                                 \
    { sizeof(text) - 1, (const unsigned char *) (text) }

#define amp_header_is(name, text)                                             \
    ((name).len == sizeof(text) - 1                                           \
     && memcmp((name).data, text, sizeof(text) - 1) == 0)

#define amp_header_begins(name, text)                                         \
    ((name).len >= sizeof(text) - 1                                           \
     && memcmp((name).data, text, sizeof(text) - 1) == 0)


static const amp_span_t  amp_header_denied[] = {
    amp_header_name("x-api-key"),
    amp_header_name("authorization"),
    amp_header_name("cookie"),
    amp_header_name("cookie2"),
    amp_header_name("host"),
    amp_header_name("connection"),
    amp_header_name("keep-alive"),
    amp_header_name("te"),
    amp_header_name("trailer"),
    amp_header_name("transfer-encoding"),
    amp_header_name("upgrade"),
    amp_header_name("http2-settings"),
    amp_header_name("expect"),
    amp_header_name("forwarded"),
    amp_header_name("via"),
    amp_header_name("x-real-ip"),
    amp_header_name("x-client-ip"),
    amp_header_name("x-cluster-client-ip"),
    amp_header_name("x-original-url"),
    amp_header_name("x-rewrite-url"),
    amp_header_name("x-original-host"),
    amp_header_name("x-host"),
    amp_header_name("x-http-method-override"),
    amp_header_name("x-http-method"),
    amp_header_name("x-method-override"),
    amp_header_name("true-client-ip"),
    amp_header_name("cf-connecting-ip"),
    amp_header_name("x-request-id"),
    { 0, NULL }
};


static const amp_span_t  amp_header_denied_prefixes[] = {
    amp_header_name("x-amp-"),
    amp_header_name("x-accel-"),
    amp_header_name("x-forwarded"),
    amp_header_name("x-gateway-"),
    amp_header_name("proxy-"),
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
        return amp_header_is(name, "traceparent")
               || amp_header_is(name, "tracestate");

    case 'u':
        return amp_header_is(name, "user-agent");

    default:
        return 0;
    }
}


static int
amp_header_listed(const amp_span_t *names, amp_span_t name)
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
amp_header_hop_by_hop(amp_span_t connection, amp_span_t name)
{
    amp_span_t  word;

    while ((word = amp_header_word(&connection)).len) {
        if (amp_span_caseeq(word, name)) {
            return 1;
        }
    }

    return 0;
}


int
amp_header_forwarded(const amp_header_policy_t *policy, amp_span_t name)
{
    if (!policy->proxy) {
        return amp_header_allowed(policy, name);
    }

    if (amp_header_listed(amp_header_declared, name)) {
        return 1;
    }

    return !amp_header_listed(amp_header_denied, name)
           && !amp_header_prefixed(amp_header_denied_prefixes, name)
           && !amp_header_hop_by_hop(policy->connection, name);
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
