#include "amp_route.h"


#define AMP_VERBS_MAX   8
#define AMP_PARTS_MAX   (AMP_PARAMS_MAX + 2)    /* the project's, the last  */
#define AMP_ROUTES_MAX  (AMP_OPERATIONS_MAX * 2)

#define AMP_BUCKETS     (AMP_API_COUNT * (AMP_SEGMENTS_MAX + 1)               \
                         * AMP_METHOD_COUNT)

#define amp_bucket(api, n, method)                                            \
    (((unsigned) (api) * (AMP_SEGMENTS_MAX + 1) + (unsigned) (n))             \
     * AMP_METHOD_COUNT + (unsigned) (method))


typedef struct {
    unsigned       n;
    amp_segment_t  segments[AMP_SEGMENTS_MAX];
    amp_part_t     parts[AMP_PARTS_MAX];
} amp_template_t;


static void amp_route_cut(const amp_operation_t *op,
    amp_template_t *template);
static void amp_route_fill(amp_api_e api, unsigned len, amp_method_e method);
static inline int amp_route_matches(const amp_route_t *route,
    const amp_piece_t *pieces);
static int amp_route_one_begins(const amp_route_t *route, amp_span_t text);


static amp_template_t  amp_templates[AMP_OPERATIONS_MAX];

/*
 * Routes are in the order of their buckets: those of bucket b are
 * amp_first[b] .. amp_first[b + 1] - 1.  The buckets of all methods for one
 * number of segments are next to each other.
 */

static amp_route_t  amp_routes[AMP_ROUTES_MAX];
static unsigned     amp_nroutes;
static uint16_t     amp_first[AMP_BUCKETS + 1];

static unsigned     amp_nverbs[AMP_API_COUNT];
static amp_span_t   amp_verbs[AMP_API_COUNT][AMP_VERBS_MAX];


void
amp_route_init(void)
{
    size_t                  i, n;
    unsigned                api, len, method;
    const amp_operation_t  *ops, *projects, *project;

    if (amp_nroutes != 0) {
        return;
    }

    ops = amp_operations(&n);

    for (i = 0; i < n; i++) {
        if (ops[i].api != AMP_API_PROXY) {
            amp_route_cut(&ops[i], &amp_templates[i]);
        }
    }

    for (api = 0; api < AMP_API_COUNT; api++) {
        for (len = 0; len <= AMP_SEGMENTS_MAX; len++) {
            for (method = 0; method < AMP_METHOD_COUNT; method++) {
                amp_route_fill(api, len, method);
            }
        }
    }

    amp_first[AMP_BUCKETS] = (uint16_t) amp_nroutes;

    /*
     * After the routes were made: listProjects is matched by its own one
     * segment, which is also the first of getProject's template.
     */

    projects = amp_operation_find(amp_span("listProjects"));
    project = amp_operation_find(amp_span("getProject"));

    amp_templates[amp_operation_index(projects)] =
        amp_templates[amp_operation_index(project)];
}


/* Cuts a path template into segments and parts, and notes its verbs. */

static void
amp_route_cut(const amp_operation_t *op, amp_template_t *template)
{
    const char     *p, *end, *colon, *text;
    amp_part_t     *part;
    amp_segment_t  *segment;

    text = op->path;
    part = template->parts;

    for (p = op->path; *p == '/'; p = end) {
        p++;
        end = p + strcspn(p, "/");
        segment = &template->segments[template->n++];

        if (*p != '{') {
            segment->kind = AMP_SEGMENT_LITERAL;
            segment->text = amp_span_make(p, (size_t) (end - p));
            colon = memchr(p, ':', (size_t) (end - p));

        } else {
            segment->kind = AMP_SEGMENT_PARAM;
            colon = (const char *) memchr(p, '}', (size_t) (end - p)) + 1;
            segment->text = amp_span_make(colon, (size_t) (end - colon));

            if (strncmp(p, "{projectIdOrName}", (size_t) (end - p)) == 0) {
                segment->kind = AMP_SEGMENT_PROJECT;
            }

            part->text = amp_span_make(text, (size_t) (p - text));
            part->value = segment->kind;
            part++;
            text = colon;
        }

        if (colon != NULL && colon < end) {
            amp_verbs[op->api][amp_nverbs[op->api]++] =
                amp_span_make(colon, (size_t) (end - colon));
        }
    }

    part->text = amp_span_make(text, (size_t) (p - text));
}


/* Adds the routes of one bucket: operations in both spellings. */

