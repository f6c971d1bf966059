#include "amp_path.h"
#include "amp_escape.h"
#include "amp_proxy.h"
#include "amp_route.h"


#define AMP_PARSED_MAX   (AMP_SEGMENTS_MAX + 2)     /* with the API's prefix  */

/* What a segment holds that needs a second look. */

#define AMP_HAS_COLON    0x01                       /* an encoded one         */
#define AMP_HAS_PERCENT  0x02
#define AMP_HAS_HIGH     0x04


typedef struct {
    amp_api_e    api;
    unsigned     n;                         /* may pass AMP_PARSED_MAX        */
    unsigned     trailing;
    amp_piece_t  pieces[AMP_PARSED_MAX + 1];    /* one for all that follow    */
} amp_parsed_t;


static int amp_path_method(amp_span_t method, unsigned *head);
static amp_reason_e amp_path_parse(amp_span_t raw, unsigned char *scratch,
    amp_parsed_t *parsed);
static unsigned char *amp_path_decode(unsigned char *p, unsigned char *last,
    amp_piece_t *piece);
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
    unsigned            i, n, skip, head;
    amp_reason_e        rc;
    amp_parsed_t        parsed;
    const amp_route_t  *route;
    const amp_piece_t  *pieces;

    memset(m, 0, sizeof(*m));

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

    parsed.api = api;

    rc = amp_path_parse(raw, scratch, &parsed);
    if (rc != AMP_OK) {
        return rc;
    }

    skip = (amp_prefixes[api][1].len == 0) ? 1 : 2;

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


/* The method, HEAD as GET; -1 for any other. */

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
 * Decodes and judges every segment, also of a path that is too long for any
 * template: an attack is told as such, whatever comes after it.
 */

static amp_reason_e
amp_path_parse(amp_span_t raw, unsigned char *scratch, amp_parsed_t *parsed)
{
    amp_piece_t    *piece;
    amp_reason_e    rc;
    unsigned char  *p, *last;

    if (raw.len == 0 || raw.len > AMP_PATH_MAX || raw.data[0] != '/') {
        return AMP_BAD_PATH;
    }

    parsed->n = 0;
    parsed->trailing = 0;

    /* decoded in place: mostly there is nothing to decode */

    memcpy(scratch, raw.data, raw.len);
    p = scratch;
    last = p + raw.len;

    while (p < last) {

        /* p is at a slash */

        piece = &parsed->pieces[parsed->n < AMP_PARSED_MAX ? parsed->n
                                                           : AMP_PARSED_MAX];

        p = amp_path_decode(p + 1, last, piece);
        if (p == NULL) {
            return AMP_BAD_PATH;
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

        parsed->n++;
    }

    return AMP_OK;
}


/* One segment.  Answers where it ends, at a slash or last; NULL: refused. */

static unsigned char *
amp_path_decode(unsigned char *p, unsigned char *last, amp_piece_t *piece)
{
    int             c;
    unsigned char  *dst, *run, *start;

    piece->text.data = p;
    piece->colon = AMP_NO_COLON;
    piece->encoded_colon = AMP_NO_COLON;
    piece->has = 0;

    start = p;
    dst = p;

    for ( ;; ) {
        run = p;

        while (p < last && amp_char_is(*p, AMP_PLAIN)) {
            p++;
        }

        if (dst != run) {
            memmove(dst, run, (size_t) (p - run));
        }

        dst += p - run;

        if (p == last || *p == '/') {
            piece->text.len = (size_t) (dst - start);
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


static amp_reason_e
amp_path_check(amp_api_e api, const amp_piece_t *piece)
{
    size_t      i;
    amp_span_t  text = piece->text;

    if (amp_dot_segment(text)) {
        return AMP_BAD_PATH;
    }

    if (piece->has & AMP_HAS_PERCENT) {
        for (i = 0; i < text.len; i++) {
            if (text.data[i] == '%'
                && amp_unhex(text.data + i + 1, text.data + text.len) >= 0)
            {
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
 * Judges what is left of a segment without its verb: "..:pause" and
 * "x%3Apause:pause" only show here.  All colons in it were encoded.
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


void
amp_path_compose(const amp_match_t *m, amp_span_t project_id, amp_buf_t *out)
{
    unsigned               i, param;
    const amp_segment_t   *segment;
    const amp_template_t  *template;

    if (m->op->api == AMP_API_PROXY) {
        amp_buf_byte(out, '/');
        amp_buf_span(out, m->rest);
        return;
    }

    template = amp_route_template(m->op);
    param = 0;

    amp_buf_text(out, "/v1");

    for (i = 0; i < template->n; i++) {
        segment = &template->segments[i];
        amp_buf_byte(out, '/');

        switch (segment->kind) {

        case AMP_SEGMENT_PROJECT:
            out->overflow |= (project_id.len == 0);
            amp_escape(project_id, out);
            break;

        case AMP_SEGMENT_PARAM:
            amp_escape(m->params[param++], out);
            amp_buf_span(out, segment->text);
            break;

        default:
            amp_buf_span(out, segment->text);
        }
    }
}
