/*
 * The client of Ampersand's API.
 */

#define _GNU_SOURCE                 /* memmem() */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "ampersand.h"
#include "secret.h"
#include "../core/amp_version.h"


#define AMPERSAND_HOST      "api.withampersand.com"
#define AMPERSAND_CA        "/etc/ssl/certs/ca-certificates.crt"
#define AMPERSAND_KEY       "X-Api-Key: "
#define AMPERSAND_BODY_MAX  (1024 * 1024)


typedef struct {
    size_t   len;
    char    *data;
} ampersand_body_t;


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
 * Where to connect instead: "::HOST:PORT" is for libcurl any name and port.
 * The name in the URL stays, which is what it sends and verifies.
 */

static struct curl_slist *
ampersand_connect_to(amp_span_t server, unsigned tls)
{
    int          port;
    char         text[AMPERSAND_TEXT + 16];
    const char  *colon;

    colon = memrchr(server.data, ':', server.len);
    port = colon != NULL && memchr(colon, ']', server.data + server.len
                                   - (const unsigned char *) colon) == NULL;

    snprintf(text, sizeof(text), "::%.*s%s", (int) server.len, server.data,
             port ? "" : tls ? ":443" : ":80");

    return curl_slist_append(NULL, text);
}


static size_t
ampersand_body(char *data, size_t size, size_t n, void *arg)
{
    char              *grown;
    ampersand_body_t  *body = arg;

    n *= size;

    if (n == 0 || body->len + n > AMPERSAND_BODY_MAX) {
        return 0;
    }

    grown = realloc(body->data, body->len + n);
    if (grown == NULL) {
        return 0;
    }

    memcpy(grown + body->len, data, n);
    body->data = grown;
    body->len += n;

    return n;
}


static int
ampersand_failed(CURLcode code, const char *upstream, unsigned timeout,
    ctl_error_t *error)
{
    switch (code) {

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


static void
ampersand_settings(CURL *curl, unsigned timeout)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) timeout);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) timeout);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CAINFO, AMPERSAND_CA);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);

    /* a redirect would send the key to another server */

    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ampctl/" AMP_VERSION);

#if (LIBCURL_VERSION_NUM >= 0x075500)
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
                     (long) (CURLPROTO_HTTP|CURLPROTO_HTTPS));
#endif
}


/* Sends one GET.  Returns the HTTP status, or -1 with the error filled. */

static long
ampersand_get(const char *upstream, const char *path, unsigned timeout,
    amp_span_t key, ampersand_body_t *body, ctl_error_t *error)
{
    CURL               *curl;
    char                url[256], header[sizeof(AMPERSAND_KEY)
                                         + AMP_SECRET_MAX];
    long                status;
    CURLcode            code;
    unsigned            tls;
    amp_span_t          server;
    struct curl_slist  *item, *headers, *to;

    tls = 1;
    server = amp_span_null;

    if (upstream != NULL) {
        server = ampersand_server(upstream, &tls);
    }

    snprintf(url, sizeof(url), "%s://" AMPERSAND_HOST "%s",
             tls ? "https" : "http", path);

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK
        || (curl = curl_easy_init()) == NULL)
    {
        ctl_error(error, CTL_REFUSED, "no_curl", "libcurl cannot be started");
        return ctl_remedy(error, "check the memory, and the installation of "
                          "libcurl");
    }

    to = server.len != 0 ? ampersand_connect_to(server, tls) : NULL;
    headers = curl_slist_append(NULL, "Accept: application/json");

    if (key.len != 0) {
        snprintf(header, sizeof(header), AMPERSAND_KEY "%.*s", (int) key.len,
                 key.data);
        headers = curl_slist_append(headers, header);
        secret_clean(header, sizeof(header));
    }

    ampersand_settings(curl, timeout);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ampersand_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);

    code = curl_easy_perform(curl);

    status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);

    for (item = headers; item != NULL; item = item->next) {
        secret_clean(item->data, strlen(item->data));
    }

    curl_slist_free_all(headers);
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
    curl_global_cleanup();

    return code == CURLE_OK ? status
                            : ampersand_failed(code, upstream != NULL
                                               ? upstream
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
    char              path[64 + AMP_PROJECT_ID_MAX];
    json_t           *doc;
    ampersand_body_t  body;

    memset(answer, 0, sizeof(*answer));
    memset(&body, 0, sizeof(body));

    /* no byte of a project id needs escaping in a path */

    snprintf(path, sizeof(path), "/v1/projects/%.*s", (int) project.len,
             project.data);

    answer->status = ampersand_get(upstream, path, timeout, key, &body, error);

    /* texts of an answer that repeats the key must not be printed */

    if (answer->status != -1 && body.len != 0
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

    if (body.data != NULL) {
        secret_clean(body.data, body.len);
        free(body.data);
    }

    return answer->status == -1 ? -1 : 0;
}


int
ampersand_reach(const char *upstream, unsigned timeout, ctl_error_t *error)
{
    long              status;
    ampersand_body_t  body;

    memset(&body, 0, sizeof(body));

    status = ampersand_get(upstream, "/v1/providers", timeout, amp_span_null,
                           &body, error);
    free(body.data);

    return status == -1 ? -1 : 0;
}
