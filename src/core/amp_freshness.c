#include "amp_freshness.h"


static amp_span_t amp_freshness_until(amp_span_t *rest, amp_span_t set);
static amp_span_t amp_freshness_value(amp_span_t *rest);
static void amp_freshness_directive(amp_freshness_t *f, amp_span_t name,
    amp_span_t value);
static void amp_freshness_least(int64_t *seconds, amp_span_t value);


void
amp_freshness_init(amp_freshness_t *f)
{
    memset(f, 0, sizeof(*f));

    f->shared = -1;
    f->max_age = -1;
    f->expires = -1;
    f->updating = -1;
    f->error = -1;
}


void
amp_freshness_control(amp_freshness_t *f, amp_span_t value)
{
    amp_span_t        name, argument;
    const amp_span_t  delimiters = amp_span(",; \t");

    while (value.len) {
        name = amp_freshness_until(&value, amp_span("=,; \t"));
        argument = amp_span_null;

        if (value.len && value.data[0] == '=') {
            value = amp_span_make(value.data + 1, value.len - 1);
            argument = amp_freshness_value(&value);
        }

        amp_freshness_directive(f, name, argument);

        while (value.len
               && memchr(delimiters.data, value.data[0], delimiters.len))
        {
            value = amp_span_make(value.data + 1, value.len - 1);
        }
    }
}


/* Takes what is in front of the first byte of the set, or all. */

static amp_span_t
amp_freshness_until(amp_span_t *rest, amp_span_t set)
{
    size_t      n;
    amp_span_t  taken;

    for (n = 0; n < rest->len; n++) {
        if (memchr(set.data, rest->data[n], set.len)) {
            break;
        }
    }

    taken = amp_span_make(rest->data, n);
    *rest = amp_span_make(rest->data + n, rest->len - n);

    return taken;
}


/* A token or a quoted string, which may have commas. */

static amp_span_t
amp_freshness_value(amp_span_t *rest)
{
    size_t      n;
    amp_span_t  taken;

    if (rest->len == 0 || rest->data[0] != '"') {
        return amp_freshness_until(rest, amp_span(",; \t"));
    }

    for (n = 1; n < rest->len && rest->data[n] != '"'; n++) {
        n += (rest->data[n] == '\\');
    }

    n = n < rest->len ? n : rest->len;

    taken = amp_span_make(rest->data + 1, n - 1);
    n += (n < rest->len);
    *rest = amp_span_make(rest->data + n, rest->len - n);

    return taken;
}


#define amp_freshness_is(name, text)  amp_span_caseeq(name, amp_span(text))


static void
amp_freshness_directive(amp_freshness_t *f, amp_span_t name, amp_span_t value)
{
    if (amp_freshness_is(name, "max-age")) {
        amp_freshness_least(&f->max_age, value);

    } else if (amp_freshness_is(name, "s-maxage")) {
        amp_freshness_least(&f->shared, value);
        f->revalidate = 1;

    } else if (amp_freshness_is(name, "no-store")
               || amp_freshness_is(name, "no-cache")
               || amp_freshness_is(name, "private"))
    {
        f->forbidden = 1;

    } else if (amp_freshness_is(name, "must-revalidate")
               || amp_freshness_is(name, "proxy-revalidate"))
    {
        f->revalidate = 1;

    } else if (amp_freshness_is(name, "stale-while-revalidate")) {
        amp_freshness_least(&f->updating, value);

    } else if (amp_freshness_is(name, "stale-if-error")) {
        amp_freshness_least(&f->error, value);
    }
}


static void
amp_freshness_least(int64_t *seconds, amp_span_t value)
{
    int64_t  n;

    n = amp_freshness_seconds(value);
    n = n < 0 ? 0 : n;

    if (*seconds < 0 || n < *seconds) {
        *seconds = n;
    }
}


int64_t
amp_freshness_seconds(amp_span_t text)
{
    size_t   i;
    int64_t  n;

    if (text.len == 0) {
        return -1;
    }

    for (i = 0, n = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }

        n = n * 10 + (text.data[i] - '0');
        n = n < AMP_FRESHNESS_MAX ? n : AMP_FRESHNESS_MAX;
    }

    return n;
}


int64_t
amp_freshness_age(amp_span_t text)
{
    size_t  n;

    for (n = 0; n < text.len; n++) {
        if (text.data[n] < '0' || text.data[n] > '9') {
            break;
        }
    }

    return n ? amp_freshness_seconds(amp_span_make(text.data, n)) : 0;
}


int64_t
amp_freshness_left(const amp_freshness_t *f)
{
    int64_t  lifetime;

    if (f->forbidden) {
        return 0;
    }

    lifetime = f->shared >= 0 ? f->shared
               : f->max_age >= 0 ? f->max_age : f->expires;

    if (lifetime < 0) {
        return -1;
    }

    return lifetime > f->age ? lifetime - f->age : 0;
}
