#include "amp_frozen.h"
#include "amp_json.h"


int
amp_frozen_read(const json_t *list, unsigned *classes)
{
    int          class;
    size_t       i;
    json_t      *item;
    amp_span_t   name;

    *classes = 0;

    if (list != NULL && !json_is_array(list)) {
        return -1;
    }

    json_array_foreach(list, i, item) {
        name = amp_json_text(item);

        if (name.data == NULL) {
            return -1;
        }

        class = amp_class_find(name);

        if (class >= 0 && class < AMP_CLASS_COUNT) {
            *classes |= 1u << class;
        }
    }

    return 0;
}


int
amp_frozen_decode(amp_span_t json, unsigned *classes)
{
    int          rc;
    json_t      *object, *list;
    uint64_t     v;
    const char  *error;

    *classes = 0;
    object = amp_json_object(json, &error);

    if (object == NULL) {
        return -1;
    }

    list = json_object_get(object, "classes");

    rc = amp_json_count(json_object_get(object, "v"), &v) == 0 && v == 1
         && list != NULL ? amp_frozen_read(list, classes) : -1;

    json_decref(object);

    return rc;
}


void
amp_frozen_write(unsigned classes, amp_buf_t *out)
{
    int          class;
    unsigned     before;
    const char  *name;

    amp_buf_byte(out, '[');

    for (class = 0, before = 0; class < AMP_CLASS_COUNT; class++) {

        if (!(classes >> class & 1)) {
            continue;
        }

        if (before) {
            amp_buf_byte(out, ',');
        }

        before = 1;
        name = amp_class_name((amp_class_e) class);
        amp_json_string(amp_span_make(name, strlen(name)), out);
    }

    amp_buf_byte(out, ']');
}
