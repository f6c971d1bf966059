/*
 * Where Redis is, as text that people write:
 *
 *   redis://[user[:password]@]host[:port][/db]
 *   unix:PATH[?db=N]
 *   redis+sentinel://[user[:password]@]host[:port],.../name[/db]
 *   redis+cluster://[user[:password]@]host[:port],...
 *
 * rediss in place of redis means TLS.  A host is a name, an IPv4 address or an
 * [IPv6] one; the port is 6379, for Sentinels 26379, where none is given.  A
 * cluster has no databases.  User and password are percent-decoded (RFC 3986,
 * 3.2.1).  A user without a password goes with a password file.
 */

#ifndef AMP_REDIS_URL_H
#define AMP_REDIS_URL_H


#include "amp_span.h"


#define AMP_REDIS_URL_TEXT       256
#define AMP_REDIS_URL_SHOWN      576
#define AMP_REDIS_HOSTS_MAX      16
#define AMP_REDIS_PORT           6379
#define AMP_REDIS_SENTINEL_PORT  26379

/* What to write, for whoever shows *error. */

#define AMP_REDIS_URL_FORMS                                                   \
    "write redis://[user[:password]@]host[:port][/db], unix:PATH[?db=N], "    \
    "redis+sentinel://host:port,.../name[/db] or "                            \
    "redis+cluster://host:port,... (rediss for TLS)"


typedef enum {
    AMP_REDIS_SINGLE = 0,
    AMP_REDIS_SENTINEL,
    AMP_REDIS_CLUSTER
} amp_redis_form_e;


/* Texts are NUL-terminated: libraries that connect want them so. */

typedef struct {
    char              host[AMP_REDIS_URL_TEXT];     /* IPv6 without brackets  */
    unsigned          port;
} amp_redis_host_t;


typedef struct {
    amp_redis_form_e  form;
    unsigned          tls;
    unsigned          nhosts;           /* 0 for a socket, 1 for a single one */
    amp_redis_host_t  hosts[AMP_REDIS_HOSTS_MAX];
    unsigned          db;
    char              path[AMP_REDIS_URL_TEXT];     /* of the socket          */
    char              user[AMP_REDIS_URL_TEXT];
    char              password[AMP_REDIS_URL_TEXT]; /* the caller's to wipe   */
    char              name[AMP_REDIS_URL_TEXT];     /* of Sentinel's master   */
    char              shown[AMP_REDIS_URL_SHOWN];   /* without credentials    */
} amp_redis_url_t;


/*
 * 0, or -1 with *error set to a static text that says what is wrong and
 * repeats nothing of the input: it may hold a password.  The password is to
 * be wiped after a refusal as well.
 */

int amp_redis_url_parse(amp_span_t text, amp_redis_url_t *url,
    const char **error);


#endif /* AMP_REDIS_URL_H */
