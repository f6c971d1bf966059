#include "amp_proxy.h"
#include "amp_escape.h"


#define AMP_PROXY_PREFIX      "/proxy/"
#define AMP_PROXY_PREFIX_LEN  (sizeof(AMP_PROXY_PREFIX) - 1)
#define AMP_PROXY_DEPTH       4             /* levels of encoding allowed     */


static int amp_proxy_token(amp_span_t method);
static int amp_proxy_safe(amp_span_t path);


amp_reason_e
amp_proxy_match(amp_span_t method, amp_span_t raw, unsigned char *scratch,
    amp_match_t *m)
{
    int                   c;
    unsigned char        *dst;
    const unsigned char  *p, *last;

    if (raw.len == 0 || raw.len > AMP_PATH_MAX || raw.data[0] != '/') {
        return AMP_BAD_PATH;
    }

    p = raw.data;
    last = p + raw.len;
    dst = scratch;

    while (p < last) {
        if (*p == '/' || amp_char_is(*p, AMP_PCHAR)) {
            *dst++ = *p++;
            continue;
        }

        if (amp_unescaped(*p)) {
            dst = amp_normalise(dst, *p++);
            continue;
        }

        c = (*p == '%') ? amp_unhex(p + 1, last) : -1;

        if (c < 0 || c == '\\' || amp_char_is(c, AMP_CONTROL)) {
            return AMP_BAD_PATH;
        }

        dst = amp_normalise(dst, (unsigned char) c);
        p += 3;
    }

    m->rest = amp_span_make(scratch, (size_t) (dst - scratch));

    if (m->rest.len > AMP_PATH_MAX || !amp_proxy_safe(m->rest)) {
        return AMP_BAD_PATH;
    }

    if (m->rest.len < AMP_PROXY_PREFIX_LEN
        || memcmp(m->rest.data, AMP_PROXY_PREFIX, AMP_PROXY_PREFIX_LEN) != 0)
    {
        return AMP_NO_OPERATION;
    }

    m->rest.data += AMP_PROXY_PREFIX_LEN;
    m->rest.len -= AMP_PROXY_PREFIX_LEN;

    if (!amp_proxy_token(method)) {
        m->allow = (1u << AMP_METHOD_ANY) - 1;
        return AMP_NO_METHOD;
    }

    m->head = (method.len == 4 && memcmp(method.data, "HEAD", 4) == 0);

    return AMP_OK;
}


/* 1 when the method is a token (RFC 9110, 5.6.2). */

static int
amp_proxy_token(amp_span_t method)
{
    size_t  i;

    for (i = 0; i < method.len; i++) {
        if (!amp_char_is(method.data[i], AMP_TOKEN)) {
            return 0;
        }
    }

    return method.len != 0;
}


/*
 * 1 when the path is safe.  A provider may decode it more than once, and before
 * it splits it into segments: the path must have no dot segment, backslash,
 * control byte or overlong UTF-8 after any number of decodings.
 */

static int
amp_proxy_safe(amp_span_t path)
{
    int             c;
    size_t          i, n, start, len;
    unsigned        depth;
    amp_span_t      text;
    unsigned char   buf[AMP_PATH_MAX];

    memcpy(buf, path.data, path.len);
    len = path.len;

    for (depth = 0; depth <= AMP_PROXY_DEPTH; depth++) {

        for (i = 0, start = 0; i <= len; i++) {
            if (i == len || buf[i] == '/') {
                text = amp_span_make(buf + start, i - start);

                if (amp_dot_segment(text) || amp_overlong(text)) {
                    return 0;
                }

                start = i + 1;

            } else if (buf[i] == '\\' || amp_char_is(buf[i], AMP_CONTROL)) {
                return 0;
            }
        }

        for (i = 0, n = 0; i < len; n++) {
            c = (buf[i] == '%') ? amp_unhex(buf + i + 1, buf + len) : -1;
            buf[n] = (c < 0) ? buf[i] : (unsigned char) c;
            i += (c < 0) ? 1 : 3;
        }

        if (n == len) {
            return 1;
        }

        len = n;
    }

    return 0;
}
