/*
 * Sealing of Ampersand keys: AES-256-GCM (NIST SP 800-38D) by OpenSSL.
 *
 * Sealed text: "v1.<master key id>.<base64url of nonce 12 | ciphertext | tag 16>"
 * Associated data: "<tenant id>" NUL "<key id>", so a sealed key that is moved
 * to another tenant or renamed does not open.
 *
 * Master key file: one line, 64 hex digits (openssl rand -hex 32 makes one),
 * an optional final newline, nothing else.  A master key's id is the first 8
 * hex digits of SHA-256("ampersand-gateway master key" | key bytes).
 */

#ifndef AMP_SEAL_H
#define AMP_SEAL_H


#include "amp_span.h"


#define AMP_MASTER_KEY_LEN     32
#define AMP_MASTER_KEY_ID_LEN  8
#define AMP_MASTER_KEY_TEXT    65       /* 64 digits and a newline            */
#define AMP_NONCE_LEN          12
#define AMP_SECRET_MAX         512      /* bytes of an Ampersand key          */
#define AMP_SEALED_MAX         768      /* bytes of a sealed text             */


typedef struct amp_keyring_s  amp_keyring_t;


/* An empty ring, or NULL without memory.  The caller frees it. */

amp_keyring_t *amp_keyring_create(void);

/* Wipes and frees. */

void amp_keyring_free(amp_keyring_t *ring);

/*
 * Adds a master key from the text of its file.  The first one seals, all
 * open.  0, or -1 with *error set to a static text (malformed, repeated, no
 * memory).  The text stays the caller's to wipe.
 */

int amp_keyring_add(amp_keyring_t *ring, amp_span_t text, const char **error);

/* The id of master key i (8 bytes); empty span past the last. */

amp_span_t amp_keyring_id(const amp_keyring_t *ring, unsigned i);

/*
 * Seals a secret (1 .. AMP_SECRET_MAX bytes) with the first master key.  nonce
 * is AMP_NONCE_LEN random bytes, fresh for each call.  Appends the sealed text
 * to out; 0, or -1 when it does not fit or OpenSSL fails.
 */

int amp_seal(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t secret, const unsigned char nonce[AMP_NONCE_LEN],
    amp_buf_t *out);

/*
 * Opens a sealed text into out (AMP_SECRET_MAX bytes).  Answers the length of
 * the secret; or -1: malformed, -2: no such master key in the ring, -3: does
 * not authenticate.  On failure out is wiped.
 */

int amp_seal_open(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t sealed, unsigned char *out);

/*
 * The same in two steps, so that the text is read once and opened often.
 * Decoding appends to out (AMP_SEALED_MAX bytes are enough): 0, or -1 when the
 * text is malformed, nothing appended.
 */

int amp_seal_decode(amp_span_t sealed, amp_buf_t *out);

int amp_seal_open_decoded(amp_keyring_t *ring, amp_span_t tenant,
    amp_span_t key_id, amp_span_t decoded, unsigned char *out);

/*
 * The same for a decoded text that amp_seal_open_decoded() has opened, of the
 * same ring, and that cannot have changed since: its tag is not checked again
 * (SP 800-38D, 6.5: GCTR alone), which is what takes the time.  Answers the
 * length; or -1: malformed or OpenSSL fails, -2: no such master key.
 */

int amp_seal_reveal(amp_keyring_t *ring, amp_span_t decoded,
    unsigned char *out);

/* The master key id in a sealed text; empty when malformed. */

amp_span_t amp_seal_master_id(amp_span_t sealed);

/*
 * What may be sent as X-Api-Key: 1 .. AMP_SECRET_MAX bytes of 0x21 .. 0x7e
 * (RFC 9110, 5.5: no CR, LF, NUL or space).
 */

int amp_secret_valid(amp_span_t secret);


#endif /* AMP_SEAL_H */
