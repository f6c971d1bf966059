/*
 * A request as it would come to the gateway.
 */

#define _GNU_SOURCE                 /* vasprintf() under -std=gnu99 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_escape.h"
#include "explain.h"


/* What the path of an API begins with, and what of it is the gateway's own. */

static const struct {
    const char  *path;
    const char  *own;
} explain_paths[AMP_API_COUNT] = {
    [AMP_API_PLATFORM] = { "/v1", "" },
    [AMP_API_READ] = { "/read/v1", "/read" },
    [AMP_API_WRITE] = { "/write/v1", "/write" },
    [AMP_API_SEARCH] = { "/search/v1", "/search" },
    [AMP_API_PROXY] = { "/proxy", "/proxy" }
};


/* Where the segments of part stand in path, or NULL. */

static const char *
explain_part(const char *path, const char *part)
{
    char         end;
    size_t       len;
    const char  *p;

    len = strlen(part);

    for (p = path; (p = strstr(p, part)) != NULL; p++) {
        end = p[len];

        if (end == '\0' || end == '/') {
            return p;
        }
    }

    return NULL;
}


/* The API whose path stands first in the path; what is before it is cut off. */

static void
explain_locate(explain_request_t *ex)
{
    int          api;
    const char  *at, *first;

    first = NULL;

    for (api = 0; api < AMP_API_COUNT; api++) {
        at = explain_part(ex->path, explain_paths[api].path);

        /* the gateway's location is "/proxy/" */

        if (at != NULL && api == AMP_API_PROXY && strchr(at + 1, '/') == NULL) {
            continue;
        }

        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            ex->request.api = (amp_api_e) api;
        }
    }

    if (first != NULL) {
        ex->located = 1;
        memmove(ex->path, first, strlen(first) + 1);
    }
}


/* 1 when the host is one of Ampersand's own; the path is the gateway's then. */

static int
explain_host(explain_request_t *ex, const char *host, size_t len,
    const char *path)
{
    int          api;
    size_t       size;
    const char  *own;

    for (api = 0; api < AMP_API_COUNT; api++) {
        if (!amp_span_caseeq(amp_span_make(host, len),
                             amp_span_make(amp_api_host((amp_api_e) api),
                                     strlen(amp_api_host((amp_api_e) api)))))
        {
            continue;
        }

        own = explain_part(path, explain_paths[api].path) == path
              ? "" : explain_paths[api].own;

        size = strlen(own) + strlen(path) + 1;
        ex->path = malloc(size);
        if (ex->path == NULL) {
            abort();
        }

        snprintf(ex->path, size, "%s%s", own, path);
        ex->request.api = (amp_api_e) api;
        ex->located = 1;

        return 1;
    }

    return 0;
}


static char *
explain_copy(const char *text, size_t len)
{
    char  *copy;

    copy = malloc(len + 1);
    if (copy == NULL) {
        abort();
    }

    memcpy(copy, text, len);
    copy[len] = '\0';

    return copy;
}


static int
explain_method(explain_request_t *ex, const char *method, ctl_error_t *error)
{
    size_t  len;

    len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (len == 0 || len > 16 || method[len] != '\0') {
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a method", method);
        return ctl_remedy(error, "give GET, POST, PUT, PATCH or DELETE, then "
                          "the URL, e.g. GET /v1/integrations");
    }

    ex->request.method = amp_span_make(method, len);

    return 0;
}


int
explain_url(explain_request_t *ex, const char *method, const char *url,
    ctl_error_t *error)
{
    char        *path;
    size_t       len;
    const char  *p, *host, *end;

    if (explain_method(ex, method, error) != 0) {
        return -1;
    }

    host = NULL;
    p = url;

    if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) {
        host = strstr(url, "//") + 2;
        p = host + strcspn(host, "/?#");
    }

    if (*p != '/') {
        ctl_error(error, CTL_USAGE, "usage", "\"%s\" is not a URL with a path",
                  url);
        return ctl_remedy(error, "give a path of the gateway or a whole URL, "
                          "e.g. /v1/integrations or "
                          "https://api.withampersand.com/v1/integrations");
    }

    len = strcspn(p, "?#");
    end = p + len;

    ex->query = *end == '?' ? explain_copy(end + 1, strcspn(end + 1, "#"))
                            : explain_copy("", 0);
    path = explain_copy(p, len);

    if (host != NULL && explain_host(ex, host, strcspn(host, ":/"), path)) {
        free(path);

    } else {
        ex->path = path;
        explain_locate(ex);
    }

    ex->request.path = amp_span_make(ex->path, strlen(ex->path));
    ex->request.query = amp_span_make(ex->query, strlen(ex->query));
    ex->policy.proxy = (ex->request.api == AMP_API_PROXY);
    ex->accept = amp_span_null;

    return 0;
}


static int
explain_is(amp_span_t name, const char *text)
{
    return amp_span_eq(name, amp_span_make(text, strlen(text)));
}


/* What the gateway reads of x-amp-*: each once, the project not empty. */

