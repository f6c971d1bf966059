/*
 * Master keys, which seal the tenants' Ampersand keys (amp_seal.h).
 *
 * The file of a master key is one line of 64 hex digits (openssl rand -hex 32
 * makes one), an optional final newline, and nothing else.  The id of a master
 * key is the first 8 hex digits of
 * SHA-256("ampersand-gateway master key" | key bytes).
 */

#ifndef AMP_KEYRING_H
#define AMP_KEYRING_H


#include <openssl/evp.h>

#include "amp_span.h"


#define AMP_MASTER_KEY_LEN     32
#define AMP_MASTER_KEY_ID_LEN  8
#define AMP_MASTER_KEY_TEXT    65       /* 64 digits and a newline            */


/*
 * The contexts keep the key schedule, so that a call only sets the nonce.
 * Members of both structures are for amp_keyring.c and amp_seal.c alone.
 */

typedef struct {
    unsigned char      id[AMP_MASTER_KEY_ID_LEN];
    EVP_CIPHER_CTX    *opener;          /* AES-256-GCM, decrypts              */
    EVP_CIPHER_CTX    *block;           /* AES-256-ECB: CIPH of GCTR          */
} amp_master_key_t;


typedef struct {
    EVP_CIPHER        *cipher;
    EVP_CIPHER        *block;
    EVP_CIPHER_CTX    *sealer;          /* AES-256-GCM, encrypts with keys[0] */
    amp_master_key_t  *keys;
    unsigned           n;
} amp_keyring_t;


/* An empty ring, or NULL without memory; amp_keyring_free() frees it. */

amp_keyring_t *amp_keyring_create(void);

/* Wipes and frees a ring; NULL is allowed. */

void amp_keyring_free(amp_keyring_t *ring);

/*
 * Adds a master key, given the text of its file.  The first key seals, all
 * keys open.  0, or -1 with *error set to a static text (malformed, given
 * before, no memory).  The caller wipes the text.
 */

int amp_keyring_add(amp_keyring_t *ring, amp_span_t text, const char **error);

/*
 * The id of master key i, AMP_MASTER_KEY_ID_LEN bytes, valid until the next
 * amp_keyring_add(); an empty span behind the last key.
 */

amp_span_t amp_keyring_id(const amp_keyring_t *ring, unsigned i);

/*
 * The master key with an id of AMP_MASTER_KEY_ID_LEN bytes, or NULL; valid
 * until the next amp_keyring_add().
 */

const amp_master_key_t *amp_keyring_find(const amp_keyring_t *ring,
    const unsigned char *id);


#endif /* AMP_KEYRING_H */
