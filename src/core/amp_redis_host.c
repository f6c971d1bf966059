#include "amp_redis_host.h"


int
amp_redis_host_set(amp_redis_host_t *host, amp_span_t name, long long port)
{
    size_t  i;

    if (name.len == 0 || name.len >= sizeof(host->host)
        || port < 1 || port > 65535)
    {
        return -1;
    }

    for (i = 0; i < name.len; i++) {
        if (name.data[i] <= 0x20 || name.data[i] >= 0x7f) {
            return -1;
        }
    }

    memset(host, 0, sizeof(*host));
    memcpy(host->host, name.data, name.len);
    host->port = (unsigned) port;

    return 0;
}


int
amp_redis_host_parse(amp_redis_host_t *host, amp_span_t name, amp_span_t port)
{
    size_t     i;
    long long  n;

    if (port.len > 5) {
        return -1;
    }

    n = 0;

    for (i = 0; i < port.len; i++) {
        if (port.data[i] < '0' || port.data[i] > '9') {
            return -1;
        }

        n = n * 10 + (port.data[i] - '0');
    }

    return amp_redis_host_set(host, name, n);
}


unsigned
amp_redis_host_unknown(amp_span_t name)
{
    return name.len == 1 && name.data[0] == '?';
}


unsigned
amp_redis_host_eq(const amp_redis_host_t *a, const amp_redis_host_t *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}
