/*
 * What the core reads of Redis' replies: the slot map, Sentinel's answers and
 * messages, ROLE, INFO, redirects, the class and the text of an error.  The
 * input is RESP2, or text where it begins with no RESP2 type.
 */

#include <stdlib.h>
#include <string.h>

#include "amp_redis_error.h"
#include "amp_redis_info.h"
#include "amp_sentinel.h"
#include "amp_slot_map.h"
#include "../unit/resp.h"


#define check(condition)  do { if (!(condition)) { abort(); } } while (0)


static void
host(const amp_redis_host_t *host)
{
    check(host->host[0] != '\0');
    check(memchr(host->host, '\0', sizeof(host->host)) != NULL);
    check(host->port > 0 && host->port < 65536);
}


static const amp_redis_host_t  answered = { "h", 1 };


static void
slot_map(const amp_reply_t *reply)
{
    unsigned          slots;
    amp_slot_map_t    map;
    amp_slot_range_t  range;

    if (amp_slot_map_open(&map, reply, &answered) != 0) {
        return;
    }

    slots = 0;

    while (amp_slot_map_next(&map, &range)) {
        check(range.first <= range.last && range.last < AMP_SLOTS);
        slots += range.last - range.first + 1;

        if (!range.unknown) {
            host(&range.master);
        }
    }

    check(map.next == reply->elements);
    check(slots <= AMP_SLOTS);
}


static void
sentinel(const amp_reply_t *reply)
{
    amp_redis_host_t  master;

    if (amp_sentinel_answer(reply, &master) == AMP_SENTINEL_MASTER) {
        host(&master);
    }

    check(amp_sentinel_role_master(reply) <= 1);
}


static void
text(amp_span_t text)
{
    size_t             i, len;
    unsigned           script;
    amp_span_t         value;
    unsigned char      out[64];
    amp_redirect_t     redirect;
    amp_redis_host_t   master;
    amp_redis_error_e  class;

    class = amp_redis_error_class(text, &script);

    check(class < AMP_REDIS_ERROR_CLASSES && script <= 1);

    len = amp_redis_error_text(text, out, sizeof(out));

    check(len > 0 && len <= sizeof(out));

    for (i = 0; i < len; i++) {
        check(out[i] >= 0x20 && out[i] <= 0x7e);
    }

    if (amp_sentinel_message(text, amp_span("amp"), &master) == 0) {
        host(&master);
    }

    if (amp_redirect_parse(text, &answered, &redirect) == 0) {
        check(redirect.slot < AMP_SLOTS);

        if (!redirect.unknown) {
            host(&redirect.host);
        }
    }

    if (amp_redis_info(text, amp_span("run_id"), &value) == 0) {
        check(value.data >= text.data + sizeof("run_id:") - 1);
        check(value.data + value.len <= text.data + text.len);
        check(memchr(value.data, '\n', value.len) == NULL);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t      *copy;
    amp_reply_t   reply;

    if (size == 0) {
        return 0;
    }

    /* memory of its own, so that a byte too far is found */

    copy = malloc(size);
    check(copy != NULL);
    memcpy(copy, data, size);

    if (resp_read(copy, size, &reply) == 0) {
        slot_map(&reply);
        sentinel(&reply);

        if (reply.text.len) {
            text(reply.text);
        }

    } else {
        text(amp_span_make(copy, size));
    }

    free(copy);

    return 0;
}
