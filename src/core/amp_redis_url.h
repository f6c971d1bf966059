/*
 * Where Redis is, as text that people write:
 *
 *   redis://[user[:password]@]host[:port][/db]      host: name, IPv4, [IPv6]
 *   unix:PATH[?db=N]
 *
 * User and password are percent-decoded (RFC 3986, 3.2.1).  A user without a
 * password goes with a password file.
 */

#ifndef AMP_REDIS_URL_H
#define AMP_REDIS_URL_H


#include "amp_span.h"


#define AMP_REDIS_URL_TEXT  256
#define AMP_REDIS_PORT      6379

/* What to write, for whoever shows *error. */

#define AMP_REDIS_URL_FORMS                                                   \
    "write redis://[user[:password]@]host[:port][/db] or unix:PATH[?db=N]"


/* Texts are NUL-terminated: libraries that connect want them so. */

typedef struct {
    unsigned  port;
    unsigned  db;
    char      host[AMP_REDIS_URL_TEXT];     /* empty for a socket             */
    char      path[AMP_REDIS_URL_TEXT];     /* of the socket                  */
    char      user[AMP_REDIS_URL_TEXT];
    char      password[AMP_REDIS_URL_TEXT]; /* the caller's to wipe           */
    char      shown[AMP_REDIS_URL_TEXT + 32];   /* without credentials        */
} amp_redis_url_t;


/*
 * 0, or -1 with *error set to a static text that says what is wrong and
 * repeats nothing of the input: it may hold a password.
 */

int amp_redis_url_parse(amp_span_t text, amp_redis_url_t *url,
    const char **error);


#endif /* AMP_REDIS_URL_H */
