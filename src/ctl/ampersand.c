/*
 * The client of Ampersand's API.
 */

#define _GNU_SOURCE                 /* memmem() */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_operations.h"
#include "ampersand.h"
#include "secret.h"


#define AMPERSAND_HOST  "api.withampersand.com"
#define AMPERSAND_KEY   "X-Api-Key: "


/* The host and port of a base URL; *tls says which one it is. */

static amp_span_t
ampersand_server(const char *upstream, unsigned *tls)
{
    size_t       len;
    const char  *host;

    *tls = (strncmp(upstream, "https://", 8) == 0);

    if (!*tls && strncmp(upstream, "http://", 7) != 0) {
        return amp_span_null;
    }

    host = upstream + (*tls ? 8 : 7);
    len = strlen(host);

    if (len != 0 && host[len - 1] == '/') {
        len--;
    }

    return amp_span_make(host, len);
}


int
ampersand_upstream_valid(const char *upstream)
{
    size_t         i;
    unsigned       tls;
    amp_span_t     server;
    unsigned char  c;

    server = ampersand_server(upstream, &tls);

    for (i = 0; i < server.len; i++) {
        c = amp_lower(server.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
              || c == '.' || c == '_' || c == '-' || c == ':' || c == '['
              || c == ']'))
        {
            return 0;
        }
    }

    return server.len != 0 && server.len <= AMPERSAND_TEXT;
}


/*
 * Where to connect instead: "::HOST:PORT" is any name and port for libcurl.
 * The name in the URL stays, which is what it sends and verifies.
 */

static void
ampersand_connect_to(amp_span_t server, unsigned tls, char text[AMPERSAND_TO])
{
    int          port;
    const char  *colon;

    /* the options were checked: there is a host */
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    colon = memrchr(server.data, ':', server.len);
    port = colon != NULL && memchr(colon, ']', server.data + server.len
                                   - (const unsigned char *) colon) == NULL;

    snprintf(text, AMPERSAND_TO, "::%.*s%s", (int) server.len, server.data,
             port ? "" : tls ? ":443" : ":80");
}


static int
ampersand_failed(CURLcode code, const char *upstream, unsigned timeout,
    ctl_error_t *error)
{
    switch (code) {

    case CURLE_FAILED_INIT:
        ctl_error(error, CTL_REFUSED, "no_curl", "libcurl cannot be started");
        return ctl_remedy(error, "check the memory, and the installation of "
                          "libcurl");

    case CURLE_OPERATION_TIMEDOUT:
        ctl_error(error, CTL_REACH, "ampersand_unreachable",
                  "Ampersand at %s did not answer within %u ms", upstream,
                  timeout);
        return ctl_remedy(error, "run the command again, with a longer time, "
                          "e.g. --timeout 30s");

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        ctl_error(error, CTL_REACH, "ampersand_tls",
                  "the TLS connection to Ampersand at %s failed: %s", upstream,
                  curl_easy_strerror(code));
        return ctl_remedy(error, "check the clock, the ca-certificates "
                          "package, and which server has that address: its "
                          "certificate has to be one of " AMPERSAND_HOST);

    default:
        ctl_error(error, CTL_REACH, "ampersand_unreachable",
                  "Ampersand at %s is out of reach: %s", upstream,
                  curl_easy_strerror(code));
        return ctl_remedy(error, "check the network, and --upstream or "
                          "AMPERSAND_UPSTREAM");
    }
}


/* Sends one GET.  0 with any answer, or -1 with the error filled. */

static int
ampersand_get(const char *upstream, const char *path, unsigned timeout,
    amp_span_t key, http_answer_t *answer, ctl_error_t *error)
{
    char            url[256], to[AMPERSAND_TO], header[sizeof(AMPERSAND_KEY)
                                                       + AMP_SECRET_MAX];
    CURLcode        code;
    unsigned        tls;
    http_request_t  request;

    memset(&request, 0, sizeof(request));
    request.url = url;
    request.timeout = timeout;

    tls = 1;

    if (upstream != NULL) {
        ampersand_connect_to(ampersand_server(upstream, &tls), tls, to);
        request.connect_to = to;
    }

    snprintf(url, sizeof(url), "%s://" AMPERSAND_HOST "%s",
             tls ? "https" : "http", path);

    if (key.len != 0) {
        snprintf(header, sizeof(header), AMPERSAND_KEY "%.*s", (int) key.len,
                 key.data);
        request.header = header;
    }

    code = http_get(&request, answer);

    secret_clean(header, sizeof(header));

    if (code == CURLE_OK) {
        return 0;
    }

    return ampersand_failed(code, upstream != NULL ? upstream
                                                   : "https://" AMPERSAND_HOST,
                            timeout, error);
}


static void
ampersand_copy(char *to, const json_t *object, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(object, name));

    if (text != NULL) {
        snprintf(to, AMPERSAND_TEXT, "%s", text);
    }
}


int
ampersand_project(const char *upstream, unsigned timeout, amp_span_t key,
    amp_span_t project, ampersand_project_t *answer, ctl_error_t *error)
{
    char            path[64 + AMP_PROJECT_ID_MAX];
    json_t         *doc;
    http_answer_t   body;

    memset(answer, 0, sizeof(*answer));

    /* no byte of a project id needs escaping in a path */

    snprintf(path, sizeof(path), "/v1/projects/%.*s", (int) project.len,
             project.data);

    if (ampersand_get(upstream, path, timeout, key, &body, error) != 0) {
        return -1;
    }

    answer->status = body.status;

    /* texts of an answer that repeats the key must not be printed */

    if (body.len != 0
        && memmem(body.data, body.len, key.data, key.len) == NULL)
    {
        doc = json_loadb(body.data, body.len, 0, NULL);
        answer->object = json_is_object(doc);

        if (answer->status == 200) {
            ampersand_copy(answer->id, doc, "id");
            ampersand_copy(answer->name, doc, "name");

        } else {
            ampersand_copy(answer->detail, doc, "title");
            ampersand_copy(answer->detail, doc, "detail");
        }

        json_decref(doc);
    }

    http_free(&body);

    return 0;
}


unsigned
ampersand_connects(const char *upstream, char to[AMPERSAND_TO],
    http_connect_t list[AMP_API_COUNT])
{
    int       i, n;
    unsigned  tls;

    tls = 1;

    if (upstream != NULL) {
        ampersand_connect_to(ampersand_server(upstream, &tls), tls, to);
    }

    n = tls ? AMP_API_COUNT : 1;

    for (i = 0; i < n; i++) {
        snprintf(list[i].url, sizeof(list[i].url), "%s://%s/",
                 tls ? "https" : "http", amp_api_host((amp_api_e) i));
        list[i].connect_to = upstream != NULL ? to : NULL;
    }

    return (unsigned) n;
}


int
ampersand_reach(const char *upstream, unsigned timeout, ctl_error_t *error)
{
    int            rc;
    http_answer_t  body;

    rc = ampersand_get(upstream, "/v1/providers", timeout, amp_span_null, &body,
                       error);
    http_free(&body);

    return rc;
}
