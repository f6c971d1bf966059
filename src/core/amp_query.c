#include "amp_query.h"
#include "amp_escape.h"


#define AMP_KEY_NAME   "apikey"
#define AMP_KEY_MAX    64               /* four levels of encoding           */

/* With one of these the answer of any operation may have secrets. */

#define AMP_QUERY_SECRET  "includeCreds,includeRefreshToken,includeSecrets"


static const unsigned char *amp_query_plain(const unsigned char *p,
    const unsigned char *last, amp_query_arg_t *arg);
static amp_reason_e amp_query_split(amp_span_t raw, int proxy,
    unsigned char **dst, amp_query_arg_t *arg);
static unsigned char *amp_query_decode(amp_span_t raw, int proxy, int allowed,
    unsigned char *dst);
static amp_reason_e amp_query_take(const amp_operation_t *op,
    amp_query_arg_t *arg, uint32_t *seen, amp_query_t *q);
static amp_reason_e amp_query_declared(const char *list, amp_query_arg_t *arg,
    uint32_t *seen);
static inline int amp_query_is_key(amp_span_t name);
static int amp_query_encodes_key(amp_span_t name);
static int amp_query_hides_key(amp_span_t raw);
static inline int amp_query_is_on(const char *list, const amp_query_arg_t *arg);
static const char *amp_query_next(const char *list, amp_span_t *name);
static void amp_query_sort(amp_query_t *q);
static int amp_query_before(const amp_query_arg_t *a,
    const amp_query_arg_t *b);


amp_reason_e
amp_query_parse(const amp_operation_t *op, amp_span_t raw,
    unsigned char *scratch, amp_query_t *q)
{
    uint32_t              seen;
    amp_reason_e          rc;
    amp_query_arg_t      *arg;
    const unsigned char  *p, *last, *next;

    q->n = 0;
    q->secret = 0;
    q->changes = 0;
    q->has_group = 0;
    q->verbatim = (op->api == AMP_API_PROXY);
    q->group = amp_span_null;
    q->fault = amp_span_null;

    if (raw.len == 0) {
        return AMP_OK;
    }

    if (raw.len > AMP_QUERY_MAX) {
        return AMP_BAD_QUERY;
    }

    seen = 0;
    last = raw.data + raw.len;

    for (p = raw.data; p < last; p = next + (next < last)) {
        if (*p == '&') {
            next = p;
            continue;
        }

        if (q->n == AMP_QUERY_ARGS) {
            return AMP_BAD_QUERY;
        }

        arg = &q->args[q->n++];
        next = amp_query_plain(p, last, arg);

        if (next == NULL) {
            next = memchr(p, '&', (size_t) (last - p));
            next = next ? next : last;

            rc = amp_query_split(amp_span_make(p, (size_t) (next - p)),
                                 q->verbatim, &scratch, arg);
            if (rc != AMP_OK) {
                q->fault = amp_span_make(p, (size_t) (next - p));
                return rc;
            }
        }

        rc = amp_query_take(op, arg, &seen, q);
        if (rc != AMP_OK) {
            q->fault = amp_span_make(p, (size_t) (next - p));
            return rc;
        }
    }

    if (!q->verbatim) {
        amp_query_sort(q);
    }

    return AMP_OK;
}


/*
 * Parses an argument that needs no decoding, as most do.  Returns its end, at
 * "&" or last, or NULL when it needs decoding.
 */

static const unsigned char *
amp_query_plain(const unsigned char *p, const unsigned char *last,
    amp_query_arg_t *arg)
{
    size_t  len;

    len = amp_unreserved(p, last);
    arg->name = amp_span_make(p, len);
    p += len;

    arg->has_value = (p < last && *p == '=');
    p += arg->has_value;

    len = amp_unreserved(p, last);
    arg->value = amp_span_make(p, len);
    p += len;

    arg->plain = 1;

    return (p == last || *p == '&') ? p : NULL;
}


/* Decodes name and value of an argument to *dst, which is advanced. */

