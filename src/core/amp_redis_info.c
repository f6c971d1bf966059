#include "amp_redis_info.h"


int
amp_redis_info(amp_span_t text, amp_span_t field, amp_span_t *value)
{
    size_t  i, start;

    for (start = 0; start < text.len; start = i + 1) {

        for (i = start; i < text.len && text.data[i] != '\n'; i++) {
            /* void */
        }

        if (i - start <= field.len || text.data[start + field.len] != ':'
            || memcmp(text.data + start, field.data, field.len) != 0)
        {
            continue;
        }

        *value = amp_span_make(text.data + start + field.len + 1,
                               i - start - field.len - 1);

        if (value->len && value->data[value->len - 1] == '\r') {
            value->len--;
        }

        return 0;
    }

    return -1;
}
