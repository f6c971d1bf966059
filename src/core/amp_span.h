/*
 * Spans and bounded buffers: the core takes bytes as spans and writes them to
 * buffers.  A span does not own its bytes; they need no NUL behind them.
 */

#ifndef AMP_SPAN_H
#define AMP_SPAN_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    size_t                len;
    const unsigned char  *data;
} amp_span_t;


/*
 * A buffer that the caller owns.  Writers append at pos, and never write beyond
 * end.  A write that does not fit sets overflow; from then on nothing is
 * written.  The caller checks overflow once, at the end.
 */

typedef struct {
    unsigned char  *start;
    unsigned char  *pos;
    unsigned char  *end;
    int             overflow;
} amp_buf_t;


#define amp_span(text)  ((amp_span_t) { sizeof(text) - 1,                     \
                                        (const unsigned char *) (text) })
#define amp_span_null   ((amp_span_t) { 0, NULL })


static inline amp_span_t
amp_span_make(const void *data, size_t len)
{
    return (amp_span_t) { len, data };
}


static inline int
amp_span_eq(amp_span_t a, amp_span_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


/* Lower case of ASCII letters; other bytes are unchanged. */

static inline unsigned char
amp_lower(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') ? (unsigned char) (c | 0x20) : c;
}


/* 1 when the spans are equal without regard to the case of ASCII letters. */

static inline int
amp_span_caseeq(amp_span_t a, amp_span_t b)
{
    size_t  i;

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        if (amp_lower(a.data[i]) != amp_lower(b.data[i])) {
            return 0;
        }
    }

    return 1;
}


static inline void
amp_buf_init(amp_buf_t *b, void *data, size_t size)
{
    b->start = data;
    b->pos = data;
    b->end = b->start + size;
    b->overflow = 0;
}


static inline void
amp_buf_put(amp_buf_t *b, const void *data, size_t len)
{
    if (b->overflow || (size_t) (b->end - b->pos) < len) {
        b->overflow = 1;
        return;
    }

    if (len != 0) {
        memcpy(b->pos, data, len);
        b->pos += len;
    }
}


static inline void
amp_buf_span(amp_buf_t *b, amp_span_t s)
{
    amp_buf_put(b, s.data, s.len);
}


static inline void
amp_buf_byte(amp_buf_t *b, unsigned char c)
{
    amp_buf_put(b, &c, 1);
}


#define amp_buf_text(b, text)  amp_buf_put(b, "" text, sizeof(text) - 1)


/* The bytes written so far; valid as long as the buffer. */

static inline amp_span_t
amp_buf_written(const amp_buf_t *b)
{
    return (amp_span_t) { (size_t) (b->pos - b->start), b->start };
}


#endif /* AMP_SPAN_H */
