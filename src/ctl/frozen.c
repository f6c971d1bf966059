/*
 * What is frozen for all tenants.
 */

#include <string.h>

#include "../core/amp_keys.h"
#include "frozen.h"


int
frozen_load(store_t *store, ctl_error_t *error, unsigned *classes,
    uint64_t *rev)
{
    json_t         *record;
    amp_buf_t       key;
    redisReply     *reply;
    unsigned char   buf[AMP_KEYS_MAX];

    *classes = 0;
    *rev = FROZEN_NONE;

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_frozen(store_prefix(store), &key);

    reply = store_command(store, error, "GET %b", buf,
                          amp_buf_written(&key).len);
    if (reply == NULL) {

        /* of another type: the gateways keep what they had */

        if (strcmp(error->code, "bad_record") == 0) {
            output_warning("what is frozen cannot be read, the key is of "
                           "another type; the next ampctl freeze or thaw "
                           "writes it again");
            *rev = 0;
            return 0;
        }

        return -1;
    }

    if (reply->type == REDIS_REPLY_STRING) {
        (void) amp_frozen_decode(amp_span_make(reply->str, reply->len),
                                 classes);
        record = json_loadb(reply->str, reply->len, 0, NULL);
        *rev = (uint64_t) json_integer_value(json_object_get(record, "rev"));
        json_decref(record);
    }

    freeReplyObject(reply);

    return 0;
}


json_t *
frozen_list(unsigned classes)
{
    int      class;
    json_t  *list;

    list = json_array();

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        if (classes >> class & 1) {
            json_array_append_new(list, json_string(amp_class_name(
                                                    (amp_class_e) class)));
        }
    }

    return list;
}
