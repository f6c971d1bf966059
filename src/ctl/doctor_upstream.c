/*
 * The checks of the way to Ampersand.
 */

#include <stdio.h>
#include <string.h>

#include "ampersand.h"
#include "doctor_upstream.h"


#define DOCTOR_CERT_DAYS  14
#define DOCTOR_HOSTS      256


typedef enum {
    DOCTOR_MADE = 0,
    DOCTOR_NO_ADDRESS,
    DOCTOR_NO_CONNECTION,
    DOCTOR_NO_TLS
} doctor_connect_e;


/* In the order of doctor_connect_e. */

static const struct {
    const char  *check;
    const char  *what;
    const char  *remedy;
} doctor_connects[] = {
    { "", "", "" },

    { "upstream dns", "no address of",
      "check the name server of this machine, and the name in --upstream or "
      "AMPERSAND_UPSTREAM" },

    { "ampersand", "no connection to",
      "check network, firewall and routes of this machine, and --upstream or "
      "AMPERSAND_UPSTREAM" },

    { "upstream tls", "no verified TLS connection to",
      "check the clock, the ca-certificates package, and which server has that "
      "address: its certificate has to name each of these hosts" }
};


static doctor_connect_e
doctor_connect_state(CURLcode code)
{
    switch (code) {

    case CURLE_OK:
        return DOCTOR_MADE;

    case CURLE_COULDNT_RESOLVE_HOST:
        return DOCTOR_NO_ADDRESS;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return DOCTOR_NO_TLS;

    default:
        return DOCTOR_NO_CONNECTION;
    }
}


/* "https://api.withampersand.com/": what stands between the slashes. */

static void
doctor_hosts_add(char hosts[DOCTOR_HOSTS], const http_connect_t *connect)
{
    size_t       len;
    const char  *host;

    len = strlen(hosts);
    host = strstr(connect->url, "//") + 2;

    snprintf(hosts + len, DOCTOR_HOSTS - len, "%s%.*s", len ? ", " : "",
             (int) strcspn(host, "/"), host);
}


/* The hosts that have failed in this way, in one line. */

static void
doctor_connect_failed(doctor_t *doctor, const http_connect_t *list, unsigned n,
    doctor_connect_e state)
{
    char                   hosts[DOCTOR_HOSTS];
    unsigned               i;
    const http_connect_t  *first;

    first = NULL;
    hosts[0] = '\0';

    for (i = 0; i < n; i++) {
        if (doctor_connect_state(list[i].code) == state) {
            first = first ? first : &list[i];
            doctor_hosts_add(hosts, &list[i]);
        }
    }

    if (first == NULL) {
        return;
    }

    doctor_add(doctor, doctor_connects[state].check, DOCTOR_FAIL,
               doctor_connects[state].remedy, "%s %s%s%s: %s",
               doctor_connects[state].what, hosts,
               doctor->ctl->upstream ? " at " : "",
               doctor->ctl->upstream ? doctor->ctl->upstream : "",
               first->error[0] ? first->error
                               : curl_easy_strerror(first->code));
    doctor->reach = 1;
}


static void
doctor_certificates(doctor_t *doctor, const http_connect_t *list, unsigned n)
{
    unsigned               i, tls;
    const http_connect_t  *first;

    tls = 0;
    first = NULL;

    for (i = 0; i < n; i++) {
        if (list[i].code != CURLE_OK || list[i].days < 0) {
            continue;
        }

        tls++;

        if (first == NULL || list[i].days < first->days) {
            first = &list[i];
        }
    }

    /* where one has failed, that is said already */

    if (first == NULL || (tls != n && first->days >= DOCTOR_CERT_DAYS)) {
        return;
    }

    doctor_add(doctor, "upstream tls", first->days < DOCTOR_CERT_DAYS
               ? DOCTOR_WARN : DOCTOR_OK,
               "whoever runs that server has to renew it", "%u hosts of "
               "Ampersand have proved their names; the first certificate "
               "expires in %d days", tls, first->days);
}


void
doctor_upstream(doctor_t *doctor)
{
    char               to[AMPERSAND_TO];
    ctl_t             *ctl;
    unsigned           i, n, named;
    http_connect_t     list[AMP_API_COUNT];
    doctor_connect_e   state;

    ctl = doctor->ctl;

    n = ampersand_connects(ctl->upstream, to, list);
    http_connect(list, n, ctl->timeout);

    for (i = 0, named = 0; i < n; i++) {
        named += doctor_connect_state(list[i].code) != DOCTOR_NO_ADDRESS;
    }

    if (named == n) {
        doctor_add(doctor, "upstream dns", DOCTOR_OK, "", "%s",
                   ctl->upstream ? "the host of --upstream has an address"
                                 : "Ampersand's hosts have addresses");
    }

    for (state = DOCTOR_NO_ADDRESS; state <= DOCTOR_NO_TLS; state++) {
        doctor_connect_failed(doctor, list, n, state);
    }

    doctor_certificates(doctor, list, n);

    if (list[0].code != CURLE_OK) {
        return;
    }

    if (ampersand_reach(ctl->upstream, ctl->timeout, &ctl->error) != 0) {
        doctor_error(doctor, "ampersand");
        return;
    }

    doctor_add(doctor, "ampersand", DOCTOR_OK, "", "reached at %s",
               ctl->upstream ? ctl->upstream : "api.withampersand.com");
}
