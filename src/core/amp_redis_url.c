#define _GNU_SOURCE                     /* memrchr() */

#include "amp_escape.h"
#include "amp_redis_url.h"


typedef struct {
    amp_span_t        scheme;
    amp_redis_form_e  form;
    unsigned          tls;
} amp_redis_scheme_t;


static int amp_redis_url_unix(amp_span_t text, amp_redis_url_t *url,
    const char **error);
static int amp_redis_url_login(amp_span_t text, amp_redis_url_t *url);
static int amp_redis_url_hosts(amp_span_t text, amp_redis_url_t *url,
    const char **error);
static int amp_redis_url_host(amp_span_t text, amp_redis_host_t *host,
    const char **error);
static int amp_redis_url_path(amp_span_t text, amp_redis_url_t *url,
    const char **error);
static void amp_redis_url_show(amp_redis_url_t *url, amp_span_t scheme);
static int amp_redis_url_word(amp_span_t text, const char *marks, char *out);
static int amp_redis_url_number(amp_span_t text, unsigned max, unsigned *n);
static amp_span_t amp_redis_url_split(amp_span_t *text, char at);


static const amp_redis_scheme_t  amp_redis_schemes[] = {
    { amp_span("redis://"), AMP_REDIS_SINGLE, 0 },
    { amp_span("rediss://"), AMP_REDIS_SINGLE, 1 },
    { amp_span("redis+sentinel://"), AMP_REDIS_SENTINEL, 0 },
    { amp_span("rediss+sentinel://"), AMP_REDIS_SENTINEL, 1 },
    { amp_span("redis+cluster://"), AMP_REDIS_CLUSTER, 0 },
    { amp_span("rediss+cluster://"), AMP_REDIS_CLUSTER, 1 },
    { amp_span_null, AMP_REDIS_SINGLE, 0 }
};


static int
amp_redis_url_begins(amp_span_t *text, amp_span_t with)
{
    if (text->len < with.len || memcmp(text->data, with.data, with.len) != 0) {
        return 0;
    }

    *text = amp_span_make(text->data + with.len, text->len - with.len);

    return 1;
}


int
amp_redis_url_parse(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t                 login, hosts;
    const amp_redis_scheme_t  *scheme;

    memset(url, 0, sizeof(*url));

    if (text.len == 0) {
        *error = "the Redis URL is empty";
        return -1;
    }

    if (amp_redis_url_begins(&text, amp_span("unix:"))) {
        return amp_redis_url_unix(text, url, error);
    }

    for (scheme = amp_redis_schemes; scheme->scheme.data; scheme++) {
        if (amp_redis_url_begins(&text, scheme->scheme)) {
            break;
        }
    }

    if (scheme->scheme.data == NULL) {
        *error = "unknown kind of Redis URL";
        return -1;
    }

    url->form = scheme->form;
    url->tls = scheme->tls;

    if (text.len && (memchr(text.data, '?', text.len)
                     || memchr(text.data, '#', text.len)))
    {
        *error = "a Redis URL has no query: in a password \"?\" is %3F and "
                 "\"#\" is %23";
        return -1;
    }

    login = amp_redis_url_split(&text, '@');

    if (login.data && amp_redis_url_login(login, url) != 0) {
        *error = "unusable user or password in the Redis URL: percent-encode "
                 "its special characters, or use a password file";
        return -1;
    }

    hosts = amp_redis_url_split(&text, '/');

    if (hosts.data == NULL) {
        hosts = text;
        text = amp_span_null;
    }

    if (amp_redis_url_hosts(hosts, url, error) != 0
        || amp_redis_url_path(text, url, error) != 0)
    {
        return -1;
    }

    amp_redis_url_show(url, scheme->scheme);

    return 0;
}


static int
amp_redis_url_unix(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t  path;

    if (text.len > 3 && memcmp(text.data, "///", 3) == 0) {
        text = amp_span_make(text.data + 2, text.len - 2);
    }

    path = amp_redis_url_split(&text, '?');

    if (path.data == NULL) {
        path = text;

    } else if (!amp_redis_url_begins(&text, amp_span("db="))
               || amp_redis_url_number(text, 65535, &url->db) != 0)
    {
        *error = "only \"?db=N\" may follow the path of a Redis socket";
        return -1;
    }

    /* sun_path holds 108 bytes with the final NUL */

    if (path.len < 2 || path.len >= 108 || path.data[0] != '/'
        || path.data[1] == '/' || memchr(path.data, '\0', path.len) != NULL)
    {
        *error = "the path of a Redis socket begins with one \"/\" and has at "
                 "most 107 bytes";
        return -1;
    }

    memcpy(url->path, path.data, path.len);
    amp_redis_url_show(url, amp_span("unix:"));

    return 0;
}


/* user, user:password or :password */

static int
amp_redis_url_login(amp_span_t text, amp_redis_url_t *url)
{
    amp_span_t  user;

    if (text.len == 0) {
        return -1;
    }

    user = amp_redis_url_split(&text, ':');

    if (user.data == NULL) {
        user = text;
        text = amp_span_null;
    }

    return amp_redis_url_word(user, NULL, url->user)
           | amp_redis_url_word(text, NULL, url->password);
}


