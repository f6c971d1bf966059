/*
 * Identities: what names a tenant in place of a token.  A client proves one to
 * nginx, with a certificate or to another module, and sends no secret here.
 *
 *   fingerprint:5e2c...            of a client certificate, 40 or 64 hex digits
 *   subject:CN=billing,O=Example   of a client certificate, as nginx's
 *                                  $ssl_client_s_dn has it
 *   claim:sub=billing@example.com  that somebody has verified
 *
 * Such a name is the canonical one: of a fingerprint, digits in lower case
 * without colons.  An identity has a token record (amp_token.h) under a digest
 * of its name, so all that holds for tokens holds for it: look-up, scope,
 * limit, last use.  No token has that digest: the text that is hashed begins
 * with a NUL, which no header of a request can contain.
 */

#ifndef AMP_IDENTITY_H
#define AMP_IDENTITY_H


#include "amp_token.h"


#define AMP_IDENTITY_CLAIM_MAX  64
#define AMP_IDENTITY_VALUE_MAX  512
#define AMP_IDENTITY_MAX        592     /* bytes of a name                    */


typedef enum {
    AMP_IDENTITY_TENANT = 0,        /* the value is a tenant's id: no name    */
    AMP_IDENTITY_FINGERPRINT,
    AMP_IDENTITY_SUBJECT,
    AMP_IDENTITY_CLAIM
} amp_identity_e;


/*
 * Appends the canonical name of an identity; claim: the name of a claim.
 * AMP_IDENTITY_MAX bytes are enough.  NULL, or what is wrong with the value, a
 * static text; the buffer has to be thrown away then.
 */

const char *amp_identity_name(amp_identity_e kind, amp_span_t claim,
    amp_span_t value, amp_buf_t *out);

/* The same for a name as people write it. */

const char *amp_identity_parse(amp_span_t text, amp_buf_t *out);

/* 1 where a text can be the name of a claim, else 0. */

int amp_identity_claim_valid(amp_span_t claim);

/* The digest of a canonical name: 0, or -1 when OpenSSL fails. */

int amp_identity_digest(amp_span_t name,
    unsigned char digest[AMP_TOKEN_DIGEST]);


#endif /* AMP_IDENTITY_H */
