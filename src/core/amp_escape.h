/*
 * Bytes of a URI: the character classes of RFC 3986, percent-decoding and
 * percent-encoding; bytes as hex, numbers as digits.
 */

#ifndef AMP_ESCAPE_H
#define AMP_ESCAPE_H


#include "amp_span.h"


#define AMP_UNRESERVED  0x01    /* ALPHA DIGIT - . _ ~                        */
#define AMP_PCHAR       0x02    /* unreserved, sub-delims, ":" and "@"        */
#define AMP_NORMAL      0x04    /* what a query may hold: pchar / ? %         */
#define AMP_CONTROL     0x08    /* 0x00 .. 0x1f and 0x7f                      */
#define AMP_HEX         0x10
#define AMP_PLAIN       0x20    /* pchar but ":"                              */

extern const unsigned char  amp_chars[256];

#define amp_char_is(c, classes)  (amp_chars[(unsigned char) (c)] & (classes))


/*
 * The byte that the two hex digits at p stand for, or -1 when the text ends
 * before or they are none.
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


/* How many unreserved bytes there are from p on. */

static inline size_t
amp_unreserved(const unsigned char *p, const unsigned char *last)
{
    const unsigned char  *start = p;

    while (p < last && amp_char_is(*p, AMP_UNRESERVED)) {
        p++;
    }

    return (size_t) (p - start);
}


/* Decimal digits, at most 20.  Answers the end of what it wrote. */

unsigned char *amp_decimal(unsigned char *out, uint64_t n);

/* 2 * len lower-case hex digits. */

void amp_hex(const unsigned char *data, size_t len, unsigned char *out);

/* Appends s with everything but unreserved as %XX, upper case. */

void amp_escape(amp_span_t s, amp_buf_t *out);

/*
 * Appends s, whose %XX stay as they are, with everything that a query may not
 * hold as %XX, upper case.
 */

void amp_escape_normalised(amp_span_t s, amp_buf_t *out);

/*
 * Writes the normal form of %XX for the byte c (RFC 3986, 6.2.2): c itself
 * when it is unreserved, else "%XX" in upper case.  Answers the end of what it
 * wrote.
 */

unsigned char *amp_normalise(unsigned char *dst, unsigned char c);

/*
 * Is the segment "." or ".."?  Also with a path parameter ("..;x"), which some
 * servers cut off.
 */

int amp_dot_segment(amp_span_t segment);

/*
 * Does the text hold UTF-8 with leading zero bits, which lenient decoders take
 * for an ASCII byte?  Bytes that are no UTF-8 at all are only data.
 */

int amp_overlong(amp_span_t text);


#endif /* AMP_ESCAPE_H */
