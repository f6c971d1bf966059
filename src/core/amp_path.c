#include "amp_path.h"
#include "amp_escape.h"
#include "amp_proxy.h"
#include "amp_route.h"


#define AMP_PARSED_MAX   (AMP_SEGMENTS_MAX + 2)     /* with the API's prefix  */

/* What a decoded segment contains: amp_path_check() looks at it again. */

#define AMP_HAS_COLON    0x01                       /* an encoded colon       */
#define AMP_HAS_PERCENT  0x02
#define AMP_HAS_HIGH     0x04


typedef struct {
    amp_api_e    api;
    unsigned     n;                         /* may exceed AMP_PARSED_MAX      */
    unsigned     trailing;
    amp_piece_t  pieces[AMP_PARSED_MAX + 1];    /* the last for all others    */
} amp_parsed_t;


static int amp_path_method(amp_span_t method, unsigned *head);
static amp_reason_e amp_path_parse(amp_span_t raw, size_t skip,
    unsigned char *scratch, amp_parsed_t *parsed);
static const unsigned char *amp_path_decode(const unsigned char *p,
    const unsigned char *last, unsigned char *dst, amp_piece_t *piece);
static amp_reason_e amp_path_check(amp_api_e api, const amp_piece_t *piece);
static amp_reason_e amp_path_fill(const amp_route_t *route,
    const amp_piece_t *pieces, amp_match_t *m);
static int amp_path_value(amp_api_e api, amp_span_t value);


static const amp_operation_t  *amp_proxy;

static const amp_span_t  amp_prefixes[AMP_API_COUNT][2] = {
    [AMP_API_PLATFORM] = { { 2, (const unsigned char *) "v1" } },
    [AMP_API_READ] = { { 4, (const unsigned char *) "read" },
                       { 2, (const unsigned char *) "v1" } },
    [AMP_API_WRITE] = { { 5, (const unsigned char *) "write" },
                        { 2, (const unsigned char *) "v1" } },
    [AMP_API_SEARCH] = { { 6, (const unsigned char *) "search" },
                         { 2, (const unsigned char *) "v1" } }
};

/* The same prefixes as nearly all clients spell them, with slashes. */

static const amp_span_t  amp_usual[AMP_API_COUNT] = {
    [AMP_API_PLATFORM] = { 4, (const unsigned char *) "/v1/" },
    [AMP_API_READ] = { 9, (const unsigned char *) "/read/v1/" },
    [AMP_API_WRITE] = { 10, (const unsigned char *) "/write/v1/" },
    [AMP_API_SEARCH] = { 11, (const unsigned char *) "/search/v1/" }
};


void
amp_path_init(void)
{
    amp_route_init();
    amp_proxy = amp_operation_find(amp_span("proxyRequest"));
}


amp_reason_e
amp_path_match(amp_api_e api, amp_span_t method, amp_span_t raw,
    unsigned char *scratch, amp_match_t *m)
{
    int                 known;
    size_t              usual;
    unsigned            i, n, skip, head;
    amp_reason_e        rc;
    amp_parsed_t        parsed;
    const amp_route_t  *route;
    const amp_piece_t  *pieces;

    m->op = NULL;
    m->project = amp_span_null;
    m->short_form = 0;
    m->head = 0;
    m->nparams = 0;
    m->rest = amp_span_null;
    m->allow = 0;

    if (api == AMP_API_PROXY) {
        if (amp_proxy == NULL) {
            return AMP_NO_OPERATION;
        }

        rc = amp_proxy_match(method, raw, scratch, m);

        if (rc == AMP_OK) {
            m->op = amp_proxy;
        }

        return rc;
    }

    if (raw.len == 0 || raw.len > AMP_PATH_MAX || raw.data[0] != '/') {
        return AMP_BAD_PATH;
    }

    usual = amp_usual[api].len;

    if (raw.len > usual && memcmp(raw.data, amp_usual[api].data, usual) == 0) {
        usual--;
        skip = 0;

    } else {
        usual = 0;
        skip = (amp_prefixes[api][1].len == 0) ? 1 : 2;
    }

    parsed.api = api;

    rc = amp_path_parse(raw, usual, scratch, &parsed);
    if (rc != AMP_OK) {
        return rc;
    }

    if (parsed.trailing || parsed.n < skip
        || parsed.n - skip > AMP_SEGMENTS_MAX)
    {
        return AMP_NO_OPERATION;
    }

    for (i = 0; i < skip; i++) {
        if (!amp_span_eq(parsed.pieces[i].text, amp_prefixes[api][i])) {
            return AMP_NO_OPERATION;
        }
    }

    pieces = parsed.pieces + skip;
    n = parsed.n - skip;
    known = amp_path_method(method, &head);

    if (known >= 0) {
        route = amp_route_find(api, known, pieces, n);

        if (route != NULL) {
            m->head = head;
            return amp_path_fill(route, pieces, m);
        }
    }

    m->allow = amp_route_methods(api, pieces, n);

    return m->allow ? AMP_NO_METHOD : AMP_NO_OPERATION;
}


