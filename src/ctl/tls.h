/*
 * TLS to Redis: 1.2 or newer, and the other side always proves who it is.
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
    const char  *server_name;       /* in place of the host's                 */
} tls_options_t;

typedef struct tls_s  tls_t;


/* The options' texts have to live as long.  NULL with the error filled. */

tls_t *tls_create(const tls_options_t *options, ctl_error_t *error);

void tls_free(tls_t *tls);

/*
 * A filter for one connection to a host, a name or an address, that is yet to
 * shake hands; BIO_push() it onto the socket's.  NULL when there is no memory.
 */

BIO *tls_filter(tls_t *tls, const char *host);

/*
 * Why the connection failed, as OpenSSL has noted it: fills the error and
 * answers 1, or 0 when that has nothing to do with TLS.
 */

int tls_fault(BIO *filter, const char *who, ctl_error_t *error);

/*
 * Protocol and cipher, and in *days how long the other side's certificate is
 * good for.
 */

void tls_describe(BIO *filter, char *text, size_t size, int *days);


#endif /* CTL_TLS_H */
