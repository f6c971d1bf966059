#include "amp_seal.h"
#include "amp_escape.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>


#define AMP_SEAL_VERSION  "v1."
#define AMP_SEAL_HEAD     (3 + AMP_MASTER_KEY_ID_LEN + 1)
#define AMP_TAG_LEN       16
#define AMP_BLOCK_LEN     16            /* AMP_SECRET_MAX is a multiple of it */
#define AMP_PACKET_MAX    (AMP_NONCE_LEN + AMP_SECRET_MAX + AMP_TAG_LEN)
#define AMP_AAD_MAX       128

#define amp_base64_len(n)  (((n) * 4 + 2) / 3)


typedef struct {
    size_t         len;
    unsigned char  data[AMP_AAD_MAX];
} amp_seal_aad_t;


static const unsigned char  amp_base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


/* 64 + the value of a digit; 0 for any other byte. */

static const unsigned char  amp_base64_values[256] = {
    ['-'] =
    126,   0,   0, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
      0,   0,   0,   0,   0,   0,   0,  64,  65,  66,  67,  68,  69,
     70,  71,  72,  73,  74,  75,  76,  77,  78,  79,  80,  81,  82,
     83,  84,  85,  86,  87,  88,  89,   0,   0,   0,   0, 127,   0,
     90,  91,  92,  93,  94,  95,  96,  97,  98,  99, 100, 101, 102,
    103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115
};


/* Appends base64url without padding (RFC 4648, 5). */

static void
amp_base64_write(const unsigned char *data, size_t len, amp_buf_t *out)
{
    size_t         i, n;
    uint32_t       bits;
    unsigned char  text[4];

    for (i = 0; i < len; i += 3) {
        n = (len - i < 3) ? len - i : 3;

        bits = (uint32_t) data[i] << 16;
        bits |= (n > 1) ? (uint32_t) data[i + 1] << 8 : 0;
        bits |= (n > 2) ? data[i + 2] : 0;

        text[0] = amp_base64_digits[bits >> 18];
        text[1] = amp_base64_digits[bits >> 12 & 63];
        text[2] = amp_base64_digits[bits >> 6 & 63];
        text[3] = amp_base64_digits[bits & 63];

        amp_buf_put(out, text, n + 1);
    }
}


/*
 * Decodes base64url.  Strict: no padding, and no bits set behind the last byte,
 * so that a packet has only one text.  Returns the number of bytes, or 0 when
 * the text is malformed or empty.
 */

static size_t
amp_base64_read(amp_span_t text, unsigned char *out)
{
    size_t                i, n;
    unsigned              a, b, c, d, digits = 64;
    unsigned char        *start = out;
    const unsigned char  *p = text.data, *values = amp_base64_values;

    for (i = text.len / 4; i > 0; i--, p += 4) {
        a = values[p[0]];
        b = values[p[1]];
        c = values[p[2]];
        d = values[p[3]];
        digits &= a & b & c & d;

        *out++ = (unsigned char) (a << 2 | (b >> 4 & 3));
        *out++ = (unsigned char) (b << 4 | (c >> 2 & 15));
        *out++ = (unsigned char) (c << 6 | (d & 63));
    }

    n = text.len % 4;

    if (n == 1) {
        return 0;
    }

    if (n != 0) {
        a = values[p[0]];
        b = values[p[1]];
        c = (n == 3) ? values[p[2]] : 64;
        digits &= a & b & c;

        if ((n == 3) ? c & 3 : b & 15) {
            return 0;
        }

        *out++ = (unsigned char) (a << 2 | (b >> 4 & 3));

        if (n == 3) {
            *out++ = (unsigned char) (b << 4 | (c >> 2 & 15));
        }
    }

    return digits ? (size_t) (out - start) : 0;
}


/*
 * Associated data: 0, or -1 when a part is empty, the whole too long, or the
 * tenant contains a NUL, which would make the two parts ambiguous.
 */

static int
amp_seal_aad(amp_span_t tenant, amp_span_t key_id, amp_seal_aad_t *aad)
{
    if (tenant.len == 0 || key_id.len == 0
        || tenant.len >= AMP_AAD_MAX
        || key_id.len >= AMP_AAD_MAX - tenant.len
        || memchr(tenant.data, '\0', tenant.len) != NULL)
    {
        return -1;
    }

    memcpy(aad->data, tenant.data, tenant.len);
    aad->data[tenant.len] = '\0';
    memcpy(aad->data + tenant.len + 1, key_id.data, key_id.len);
    aad->len = tenant.len + 1 + key_id.len;

    return 0;
}


