#include "amp_redis_host.h"
#include "amp_sentinel.h"


#define AMP_SENTINEL_WORDS  8


static int amp_sentinel_host(amp_redis_host_t *host, amp_span_t name,
    amp_span_t port);
static unsigned amp_sentinel_split(amp_span_t text, amp_span_t *words);


amp_sentinel_answer_e
amp_sentinel_answer(const amp_reply_t *reply, amp_redis_host_t *host)
{
    amp_reply_t  name, port;

    if (reply->type == AMP_REPLY_NIL) {
        return AMP_SENTINEL_NO_SUCH_NAME;
    }

    if (reply->type == AMP_REPLY_ERROR) {
        return AMP_SENTINEL_ERROR;
    }

    name = amp_reply_element(reply, 0);
    port = amp_reply_element(reply, 1);

    if (reply->elements != 2 || name.type != AMP_REPLY_STRING
        || port.type != AMP_REPLY_STRING)
    {
        return AMP_SENTINEL_MALFORMED;
    }

    return amp_sentinel_host(host, name.text, port.text) == 0
           ? AMP_SENTINEL_MASTER : AMP_SENTINEL_NO_HOST;
}


static int
amp_sentinel_host(amp_redis_host_t *host, amp_span_t name, amp_span_t port)
{
    return amp_redis_host_unknown(name)
           ? -1 : amp_redis_host_parse(host, name, port);
}


int
amp_sentinel_message(amp_span_t text, amp_span_t name, amp_redis_host_t *host)
{
    amp_span_t  words[AMP_SENTINEL_WORDS];

    switch (amp_sentinel_split(text, words)) {

    case 5:
        return amp_span_eq(words[0], name)
               ? amp_sentinel_host(host, words[3], words[4]) : -1;

    case 8:
        return amp_span_eq(words[5], name)
               ? amp_sentinel_host(host, words[2], words[3]) : -1;

    default:
        return -1;
    }
}


/*
 * The words between single spaces, an empty one between two spaces.  How many,
 * or 0 where there are more than AMP_SENTINEL_WORDS.
 */

static unsigned
amp_sentinel_split(amp_span_t text, amp_span_t *words)
{
    size_t    i, start;
    unsigned  n;

    n = 0;
    start = 0;

    for (i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != ' ') {
            continue;
        }

        if (n == AMP_SENTINEL_WORDS) {
            return 0;
        }

        words[n++] = amp_span_make(text.data + start, i - start);
        start = i + 1;
    }

    return n;
}


unsigned
amp_sentinel_role_master(const amp_reply_t *reply)
{
    amp_reply_t  role;

    role = amp_reply_element(reply, 0);

    return role.type == AMP_REPLY_STRING
           && amp_span_eq(role.text, amp_span("master"));
}
