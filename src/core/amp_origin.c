#include "amp_origin.h"


#define AMP_ORIGIN_HOST_MAX  255


static int
amp_origin_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}


/* The length of "[...]" at the start of the text; 0: it is no IPv6 address. */

static size_t
amp_origin_address(amp_span_t s)
{
    size_t         i;
    unsigned char  c;

    for (i = 1; i < s.len; i++) {
        c = s.data[i];

        if (c == ']') {
            return i > 2 ? i + 1 : 0;
        }

        if (c != ':' && c != '.' && !amp_origin_digit(c)
            && (c < 'a' || c > 'f'))
        {
            return 0;
        }
    }

    return 0;
}


/* The length of the host at the start of the text; 0: there is none. */

static size_t
amp_origin_host(amp_span_t s)
{
    size_t         i;
    unsigned char  c;

    if (s.len != 0 && s.data[0] == '[') {
        return amp_origin_address(s);
    }

    for (i = 0; i < s.len; i++) {
        c = s.data[i];

        if (c != '.' && c != '-' && c != '_' && !amp_origin_digit(c)
            && (c < 'a' || c > 'z'))
        {
            break;
        }
    }

    return i > AMP_ORIGIN_HOST_MAX ? 0 : i;
}


/* What follows the host, ":" and a port. */

static const char *
amp_origin_port(amp_span_t s, unsigned standard)
{
    size_t    i;
    unsigned  port;

    port = 0;

    for (i = 1; i < s.len && i < 6; i++) {
        if (!amp_origin_digit(s.data[i])) {
            break;
        }

        port = port * 10 + (s.data[i] - '0');
    }

    if (s.data[0] != ':' || i < s.len || s.len < 2 || s.data[1] == '0'
        || port > 65535)
    {
        return "write only the scheme, the host and, after a colon, the port,"
               " for example https://app.example.com:8443";
    }

    return port == standard ? "leave out the port: it is the scheme's own, and"
                              " browsers do not send it"
                            : NULL;
}


const char *
amp_origin_fault(amp_span_t origin)
{
    size_t             i, n;
    unsigned           standard;
    amp_span_t         rest;
    const amp_span_t   https = amp_span("https://"), http = amp_span("http://");

    for (i = 0; i < origin.len; i++) {
        if (origin.data[i] == '*') {
            return "write each origin: with \"*\" any page could use a token"
                   " that it got hold of";
        }

        if (origin.data[i] >= 'A' && origin.data[i] <= 'Z') {
            return "write it in lower case, as browsers send it";
        }

        if (origin.data[i] >= 0x80) {
            return "write the host in ASCII (xn--...), as browsers send it";
        }
    }

    if (origin.len > https.len
        && memcmp(origin.data, https.data, https.len) == 0)
    {
        n = https.len;
        standard = 443;

    } else if (origin.len > http.len
               && memcmp(origin.data, http.data, http.len) == 0)
    {
        n = http.len;
        standard = 80;

    } else {
        return "write the scheme and the host, for example"
               " https://app.example.com";
    }

    rest = amp_span_make(origin.data + n, origin.len - n);
    n = amp_origin_host(rest);

    if (n == 0) {
        return "write the host behind the scheme, for example"
               " https://app.example.com";
    }

    if (n == rest.len) {
        return NULL;
    }

    if (rest.data[n] == '/') {
        return "leave out what is behind the host and port: an origin has no"
               " path, and no \"/\" at its end";
    }

    return amp_origin_port(amp_span_make(rest.data + n, rest.len - n),
                           standard);
}
