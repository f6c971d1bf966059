#include "amp_redis_host.h"
#include "amp_slot_map.h"


static int amp_slot_map_range(const amp_slot_map_t *map, size_t i,
    amp_slot_range_t *range);
static int amp_slot_map_node(const amp_slot_map_t *map,
    const amp_reply_t *node, amp_slot_range_t *range);
static amp_reply_t amp_slot_map_ip(const amp_reply_t *node);


int
amp_slot_map_open(amp_slot_map_t *map, const amp_reply_t *reply,
    const amp_redis_host_t *answered)
{
    size_t            i, word, bit;
    unsigned          slot;
    uint64_t          named[AMP_SLOTS / 64];
    amp_slot_range_t  range;

    map->reply = *reply;
    map->answered = *answered;
    map->next = 0;

    if (reply->type != AMP_REPLY_ARRAY) {
        return -1;
    }

    memset(named, 0, sizeof(named));

    for (i = 0; i < reply->elements; i++) {
        if (amp_slot_map_range(map, i, &range) != 0) {
            return -1;
        }

        for (slot = range.first; slot <= range.last; slot++) {
            word = slot / 64;
            bit = slot % 64;

            if (named[word] & ((uint64_t) 1 << bit)) {
                return -1;
            }

            named[word] |= (uint64_t) 1 << bit;
        }
    }

    return 0;
}


int
amp_slot_map_next(amp_slot_map_t *map, amp_slot_range_t *range)
{
    if (map->next >= map->reply.elements) {
        return 0;
    }

    return amp_slot_map_range(map, map->next++, range) == 0;
}


static int
amp_slot_map_range(const amp_slot_map_t *map, size_t i,
    amp_slot_range_t *range)
{
    amp_reply_t  element, first, last, master;

    element = amp_reply_element(&map->reply, i);

    first = amp_reply_element(&element, 0);
    last = amp_reply_element(&element, 1);
    master = amp_reply_element(&element, 2);

    if (element.elements < 3 || first.type != AMP_REPLY_INTEGER
        || last.type != AMP_REPLY_INTEGER || first.integer < 0
        || last.integer < first.integer || last.integer >= AMP_SLOTS)
    {
        return -1;
    }

    memset(range, 0, sizeof(*range));

    range->first = (unsigned) first.integer;
    range->last = (unsigned) last.integer;
    range->replicas = (unsigned) (element.elements - 3);

    return amp_slot_map_node(map, &master, range);
}


static int
amp_slot_map_node(const amp_slot_map_t *map, const amp_reply_t *node,
    amp_slot_range_t *range)
{
    amp_span_t   answered;
    amp_reply_t  name, port;

    /* an element that is missing has the type OTHER */

    name = amp_reply_element(node, 0);
    port = amp_reply_element(node, 1);

    if (port.type != AMP_REPLY_INTEGER
        || port.integer < 0 || port.integer > 65535)
    {
        return -1;
    }

    if (name.type == AMP_REPLY_STRING && amp_redis_host_unknown(name.text)) {
        name = amp_slot_map_ip(node);

        if (name.type == AMP_REPLY_OTHER
            || amp_redis_host_unknown(name.text))
        {
            range->unknown = 1;
            return 0;
        }
    }

    if (name.type != AMP_REPLY_STRING && name.type != AMP_REPLY_NIL) {
        return -1;
    }

    if (port.integer == 0) {
        range->unknown = 1;
        return 0;
    }

    answered = amp_span_make(map->answered.host, strlen(map->answered.host));

    return amp_redis_host_set(&range->master,
                              name.text.len ? name.text : answered,
                              port.integer);
}


/* The value of "ip" in a node's metadata, or a reply of the type OTHER. */

static amp_reply_t
amp_slot_map_ip(const amp_reply_t *node)
{
    size_t       i;
    amp_reply_t  metadata, name;

    metadata = amp_reply_element(node, 3);

    for (i = 0; i + 1 < metadata.elements; i += 2) {
        name = amp_reply_element(&metadata, i);

        if (name.type == AMP_REPLY_STRING
            && amp_span_eq(name.text, amp_span("ip")))
        {
            return amp_reply_element(&metadata, i + 1);
        }
    }

    return (amp_reply_t) { .type = AMP_REPLY_OTHER };
}
