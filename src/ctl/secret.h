/*
 * Secrets: read from a file or standard input into a buffer that the caller
 * wipes; master key files, which only their owner may read; random bytes.
 */

#ifndef CTL_SECRET_H
#define CTL_SECRET_H


#include "../core/amp_seal.h"
#include "output.h"


typedef struct {
    size_t         len;
    unsigned char  data[AMP_SECRET_MAX + 8];
} secret_t;


/*
 * Reads a secret from a file, or from standard input for "-", without its
 * trailing newline; what names it in messages ("the Ampersand key").  0, or -1
 * with the error filled and the buffer wiped: unreadable, or no text that
 * amp_secret_valid() accepts.  Warns of a file that others may read.
 */

int secret_read(secret_t *secret, const char *file, const char *what,
    ctl_error_t *error);

/* Overwrites a secret that was read. */

void secret_wipe(secret_t *secret);


static inline amp_span_t
secret_span(const secret_t *secret)
{
    return amp_span_make(secret->data, secret->len);
}


/* Overwrites bytes; the compiler cannot remove the call as useless. */

void secret_clean(void *data, size_t len);

/* Random bytes.  0, or -1 with the error filled. */

int secret_random(void *data, size_t len, ctl_error_t *error);

/*
 * Adds the master key of a file to a ring.  0, or -1 with the error filled:
 * not a regular file, open to group or others, not owned by the caller or
 * root, malformed.
 */

int secret_master_key(amp_keyring_t *ring, const char *file,
    ctl_error_t *error);


#endif /* CTL_SECRET_H */
