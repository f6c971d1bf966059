/*
 * ampctl gateway: the gateways that live, as the registry has them.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "../core/amp_gateway.h"
#include "ampctl.h"
#include "gateways.h"
#include "record.h"


#define GATEWAY_POLL   10000        /* us between two looks at the registry   */
#define GATEWAY_AGAIN  1000         /* ms until a mark may have been lost     */


/* "tenant acme, revision 8" */

static void
gateway_event(const json_t *event, char *text, size_t size)
{
    const char  *name;

    *text = '\0';

    if (event == NULL) {
        return;
    }

    name = record_text(event, "tenant");
    if (*name == '\0') {
        name = record_text(event, "project");
    }

    snprintf(text, size, "%s %s", record_text(event, "type"), name);

    if (json_is_integer(json_object_get(event, "rev"))) {
        snprintf(text + strlen(text), size - strlen(text), ", revision %lld",
                 (long long) json_integer_value(json_object_get(event,
                                                                "rev")));
    }
}


static const char *
gateway_time(const json_t *record, const char *name, char *text)
{
    return output_time(json_integer_value(json_object_get(record, name)), text);
}


static int
gateway_list(ctl_t *ctl)
{
    char                       start[CTL_TIME_MAX], applied[CTL_TIME_MAX];
    char                       event[AMP_EVENT_MAX];
    size_t                     i;
    json_t                    *list, *record;
    output_table_t            *table;
    static const char *const   heads[] = { "GATEWAY", "VERSION", "START",
                                           "LAST EVENT", "APPLIED", "STATUS" };

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    list = gateways_read(ctl->store, &ctl->error);
    if (list == NULL) {
        return -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:o}", "gateways", list));
    }

    table = output_table(6, heads);

    json_array_foreach(list, i, record) {
        gateway_event(json_object_get(record, "event"), event, sizeof(event));
        output_row(table, record_text(record, "id"),
                   record_text(record, "version"),
                   gateway_time(record, "start", start), event,
                   gateway_time(record, "applied", applied),
                   record_text(record, "status"));
    }

    output_table_print(table);
    json_decref(list);

    return CTL_DONE;
}


/* The ids in list of those gateways that the other list lacks. */

static json_t *
gateway_missing(const json_t *list, const json_t *other)
{
    size_t   i, j;
    json_t  *missing, *record, *there;

    missing = json_array();

    json_array_foreach(list, i, record) {

        json_array_foreach(other, j, there) {
            if (strcmp(record_text(record, "id"), record_text(there, "id"))
                == 0)
            {
                break;
            }
        }

        if (j == json_array_size(other)) {
            json_array_append(missing, json_object_get(record, "id"));
        }
    }

    return missing;
}


/* The gateways in the list that have not received a mark. */

static json_t *
gateway_lagging(const json_t *list, uint64_t mark)
{
    size_t   i;
    json_t  *lagging, *record;

    lagging = json_array();

    json_array_foreach(list, i, record) {
        if (!gateways_marked(record, mark)) {
            json_array_append(lagging, record);
        }
    }

    return lagging;
}


/* Fills ctl->error: the gateways that lag, by id and status.  -1. */

static int
gateway_lag(ctl_t *ctl, const json_t *lagging, size_t all)
{
    char         text[sizeof(ctl->error.message)];
    size_t       i, len;
    json_t      *record;
    const char  *status;

    len = 0;
    text[0] = '\0';

    json_array_foreach(lagging, i, record) {
        status = record_text(record, "status");
        len += (size_t) snprintf(text + len, sizeof(text) - len,
                                 "%s%s%s%s%s", i ? ", " : "",
                                 record_text(record, "id"),
                                 *status ? " (" : "", status,
                                 *status ? ")" : "");
        if (len >= sizeof(text)) {
            break;
        }
    }

    ctl_error(&ctl->error, CTL_REFUSED, "gateways_lag",
              "%zu of %zu gateways may not use the last changes yet: %s",
              json_array_size(lagging), all, text);

    return ctl_remedy(&ctl->error, "look at their status (redis_events_up) and "
                      "their error log: such a gateway hangs, or does not hear "
                      "of changes; then each record is used for "
                      "ampersand_tenant_ttl at most");
}


