/*
 * The ETag of an answer's body: a hash of its bytes, which may come in parts of
 * any length.  The hash is MurmurHash3 (x64, 128 bits, seed 0) of Austin
 * Appleby, who gave it to the public domain.  It tells versions of one document
 * from each other; against somebody who chooses both it is no protection, as
 * MD5 is none, and it takes a seventh of the time.
 */

#ifndef AMP_ETAG_H
#define AMP_ETAG_H


#include "amp_span.h"


#define AMP_ETAG_LEN    (2 + 2 * 16)    /* with the quotes                    */
#define AMP_ETAG_BLOCK  16


typedef struct {
    uint64_t       a;
    uint64_t       b;
    uint64_t       len;                 /* bytes until now                    */
    unsigned char  rest[AMP_ETAG_BLOCK];    /* those after the last block     */
} amp_etag_t;


void amp_etag_init(amp_etag_t *etag);

/* The next part of the body. */

void amp_etag_add(amp_etag_t *etag, amp_span_t part);

/* Writes the tag, AMP_ETAG_LEN bytes; nothing may be added after that. */

void amp_etag_write(amp_etag_t *etag, unsigned char *out);


#endif /* AMP_ETAG_H */
