#include "amp_etag.h"
#include "amp_escape.h"


#define AMP_ETAG_C1  0x87c37b91114253d5
#define AMP_ETAG_C2  0x4cf5ad432745937f

#define amp_etag_rotl(x, n)  ((x) << (n) | (x) >> (64 - (n)))


/* The same number, and so the same tag, on all machines. */

static uint64_t
amp_etag_word(const unsigned char *p)
{
    return (uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16
           | (uint64_t) p[3] << 24 | (uint64_t) p[4] << 32
           | (uint64_t) p[5] << 40 | (uint64_t) p[6] << 48
           | (uint64_t) p[7] << 56;
}


static uint64_t
amp_etag_first(const unsigned char *block)
{
    uint64_t  word;

    word = amp_etag_word(block) * AMP_ETAG_C1;

    return amp_etag_rotl(word, 31) * AMP_ETAG_C2;
}


static uint64_t
amp_etag_second(const unsigned char *block)
{
    uint64_t  word;

    word = amp_etag_word(block + 8) * AMP_ETAG_C2;

    return amp_etag_rotl(word, 33) * AMP_ETAG_C1;
}


static void
amp_etag_block(amp_etag_t *etag, const unsigned char *block)
{
    uint64_t  a, b;

    a = etag->a ^ amp_etag_first(block);
    a = (amp_etag_rotl(a, 27) + etag->b) * 5 + 0x52dce729;

    b = etag->b ^ amp_etag_second(block);
    b = (amp_etag_rotl(b, 31) + a) * 5 + 0x38495ab5;

    etag->a = a;
    etag->b = b;
}


void
amp_etag_init(amp_etag_t *etag)
{
    memset(etag, 0, sizeof(*etag));
}


void
amp_etag_add(amp_etag_t *etag, amp_span_t part)
{
    size_t  n, begun;

    begun = etag->len % AMP_ETAG_BLOCK;
    etag->len += part.len;

    if (begun) {
        n = AMP_ETAG_BLOCK - begun;
        n = (part.len < n) ? part.len : n;

        memcpy(etag->rest + begun, part.data, n);
        part = amp_span_make(part.data + n, part.len - n);

        if (begun + n < AMP_ETAG_BLOCK) {
            return;
        }

        amp_etag_block(etag, etag->rest);
    }

    while (part.len >= AMP_ETAG_BLOCK) {
        amp_etag_block(etag, part.data);
        part = amp_span_make(part.data + AMP_ETAG_BLOCK,
                             part.len - AMP_ETAG_BLOCK);
    }

    if (part.len) {
        memcpy(etag->rest, part.data, part.len);
    }
}


static uint64_t
amp_etag_final(uint64_t n)
{
    n = (n ^ n >> 33) * 0xff51afd7ed558ccd;
    n = (n ^ n >> 33) * 0xc4ceb9fe1a85ec53;

    return n ^ n >> 33;
}


void
amp_etag_write(amp_etag_t *etag, unsigned char *out)
{
    size_t         i, begun;
    uint64_t       a, b;
    unsigned char  bytes[16];

    /* the bytes of the last block that there are not count as zeros */

    begun = etag->len % AMP_ETAG_BLOCK;
    memset(etag->rest + begun, 0, AMP_ETAG_BLOCK - begun);

    a = etag->a ^ amp_etag_first(etag->rest) ^ etag->len;
    b = etag->b ^ amp_etag_second(etag->rest) ^ etag->len;

    a += b;
    b += a;

    a = amp_etag_final(a);
    b = amp_etag_final(b);

    a += b;
    b += a;

    for (i = 0; i < 8; i++) {
        bytes[i] = (unsigned char) (a >> (56 - 8 * i));
        bytes[8 + i] = (unsigned char) (b >> (56 - 8 * i));
    }

    out[0] = '"';
    amp_hex(bytes, sizeof(bytes), out + 1);
    out[AMP_ETAG_LEN - 1] = '"';
}