static int
amp_redis_url_hosts(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t         host;
    amp_redis_host_t  *next;

    do {
        host = amp_redis_url_split(&text, ',');

        if (host.data == NULL) {
            host = text;
            text = amp_span_null;

        } else if (url->form == AMP_REDIS_SINGLE) {
            *error = "several hosts are Sentinels or a cluster: "
                     "redis+sentinel:// or redis+cluster://";
            return -1;
        }

        if (url->nhosts == AMP_REDIS_HOSTS_MAX) {
            *error = "a Redis URL names at most 16 hosts";
            return -1;
        }

        next = &url->hosts[url->nhosts++];
        next->port = url->form == AMP_REDIS_SENTINEL ? AMP_REDIS_SENTINEL_PORT
                                                     : AMP_REDIS_PORT;

        if (amp_redis_url_host(host, next, error) != 0) {
            return -1;
        }

    } while (text.data);

    return 0;
}


static int
amp_redis_url_host(amp_span_t text, amp_redis_host_t *host, const char **error)
{
    int          v6;
    amp_span_t   name;
    const char  *marks;

    v6 = amp_redis_url_begins(&text, amp_span("["));
    marks = v6 ? ":." : ".-_";

    if (v6) {
        name = amp_redis_url_split(&text, ']');

        if (name.data == NULL || (text.len && text.data[0] != ':')) {
            *error = "an IPv6 address stands in brackets: redis://[::1]:6379";
            return -1;
        }

        text = text.len ? amp_span_make(text.data + 1, text.len - 1)
                        : amp_span_null;

    } else {
        name = amp_redis_url_split(&text, ':');

        if (name.data == NULL) {
            name = text;
            text = amp_span_null;
        }
    }

    if (text.data && (amp_redis_url_number(text, 65535, &host->port) != 0
                      || host->port == 0))
    {
        *error = "the port of a Redis URL is a number from 1 to 65535";
        return -1;
    }

    if (name.len == 0 || amp_redis_url_word(name, marks, host->host) != 0
        || (v6 && (strchr(host->host, ':') == NULL
                   || strspn(host->host, "0123456789abcdefABCDEF:.")
                      != name.len)))
    {
        *error = "the Redis URL lacks a host, or has one that is no name and "
                 "no address";
        return -1;
    }

    return 0;
}


/* What follows the hosts: [db], name[/db] or nothing. */

static int
amp_redis_url_path(amp_span_t text, amp_redis_url_t *url, const char **error)
{
    amp_span_t  name;

    if (url->form == AMP_REDIS_SENTINEL) {
        name = amp_redis_url_split(&text, '/');

        if (name.data == NULL) {
            name = text;
            text = amp_span_null;
        }

        if (name.len == 0 || amp_redis_url_word(name, ".-_", url->name) != 0) {
            *error = "the name of Sentinel's master follows the hosts: "
                     "redis+sentinel://host:port,.../name";
            return -1;
        }
    }

    if (text.len == 0) {
        return 0;
    }

    if (url->form == AMP_REDIS_CLUSTER) {
        *error = "a Redis cluster has no databases: nothing follows its hosts";
        return -1;
    }

    if (amp_redis_url_number(text, 65535, &url->db) != 0) {
        *error = "the database of a Redis URL is a number";
        return -1;
    }

    return 0;
}


static void
amp_redis_url_show_number(amp_buf_t *out, unsigned n)
{
    if (n >= 10) {
        amp_redis_url_show_number(out, n / 10);
    }

    amp_buf_byte(out, (unsigned char) ('0' + n % 10));
}


/* As it was written, without credentials; hosts beyond the room are "...". */

static void
amp_redis_url_show(amp_redis_url_t *url, amp_span_t scheme)
{
    int                v6;
    unsigned           i;
    amp_buf_t          out, tail;
    amp_redis_host_t  *host;

    /* one host, ",...", "/", the name and NUL always fit */

    amp_buf_init(&out, url->shown, sizeof(url->shown) - strlen(url->name) - 8);

    if (url->form != AMP_REDIS_SINGLE || url->tls || url->path[0]) {
        amp_buf_span(&out, scheme);
    }

    amp_buf_put(&out, url->path, strlen(url->path));

    for (i = 0; i < url->nhosts; i++) {
        host = &url->hosts[i];
        tail = out;
        v6 = (strchr(host->host, ':') != NULL);

        if (i) {
            amp_buf_byte(&out, ',');
        }

        amp_buf_put(&out, "[", v6);
        amp_buf_put(&out, host->host, strlen(host->host));
        amp_buf_put(&out, "]", v6);
        amp_buf_byte(&out, ':');
        amp_redis_url_show_number(&out, host->port);

        if (out.overflow) {
            out = tail;
            break;
        }
    }

    out.end = (unsigned char *) url->shown + sizeof(url->shown) - 1;

    if (i < url->nhosts) {
        amp_buf_put(&out, ",...", 4);
    }

    if (url->name[0]) {
        amp_buf_byte(&out, '/');
        amp_buf_put(&out, url->name, strlen(url->name));
    }

    *out.pos = '\0';
}


/*
 * Letters, digits and some marks as they stand; without marks any printable
 * bytes, percent-decoded.
 */

static int
amp_redis_url_word(amp_span_t text, const char *marks, char *out)
{
    int     c;
    size_t  i, n;

    n = 0;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (marks) {
            if (!(amp_lower(c) >= 'a' && amp_lower(c) <= 'z')
                && !(c >= '0' && c <= '9')
                && (c == '\0' || strchr(marks, c) == NULL))
            {
                return -1;
            }

        } else if (c == '%') {
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
