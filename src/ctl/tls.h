/*
 * TLS 1.2 or newer to Redis, whose certificate is always verified.
 */

#ifndef CTL_TLS_H
#define CTL_TLS_H


#include <openssl/bio.h>

#include "output.h"


/* Each may be NULL. */

typedef struct {
    const char  *ca;                /* file; NULL: the system's CAs           */
    const char  *cert;              /* file of a client certificate           */
    const char  *key;               /* file, closed to group and others       */
    const char  *server_name;       /* to verify, in place of the host        */
} tls_options_t;

typedef struct tls_s  tls_t;


/*
 * Reads the files.  The options' texts have to live as long as the result.
 * NULL with the error set.
 */

tls_t *tls_create(const tls_options_t *options, ctl_error_t *error);

void tls_free(tls_t *tls);

/*
 * A filter for one connection to a host (a name or an address), before the
 * handshake; the caller puts it on top of the socket's BIO with BIO_push().
 * NULL: no memory, or the host is neither a name nor an address.
 */

BIO *tls_filter(tls_t *tls, const char *host);

/*
 * Sets the error where TLS is the reason why the connection failed, from the
 * error queue of OpenSSL.  1, or 0 where the reason is another one.
 */

int tls_fault(BIO *filter, const char *who, ctl_error_t *error);

/*
 * Writes protocol and cipher as text of at most size bytes with its NUL, and
 * sets *days to how long the server's certificate is still valid.
 */

void tls_describe(BIO *filter, char *text, size_t size, int *days);


#endif /* CTL_TLS_H */