/*
 * Publishes a mark at one server, until each gateway in the registry has it.
 * The last list, the caller's to release; NULL with the error filled.
 */

static json_t *
gateway_wait_for(ctl_t *ctl, unsigned node, uint64_t mark, int64_t deadline)
{
    size_t    n;
    json_t   *list, *lagging;
    int64_t   now, again;

    again = 0;

    for ( ;; ) {
        now = connection_clock();

        if (now >= again) {
            again = now + GATEWAY_AGAIN;

            if (gateways_mark(ctl->store, node, ctl->timeout, mark, &ctl->error)
                != 0)
            {
                return NULL;
            }
        }

        list = gateways_read(ctl->store, &ctl->error);
        if (list == NULL) {
            return NULL;
        }

        lagging = gateway_lagging(list, mark);
        n = json_array_size(lagging);

        if (n != 0 && now >= deadline) {
            gateway_lag(ctl, lagging, json_array_size(list));
            json_decref(list);
            list = NULL;
        }

        json_decref(lagging);

        if (n == 0 || list == NULL) {
            return list;
        }

        json_decref(list);
        usleep(GATEWAY_POLL);
    }
}


static int
gateway_wait(ctl_t *ctl)
{
    char       text[256];
    json_t    *before, *list, *gone;
    int64_t    deadline;
    route_t   *route;
    uint32_t   mark;
    unsigned   node;

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    if (RAND_bytes((unsigned char *) &mark, sizeof(mark)) != 1) {
        return ctl_error(&ctl->error, CTL_REFUSED, "random",
                         "OpenSSL has no random bytes");
    }

    deadline = connection_clock() + ctl->timeout;

    before = gateways_read(ctl->store, &ctl->error);
    list = json_incref(before);
    route = store_route(ctl->store);

    /* changes of different servers of a cluster do not keep their order */

    for (node = 0; list != NULL && node < route->nodes.n; node++) {
        if (route_serves(route, node)) {
            json_decref(list);
            list = gateway_wait_for(ctl, node, (uint64_t) mark + node,
                                    deadline);
        }
    }

    if (list == NULL) {
        json_decref(before);
        return -1;
    }

    gone = gateway_missing(before, list);
    json_decref(before);

    if (ctl->json) {
        return output_json(json_pack("{s:o, s:o}", "gateways", list,
                                     "gone", gone));
    }

    if (json_array_size(list) == 0) {
        output("no gateway is in the registry\n");

    } else {
        output("every gateway uses all changes made so far: %zu\n",
               json_array_size(list));
    }

    if (json_array_size(gone) != 0) {
        output_warning("no longer in the registry: %s",
                       output_words(gone, text, sizeof(text)));
    }

    json_decref(list);
    json_decref(gone);

    return CTL_DONE;
}


const ctl_command_t  ctl_gateway_commands[] = {

    { "gateway", "list", "", "show the gateways that live",
      "A gateway that ends leaves the list at once, one that dies after 10\n"
      "seconds. LAST EVENT is the last change that the gateway has applied.\n"
      "A gateway of a version without a registry is not shown. For example:\n"
      "  ampctl gateway list",
      NULL, gateway_list },

    { "gateway", "wait", "", "wait until every gateway uses all changes",
      "Returns when each gateway in the registry has applied the changes that\n"
      "were made before. After --timeout (5s) it ends with 1 and names the\n"
      "gateways that have not. One that hangs leaves the registry after 10\n"
      "seconds, which is said. For example:\n"
      "  ampctl gateway wait --timeout 30s",
      NULL, gateway_wait },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
