/*
 * Text and bytes: the character classes of URIs (RFC 3986) and of names in
 * HTTP, percent-decoding and percent-encoding, hex digits and decimal digits.
 */

#ifndef AMP_ESCAPE_H
#define AMP_ESCAPE_H


#include "amp_span.h"


#define AMP_UNRESERVED  0x01    /* ALPHA DIGIT - . _ ~                        */
#define AMP_PCHAR       0x02    /* unreserved, sub-delims, ":" and "@"        */
#define AMP_NORMAL      0x04    /* pchar "/" "?" "%": a normalised query      */
#define AMP_CONTROL     0x08    /* 0x00 .. 0x1f and 0x7f                      */
#define AMP_HEX         0x10
#define AMP_PLAIN       0x20    /* pchar without ":"                          */
#define AMP_TOKEN       0x40    /* tchar of RFC 9110, section 5.6.2           */

extern const unsigned char  amp_chars[256];

#define amp_char_is(c, classes)  (amp_chars[(unsigned char) (c)] & (classes))


/*
 * The value of the two hex digits at p, or -1 when there are not two digits
 * before last.
 */

static inline int
amp_unhex(const unsigned char *p, const unsigned char *last)
{
    if (last - p < 2 || !amp_char_is(p[0], AMP_HEX)
        || !amp_char_is(p[1], AMP_HEX))
    {
        return -1;
    }

    return ((p[0] & 0x0f) + (p[0] >> 6) * 9) << 4
           | ((p[1] & 0x0f) + (p[1] >> 6) * 9);
}


/*
 * Bytes that a URI does not contain (RFC 3986, section 2), but that clients
 * send as they are: curl all of them, browsers "[", "]", "^" and "|".  They
 * mean nothing else, so they stand for themselves.
 */

static inline int
amp_unescaped(unsigned char c)
{
    return c != 0 && strchr("\"<>[]^`{|}", c) != NULL;
}


/*
 * A server that decodes a path twice would take "%252f" for a slash.  Of a byte
 * that does not structure a path the second decoding makes another value of the
 * same parameter at most.
 */

static inline int
amp_structural(int c)
{
    return c >= 0x80 || amp_char_is(c, AMP_CONTROL)
           || strchr("/\\.%:;?#", c) != NULL;
}


/* The number of unreserved bytes at p, before any other byte and last. */

static inline size_t
amp_unreserved(const unsigned char *p, const unsigned char *last)
{
    const unsigned char  *start = p;

    while (p < last && amp_char_is(*p, AMP_UNRESERVED)) {
        p++;
    }

    return (size_t) (p - start);
}


/* Writes at most 20 decimal digits and returns their end. */

unsigned char *amp_decimal(unsigned char *out, uint64_t n);

/* Writes 2 * len lower-case hex digits. */

void amp_hex(const unsigned char *data, size_t len, unsigned char *out);

/* Appends s; all but unreserved bytes become %XX in upper case. */

void amp_escape(amp_span_t s, amp_buf_t *out);

/*
 * Appends s, which amp_normalise() has written; its %XX stay as they are, and
 * bytes that a query may not contain become %XX in upper case.
 */

void amp_escape_normalised(amp_span_t s, amp_buf_t *out);

/*
 * Writes the normal form (RFC 3986, 6.2.2) of an encoded byte c: c itself when
 * it is unreserved, else "%XX" in upper case.  Returns its end.
 */

unsigned char *amp_normalise(unsigned char *dst, unsigned char c);

/*
 * 1 when the decoded segment is "." or "..", also before a path parameter
 * ("..;x"), which some servers remove.
 */

int amp_dot_segment(amp_span_t segment);

/*
 * 1 when the text contains overlong UTF-8, which lenient decoders take for an
 * ASCII byte.  Other invalid UTF-8 is harmless.
 */

int amp_overlong(amp_span_t text);


#endif /* AMP_ESCAPE_H */
