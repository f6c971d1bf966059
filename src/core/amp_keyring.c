#include "amp_keyring.h"
#include "amp_escape.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>


#define AMP_MASTER_KEY_LABEL  "ampersand-gateway master key"


/* The value of a hex digit in either case, or -1. */

static int
amp_hex_digit(unsigned char c)
{
    c = amp_lower(c);

    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


/* The bytes of a master key from the text of its file: 0, or -1. */

static int
amp_master_key_read(amp_span_t text, unsigned char key[AMP_MASTER_KEY_LEN])
{
    int     high, low;
    size_t  i;

    if (text.len == AMP_MASTER_KEY_TEXT && text.data[text.len - 1] == '\n') {
        text.len--;
    }

    if (text.len != 2 * AMP_MASTER_KEY_LEN) {
        return -1;
    }

    for (i = 0; i < AMP_MASTER_KEY_LEN; i++) {
        high = amp_hex_digit(text.data[2 * i]);
        low = amp_hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return -1;
        }

        key[i] = (unsigned char) (high << 4 | low);
    }

    return 0;
}


/* Computes the id of a master key, see amp_keyring.h: 0, or -1. */

static int
amp_master_key_id(const unsigned char key[AMP_MASTER_KEY_LEN],
    unsigned char id[AMP_MASTER_KEY_ID_LEN])
{
    int            rc;
    unsigned char  digest[EVP_MAX_MD_SIZE];
    unsigned char  text[sizeof(AMP_MASTER_KEY_LABEL) - 1 + AMP_MASTER_KEY_LEN];

    memcpy(text, AMP_MASTER_KEY_LABEL, sizeof(AMP_MASTER_KEY_LABEL) - 1);
    memcpy(text + sizeof(AMP_MASTER_KEY_LABEL) - 1, key, AMP_MASTER_KEY_LEN);

    rc = EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL);

    amp_hex(digest, AMP_MASTER_KEY_ID_LEN / 2, id);

    OPENSSL_cleanse(text, sizeof(text));
    OPENSSL_cleanse(digest, sizeof(digest));

    return rc ? 0 : -1;
}


amp_keyring_t *
amp_keyring_create(void)
{
    return calloc(1, sizeof(amp_keyring_t));
}


void
amp_keyring_free(amp_keyring_t *ring)
{
    unsigned  i;

    if (ring == NULL) {
        return;
    }

    for (i = 0; i < ring->n; i++) {
        EVP_CIPHER_CTX_free(ring->keys[i].opener);
        EVP_CIPHER_CTX_free(ring->keys[i].block);
    }

    EVP_CIPHER_CTX_free(ring->sealer);
    EVP_CIPHER_free(ring->cipher);
    EVP_CIPHER_free(ring->block);
    free(ring->keys);
    free(ring);
}


/* A context with the key set and without padding, or NULL without memory. */

static EVP_CIPHER_CTX *
amp_keyring_context(EVP_CIPHER *cipher, const unsigned char *key, int seals)
{
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();

    if (ctx == NULL
        || !EVP_CipherInit_ex2(ctx, cipher, key, NULL, seals, NULL)
        || !EVP_CIPHER_CTX_set_padding(ctx, 0))
    {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }

    return ctx;
}


const amp_master_key_t *
amp_keyring_find(const amp_keyring_t *ring, const unsigned char *id)
{
    unsigned  i;

    for (i = 0; i < ring->n; i++) {
        if (memcmp(ring->keys[i].id, id, AMP_MASTER_KEY_ID_LEN) == 0) {
            return &ring->keys[i];
        }
    }

    return NULL;
}


/* Adds the key: NULL, or what failed. */

static const char *
amp_keyring_put(amp_keyring_t *ring, const unsigned char *key)
{
    amp_master_key_t  *keys, master;

    if (amp_master_key_id(key, master.id) != 0) {
        return "OpenSSL failed to compute SHA-256";
    }

    if (amp_keyring_find(ring, master.id) != NULL) {
        return "the same master key was given twice";
    }

    if (ring->cipher == NULL) {
        ring->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
        ring->block = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);

        if (ring->cipher == NULL || ring->block == NULL) {
            return "OpenSSL has no AES-256-GCM";
        }
    }

    if (ring->sealer == NULL) {
        ring->sealer = amp_keyring_context(ring->cipher, key, 1);

        if (ring->sealer == NULL) {
            return "no memory";
        }
    }

    master.opener = amp_keyring_context(ring->cipher, key, 0);
    master.block = amp_keyring_context(ring->block, key, 1);

    keys = realloc(ring->keys, (ring->n + 1) * sizeof(*keys));

    if (keys != NULL) {
        ring->keys = keys;
    }

    if (keys == NULL || master.opener == NULL || master.block == NULL) {
        EVP_CIPHER_CTX_free(master.opener);
        EVP_CIPHER_CTX_free(master.block);

        /* the next key to be added will be the first, and the one that seals */

        if (ring->n == 0) {
            EVP_CIPHER_CTX_free(ring->sealer);
            ring->sealer = NULL;
        }

        return "no memory";
    }

    keys[ring->n++] = master;

    return NULL;
}


int
amp_keyring_add(amp_keyring_t *ring, amp_span_t text, const char **error)
{
    unsigned char  key[AMP_MASTER_KEY_LEN];

    if (amp_master_key_read(text, key) == 0) {
        *error = amp_keyring_put(ring, key);

    } else {
        *error = "a master key is one line of 64 hex digits"
                 " (openssl rand -hex 32)";
    }

    OPENSSL_cleanse(key, sizeof(key));
    ERR_clear_error();

    return (*error == NULL) ? 0 : -1;
}


amp_span_t
amp_keyring_id(const amp_keyring_t *ring, unsigned i)
{
    if (i >= ring->n) {
        return amp_span_null;
    }

    return amp_span_make(ring->keys[i].id, AMP_MASTER_KEY_ID_LEN);
}
