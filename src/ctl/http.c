/*
 * One GET; connections.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

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
http_settings(CURL *curl, const char *url, unsigned timeout)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) timeout);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) timeout);
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

    http_settings(curl, request->url, request->timeout);

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


/* Of the server's own certificate. */

static int
http_days(CURL *curl)
{
    time_t                   end;
    struct curl_slist       *item;
    struct curl_certinfo    *chain;

    static const char  name[] = "Expire date:";

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain) != CURLE_OK
        || chain->num_of_certs < 1)
    {
        return -1;
    }

    for (item = chain->certinfo[0]; item != NULL; item = item->next) {
        if (strncmp(item->data, name, sizeof(name) - 1) == 0) {
            end = curl_getdate(item->data + sizeof(name) - 1, NULL);
            return end == -1 ? -1 : (int) ((end - time(NULL)) / 86400);
        }
    }

    return -1;
}


static void
http_connect_run(CURLM *multi)
{
    int              running, left;
    CURLMsg         *message;
    http_connect_t  *one;

    do {
        if (curl_multi_perform(multi, &running) != CURLM_OK
            || curl_multi_poll(multi, NULL, 0, 100, NULL) != CURLM_OK)
        {
            return;
        }

        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            one = NULL;

            if (message->msg == CURLMSG_DONE
                && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                     (char **) &one)
                   == CURLE_OK
                && one != NULL)
            {
                one->code = message->data.result;
                one->days = http_days(message->easy_handle);
            }
        }

    } while (running);
}


void
http_connect(http_connect_t *list, unsigned n, unsigned timeout)
{
    CURL               *curl[HTTP_CONNECTS];
    CURLM              *multi;
    unsigned            i;
    struct curl_slist  *to[HTTP_CONNECTS];

    multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
            ? curl_multi_init() : NULL;

    for (i = 0; i < n; i++) {
        list[i].code = CURLE_FAILED_INIT;
        list[i].error[0] = '\0';
        list[i].days = -1;
        to[i] = NULL;

        curl[i] = multi != NULL ? curl_easy_init() : NULL;
        if (curl[i] == NULL) {
            continue;
        }

        if (list[i].connect_to != NULL) {
            to[i] = curl_slist_append(NULL, list[i].connect_to);
        }

        http_settings(curl[i], list[i].url, timeout);
        curl_easy_setopt(curl[i], CURLOPT_CONNECT_TO, to[i]);
        curl_easy_setopt(curl[i], CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(curl[i], CURLOPT_CERTINFO, 1L);
        curl_easy_setopt(curl[i], CURLOPT_ERRORBUFFER, list[i].error);
        curl_easy_setopt(curl[i], CURLOPT_PRIVATE, &list[i]);
        curl_multi_add_handle(multi, curl[i]);
    }

    if (multi != NULL) {
        http_connect_run(multi);
    }

    for (i = 0; i < n; i++) {
        if (curl[i] != NULL) {
            curl_multi_remove_handle(multi, curl[i]);
            curl_easy_cleanup(curl[i]);
        }

        curl_slist_free_all(to[i]);
    }

    curl_multi_cleanup(multi);
    curl_global_cleanup();
}