/* Fills the packet behind its nonce: 0, or -1. */

static int
amp_seal_packet(EVP_CIPHER_CTX *ctx, const amp_seal_aad_t *aad,
    amp_span_t secret, unsigned char *packet)
{
    int             n;
    unsigned char  *text = packet + AMP_NONCE_LEN;

    if (!EVP_EncryptInit_ex2(ctx, NULL, NULL, packet, NULL)
        || !EVP_EncryptUpdate(ctx, NULL, &n, aad->data, (int) aad->len)
        || !EVP_EncryptUpdate(ctx, text, &n, secret.data, (int) secret.len)
        || !EVP_EncryptFinal_ex(ctx, text + secret.len, &n)
        || !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AMP_TAG_LEN,
                                text + secret.len))
    {
        return -1;
    }

    return 0;
}


int
amp_seal(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t secret, const unsigned char nonce[AMP_NONCE_LEN],
    amp_buf_t *out)
{
    size_t          len;
    unsigned char   packet[AMP_PACKET_MAX];
    amp_seal_aad_t  aad;

    if (ring->n == 0 || secret.len == 0 || secret.len > AMP_SECRET_MAX
        || amp_seal_aad(tenant, key_id, &aad) != 0)
    {
        return -1;
    }

    len = AMP_NONCE_LEN + secret.len + AMP_TAG_LEN;

    if (out->overflow
        || (size_t) (out->end - out->pos) < AMP_SEAL_HEAD + amp_base64_len(len))
    {
        out->overflow = 1;
        return -1;
    }

    memcpy(packet, nonce, AMP_NONCE_LEN);

    if (amp_seal_packet(ring->sealer, &aad, secret, packet) != 0) {
        OPENSSL_cleanse(packet, sizeof(packet));
        ERR_clear_error();
        return -1;
    }

    amp_buf_text(out, AMP_SEAL_VERSION);
    amp_buf_put(out, ring->keys[0].id, AMP_MASTER_KEY_ID_LEN);
    amp_buf_byte(out, '.');
    amp_base64_write(packet, len, out);

    return 0;
}


/*
 * Decrypts and verifies a packet: the length of the secret, or -3.  OpenSSL
 * needs the tag before the data; EVP_DecryptFinal_ex() verifies it.
 */

static int
amp_seal_authenticate(EVP_CIPHER_CTX *ctx, const amp_seal_aad_t *aad,
    const unsigned char *packet, size_t len, unsigned char *out)
{
    int         n;
    OSSL_PARAM  params[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
                                (unsigned char *) packet + len - AMP_TAG_LEN,
                                AMP_TAG_LEN),
        OSSL_PARAM_END
    };

    len -= AMP_NONCE_LEN + AMP_TAG_LEN;

    if (!EVP_DecryptInit_ex2(ctx, NULL, NULL, packet, params)
        || !EVP_DecryptUpdate(ctx, NULL, &n, aad->data, (int) aad->len)
        || !EVP_DecryptUpdate(ctx, out, &n, packet + AMP_NONCE_LEN, (int) len)
        || EVP_DecryptFinal_ex(ctx, out + len, &n) <= 0)
    {
        return -3;
    }

    return (int) len;
}


int
amp_seal_decode(amp_span_t sealed, amp_buf_t *out)
{
    size_t         len;
    amp_span_t     id;
    unsigned char  packet[AMP_PACKET_MAX];

    id = amp_seal_master_id(sealed);

    if (id.len == 0
        || sealed.len > AMP_SEAL_HEAD + amp_base64_len(AMP_PACKET_MAX))
    {
        return -1;
    }

    len = amp_base64_read(amp_span_make(sealed.data + AMP_SEAL_HEAD,
                                        sealed.len - AMP_SEAL_HEAD),
                          packet);

    if (len <= AMP_NONCE_LEN + AMP_TAG_LEN) {
        return -1;
    }

    amp_buf_put(out, id.data, id.len);
    amp_buf_put(out, packet, len);

    return out->overflow ? -1 : 0;
}


/* amp_seal_open_decoded() without the cleanup after a failure. */

static int
amp_seal_open_into(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t decoded, unsigned char *out)
{
    amp_seal_aad_t           aad;
    const amp_master_key_t  *master;

    if (decoded.len <= AMP_MASTER_KEY_ID_LEN + AMP_NONCE_LEN + AMP_TAG_LEN
        || decoded.len > AMP_MASTER_KEY_ID_LEN + AMP_PACKET_MAX
        || amp_seal_aad(tenant, key_id, &aad) != 0)
    {
        return -1;
    }

    master = amp_keyring_find(ring, decoded.data);

    if (master == NULL) {
        return -2;
    }

    return amp_seal_authenticate(master->opener, &aad,
                                 decoded.data + AMP_MASTER_KEY_ID_LEN,
                                 decoded.len - AMP_MASTER_KEY_ID_LEN, out);
}