static void
amp_route_fill(amp_api_e api, unsigned len, amp_method_e method)
{
    size_t                  i, n;
    unsigned                skip;
    amp_route_t            *route;
    amp_template_t         *template;
    const amp_operation_t  *ops;

    ops = amp_operations(&n);
    amp_first[amp_bucket(api, len, method)] = (uint16_t) amp_nroutes;

    for (i = 0; i < n; i++) {
        if (ops[i].api != api || ops[i].method != method
            || api == AMP_API_PROXY)
        {
            continue;
        }

        template = &amp_templates[i];

        for (skip = 0; skip <= 2; skip += 2) {
            if (skip && ops[i].project_in != AMP_IN_PATH) {
                break;
            }

            if (template->n - skip != len) {
                continue;
            }

            route = &amp_routes[amp_nroutes++];
            route->op = &ops[i];
            route->segments = template->segments + skip;
            route->n = len;
            route->skip = skip;
            route->first = len ? route->segments[0].text.len : 0;
        }
    }
}


const amp_route_t *
amp_route_find(amp_api_e api, amp_method_e method, const amp_piece_t *pieces,
    unsigned n)
{
    size_t              len;
    const uint16_t     *first;
    const amp_route_t  *route, *last;

    first = &amp_first[amp_bucket(api, n, method)];
    last = &amp_routes[first[1]];

    len = n ? pieces[0].text.len : 0;

    for (route = &amp_routes[first[0]]; route < last; route++) {
        if (route->first == len && amp_route_matches(route, pieces)) {
            return route;
        }
    }

    return NULL;
}


unsigned
amp_route_methods(amp_api_e api, const amp_piece_t *pieces, unsigned n)
{
    unsigned         i, methods;
    const uint16_t  *first;

    methods = 0;
    first = &amp_first[amp_bucket(api, n, 0)];

    for (i = first[0]; i < first[AMP_METHOD_COUNT]; i++) {
        if (amp_route_matches(&amp_routes[i], pieces)) {
            methods |= 1u << amp_routes[i].op->method;
        }
    }

    return methods;
}


/* 1 when the route matches the pieces, of which there are route->n. */

static inline int
amp_route_matches(const amp_route_t *route, const amp_piece_t *pieces)
{
    unsigned              i;
    const amp_piece_t    *piece;
    const amp_segment_t  *segment;

    for (i = 0; i < route->n; i++) {
        segment = &route->segments[i];
        piece = &pieces[i];

        if (segment->kind == AMP_SEGMENT_LITERAL) {
            if (!amp_span_eq(piece->text, segment->text)) {
                return 0;
            }

        } else if (segment->text.len == 0) {
            if (piece->colon != AMP_NO_COLON) {
                return 0;
            }

        } else if (piece->colon == AMP_NO_COLON || piece->colon == 0
                   || !amp_span_eq(amp_span_make(
                                       piece->text.data + piece->colon,
                                       piece->text.len - piece->colon),
                                   segment->text))
        {
            return 0;
        }
    }

    return 1;
}


int
amp_route_begins(amp_api_e api, amp_span_t text)
{
    unsigned  i;

    for (i = amp_first[amp_bucket(api, 0, 0)];
         i < amp_first[amp_bucket(api + 1, 0, 0)]; i++)
    {
        if (amp_route_one_begins(&amp_routes[i], text)) {
            return 1;
        }
    }

    return 0;
}


static int
amp_route_one_begins(const amp_route_t *route, amp_span_t text)
{
    size_t                len;
    unsigned              i;
    const amp_segment_t  *segment;
    const unsigned char  *slash;

    for (i = 0; i < route->n && text.len != 0; i++) {
        segment = &route->segments[i];
        text.data++;
        text.len--;

        slash = memchr(text.data, '/', text.len);
        len = (slash != NULL) ? (size_t) (slash - text.data) : text.len;

        if (segment->kind == AMP_SEGMENT_LITERAL) {

            /* the last one may be cut off */

            if (len > segment->text.len
                || (slash != NULL && len != segment->text.len)
                || memcmp(text.data, segment->text.data, len) != 0)
            {
                return 0;
            }

        } else if (slash != NULL && len == 0) {
            return 0;
        }

        text.data += len;
        text.len -= len;
    }

    return text.len == 0;
}


const amp_part_t *
amp_route_parts(const amp_operation_t *op)
{
    return amp_templates[amp_operation_index(op)].parts;
}


int
amp_route_verb(amp_api_e api, amp_span_t text)
{
    unsigned  i;

    for (i = 0; i < amp_nverbs[api]; i++) {
        if (amp_span_eq(text, amp_verbs[api][i])) {
            return 1;
        }
    }

    return 0;
}
