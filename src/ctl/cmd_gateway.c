/*
 * ampctl gateway: the gateways that live, as the registry has them.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_gateway.h"
#include "ampctl.h"
#include "gateways.h"
#include "record.h"


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


const ctl_command_t  ctl_gateway_commands[] = {

    { "gateway", "list", "", "show the gateways that live",
      "A gateway that ends leaves the list at once, one that dies after 10\n"
      "seconds. LAST EVENT is the last change that the gateway has applied.\n"
      "A gateway of a version without a registry is not shown.",
      NULL, gateway_list },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
