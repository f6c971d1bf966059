/*
 * Any bytes as an event.  An accepted one is the same after it was written and
 * decoded again.  With an odd first byte the input follows a valid beginning.
 */

#include <stdlib.h>

#include "amp_event.h"


#define HEAD  "{\"v\":1,\"type\":\"purge\",\"rev\":3,"


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             rc;
    size_t          len;
    uint8_t        *json;
    amp_buf_t       out;
    amp_event_t     event, back;
    unsigned char   text[AMP_EVENT_MAX];

    if (size == 0) {
        return 0;
    }

    len = (data[0] & 1) ? sizeof(HEAD) - 1 : 0;
    json = malloc(len + size);

    check(json != NULL);

    memcpy(json, HEAD, len);
    memcpy(json + len, data + 1, size - 1);

    rc = amp_event_decode(amp_span_make(json, len + size - 1), &event);

    free(json);

    if (rc != 0) {
        return 0;
    }

    check(event.type <= AMP_EVENT_COOLDOWN && event.family < AMP_FAMILY_COUNT);
    check(event.tenant_len <= sizeof(event.tenant));
    check(event.project_len <= sizeof(event.project));

    amp_buf_init(&out, text, sizeof(text));
    amp_event_write(&event, &out);

    check(!out.overflow);
    check(amp_event_decode(amp_buf_written(&out), &back) == 0);
    check(memcmp(&event, &back, sizeof(event)) == 0);

    return 0;
}
