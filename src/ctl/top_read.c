/*
 * The status of all gateways that live.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateways.h"
#include "http.h"
#include "record.h"
#include "top_read.h"


#define TOP_PAUSE  5000             /* ms until one is asked again that could
                                       not be reached                         */
#define TOP_URL    512
#define TOP_STEP   5                /* seconds between two answers that are
                                       kept for a minute                      */


static void
top_gateway_free(top_gateway_t *gateway)
{
    json_decref(gateway->record);
    json_decref(gateway->answers);
}


/* Takes over what is known of a gateway that was in the list before. */

static void
top_gateway_keep(top_gateway_t *gateway, const top_gateways_t *before)
{
    size_t       i;
    const char  *id;

    id = record_text(gateway->record, "id");

    for (i = 0; i < before->n; i++) {
        if (strcmp(record_text(before->list[i].record, "id"), id) == 0) {
            json_incref(before->list[i].answers);
            json_decref(gateway->answers);

            gateway->answers = before->list[i].answers;
            gateway->again = before->list[i].again;
            memcpy(gateway->why, before->list[i].why, sizeof(gateway->why));
            memcpy(gateway->remedy, before->list[i].remedy,
                   sizeof(gateway->remedy));
            return;
        }
    }
}


static void
top_gateway_failed(top_gateway_t *gateway, const char *why, const char *remedy)
{
    snprintf(gateway->why, sizeof(gateway->why), "%s", why);
    snprintf(gateway->remedy, sizeof(gateway->remedy), "%s", remedy);
    gateway->again = connection_clock() + TOP_PAUSE;
}


static json_int_t
top_second(const json_t *answers, size_t i)
{
    return json_integer_value(json_object_get(json_array_get(answers, i),
                                              "second"));
}


/*
 * Adds an answer; of those before it one in TOP_STEP seconds is kept, for a
 * minute, without their history.
 */

static void
top_gateway_answer(top_gateway_t *gateway, json_t *doc)
{
    size_t   n;
    json_t  *answers;

    answers = gateway->answers;
    n = json_array_size(answers);

    if (n != 0) {
        json_object_del(json_array_get(answers, n - 1), "history");
    }

    if (n > 1
        && top_second(answers, n - 1) < top_second(answers, n - 2) + TOP_STEP)
    {
        json_array_remove(answers, n - 1);
    }

    json_array_append_new(answers, doc);
    n = json_array_size(answers);

    /* a machine that was started again has another clock */

    while (json_array_size(answers) > 2
           && (top_second(answers, 1) <= top_second(answers, n - 1) - TOP_MINUTE
               || top_second(answers, 0) > top_second(answers, n - 1)))
    {
        json_array_remove(answers, 0);
        n--;
    }

    gateway->why[0] = '\0';
    gateway->remedy[0] = '\0';
    gateway->again = 0;
}


static const char *const  top_listen =
    "set GATEWAY_STATUS_LISTEN there to an address that this machine reaches "
    "and GATEWAY_STATUS_ALLOW to this machine, or run ampctl top there";


/* Reads the status of one gateway. */

static void
top_gateway_read(top_gateway_t *gateway, unsigned timeout)
{
    char            url[TOP_URL], why[192];
    json_t         *doc;
    CURLcode        code;
    const char     *address, *id;
    http_answer_t   answer;
    http_request_t  request;

    address = record_text(gateway->record, "status");

    if (*address == '\0') {
        top_gateway_failed(gateway, "it has no status",
                           "give it a location with ampersand_status");
        return;
    }

    if (strncmp(address, "http", 4) != 0 || strstr(address, "://unix:") != NULL)
    {
        top_gateway_failed(gateway, "its status is at a local socket",
                           top_listen);
        return;
    }

    snprintf(url, sizeof(url), "%s?format=json&history=%d", address,
             TOP_MINUTE);

    memset(&request, 0, sizeof(request));
    request.url = url;
    request.timeout = timeout;

    code = http_get(&request, &answer);

    if (code != CURLE_OK) {
        top_gateway_failed(gateway, curl_easy_strerror(code), top_listen);
        return;
    }

    if (answer.status != 200) {
        snprintf(why, sizeof(why), "its status answers with %ld",
                 answer.status);
        http_free(&answer);
        top_gateway_failed(gateway, why, answer.status == 403
                           ? "allow this machine there (GATEWAY_STATUS_ALLOW)"
                           : top_listen);
        return;
    }

    doc = json_loadb(answer.data, answer.len, 0, NULL);
    http_free(&answer);

    /* 127.0.0.1 of a gateway elsewhere is another one here */

    id = record_text(doc, "gateway");

    if (!json_is_object(doc) || !json_is_array(json_object_get(doc, "history")))
    {
        top_gateway_failed(gateway, "its status is not that of a gateway",
                           top_listen);

    } else if (*id != '\0'
               && strcmp(id, record_text(gateway->record, "id")) != 0)
    {
        top_gateway_failed(gateway, "at its address is another gateway",
                           top_listen);

    } else {
        top_gateway_answer(gateway, json_incref(doc));
    }

    json_decref(doc);
}


static void
top_read_all(top_gateways_t *gateways, unsigned timeout)
{
    size_t  i;

    for (i = 0; i < gateways->n; i++) {
        if (gateways->list[i].again <= connection_clock()) {
            top_gateway_read(&gateways->list[i], timeout);
        }
    }
}


int
top_read(top_gateways_t *gateways, store_t *store, unsigned timeout,
    ctl_error_t *error)
{
    size_t          i;
    json_t         *list, *record;
    top_gateways_t  now;

    list = gateways_read(store, error);

    if (list == NULL) {
        top_read_all(gateways, timeout);
        return -1;
    }

    now.n = 0;
    now.list = calloc(json_array_size(list) + 1, sizeof(*now.list));
    if (now.list == NULL) {
        abort();
    }

    json_array_foreach(list, i, record) {
        now.list[i].record = json_incref(record);
        now.list[i].answers = json_array();
        top_gateway_keep(&now.list[i], gateways);
        now.n++;
    }

    json_decref(list);
    top_read_free(gateways);
    *gateways = now;

    top_read_all(gateways, timeout);

    return 0;
}


void
top_read_free(top_gateways_t *gateways)
{
    size_t  i;

    for (i = 0; i < gateways->n; i++) {
        top_gateway_free(&gateways->list[i]);
    }

    free(gateways->list);
    gateways->list = NULL;
    gateways->n = 0;
}
