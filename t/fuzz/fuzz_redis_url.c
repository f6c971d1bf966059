/*
 * Any bytes as a Redis URL and as a redirection; with an odd first byte they
 * follow a valid beginning.  What is taken keeps its promises, and what is
 * shown, without credentials, is taken again and shown the same.
 */

#include <stdlib.h>

#include "amp_slot.h"


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
redirect(const uint8_t *data, size_t size)
{
    amp_redirect_t           to;
    static amp_redis_host_t  answered = { "h", 1 };

    check(amp_slot(amp_span_make(data, size)) < AMP_SLOTS);

    if (amp_redirect_parse(amp_span_make(data, size), &answered, &to)
        == 0)
    {
        check(to.slot < AMP_SLOTS);
        check(to.host.port > 0 && to.host.port < 65536);
        check(memchr(to.host.host, '\0', sizeof(to.host.host)) != NULL);
    }
}


static void
url(const uint8_t *data, size_t size)
{
    unsigned         i;
    const char      *error;
    amp_redis_url_t  url, again;

    error = NULL;

    if (amp_redis_url_parse(amp_span_make(data, size), &url, &error) != 0) {
        check(error != NULL);
        return;
    }

    check((url.path[0] != '\0') == (url.nhosts == 0));
    check(url.nhosts <= (url.form == AMP_REDIS_SINGLE
                         ? 1 : AMP_REDIS_HOSTS_MAX));
    check((url.name[0] != '\0') == (url.form == AMP_REDIS_SENTINEL));
    check(url.db == 0 || url.form != AMP_REDIS_CLUSTER);
    check(strlen(url.path) < 108);

    for (i = 0; i < url.nhosts; i++) {
        check(url.hosts[i].host[0] != '\0');
        check(url.hosts[i].port > 0 && url.hosts[i].port < 65536);
    }

    if (strstr(url.shown, ",...") != NULL || strstr(url.shown, "://") == NULL) {
        return;
    }

    check(amp_redis_url_parse(amp_span_make(url.shown, strlen(url.shown)),
                              &again, &error) == 0);
    check(strcmp(url.shown, again.shown) == 0);
    check(memcmp(url.hosts, again.hosts, sizeof(url.hosts)) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              len;
    uint8_t            *text;
    const char         *head;
    static const char  *heads[] = {
        "", "redis://", "rediss://u:p@", "unix:/", "redis+sentinel://h,",
        "redis+cluster://h,", "MOVED 1 ", "ASK "
    };

    if (size == 0) {
        return 0;
    }

    /* memory of its own, so that a byte too far is found */

    head = heads[data[0] % 8];
    len = strlen(head);
    text = malloc(len + size);

    check(text != NULL);

    memcpy(text, head, len);
    memcpy(text + len, data + 1, size - 1);

    len += size - 1;
    text = realloc(text, len ? len : 1);

    check(text != NULL);

    redirect(text, len);
    url(text, len);

    free(text);

    return 0;
}
