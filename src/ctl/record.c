/*
 * The tenant record.
 */

#include <stdio.h>

#include "../core/amp_seal.h"
#include "../core/amp_tenant.h"
#include "record.h"


json_t *
record_default_grants(void)
{
    int      class;
    json_t  *list;

    list = json_array();

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        if (class != AMP_CLASS_SECRETS) {
            json_array_append_new(list, json_string(amp_class_name(class)));
        }
    }

    return list;
}


json_t *
record_new(const char *id, const char *project, const char *name)
{
    return json_pack("{s:i, s:i, s:s, s:{s:s, s:s}, s:[], s:{s:o, s:[]}, s:[], "
                     "s:{}, s:{}, s:b}",
                     "v", 1, "rev", 0, "id", id,
                     "project", "id", project, "name", name,
                     "keys",
                     "grants", "allow", record_default_grants(), "deny",
                     "groups", "limits", "cache", "disabled", 0);
}


const char *
record_text(const json_t *object, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}


json_t *
record_view(const json_t *record)
{
    size_t       i;
    json_t      *view, *key, *shown;
    amp_span_t   master;

    view = json_copy((json_t *) record);
    json_object_del(view, "v");

    shown = json_array();

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        master = amp_seal_master_id(record_span(record_text(key, "sealed")));

        json_array_append_new(shown, json_pack("{s:s, s:s, s:s%}",
                              "id", record_text(key, "id"),
                              "state", record_text(key, "state"),
                              "master", master.len ? (char *) master.data : "",
                              master.len));
    }

    json_object_set_new(view, "keys", shown);

    return view;
}


static void
record_differ(json_t *list, const char *place, const json_t *before,
    const json_t *after)
{
    char         part[512];
    json_t      *value;
    const char  *name;

    if (before != NULL && after != NULL && json_equal(before, after)) {
        return;
    }

    if (!json_is_object(before) || !json_is_object(after)) {
        json_array_append_new(list, json_pack("{s:s, s:O?, s:O?}", "place",
                              place, "before", before, "after", after));
        return;
    }

    json_object_foreach((json_t *) before, name, value) {
        snprintf(part, sizeof(part), "%s/%s", place, name);
        record_differ(list, part, value, json_object_get(after, name));
    }

    json_object_foreach((json_t *) after, name, value) {
        if (json_object_get(before, name) == NULL) {
            snprintf(part, sizeof(part), "%s/%s", place, name);
            record_differ(list, part, NULL, value);
        }
    }
}


json_t *
record_differences(const json_t *before, const json_t *after)
{
    json_t  *list;

    list = json_array();
    record_differ(list, "", before, after);

    return list;
}
