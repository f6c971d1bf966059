/*
 * Redis URLs.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "redis_url.h"


#define REDIS_URL_FORMS                                                       \
    "give redis://[user[:password]@]host[:port][/db], e.g. "                  \
    "redis://127.0.0.1:6379/0, or unix:PATH[?db=N], e.g. "                    \
    "unix:/run/redis/redis.sock?db=1"


static int
redis_url_bad(ctl_error_t *error, const char *what)
{
    ctl_error(error, CTL_USAGE, "usage", "the Redis URL %s", what);

    return ctl_remedy(error, REDIS_URL_FORMS);
}


static int
redis_url_number(const char *text, size_t len, unsigned long max,
    unsigned long *n)
{
    size_t  i;

    if (len == 0 || len > 6) {
        return -1;
    }

    for (*n = 0, i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }

        *n = *n * 10 + (text[i] - '0');
    }

    return *n <= max ? 0 : -1;
}


static int
redis_url_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }

    return -1;
}


/* Percent-decodes into a text of REDIS_URL_TEXT bytes. */

static int
redis_url_decode(const char *text, size_t len, char *out)
{
    int     high, low;
    size_t  i, n;

    for (n = 0, i = 0; i < len; i++) {
        if (n == REDIS_URL_TEXT - 1) {
            return -1;
        }

        if (text[i] != '%') {
            out[n++] = text[i];
            continue;
        }

        if (len - i < 3) {
            return -1;
        }

        high = redis_url_hex(text[i + 1]);
        low = redis_url_hex(text[i + 2]);

        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            return -1;
        }

        out[n++] = (char) (high << 4 | low);
        i += 2;
    }

    out[n] = '\0';

    return 0;
}


static int
redis_url_unix(const char *text, redis_url_t *url, ctl_error_t *error)
{
    size_t              len;
    const char         *query;
    unsigned long       db;
    struct sockaddr_un  sun;

    db = 0;
    len = strcspn(text, "?");
    query = text + len;

    if (*query == '?'
        && (strncmp(query, "?db=", 4) != 0
            || redis_url_number(query + 4, strlen(query + 4), 65535, &db) != 0))
    {
        return redis_url_bad(error, "has something else than \"?db=N\" after "
                             "the path of the socket");
    }

    if (len == 0 || len >= sizeof(sun.sun_path)) {
        return redis_url_bad(error, "has no path of a socket, or one that is "
                             "too long");
    }

    memcpy(url->path, text, len);
    url->path[len] = '\0';
    url->db = (unsigned) db;

    snprintf(url->shown, sizeof(url->shown), "unix:%s?db=%u", url->path,
             url->db);

    return 0;
}


static int
redis_url_userinfo(const char *text, size_t len, redis_url_t *url,
    ctl_error_t *error)
{
    size_t       n;
    const char  *colon;

    colon = memchr(text, ':', len);
    n = colon ? (size_t) (colon - text) : len;

    if (redis_url_decode(text, n, url->user) != 0
        || (colon != NULL
            && redis_url_decode(colon + 1, len - n - 1, url->password) != 0))
    {
        return redis_url_bad(error, "has a user or password that is too long "
                             "or badly percent-encoded");
    }

    return 0;
}


static int
redis_url_tcp(const char *text, redis_url_t *url, ctl_error_t *error)
{
    size_t         len, n;
    const char    *at, *slash, *host, *rest;
    unsigned long  port, db;

    if (strpbrk(text, "?#") != NULL) {
        return redis_url_bad(error, "has a query; none is known here");
    }

    at = strrchr(text, '@');
    if (at != NULL) {
        if (redis_url_userinfo(text, at - text, url, error) != 0) {
            return -1;
        }

        text = at + 1;
    }

    slash = strchr(text, '/');
    len = slash ? (size_t) (slash - text) : strlen(text);

    if (len != 0 && text[0] == '[') {
        rest = memchr(text, ']', len);
        if (rest == NULL) {
            return redis_url_bad(error, "has no \"]\" after its address");
        }

        host = text + 1;
        n = rest - host;
        rest++;

    } else {
        rest = memchr(text, ':', len);
        host = text;
        n = rest ? (size_t) (rest - host) : len;
        rest = host + n;
    }

    if (n == 0 || n >= REDIS_URL_TEXT) {
        return redis_url_bad(error, "has no host");
    }

    port = 6379;
    len -= rest - text;

    if (len != 0
        && (*rest != ':'
            || redis_url_number(rest + 1, len - 1, 65535, &port) != 0
            || port == 0))
    {
        return redis_url_bad(error, "has a port that is none");
    }

    db = 0;

    if (slash != NULL && slash[1] != '\0'
        && redis_url_number(slash + 1, strlen(slash + 1), 65535, &db) != 0)
    {
        return redis_url_bad(error, "has a database that is no number");
    }

    memcpy(url->host, host, n);
    url->host[n] = '\0';
    url->port = (int) port;
    url->db = (unsigned) db;

    snprintf(url->shown, sizeof(url->shown), "%s:%d/%u", url->host, url->port,
             url->db);

    return 0;
}


int
redis_url_parse(const char *text, redis_url_t *url, ctl_error_t *error)
{
    size_t                    i;
    static const char *const  later[] = {
        "rediss:", "redis+sentinel:", "redis+cluster:", NULL
    };

    memset(url, 0, sizeof(*url));

    if (strncmp(text, "redis://", 8) == 0) {
        return redis_url_tcp(text + 8, url, error);
    }

    if (strncmp(text, "unix:", 5) == 0) {
        text += 5;
        return redis_url_unix(strncmp(text, "///", 3) ? text : text + 2, url,
                              error);
    }

    for (i = 0; later[i] != NULL; i++) {
        if (strncmp(text, later[i], strlen(later[i])) == 0) {
            ctl_error(error, CTL_USAGE, "usage",
                      "\"%s\" is not supported by this version", later[i]);
            return ctl_remedy(error, REDIS_URL_FORMS);
        }
    }

    return redis_url_bad(error, "begins with neither redis:// nor unix:");
}
