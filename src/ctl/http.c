/*
 * One GET.
 */

#include <stdlib.h>
#include <string.h>

#include "../core/amp_version.h"
#include "http.h"
#include "secret.h"


#define HTTP_CA        "/etc/ssl/certs/ca-certificates.crt"
#define HTTP_BODY_MAX  (1024 * 1024)


static size_t
http_body(char *data, size_t size, size_t n, void *arg)
{
    char           *grown;
    http_answer_t  *answer = arg;

    n *= size;

    if (n == 0 || answer->len + n > HTTP_BODY_MAX) {
        return 0;
    }

    grown = realloc(answer->data, answer->len + n);
    if (grown == NULL) {
        return 0;
    }

    memcpy(grown + answer->len, data, n);
    answer->data = grown;
    answer->len += n;

    return n;
}


static void
http_settings(CURL *curl, const http_request_t *request)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) request->timeout);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) request->timeout);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CAINFO, HTTP_CA);
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


CURLcode
http_get(const http_request_t *request, http_answer_t *answer)
{
    CURL               *curl;
    CURLcode            code;
    struct curl_slist  *item, *headers, *to;

    memset(answer, 0, sizeof(*answer));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK
        || (curl = curl_easy_init()) == NULL)
    {
        return CURLE_FAILED_INIT;
    }

    headers = curl_slist_append(NULL, "Accept: application/json");
    to = NULL;

    if (request->header != NULL) {
        headers = curl_slist_append(headers, request->header);
    }

    if (request->connect_to != NULL) {
        to = curl_slist_append(NULL, request->connect_to);
    }

    http_settings(curl, request);

    curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);

    code = curl_easy_perform(curl);

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);

    for (item = headers; item != NULL; item = item->next) {
        secret_clean(item->data, strlen(item->data));
    }

    curl_slist_free_all(headers);
    curl_slist_free_all(to);
    curl_easy_cleanup(curl);
    curl_global_cleanup();

    if (code != CURLE_OK) {
        http_free(answer);
    }

    return code;
}


void
http_free(http_answer_t *answer)
{
    if (answer->data != NULL) {
        secret_clean(answer->data, answer->len);
        free(answer->data);
        answer->data = NULL;
        answer->len = 0;
    }
}
