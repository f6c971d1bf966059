/*
 * Gateway tokens: "agw_" + 30 base62 characters (178 bits of the caller's
 * randomness) + 6 base62 characters: the CRC-32 (IEEE 802.3) of the 34
 * characters before it, as in GitHub's tokens.  So a mistyped or invented token
 * is refused without a look-up, and secret scanners can recognise a token.
 * Only the SHA-256 of the whole text (the digest) is stored or compared.
 */

#ifndef AMP_TOKEN_H
#define AMP_TOKEN_H


#include "amp_span.h"


#define AMP_TOKEN_LEN         40
#define AMP_TOKEN_RANDOM      30    /* base62 characters                      */
#define AMP_TOKEN_DIGEST      32    /* bytes                                  */
#define AMP_TOKEN_DIGEST_HEX  64
#define AMP_TOKEN_ID_MAX      80    /* "<tenant id>.<10 base62>"              */
#define AMP_TOKEN_ID_RANDOM   10
#define AMP_TOKEN_LABEL_MAX   128
#define AMP_TOKEN_RECORD_MAX  8192  /* bytes of a record                      */


/*
 * Makes a token from n random bytes.  Bytes from 248 (62 * 4) on are skipped,
 * so that all characters are equally likely.  0, or -1 when there were too few
 * bytes (64 are nearly always enough).
 */

int amp_token_make(const unsigned char *random, size_t n,
    unsigned char token[AMP_TOKEN_LEN]);

/* 1 when prefix, length, alphabet and checksum are right, else 0. */

int amp_token_valid(amp_span_t token);

/* Computes the digest: 0, or -1 when OpenSSL fails. */

int amp_token_digest(amp_span_t token, unsigned char digest[AMP_TOKEN_DIGEST]);

/* Makes len base62 characters from n random bytes as amp_token_make() does. */

int amp_base62(const unsigned char *random, size_t n, unsigned char *out,
    size_t len);


/*
 * The record amp:token:<sha256 hex>, JSON:
 *   { "v": 1, "tenant": "acme", "id": "acme.x3Kf0a9QzT", "label": "ci",
 *     "created": 1763000000, "expires": null }
 * Times are Unix seconds; created may be absent; expires 0, null or absent:
 * never.  The id begins with the tenant's; the label is printable UTF-8 and may
 * be absent.
 *
 * Version 2 is version 1 and "scope", what the token may do, see
 * amp_token_scope.h.  A gateway that does not know scopes refuses such a token,
 * and does not take it for one that may do all.
 *
 * "identity" is the name of an identity, see amp_identity.h: the record is then
 * under the digest of that, and no token's.
 */

typedef struct {
    amp_span_t  tenant;
    amp_span_t  id;
    amp_span_t  label;
    int64_t     created;
    int64_t     expires;
    amp_span_t  scope;              /* JSON; empty: all that its tenant may   */
    amp_span_t  identity;           /* its name; empty: it is a token         */
} amp_token_record_t;

/*
 * Decodes a record.  The texts are written to buf (cap bytes,
 * AMP_TOKEN_RECORD_MAX are always enough), and the spans point there.  0, or -1
 * with *error set as by amp_tenant_decode() and the record empty.  The scope is
 * a JSON object, and not checked further: amp_token_scope_decode() does that.
 */

int amp_token_record_decode(amp_span_t json, void *buf, size_t cap,
    amp_token_record_t *record, const char **error);

/* Appends the JSON of a record. */

void amp_token_record_write(const amp_token_record_t *record, amp_buf_t *out);

/*
 * The tenant id in a token id, before the last "."; empty when the token id is
 * not "<tenant id>.<10 base62>".
 */

amp_span_t amp_token_id_tenant(amp_span_t id);


#endif /* AMP_TOKEN_H */
