/*
 * The last 15 minutes of the whole gateway, by seconds.  Before the first count
 * of a second, its beginning is a moment: the counts of then.  What was counted
 * between two moments belongs to the second of the earlier one: in the seconds
 * after it, if there are any without a moment, nothing was counted.
 *
 * Seconds are those of ngx_current_msec, which all workers share and nobody
 * sets.
 */

#ifndef NGX_AMPERSAND_HISTORY_H
#define NGX_AMPERSAND_HISTORY_H


#include "ngx_ampersand_metrics.h"


/* Before anything is counted, and before the history is read. */

#define ngx_ampersand_history(sh)                                             \
    do {                                                                      \
        if ((sh)->kept != ngx_current_msec / 1000) {                          \
            ngx_ampersand_history_keep(sh);                                   \
        }                                                                     \
    } while (0)

void ngx_ampersand_history_keep(ngx_ampersand_metrics_shared_t *sh);

/*
 * Copies the moment at which this second began.  NGX_DECLINED: there is none,
 * nothing was counted in it.
 */

ngx_int_t ngx_ampersand_history_read(ngx_ampersand_metrics_shared_t *sh,
    ngx_uint_t second, ngx_ampersand_moment_t *moment);

/*
 * What was counted from one moment to a later one.  0: nothing.  The second of
 * the result is that of the former.
 */

ngx_uint_t ngx_ampersand_history_between(const ngx_ampersand_moment_t *from,
    const ngx_ampersand_moment_t *to, ngx_ampersand_moment_t *counted);


#endif /* NGX_AMPERSAND_HISTORY_H */
