/*
 * Sealing of Ampersand keys: AES-256-GCM (NIST SP 800-38D) by OpenSSL.
 *
 * Sealed text: "v1.<master key id>.<base64url>", of a nonce of 12 bytes, the
 * ciphertext, and a tag of 16 bytes.
 *
 * Associated data: "<tenant id>" NUL "<key id>", so that a sealed key cannot be
 * opened after it was moved to another tenant or given another id.
 */

#ifndef AMP_SEAL_H
#define AMP_SEAL_H


#include "amp_keyring.h"


#define AMP_NONCE_LEN          12
#define AMP_SECRET_MAX         512      /* bytes of an Ampersand key          */
#define AMP_SEALED_MAX         768      /* bytes of a sealed text             */


/*
 * Seals a secret of 1 .. AMP_SECRET_MAX bytes with the first master key.  nonce
 * is AMP_NONCE_LEN random bytes, new for each call.  Appends the sealed text to
 * out.  0, or -1 when the text does not fit (out->overflow is set), the secret
 * or an id is too long or empty, the ring is empty or OpenSSL fails.
 */

int amp_seal(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t secret, const unsigned char nonce[AMP_NONCE_LEN],
    amp_buf_t *out);

/*
 * Opens a sealed text into out, which has AMP_SECRET_MAX bytes.  Returns the
 * length of the secret, or -1: malformed, -2: no such master key in the ring,
 * -3: authentication failed.  On failure out is wiped.
 */

int amp_seal_open(amp_keyring_t *ring, amp_span_t tenant, amp_span_t key_id,
    amp_span_t sealed, unsigned char *out);

/*
 * amp_seal_open() in two steps, for a text that is decoded once and opened
 * often.  amp_seal_decode() appends the master key's id and the bytes of the
 * text to out (AMP_SEALED_MAX bytes are enough): 0, or -1 with nothing appended
 * when the text is malformed or does not fit.
 */

int amp_seal_decode(amp_span_t sealed, amp_buf_t *out);

int amp_seal_open_decoded(amp_keyring_t *ring, amp_span_t tenant,
    amp_span_t key_id, amp_span_t decoded, unsigned char *out);

/*
 * The same for a decoded text that amp_seal_open_decoded() opened before with
 * the same ring, and that cannot have changed since: the tag, which takes most
 * of the time, is not verified again (SP 800-38D, 6.5: GCTR alone).  Returns
 * the length, or -1: malformed or OpenSSL failed, -2: no such master key; then
 * out is unchanged.
 */

int amp_seal_reveal(amp_keyring_t *ring, amp_span_t decoded,
    unsigned char *out);

/* The master key id in a sealed text; empty when the text is malformed. */

amp_span_t amp_seal_master_id(amp_span_t sealed);

/*
 * 1 when the secret may be sent as X-Api-Key: 1 .. AMP_SECRET_MAX bytes of
 * 0x21 .. 0x7e (RFC 9110, 5.5: no CR, LF, NUL or space); else 0.
 */

int amp_secret_valid(amp_span_t secret);


#endif /* AMP_SEAL_H */