static amp_reason_e
amp_query_split(amp_span_t raw, int proxy, unsigned char **dst,
    amp_query_arg_t *arg)
{
    size_t                len;
    unsigned char        *end;
    const unsigned char  *equals;

    if (proxy && amp_query_hides_key(raw)) {
        return AMP_KEY_IN_QUERY;
    }

    arg->plain = 0;

    equals = memchr(raw.data, '=', raw.len);
    len = equals ? (size_t) (equals - raw.data) : raw.len;

    end = amp_query_decode(amp_span_make(raw.data, len), proxy, 0, *dst);
    if (end == NULL) {
        return AMP_BAD_QUERY;
    }

    arg->name = amp_span_make(*dst, (size_t) (end - *dst));
    arg->value = amp_span_make(end, 0);
    arg->has_value = (equals != NULL);
    *dst = end;

    if (equals == NULL) {
        return AMP_OK;
    }

    end = amp_query_decode(amp_span_make(equals + 1, raw.len - len - 1), proxy,
                           '\t', *dst);
    if (end == NULL) {
        return AMP_BAD_QUERY;
    }

    arg->value.len = (size_t) (end - *dst);
    *dst = end;

    return AMP_OK;
}


/*
 * Decodes to dst and returns the end of the result, or NULL: malformed.  No
 * control byte is allowed but, encoded, this one; 0: none.
 */

static unsigned char *
amp_query_decode(amp_span_t raw, int proxy, int allowed, unsigned char *dst)
{
    int                   c;
    const unsigned char  *p, *last;

    if (raw.len == 0) {
        return dst;
    }

    p = raw.data;
    last = p + raw.len;

    while (p < last) {
        if (*p == '%') {
            c = amp_unhex(p + 1, last);

            if (c <= 0 || (amp_char_is(c, AMP_CONTROL) && c != allowed)) {
                return NULL;
            }

            if (proxy) {
                dst = amp_normalise(dst, (unsigned char) c);

            } else {
                *dst++ = (unsigned char) c;
            }

            p += 3;
            continue;
        }

        if (amp_char_is(*p, AMP_CONTROL)) {
            return NULL;
        }

        *dst++ = (*p == '+' && !proxy) ? ' ' : *p;
        p++;
    }

    return dst;
}


/* Classifies an argument.  seen: bits of the declared ones seen so far. */

static amp_reason_e
amp_query_take(const amp_operation_t *op, amp_query_arg_t *arg,
    uint32_t *seen, amp_query_t *q)
{
    if (amp_query_is_key(arg->name)) {
        return AMP_KEY_IN_QUERY;
    }

    arg->declared = 0;
    arg->order = AMP_QUERY_ARGS;

    if (amp_query_declared(op->query, arg, seen) != AMP_OK) {
        return AMP_BAD_QUERY;
    }

    if (amp_query_is_on(op->secret_query, arg)
        || amp_query_is_on(AMP_QUERY_SECRET, arg))
    {
        q->secret = 1;
    }

    if (amp_query_is_on(op->state_query, arg)) {
        q->changes = 1;
    }

    if (op->group_in == AMP_IN_QUERY && arg->declared
        && amp_span_eq(arg->name, amp_span("groupRef")))
    {
        q->has_group = 1;
        q->group = arg->value;
    }

    return AMP_OK;
}


/*
 * A declared parameter may occur once, in its documented spelling: the gateway
 * cannot know which of two values or spellings the upstream would use.
 */

static amp_reason_e
amp_query_declared(const char *list, amp_query_arg_t *arg, uint32_t *seen)
{
    unsigned    i;
    amp_span_t  name;

    for (i = 0; *list != '\0'; i++) {
        list = amp_query_next(list, &name);

        if (!amp_span_eq(arg->name, name)) {
            if (amp_span_caseeq(arg->name, name)) {
                return AMP_BAD_QUERY;
            }

            continue;
        }

        if (*seen & (1u << i)) {
            return AMP_BAD_QUERY;
        }

        *seen |= 1u << i;
        arg->declared = 1;
        arg->order = i;

        break;
    }

    return AMP_OK;
}


/* 1 when the name is "apikey", in any case and however often encoded. */

static inline int
amp_query_is_key(amp_span_t name)
{
    if (name.len <= sizeof(AMP_KEY_NAME) - 1) {
        return amp_span_caseeq(name, amp_span(AMP_KEY_NAME));
    }

    return name.len <= AMP_KEY_MAX && amp_query_encodes_key(name);
}


