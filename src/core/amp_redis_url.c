#define _GNU_SOURCE                     /* memrchr() */

#include <stdio.h>

#include "amp_escape.h"
#include "amp_redis_url.h"


static int amp_redis_url_later(amp_span_t text);
static int amp_redis_url_unix(amp_span_t text, amp_redis_url_t *url,
    const char **error);
static int amp_redis_url_host(amp_span_t text, amp_redis_url_t *url,
    const char **error);
static int amp_redis_url_text(amp_span_t text, char *out);
static int amp_redis_url_number(amp_span_t text, unsigned max, unsigned *n);
static amp_span_t amp_redis_url_split(amp_span_t *text, char at);


int
amp_redis_url_parse(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t         user, password;
    const amp_span_t   tcp = amp_span("redis://"), local = amp_span("unix:");

    memset(url, 0, sizeof(*url));
    url->port = AMP_REDIS_PORT;

    if (text.len > local.len && memcmp(text.data, local.data, local.len) == 0) {
        return amp_redis_url_unix(amp_span_make(text.data + local.len,
                                                text.len - local.len),
                                  url, error);
    }

    if (text.len <= tcp.len || memcmp(text.data, tcp.data, tcp.len) != 0) {
        *error = amp_redis_url_later(text)
                 ? "rediss, redis+sentinel and redis+cluster are not supported "
                   "by this version"
                 : "unknown kind of Redis URL";
        return -1;
    }

    if (memchr(text.data, '?', text.len) || memchr(text.data, '#', text.len)) {
        *error = "a Redis URL has no query";
        return -1;
    }

    text = amp_span_make(text.data + tcp.len, text.len - tcp.len);

    password = amp_redis_url_split(&text, '@');

    if (password.data) {
        user = amp_redis_url_split(&password, ':');

        if (user.data == NULL) {
            user = password;
            password = amp_span_null;
        }

        if (amp_redis_url_text(user, url->user) != 0
            || amp_redis_url_text(password, url->password) != 0)
        {
            *error = "unusable user or password in the Redis URL: "
                     "percent-encode its special characters, or use a "
                     "password file";
            return -1;
        }
    }

    return amp_redis_url_host(text, url, error);
}


static int
amp_redis_url_later(amp_span_t text)
{
    const amp_span_t  tls = amp_span("rediss:"), more = amp_span("redis+");

    return (text.len > tls.len && memcmp(text.data, tls.data, tls.len) == 0)
           || (text.len > more.len
               && memcmp(text.data, more.data, more.len) == 0);
}


static int
amp_redis_url_unix(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t        path;
    const amp_span_t  db = amp_span("db=");

    if (text.len > 3 && memcmp(text.data, "///", 3) == 0) {
        text = amp_span_make(text.data + 2, text.len - 2);
    }

    path = amp_redis_url_split(&text, '?');

    if (path.data == NULL) {
        path = text;

    } else if (text.len <= db.len || memcmp(text.data, db.data, db.len) != 0
               || amp_redis_url_number(amp_span_make(text.data + db.len,
                                                     text.len - db.len),
                                       65535, &url->db)
                  != 0)
    {
        *error = "only \"?db=N\" may follow the path of a Redis socket";
        return -1;
    }

    /* sun_path holds 108 bytes with the final NUL */

    if (path.len == 0 || path.len >= 108
        || memchr(path.data, '\0', path.len) != NULL)
    {
        *error = "no path of a Redis socket, or one longer than 107 bytes";
        return -1;
    }

    memcpy(url->path, path.data, path.len);
    snprintf(url->shown, sizeof(url->shown), "unix:%s", url->path);

    return 0;
}


static int
amp_redis_url_host(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    int         v6;
    amp_span_t  host, rest;

    host = amp_redis_url_split(&text, '/');

    if (host.data == NULL) {
        host = text;

    } else if (text.len && amp_redis_url_number(text, 65535, &url->db) != 0) {
        *error = "the database of a Redis URL is a number";
        return -1;
    }

    v6 = (host.len && host.data[0] == '[');
    rest = amp_span_null;

    if (v6) {
        rest = amp_span_make(host.data + 1, host.len - 1);
        host = amp_redis_url_split(&rest, ']');

        if (host.data == NULL || (rest.len && rest.data[0] != ':')) {
            *error = "an IPv6 address stands in brackets: redis://[::1]:6379";
            return -1;
        }

        rest = rest.len ? amp_span_make(rest.data + 1, rest.len - 1)
                        : amp_span_null;

    } else {
        rest = host;
        host = amp_redis_url_split(&rest, ':');

        if (host.data == NULL) {
            host = rest;
            rest = amp_span_null;
        }
    }

    if (rest.data && (amp_redis_url_number(rest, 65535, &url->port) != 0
                      || url->port == 0))
    {
        *error = "the port of a Redis URL is a number from 1 to 65535";
        return -1;
    }

    if (host.len == 0 || amp_redis_url_text(host, url->host) != 0) {
        *error = "no host in the Redis URL";
        return -1;
    }

    snprintf(url->shown, sizeof(url->shown), v6 ? "[%s]:%u" : "%s:%u",
             url->host, url->port);

    return 0;
}


static int
amp_redis_url_text(amp_span_t text, char *out)
{
    int     c;
    size_t  i, n;

    n = 0;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c == '%') {
            c = amp_unhex(text.data + i + 1, text.data + text.len);
            i += 2;
        }

        if (c <= 0x20 || c == 0x7f || n == AMP_REDIS_URL_TEXT - 1) {
            return -1;
        }

        out[n++] = (char) c;
    }

    out[n] = '\0';

    return 0;
}


static int
amp_redis_url_number(amp_span_t text, unsigned max, unsigned *n)
{
    size_t  i;

    *n = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i == 6) {
            return -1;
        }

        *n = *n * 10 + (text.data[i] - '0');
    }

    return (text.len && *n <= max) ? 0 : -1;
}


/*
 * Cuts text at the last "@" or the first of another byte: answers what stands
 * before it and leaves what stands after; data NULL when there is none.
 */

static amp_span_t
amp_redis_url_split(amp_span_t *text, char at)
{
    amp_span_t            head;
    const unsigned char  *p;

    p = text->len == 0 ? NULL
        : at == '@' ? memrchr(text->data, at, text->len)
                    : memchr(text->data, at, text->len);

    if (p == NULL) {
        return amp_span_null;
    }

    head = amp_span_make(text->data, p - text->data);
    *text = amp_span_make(p + 1, text->len - head.len - 1);

    return head;
}