static void
explain_amp(explain_request_t *ex, const explain_header_t *header)
{
    unsigned        i, known;
    amp_request_t  *request;

    request = &ex->request;
    known = 1;

    if (explain_is(header->name, "x-amp-project-id")) {
        request->project = header->value;
        request->malformed |= (header->value.len == 0);

    } else if (explain_is(header->name, "x-amp-group-ref")) {
        request->group = header->value;
        request->has_group = 1;

    } else if (explain_is(header->name, "x-amp-installation-id")) {
        request->installation = 1;

    } else if (explain_is(header->name, "x-amp-proxy-version")) {
        ex->versioned = 1;

    } else {
        known = explain_is(header->name, "x-amp-integration-name")
                || explain_is(header->name, "x-amp-rate-limiter-mode");
    }

    for (i = 0; known && &ex->headers[i] != header; i++) {
        request->malformed |= amp_span_eq(ex->headers[i].name, header->name);
    }
}


static void
explain_caching(explain_request_t *ex, amp_span_t list)
{
    amp_span_t  word;

    while ((word = amp_header_word(&list)).len != 0) {
        ex->unstored |= amp_span_caseeq(word, amp_span("no-store"));
    }
}


static int
explain_header_wrong(const char *line, ctl_error_t *error)
{
    /* the value may be a secret */

    ctl_error(error, CTL_USAGE, "usage", "\"%.*s\" is not a header",
              (int) strcspn(line, ":"), line);

    return ctl_remedy(error, "give a name, a colon and a value, e.g. "
                      "--header \"X-Amp-Group-Ref: g-1\"");
}


/* 1 for a header that would identify the client: that is --token's. */

static int
explain_credential(amp_span_t name)
{
    return explain_is(name, "x-api-key") || explain_is(name, "authorization");
}


int
explain_header(explain_request_t *ex, const char *line, ctl_error_t *error)
{
    char              *name;
    size_t             i, len, nvalue;
    const char        *value;
    explain_header_t  *header;

    len = strcspn(line, ":");
    value = line + len + (line[len] == ':');
    value += strspn(value, " \t");
    nvalue = strlen(value);

    while (nvalue != 0
           && (value[nvalue - 1] == ' ' || value[nvalue - 1] == '\t'))
    {
        nvalue--;
    }

    for (i = 0; i < len && amp_char_is(line[i], AMP_TOKEN); i++) { /* void */ }

    if (len == 0 || i != len || line[len] != ':'
        || ex->nheaders == EXPLAIN_HEADERS)
    {
        return explain_header_wrong(line, error);
    }

    for (i = 0; i < nvalue; i++) {
        if (amp_char_is(value[i], AMP_CONTROL) && value[i] != '\t') {
            return explain_header_wrong(line, error);
        }
    }

    name = explain_copy(line, len);

    for (i = 0; i < len; i++) {
        name[i] = (char) amp_lower((unsigned char) name[i]);
    }

    header = &ex->headers[ex->nheaders++];
    header->name = amp_span_make(name, len);
    header->value = amp_span_make(value, nvalue);

    if (explain_credential(header->name)) {
        ctl_error(error, CTL_USAGE, "usage", "--header takes no credential");
        return ctl_remedy(error, "put the token into a file, and name that "
                          "with --token; --token - is standard input");
    }

    if (explain_is(header->name, "accept")) {
        ex->unstored |= (ex->accept.data != NULL);
        ex->accept = header->value;

    } else if (explain_is(header->name, "cache-control")) {
        explain_caching(ex, header->value);

    } else if (explain_is(header->name, "content-encoding")) {
        ex->encoded = 1;

    } else if (explain_is(header->name, "origin")) {
        ex->request.origin = ex->origins++ ? amp_span_null : header->value;

    } else if (explain_is(header->name, "connection")) {
        ex->policy.connection = header->value;
    }

    explain_amp(ex, header);

    return 0;
}


int
explain_body(explain_request_t *ex, const char *file, ctl_error_t *error)
{
    int    failed;
    FILE  *f;

    f = strcmp(file, "-") == 0 ? stdin : fopen(file, "rb");

    if (f != NULL) {
        ex->body = malloc(AMP_BODY_CHECK_MAX + 1);
        if (ex->body == NULL) {
            abort();
        }

        ex->nbody = fread(ex->body, 1, AMP_BODY_CHECK_MAX + 1, f);
    }

    failed = (f == NULL || ferror(f)) ? errno : 0;

    if (f != NULL && f != stdin) {
        fclose(f);
    }

    if (failed != 0) {
        ctl_error(error, CTL_REFUSED, "file", "the body cannot be read from "
                  "\"%s\": %s", file, strerror(failed));
        return ctl_remedy(error, "name a file, or - for standard input");
    }

    return 0;
}


void
explain_free(explain_request_t *ex)
{
    unsigned  i;

    for (i = 0; i < ex->nheaders; i++) {
        free((void *) ex->headers[i].name.data);
    }

    free(ex->path);
    free(ex->query);
    free(ex->body);
}


int
explain_reads(const explain_request_t *ex)
{
    return explain_is(ex->request.method, "GET")
           || explain_is(ex->request.method, "HEAD");
}


int
explain_safe(const explain_request_t *ex)
{
    return explain_reads(ex) || explain_is(ex->request.method, "OPTIONS")
           || explain_is(ex->request.method, "TRACE")
           || explain_is(ex->request.method, "PROPFIND");
}


void
explain_note(json_t *doc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    json_array_append_new(json_object_get(doc, "notes"),
                          json_vsprintf(fmt, args));
    va_end(args);
}