/* The method; HEAD counts as GET and sets *head.  -1 for any other. */

static int
amp_path_method(amp_span_t method, unsigned *head)
{
    const unsigned char  *p = method.data;

    *head = 0;

    switch (method.len) {

    case 3:
        if (memcmp(p, "GET", 3) == 0) {
            return AMP_METHOD_GET;
        }

        return memcmp(p, "PUT", 3) == 0 ? AMP_METHOD_PUT : -1;

    case 4:
        if (memcmp(p, "POST", 4) == 0) {
            return AMP_METHOD_POST;
        }

        *head = memcmp(p, "HEAD", 4) == 0;

        return *head ? AMP_METHOD_GET : -1;

    case 5:
        return memcmp(p, "PATCH", 5) == 0 ? AMP_METHOD_PATCH : -1;

    case 6:
        return memcmp(p, "DELETE", 6) == 0 ? AMP_METHOD_DELETE : -1;

    default:
        return -1;
    }
}


/*
 * Decodes and checks every segment from the byte "skip" of raw, a slash.  A
 * path with more segments than any template is checked to its end, too: an
 * attack is AMP_BAD_PATH, never AMP_NO_OPERATION.
 */

static amp_reason_e
amp_path_parse(amp_span_t raw, size_t skip, unsigned char *scratch,
    amp_parsed_t *parsed)
{
    amp_piece_t          *piece;
    amp_reason_e          rc;
    const unsigned char  *p, *last, *start;

    parsed->n = 0;
    parsed->trailing = 0;
    piece = parsed->pieces;

    p = raw.data + skip;
    last = raw.data + raw.len;

    while (p < last) {

        /* p is at a slash */

        start = ++p;

        while (p < last && amp_char_is(*p, AMP_PLAIN)) {
            p++;
        }

        if (p == last || *p == '/') {

            /* most segments need no decoding */

            piece->text = amp_span_make(start, (size_t) (p - start));
            piece->colon = AMP_NO_COLON;
            piece->encoded_colon = AMP_NO_COLON;
            piece->has = 0;

        } else {
            p = amp_path_decode(start, last, scratch + (start - raw.data),
                                piece);
            if (p == NULL) {
                return AMP_BAD_PATH;
            }
        }

        if (piece->text.len == 0) {
            if (p < last) {
                return AMP_BAD_PATH;
            }

            parsed->trailing = 1;
            break;
        }

        if (piece->has || piece->text.data[0] == '.') {
            rc = amp_path_check(parsed->api, piece);
            if (rc != AMP_OK) {
                return rc;
            }
        }

        if (parsed->n < AMP_PARSED_MAX) {
            piece++;
        }

        parsed->n++;
    }

    return AMP_OK;
}


/*
 * Decodes a segment to dst.  Returns its end, at a slash or at last, or NULL
 * when it contains what AMP_BAD_PATH lists.
 */

static const unsigned char *
amp_path_decode(const unsigned char *p, const unsigned char *last,
    unsigned char *dst, amp_piece_t *piece)
{
    int             c;
    unsigned char  *start;

    piece->colon = AMP_NO_COLON;
    piece->encoded_colon = AMP_NO_COLON;
    piece->has = 0;

    start = dst;

    for ( ;; ) {
        while (p < last && amp_char_is(*p, AMP_PLAIN)) {
            *dst++ = *p++;
        }

        if (p == last || *p == '/') {
            piece->text = amp_span_make(start, (size_t) (dst - start));
            return p;
        }

        if (*p == ':') {
            if (piece->colon == AMP_NO_COLON) {
                piece->colon = (size_t) (dst - start);
            }

            piece->encoded_colon = AMP_NO_COLON;
            *dst++ = *p++;
            continue;
        }

        if (amp_unescaped(*p)) {
            *dst++ = *p++;
            continue;
        }

        c = (*p == '%') ? amp_unhex(p + 1, last) : -1;

        if (c < 0 || c == '/' || c == '\\' || amp_char_is(c, AMP_CONTROL)) {
            return NULL;
        }

        if (c == ':') {
            piece->has |= AMP_HAS_COLON;
            piece->encoded_colon = (size_t) (dst - start);

        } else if (c == '%') {
            piece->has |= AMP_HAS_PERCENT;

        } else if (c >= 0x80) {
            piece->has |= AMP_HAS_HIGH;
        }

        *dst++ = (unsigned char) c;
        p += 3;
    }
}


