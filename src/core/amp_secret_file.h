/*
 * Files that hold a secret (a master key, a password, a private key): who may
 * have access to them, and what a text of one line looks like.  nginx and
 * ampctl open the files; the rules are here, so that both accept the same ones.
 */

#ifndef AMP_SECRET_FILE_H
#define AMP_SECRET_FILE_H


#include "amp_span.h"


#define AMP_SECRET_LINE_MAX  1024   /* bytes of a file of one line            */


/* Why a file is refused, and what to do; static texts. */

typedef struct {
    const char  *why;               /* follows the file: "is empty"           */
    const char  *remedy;
} amp_secret_refusal_t;


/*
 * Whether others have access to a regular file.  mode: the permission bits of
 * stat(2); owner and reader: the user ids of the file and of the process.  NULL
 * when the file may be used; it is
 *   the reader's own, and closed to group and others (0600, 0400), or
 *   root's, and closed to others, and not writable by its group (0640, 0440),
 * which is PostgreSQL's rule for ssl_key_file: Kubernetes and Docker mount
 * secrets as root's.
 */

const amp_secret_refusal_t *amp_secret_file_access(unsigned mode,
    unsigned long owner, unsigned long reader);

/*
 * The secret in a text of one line: the text without the line ends behind it,
 * LF or CR LF.  NULL, with *secret set to a part of text; else the reason: it
 * is empty, longer than AMP_SECRET_LINE_MAX, begins with a byte order mark
 * (UTF-8 or UTF-16), or has control bytes, of which a line end inside is one.
 */

const amp_secret_refusal_t *amp_secret_file_line(amp_span_t text,
    amp_span_t *secret);


#endif /* AMP_SECRET_FILE_H */
