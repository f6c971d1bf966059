/*
 * amp_path_match() and amp_path_compose().  Input: one byte for the API, one
 * for the method, the path.
 *
 * A composed path contains only harmless bytes and the project's id where the
 * template has it, has no dot segment however often it is decoded, and matches
 * the same operation.
 */

#include <stdio.h>
#include <stdlib.h>

#include "amp_path.h"
#include "amp_query.h"


#define PROJECT_ID  "prj-1.A_z"
#define ROUNDS      3

#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


static const char *const  prefixes[AMP_API_COUNT] = { "", "/read", "/write",
                                                      "/search", "/proxy" };
static const char *const  methods[] = { "GET", "POST", "PUT", "PATCH",
                                        "DELETE", "HEAD", "TRACE", "" };


static int
unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || (c != 0 && strchr("-._~", c) != NULL);
}


static int
hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')
           || (c >= 'a' && c <= 'f');
}


static int
digit(unsigned char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}


static size_t
decode(unsigned char *data, size_t len)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; n++) {
        if (data[i] == '%' && i + 2 < len && hex(data[i + 1])
            && hex(data[i + 2]))
        {
            data[n] = (unsigned char) (digit(data[i + 1]) << 4
                                       | digit(data[i + 2]));
            i += 3;

        } else {
            data[n] = data[i++];
        }
    }

    return n;
}


static void
check_no_dots(const unsigned char *data, size_t len)
{
    size_t  i, start, n;

    for (i = 0, start = 0; i <= len; i++) {
        if (i < len) {
            check(data[i] > 0x1f && data[i] != 0x7f && data[i] != '\\');
        }

        if (i < len && data[i] != '/') {
            continue;
        }

        for (n = start; n < i && data[n] != ';'; n++) { /* void */ }

        check(n - start != 1 || data[start] != '.');
        check(n - start != 2 || data[start] != '.' || data[start + 1] != '.');

        start = i + 1;
    }
}


static void
check_bytes(amp_api_e api, amp_span_t path)
{
    size_t          i, len;
    unsigned        round;
    unsigned char  *copy;

    check(path.len > 0 && path.data[0] == '/');

    for (i = 0; i < path.len; i++) {
        if (path.data[i] == '%') {
            check(i + 2 < path.len && hex(path.data[i + 1])
                  && hex(path.data[i + 2]));
            check(path.data[i + 1] < 'a' && path.data[i + 2] < 'a');
            i += 2;
            continue;
        }

        check(unreserved(path.data[i]) || path.data[i] == '/'
              || path.data[i] == ':'
              || (api == AMP_API_PROXY
                  && strchr("!$&'()*+,;=@", path.data[i]) != NULL));
    }

    copy = malloc(path.len);
    memcpy(copy, path.data, path.len);
    len = path.len;

    for (round = 0; round <= ROUNDS; round++) {
        check_no_dots(copy, len);
        len = decode(copy, len);
    }

    free(copy);
}


/* Compares the composed path with the template, segment by segment. */

static void
check_template(const amp_match_t *m, amp_span_t path)
{
    const char  *t, *p, *end, *stop;

    t = m->op->path;
    p = (const char *) path.data;
    end = p + path.len;

    check(path.len >= 3 && memcmp(p, "/v1", 3) == 0);
    p += 3;

    if (strcmp(m->op->id, "listProjects") == 0) {
        t = "/projects/{projectIdOrName}";
    }

    while (*t) {
        if (*t != '{') {
            check(p < end && *p == *t);
            p++;
            t++;
            continue;
        }

        stop = p;

        while (stop < end && *stop != '/' && *stop != ':') {
            stop++;
        }

        check(stop > p);

        if (strncmp(t, "{projectIdOrName}", 17) == 0) {
            check((size_t) (stop - p) == strlen(PROJECT_ID)
                  && memcmp(p, PROJECT_ID, strlen(PROJECT_ID)) == 0);
        }

        p = stop;
        t = strchr(t, '}') + 1;
    }

    check(p == end);
}


static size_t
compose(const amp_match_t *m, size_t raw_len, const char *prefix,
    unsigned char *out)
{
    size_t     len;
    amp_buf_t  b;

    len = strlen(prefix);
    memcpy(out, prefix, len);
    amp_buf_init(&b, out + len,
                 amp_target_size(raw_len, 0, strlen(PROJECT_ID)));
    amp_path_compose(m, amp_span(PROJECT_ID), &b);
    check(!b.overflow);

    return amp_buf_written(&b).len;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          len, again, cut;
    amp_api_e       api;
    amp_span_t      path, method;
    const char     *name;
    amp_match_t     m, m2;
    amp_reason_e    rc;
    unsigned char  *scratch, *out, *out2, *scratch2;

    if (size < 2) {
        return 0;
    }

    amp_path_init();

    api = data[0] % AMP_API_COUNT;
    name = methods[data[1] % 8];
    method = amp_span_make(name, strlen(name));
    path = amp_span_make(data + 2, size - 2);

    scratch = malloc(AMP_PATH_SCRATCH(path.len) + 1);
    out = malloc(4 * path.len + 256);
    out2 = malloc(16 * path.len + 1024);
    scratch2 = malloc(16 * path.len + 1024);

    rc = amp_path_match(api, method, path, scratch, &m);
    check((rc == AMP_OK) == (m.op != NULL));
    check((rc == AMP_NO_METHOD) == (m.allow != 0));

    if (rc == AMP_OK) {
        check(m.op->api == api && m.nparams <= AMP_PARAMS_MAX);

        cut = strlen(prefixes[api]);
        len = compose(&m, path.len, prefixes[api], out);
        path = amp_span_make(out + cut, len);
        check_bytes(api, path);

        if (api != AMP_API_PROXY) {
            check_template(&m, path);
        }

        if (len + cut <= AMP_PATH_MAX
            && strcmp(m.op->id, "listProjects") != 0)
        {
            rc = amp_path_match(api, method, amp_span_make(out, len + cut),
                                scratch2, &m2);
            check(rc == AMP_OK && m2.op == m.op && m2.head == m.head);

            again = compose(&m2, len, prefixes[api], out2);
            check(again == len && memcmp(out2 + cut, out + cut, len) == 0);
        }
    }

    free(scratch);
    free(scratch2);
    free(out);
    free(out2);

    return 0;
}
