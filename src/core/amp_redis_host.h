/*
 * A host and port that Redis, a cluster node or a Sentinel named in a reply.
 */

#ifndef AMP_REDIS_HOST_H
#define AMP_REDIS_HOST_H


#include "amp_redis_url.h"


/*
 * Sets a host from its name or address (IPv6 without brackets) and its port.
 * 0, or -1 where the name is empty, longer than AMP_REDIS_URL_TEXT - 1 bytes or
 * not all of it printable ASCII, or where the port is not in 1..65535; *host is
 * undefined then.
 */

int amp_redis_host_set(amp_redis_host_t *host, amp_span_t name,
    long long port);

/*
 * As amp_redis_host_set(), with the port in decimal digits, at most five.
 */

int amp_redis_host_parse(amp_redis_host_t *host, amp_span_t name,
    amp_span_t port);

/*
 * 1 where the name is "?", which Redis writes for a host that it does not know,
 * else 0.
 */

unsigned amp_redis_host_unknown(amp_span_t name);

/* 1 where name and port are the same bytes, else 0. */

unsigned amp_redis_host_eq(const amp_redis_host_t *a,
    const amp_redis_host_t *b);


#endif /* AMP_REDIS_HOST_H */
