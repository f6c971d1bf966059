#include "ngx_ampersand_history.h"


static void ngx_ampersand_history_durations(
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t part, uint32_t *buckets);


void
ngx_ampersand_history_keep(ngx_ampersand_metrics_shared_t *sh)
{
    ngx_uint_t               i, second, kept;
    ngx_ampersand_moment_t  *moment;

    second = ngx_current_msec / 1000;
    kept = sh->kept;

    /* a worker that reads the clock earlier is late, unless msec overflowed */

    if ((second <= kept && kept - second < NGX_AMPERSAND_HISTORY)
        || !ngx_atomic_cmp_set(&sh->kept, kept, second))
    {
        return;
    }

    moment = &sh->history[second % NGX_AMPERSAND_HISTORY];

    moment->second = 0;
    ngx_memory_barrier();

    for (i = 0; i < NGX_AMPERSAND_METRICS_SOURCES; i++) {
        moment->sources[i] = (uint32_t) sh->sources[i];
    }

    for (i = 0; i < AMP_REASON_COUNT; i++) {
        moment->refusals[i] = (uint32_t) sh->refusals[i];
    }

    for (i = 0; i < NGX_AMPERSAND_HISTORY_PARTS; i++) {
        ngx_ampersand_history_durations(sh, i, moment->durations[i]);
    }

    ngx_memory_barrier();
    moment->second = second;
}


static void
ngx_ampersand_history_durations(ngx_ampersand_metrics_shared_t *sh,
    ngx_uint_t part, uint32_t *buckets)
{
    ngx_uint_t  api, class, i;

    ngx_memzero(buckets, AMP_HISTOGRAM_BUCKETS * sizeof(*buckets));

    for (api = 0; api < NGX_AMPERSAND_METRICS_APIS; api++) {
        for (class = 0; class < NGX_AMPERSAND_METRICS_CLASSES; class++) {
            for (i = 0; i < AMP_HISTOGRAM_BUCKETS; i++) {
                buckets[i] += (uint32_t)
                              sh->durations[part][api][class].buckets[i];
            }
        }
    }
}


ngx_int_t
ngx_ampersand_history_read(ngx_ampersand_metrics_shared_t *sh,
    ngx_uint_t second, ngx_ampersand_moment_t *moment)
{
    ngx_ampersand_moment_t  *kept;

    kept = &sh->history[second % NGX_AMPERSAND_HISTORY];

    if (kept->second != second) {
        return NGX_DECLINED;
    }

    ngx_memory_barrier();
    *moment = *kept;
    ngx_memory_barrier();

    return kept->second == second ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_ampersand_history_between(const ngx_ampersand_moment_t *from,
    const ngx_ampersand_moment_t *to, ngx_ampersand_moment_t *counted)
{
    uint32_t    any;
    ngx_uint_t  i, j;

    any = 0;
    counted->second = from->second;

    for (i = 0; i < NGX_AMPERSAND_METRICS_SOURCES; i++) {
        counted->sources[i] = to->sources[i] - from->sources[i];
        any |= counted->sources[i];
    }

    for (i = 0; i < AMP_REASON_COUNT; i++) {
        counted->refusals[i] = to->refusals[i] - from->refusals[i];
    }

    for (i = 0; i < NGX_AMPERSAND_HISTORY_PARTS; i++) {
        for (j = 0; j < AMP_HISTOGRAM_BUCKETS; j++) {
            counted->durations[i][j] = to->durations[i][j]
                                       - from->durations[i][j];
        }
    }

    return any != 0;
}
