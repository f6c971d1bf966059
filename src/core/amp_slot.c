#define _GNU_SOURCE                     /* memrchr() */

#include "amp_redis_host.h"
#include "amp_slot.h"


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


static int
amp_redirect_slot(amp_span_t text, unsigned *slot)
{
    size_t  i;

    *slot = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i == 5) {
            return -1;
        }

        *slot = *slot * 10 + (text.data[i] - '0');
    }

    return (text.len && *slot < AMP_SLOTS) ? 0 : -1;
}


int
amp_redirect_parse(amp_span_t text, const amp_redis_host_t *answered,
    amp_redirect_t *redirect)
{
    amp_span_t            slot, host, port;
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

    if (p == NULL) {
        return -1;
    }

    slot = amp_span_make(text.data, p - text.data);
    text = amp_span_make(p + 1, last - (p + 1));

    if (amp_redirect_slot(slot, &redirect->slot) != 0) {
        return -1;
    }

    p = text.len ? memrchr(text.data, ':', text.len) : NULL;

    if (p == NULL) {
        return -1;
    }

    host = amp_span_make(text.data, p - text.data);
    port = amp_span_make(p + 1, last - (p + 1));

    if (host.len == 0) {
        host = amp_span_make(answered->host, strlen(answered->host));
    }

    redirect->unknown = amp_redis_host_unknown(host);

    return amp_redis_host_parse(&redirect->host, host, port);
}
