#include "amp_escape.h"


#define ALNUM  (AMP_UNRESERVED | AMP_PCHAR | AMP_PLAIN | AMP_NORMAL | AMP_TOKEN)
#define DELIM  (AMP_PCHAR | AMP_PLAIN | AMP_NORMAL)


const unsigned char  amp_chars[256] = {
    [0x00 ... 0x1f] = AMP_CONTROL,
    [0x7f] = AMP_CONTROL,
    ['0' ... '9'] = ALNUM | AMP_HEX,
    ['A' ... 'F'] = ALNUM | AMP_HEX,
    ['G' ... 'Z'] = ALNUM,
    ['a' ... 'f'] = ALNUM | AMP_HEX,
    ['g' ... 'z'] = ALNUM,
    ['-'] = ALNUM,
    ['.'] = ALNUM,
    ['_'] = ALNUM,
    ['~'] = ALNUM,
    ['!'] = DELIM | AMP_TOKEN,
    ['$'] = DELIM | AMP_TOKEN,
    ['&'] = DELIM | AMP_TOKEN,
    ['\''] = DELIM | AMP_TOKEN,
    ['('] = DELIM,
    [')'] = DELIM,
    ['*'] = DELIM | AMP_TOKEN,
    ['+'] = DELIM | AMP_TOKEN,
    [','] = DELIM,
    [';'] = DELIM,
    ['='] = DELIM,
    ['@'] = DELIM,
    [':'] = AMP_PCHAR | AMP_NORMAL,
    ['/'] = AMP_NORMAL,
    ['?'] = AMP_NORMAL,
    ['%'] = AMP_NORMAL | AMP_TOKEN,
    ['#'] = AMP_TOKEN,
    ['^'] = AMP_TOKEN,
    ['`'] = AMP_TOKEN,
    ['|'] = AMP_TOKEN
};


static const unsigned char  amp_hex_upper[] = "0123456789ABCDEF";


static void amp_escape_except(amp_span_t s, unsigned keep, amp_buf_t *out);


unsigned char *
amp_decimal(unsigned char *out, uint64_t n)
{
    uint64_t        limit;
    unsigned char  *p, *last;

    /* 10^20 does not fit into 64 bits: 20 digits are the most */

    last = out + 1;

    for (limit = 10; n >= limit && last - out < 20; limit *= 10) {
        last++;
    }

    for (p = last; p > out; n /= 10) {
        *--p = (unsigned char) ('0' + n % 10);
    }

    return last;
}


void
amp_hex(const unsigned char *data, size_t len, unsigned char *out)
{
    static const unsigned char  digits[] = "0123456789abcdef";

    size_t  i;

    for (i = 0; i < len; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
}


void
amp_escape(amp_span_t s, amp_buf_t *out)
{
    amp_escape_except(s, AMP_UNRESERVED, out);
}


void
amp_escape_normalised(amp_span_t s, amp_buf_t *out)
{
    amp_escape_except(s, AMP_NORMAL, out);
}


unsigned char *
amp_normalise(unsigned char *dst, unsigned char c)
{
    if (amp_char_is(c, AMP_UNRESERVED)) {
        *dst++ = c;
        return dst;
    }

    *dst++ = '%';
    *dst++ = amp_hex_upper[c >> 4];
    *dst++ = amp_hex_upper[c & 0x0f];

    return dst;
}


/* Appends s; all bytes but those of the classes "keep" become %XX. */

static void
amp_escape_except(amp_span_t s, unsigned keep, amp_buf_t *out)
{
    unsigned char         escape[3];
    const unsigned char  *p, *run, *last;

    if (s.len == 0) {
        return;
    }

    p = s.data;
    last = p + s.len;

    do {
        run = p;

        while (p < last && amp_char_is(*p, keep)) {
            p++;
        }

        amp_buf_put(out, run, (size_t) (p - run));

        if (p < last) {
            escape[0] = '%';
            escape[1] = amp_hex_upper[*p >> 4];
            escape[2] = amp_hex_upper[*p & 0x0f];
            amp_buf_put(out, escape, 3);
            p++;
        }

    } while (p < last);
}


int
amp_dot_segment(amp_span_t segment)
{
    size_t  n;

    for (n = 0; n < segment.len && segment.data[n] == '.'; n++) { /* void */ }

    return (n == 1 || n == 2) && (n == segment.len || segment.data[n] == ';');
}


int
amp_overlong(amp_span_t text)
{
    size_t                i;
    const unsigned char  *p;

    for (i = 0; i + 1 < text.len; i++) {
        p = text.data + i;

        if ((p[1] & 0xc0) != 0x80) {
            continue;
        }

        if ((p[0] & 0xfe) == 0xc0
            || (p[0] == 0xe0 && p[1] < 0xa0)
            || (p[0] == 0xf0 && p[1] < 0x90)
            || (p[0] == 0xf8 && p[1] < 0x88)
            || (p[0] == 0xfc && p[1] < 0x84))
        {
            return 1;
        }
    }

    return 0;
}
