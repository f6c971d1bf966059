/*
 * The checks of the gateways that live.
 *
 * nginx resolves the names in "server" when it starts and when it reloads, so
 * that a gateway can use an address that Ampersand has left.  The status has
 * those addresses; lines with "resolve", which nginx follows, are not in it.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../core/amp_version.h"
#include "doctor_gateways.h"
#include "gateways.h"
#include "http.h"
#include "record.h"


#define DOCTOR_HOST  256
#define DOCTOR_LIST  512            /* bytes of a list of addresses           */
#define DOCTOR_SKEW  2000           /* ms                                     */


/* The host of "name:443" and "[::1]:443", or of an address. */

static void
doctor_host(const char *text, char host[DOCTOR_HOST])
{
    size_t       len;
    const char  *colon;

    if (*text == '[') {
        text++;
        len = strcspn(text, "]");

    } else {
        colon = strrchr(text, ':');
        len = colon != NULL ? (size_t) (colon - text) : strlen(text);
    }

    snprintf(host, DOCTOR_HOST, "%.*s", (int) len, text);
}


/* 1 for a name, 0 for an address or a socket, which DNS does not know. */

static int
doctor_is_name(const char *host)
{
    struct in6_addr  address;

    return inet_pton(AF_INET, host, &address) != 1
           && inet_pton(AF_INET6, host, &address) != 1
           && strcmp(host, "unix") != 0;
}


static int
doctor_named(const struct addrinfo *list, const char *host)
{
    char  text[DOCTOR_HOST];

    for ( /* void */ ; list != NULL; list = list->ai_next) {
        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text),
                        NULL, 0, NI_NUMERICHOST)
            == 0 && strcmp(text, host) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
doctor_list_add(char list[DOCTOR_LIST], const char *text)
{
    size_t  len;

    len = strlen(list);
    snprintf(list + len, DOCTOR_LIST - len, "%s%s", len ? ", " : "", text);
}


/*
 * Compares the addresses of one server.  1 where all of them are named, or the
 * server has no name; else 0 after a line in the report.
 */

