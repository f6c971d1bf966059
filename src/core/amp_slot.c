#define _GNU_SOURCE                     /* memrchr() */

#include "amp_slot.h"


static int
amp_slot_number(amp_span_t text, unsigned max, unsigned *n)
{
    size_t  i;

    *n = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i == 5) {
            return -1;
        }

        *n = *n * 10 + (text.data[i] - '0');
    }

    return (text.len && *n <= max) ? 0 : -1;
}


unsigned
amp_slot(amp_span_t key)
{
    size_t                i;
    unsigned              crc, bit;
    const unsigned char  *open, *close;

    open = key.len ? memchr(key.data, '{', key.len) : NULL;

    if (open) {
        close = memchr(open, '}', key.data + key.len - open);

        if (close && close > open + 1) {
            key = amp_span_make(open + 1, close - open - 1);
        }
    }

    /* a few keys for each look-up: not worth a table of 512 bytes */

    crc = 0;

    for (i = 0; i < key.len; i++) {
        crc ^= (unsigned) key.data[i] << 8;

        for (bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
        }
    }

    return crc % AMP_SLOTS;
}


int
amp_redirect_parse(amp_span_t text, amp_redirect_t *redirect)
{
    size_t                i, len;
    const unsigned char  *p, *last;

    memset(redirect, 0, sizeof(*redirect));

    if (text.len > 6 && memcmp(text.data, "MOVED ", 6) == 0) {
        text = amp_span_make(text.data + 6, text.len - 6);

    } else if (text.len > 4 && memcmp(text.data, "ASK ", 4) == 0) {
        text = amp_span_make(text.data + 4, text.len - 4);
        redirect->ask = 1;

    } else {
        return -1;
    }

    last = text.data + text.len;
    p = memchr(text.data, ' ', text.len);

    if (p == NULL
        || amp_slot_number(amp_span_make(text.data, p - text.data),
                           AMP_SLOTS - 1, &redirect->slot)
           != 0)
    {
        return -1;
    }

    text = amp_span_make(p + 1, last - (p + 1));
    p = text.len ? memrchr(text.data, ':', text.len) : NULL;

    if (p == NULL
        || amp_slot_number(amp_span_make(p + 1, last - (p + 1)), 65535,
                           &redirect->host.port)
           != 0
        || redirect->host.port == 0)
    {
        return -1;
    }

    len = p - text.data;

    if (len >= sizeof(redirect->host.host)) {
        return -1;
    }

    for (i = 0; i < len; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f) {
            return -1;
        }
    }

    memcpy(redirect->host.host, text.data, len);

    return 0;
}