/* amp_query_is_key() for a name that was encoded more than once. */

static int
amp_query_encodes_key(amp_span_t name)
{
    int            c;
    size_t         i, n, len;
    unsigned char  buf[AMP_KEY_MAX];

    if (memchr(name.data, '%', name.len) == NULL) {
        return 0;
    }

    memcpy(buf, name.data, name.len);
    len = name.len;

    for ( ;; ) {
        for (i = 0, n = 0; i < len; n++) {
            c = (buf[i] == '%') ? amp_unhex(buf + i + 1, buf + len) : -1;
            buf[n] = (c < 0) ? buf[i] : (unsigned char) c;
            i += (c < 0) ? 1 : 3;
        }

        if (n == len) {
            break;
        }

        len = n;
    }

    return amp_span_caseeq(amp_span_make(buf, len), amp_span(AMP_KEY_NAME));
}


/*
 * 1 when an argument of the proxy API contains a key between ";": some servers
 * split a query there, too.
 */

static int
amp_query_hides_key(amp_span_t raw)
{
    size_t                len;
    const unsigned char  *p, *last, *next, *equals;

    last = raw.data + raw.len;

    for (p = raw.data; p < last; p = (next < last) ? next + 1 : last) {
        next = memchr(p, ';', (size_t) (last - p));
        next = next ? next : last;

        equals = memchr(p, '=', (size_t) (next - p));
        len = (size_t) ((equals ? equals : next) - p);

        if (amp_query_is_key(amp_span_make(p, len))) {
            return 1;
        }
    }

    return 0;
}


/* 1 when the argument is in the list and its value is not "false". */

static inline int
amp_query_is_on(const char *list, const amp_query_arg_t *arg)
{
    amp_span_t  name;

    while (*list != '\0') {
        list = amp_query_next(list, &name);

        if (amp_span_caseeq(arg->name, name)) {
            return !amp_span_eq(arg->value, amp_span("false"));
        }
    }

    return 0;
}


/* The first name of a list of the table, without "!"; returns the rest. */

static const char *
amp_query_next(const char *list, amp_span_t *name)
{
    const char  *p;

    for (p = list; *p != '\0' && *p != ',' && *p != '!'; p++) { /* void */ }

    *name = amp_span_make(list, (size_t) (p - list));

    while (*p == '!' || *p == ',') {
        p++;
    }

    return p;
}


/* Insertion sort: there are few arguments, and most are in order. */

static void
amp_query_sort(amp_query_t *q)
{
    unsigned         i, j;
    amp_query_arg_t  arg;

    for (i = 1; i < q->n; i++) {
        if (!amp_query_before(&q->args[i], &q->args[i - 1])) {
            continue;
        }

        arg = q->args[i];
        j = i;

        do {
            q->args[j] = q->args[j - 1];
            j--;
        } while (j > 0 && amp_query_before(&arg, &q->args[j - 1]));

        q->args[j] = arg;
    }
}


static int
amp_query_before(const amp_query_arg_t *a, const amp_query_arg_t *b)
{
    int     rc;
    size_t  len;

    if (a->order != b->order) {
        return a->order < b->order;
    }

    len = (a->name.len < b->name.len) ? a->name.len : b->name.len;
    rc = len ? memcmp(a->name.data, b->name.data, len) : 0;

    return rc ? rc < 0 : a->name.len < b->name.len;
}


void
amp_query_compose(const amp_query_t *q, amp_buf_t *out)
{
    unsigned                i;
    const amp_query_arg_t  *arg;

    for (i = 0; i < q->n; i++) {
        arg = &q->args[i];
        amp_buf_byte(out, i ? '&' : '?');

        if (arg->plain) {
            amp_buf_put(out, arg->name.data,
                        arg->name.len + arg->has_value + arg->value.len);
            continue;
        }

        if (q->verbatim) {
            amp_escape_normalised(arg->name, out);

        } else {
            amp_escape(arg->name, out);
        }

        if (!arg->has_value) {
            continue;
        }

        amp_buf_byte(out, '=');

        if (q->verbatim) {
            amp_escape_normalised(arg->value, out);

        } else {
            amp_escape(arg->value, out);
        }
    }
}
