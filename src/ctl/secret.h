/*
 * Secrets: read from a file or standard input into a buffer that the caller
 * wipes; random bytes.  The rules for files are those of amp_secret_file.h.
 */

#ifndef CTL_SECRET_H
#define CTL_SECRET_H


#include <sys/types.h>

#include "../core/amp_seal.h"
#include "../core/amp_secret_file.h"
#include "output.h"


typedef struct {
    size_t         len;
    unsigned char  data[AMP_SECRET_LINE_MAX + 8];
} secret_t;


/* A kind of file that others must have no access to. */

typedef struct {
    const char    *what;            /* "master key file"                      */
    const char    *code;            /* of an error                            */
    const char    *missing;         /* what to do where it cannot be opened   */
} secret_kind_t;


/*
 * Reads an Ampersand key from a file, or from standard input for "-".  0, or -1
 * with the error filled and the buffer wiped: unreadable, or no text that
 * amp_secret_valid() accepts.  Of a file that others have access to it only
 * warns: no gateway reads it later.
 */

int secret_ampersand_key(secret_t *secret, const char *file,
    ctl_error_t *error);

/* Reads a gateway token, as above; the caller checks whether it is one. */

int secret_token(secret_t *secret, const char *file, ctl_error_t *error);

/*
 * Reads the password of Redis from a file that others have no access to, or
 * from standard input for "-".  0, or -1 with the error filled and the buffer
 * wiped.
 */

int secret_password(secret_t *secret, const char *file, ctl_error_t *error);

/*
 * Reads up to size bytes of a regular file that others have no access to.
 * Their number, or -1 with the error filled.
 */

ssize_t secret_file(const secret_kind_t *kind, const char *file, void *data,
    size_t size, ctl_error_t *error);

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
 * Adds the master key of a file to a ring.  0, or -1 with the error filled: the
 * file cannot be used, or it is malformed.
 */

int secret_master_key(amp_keyring_t *ring, const char *file,
    ctl_error_t *error);


#endif /* CTL_SECRET_H */