static int
doctor_server(doctor_t *doctor, const char *gateway, const char *server,
    const json_t *addresses)
{
    int               rc;
    char              name[DOCTOR_HOST], host[DOCTOR_HOST], left[DOCTOR_LIST];
    size_t            i;
    const json_t     *address;
    struct addrinfo   hints, *list;

    doctor_host(server, name);

    if (!doctor_is_name(name)) {
        return 1;
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;

    rc = getaddrinfo(name, NULL, &hints, &list);

    if (rc != 0) {
        doctor_add(doctor, "addresses", DOCTOR_WARN,
                   "check the name server of this machine", "%s, which gateway "
                   "\"%s\" uses, has no address: %s", name, gateway,
                   gai_strerror(rc));
        return 0;
    }

    left[0] = '\0';

    json_array_foreach(addresses, i, address) {
        doctor_host(json_is_string(address) ? json_string_value(address) : "",
                    host);

        if (*host != '\0' && !doctor_named(list, host)) {
            doctor_list_add(left, host);
        }
    }

    freeaddrinfo(list);

    if (left[0] == '\0') {
        return 1;
    }

    doctor_add(doctor, "addresses", DOCTOR_WARN,
               "reload nginx there (systemctl reload nginx), or give http{} a "
               "resolver (nginx 1.27.3 and newer)", "gateway \"%s\" uses "
               "addresses of %s that DNS does not name now: %s", gateway, name,
               left);

    return 0;
}


/* The servers in the status of one gateway.  1 where all is well, else 0. */

static int
doctor_gateway(doctor_t *doctor, const char *gateway, const char *url)
{
    int             good;
    json_t         *doc, *addresses;
    CURLcode        code;
    const char     *server;
    http_answer_t   answer;
    http_request_t  request;

    memset(&request, 0, sizeof(request));
    request.url = url;
    request.timeout = doctor->ctl->timeout;

    code = http_get(&request, &answer);

    doc = (code == CURLE_OK && answer.status == 200)
          ? json_loadb(answer.data, answer.len, 0, NULL) : NULL;

    if (doc == NULL) {
        doctor_add(doctor, "addresses", DOCTOR_WARN,
                   "run ampctl doctor on the gateway's machine, or let this "
                   "one read the status (allow)", "the status of gateway "
                   "\"%s\" at %s cannot be read: %s", gateway, url,
                   code != CURLE_OK ? curl_easy_strerror(code)
                   : answer.status == 200 ? "it is not JSON"
                                          : "it answers with an error");
        http_free(&answer);
        return 0;
    }

    http_free(&answer);
    good = 1;

    json_object_foreach(json_object_get(doc, "servers"), server, addresses) {
        good &= doctor_server(doctor, gateway, server, addresses);
    }

    json_decref(doc);

    return good;
}


/* Gateways of several versions: an upgrade that has not been finished. */

static void
doctor_versions(doctor_t *doctor, const json_t *list)
{
    char         text[DOCTOR_LIST], one[128];
    size_t       i;
    json_t      *counts, *record, *n;
    const char  *version;

    counts = json_object();

    json_array_foreach(list, i, record) {
        version = record_text(record, "version");

        if (*version != '\0') {
            n = json_object_get(counts, version);
            json_object_set_new(counts, version,
                                json_integer(json_integer_value(n) + 1));
        }
    }

    text[0] = '\0';

    json_object_foreach(counts, version, n) {
        snprintf(one, sizeof(one), "%lld of %s",
                 (long long) json_integer_value(n), version);
        doctor_list_add(text, one);
    }

    if (json_object_size(counts) > 1) {
        doctor_add(doctor, "versions", DOCTOR_WARN, "finish the upgrade: what "
                   "is new in one version does not hold at gateways of an "
                   "older one", "the gateways have several versions: %s", text);

    } else if (json_object_size(counts) == 1
               && json_object_get(counts, AMP_VERSION) == NULL)
    {
        doctor_add(doctor, "versions", DOCTOR_WARN, "use the ampctl of the "
                   "gateways' version, or finish the upgrade", "ampctl is "
                   "version " AMP_VERSION ", the gateways: %s", text);

    } else if (json_object_size(counts) == 1) {
        doctor_add(doctor, "versions", DOCTOR_OK, "", "gateways: %s, as ampctl",
                   text);
    }

    json_decref(counts);
}


/* How far their clocks are from that of Redis, as their records say. */

static void
doctor_clocks(doctor_t *doctor, const json_t *list)
{
    size_t      i;
    json_t     *record, *clock;
    unsigned    n, good;
    long long   ms;

    n = 0;
    good = 0;

    json_array_foreach(list, i, record) {
        clock = json_object_get(record, "clock");

        if (!json_is_integer(clock)) {
            continue;
        }

        n++;
        ms = (long long) json_integer_value(clock);

        if (llabs(ms) < DOCTOR_SKEW) {
            good++;
            continue;
        }

        doctor_add(doctor, "clocks", DOCTOR_WARN, "run NTP on that machine: "
                   "its logs and the ages of its cached answers have the wrong "
                   "time; tokens expire by the clock of Redis",
                   "the clock of gateway \"%s\" is %lld.%03lld s %s that of "
                   "Redis", record_text(record, "id"), llabs(ms) / 1000,
                   llabs(ms) % 1000, ms < 0 ? "behind" : "ahead of");
    }

    if (n != 0 && good == n) {
        doctor_add(doctor, "clocks", DOCTOR_OK, "", "%u gateways, less than "
                   "%d ms from the clock of Redis", n, DOCTOR_SKEW);
    }
}


void
doctor_gateways(doctor_t *doctor)
{
    size_t       i;
    json_t      *list, *record;
    unsigned     n, good;
    const char  *url;

    list = gateways_read(doctor->ctl->store, &doctor->ctl->error);

    if (list == NULL) {
        doctor_error(doctor, "gateways");
        return;
    }

    doctor_versions(doctor, list);
    doctor_clocks(doctor, list);

    n = 0;
    good = 0;

    json_array_foreach(list, i, record) {
        url = record_text(record, "status");

        /* without a status, or at a socket */

        if (strncmp(url, "http", 4) != 0 || strstr(url, "://unix:") != NULL) {
            continue;
        }

        n++;
        good += (unsigned) doctor_gateway(doctor, record_text(record, "id"),
                                          url);
    }

    json_decref(list);

    if (n != 0 && good == n) {
        doctor_add(doctor, "addresses", DOCTOR_OK, "",
                   "%u of the gateways have a status; they use the addresses "
                   "that DNS names", n);
    }
}