int
amp_seal_open_decoded(amp_keyring_t *ring, amp_span_t tenant,
    amp_span_t key_id, amp_span_t decoded, unsigned char *out)
{
    int  n;

    n = amp_seal_open_into(ring, tenant, key_id, decoded, out);

    if (n < 0) {
        OPENSSL_cleanse(out, AMP_SECRET_MAX);

        /* nginx would report a remaining error as one of a TLS connection */

        ERR_clear_error();
    }

    return n;
}


/*
 * The counter blocks of the text start at 2; block 1 was used for the tag
 * (SP 800-38D, 7.1).
 */

int
amp_seal_reveal(amp_keyring_t *ring, amp_span_t decoded, unsigned char *out)
{
    int                      n;
    size_t                   i, len, size;
    uint64_t                 a, b;
    unsigned char            stream[AMP_SECRET_MAX];
    const unsigned char     *text, *nonce;
    const amp_master_key_t  *master;

    if (decoded.len <= AMP_MASTER_KEY_ID_LEN + AMP_NONCE_LEN + AMP_TAG_LEN
        || decoded.len > AMP_MASTER_KEY_ID_LEN + AMP_PACKET_MAX)
    {
        return -1;
    }

    master = amp_keyring_find(ring, decoded.data);

    if (master == NULL) {
        return -2;
    }

    nonce = decoded.data + AMP_MASTER_KEY_ID_LEN;
    text = nonce + AMP_NONCE_LEN;
    len = decoded.len - AMP_MASTER_KEY_ID_LEN - AMP_NONCE_LEN - AMP_TAG_LEN;
    size = 0;

    for (i = 0; i < len; i += AMP_BLOCK_LEN) {
        memcpy(stream + i, nonce, AMP_NONCE_LEN);
        stream[i + 12] = 0;
        stream[i + 13] = 0;
        stream[i + 14] = 0;
        stream[i + 15] = (unsigned char) (i / AMP_BLOCK_LEN + 2);
        size += AMP_BLOCK_LEN;
    }

    if (!EVP_EncryptUpdate(master->block, stream, &n, stream, (int) size)
        || (size_t) n != size)
    {
        ERR_clear_error();
        return -1;
    }

    /* by words, in whole blocks: reading beyond the text reads the tag */

    for (i = 0; i < size; i += sizeof(a)) {
        memcpy(&a, stream + i, sizeof(a));
        memcpy(&b, text + i, sizeof(b));
        a ^= b;
        memcpy(stream + i, &a, sizeof(a));
    }

    memcpy(out, stream, len);
    OPENSSL_cleanse(stream, size);

    return (int) len;
}


int
amp_seal_open(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t sealed, unsigned char *out)
{
    amp_buf_t      buf;
    unsigned char  decoded[AMP_SEALED_MAX];

    amp_buf_init(&buf, decoded, sizeof(decoded));

    if (amp_seal_decode(sealed, &buf) != 0) {
        OPENSSL_cleanse(out, AMP_SECRET_MAX);
        return -1;
    }

    return amp_seal_open_decoded(ring, tenant, key_id, amp_buf_written(&buf),
                                 out);
}


amp_span_t
amp_seal_master_id(amp_span_t sealed)
{
    size_t                i;
    const unsigned char  *id;

    if (sealed.len <= AMP_SEAL_HEAD || sealed.len > AMP_SEALED_MAX
        || memcmp(sealed.data, AMP_SEAL_VERSION, 3) != 0
        || sealed.data[AMP_SEAL_HEAD - 1] != '.')
    {
        return amp_span_null;
    }

    id = sealed.data + 3;

    for (i = 0; i < AMP_MASTER_KEY_ID_LEN; i++) {
        if ((id[i] < '0' || id[i] > '9') && (id[i] < 'a' || id[i] > 'f')) {
            return amp_span_null;
        }
    }

    return amp_span_make(id, AMP_MASTER_KEY_ID_LEN);
}


int
amp_secret_valid(amp_span_t secret)
{
    size_t  i;

    if (secret.len == 0 || secret.len > AMP_SECRET_MAX) {
        return 0;
    }

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] < 0x21 || secret.data[i] > 0x7e) {
            return 0;
        }
    }

    return 1;
}
