#include "ngx_ampersand_times.h"


uint64_t
ngx_ampersand_times_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}


void
ngx_ampersand_times_begin(ngx_ampersand_times_t *times)
{
    times->since = ngx_ampersand_times_now();
    times->seen = 1 << NGX_AMPERSAND_IN_GATEWAY;
}


void
ngx_ampersand_times_enter(ngx_ampersand_times_t *times,
    ngx_ampersand_part_e part)
{
    uint64_t  now;

    if (times->part == NGX_AMPERSAND_IN_ANSWER) {
        return;
    }

    now = ngx_ampersand_times_now();

    times->spent[times->part] += now - times->since;
    times->since = now;
    times->part = part;
    times->seen |= (ngx_uint_t) 1 << part;
}