/* Checks a decoded segment as a whole: AMP_OK or AMP_BAD_PATH. */

static amp_reason_e
amp_path_check(amp_api_e api, const amp_piece_t *piece)
{
    int         c;
    size_t      i;
    amp_span_t  text = piece->text;

    if (amp_dot_segment(text)) {
        return AMP_BAD_PATH;
    }

    if (piece->has & AMP_HAS_PERCENT) {
        for (i = 0; i < text.len; i++) {
            c = text.data[i] == '%' ? amp_unhex(text.data + i + 1,
                                                text.data + text.len)
                                    : -1;

            if (c >= 0 && amp_structural(c)) {
                return AMP_BAD_PATH;
            }
        }
    }

    if ((piece->has & AMP_HAS_HIGH) && amp_overlong(text)) {
        return AMP_BAD_PATH;
    }

    if (piece->encoded_colon != AMP_NO_COLON
        && amp_route_verb(api, amp_span_make(text.data + piece->encoded_colon,
                                             text.len - piece->encoded_colon)))
    {
        return AMP_BAD_PATH;
    }

    return AMP_OK;
}


/* Fills m with the operation and the parameters of a route. */

static amp_reason_e
amp_path_fill(const amp_route_t *route, const amp_piece_t *pieces,
    amp_match_t *m)
{
    unsigned              i;
    amp_span_t            value;
    const amp_segment_t  *segment;

    for (i = 0; i < route->n; i++) {
        segment = &route->segments[i];
        value = pieces[i].text;

        if (segment->kind == AMP_SEGMENT_LITERAL) {
            continue;
        }

        if (segment->kind == AMP_SEGMENT_PROJECT) {
            m->project = value;
            continue;
        }

        if (segment->text.len != 0) {
            /* a route has as many segments as the path has pieces */
            /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
            value.len = pieces[i].colon;

            if (!amp_path_value(route->op->api, value)) {
                return AMP_BAD_PATH;
            }
        }

        m->params[m->nparams++] = value;
    }

    m->op = route->op;
    m->short_form = (route->skip != 0);

    return AMP_OK;
}


/*
 * 1 when the value before a verb is allowed: "..:pause" and "x%3Apause:pause"
 * are not.  All colons in the value were encoded.
 */

static int
amp_path_value(amp_api_e api, amp_span_t value)
{
    size_t  colon;

    for (colon = value.len; colon > 0; colon--) {
        if (value.data[colon - 1] == ':') {
            if (amp_route_verb(api, amp_span_make(value.data + colon - 1,
                                                  value.len - colon + 1)))
            {
                return 0;
            }

            break;
        }
    }

    return !amp_dot_segment(value);
}


int
amp_path_begins(amp_api_e api, amp_span_t text)
{
    size_t      n;
    amp_span_t  usual;

    if (api == AMP_API_PROXY) {
        return 1;
    }

    usual = amp_usual[api];
    n = (text.len < usual.len) ? text.len : usual.len;

    if (n == 0) {
        return 1;
    }

    if (memcmp(text.data, usual.data, n) != 0) {
        return 0;
    }

    /* the prefix ends in the slash with which the rest begins */

    return n < usual.len
           || amp_route_begins(api, amp_span_make(text.data + n - 1,
                                                  text.len - n + 1));
}


void
amp_path_compose(const amp_match_t *m, amp_span_t project_id, amp_buf_t *out)
{
    unsigned           param;
    const amp_part_t  *part;

    if (m->op->api == AMP_API_PROXY) {
        amp_buf_byte(out, '/');
        amp_buf_span(out, m->rest);
        return;
    }

    param = 0;

    amp_buf_text(out, "/v1");

    for (part = amp_route_parts(m->op); /* void */ ; part++) {
        amp_buf_span(out, part->text);

        switch (part->value) {

        case AMP_SEGMENT_PROJECT:
            out->overflow |= (project_id.len == 0);
            amp_buf_span(out, project_id);
            break;

        case AMP_SEGMENT_PARAM:
            amp_escape(m->params[param++], out);
            break;

        default:
            return;
        }
    }
}


size_t
amp_path_fixed(const amp_operation_t *op, size_t project_len)
{
    size_t             len;
    const amp_part_t  *part;

    if (op->api == AMP_API_PROXY) {
        return 1;
    }

    part = amp_route_parts(op);
    len = sizeof("/v1") - 1 + part->text.len;

    if (part->value == AMP_SEGMENT_PROJECT) {
        len += project_len + part[1].text.len;
    }

    return len;
}
