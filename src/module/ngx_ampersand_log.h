/*
 * Log lines that can be caused again and again may not fill the error log.
 */

#ifndef NGX_AMPERSAND_LOG_H
#define NGX_AMPERSAND_LOG_H


#include "ngx_ampersand_compat.h"


/*
 * 1 at most once in so many seconds for each *last, which is zeroed before its
 * first use; else 0.
 */

static ngx_inline ngx_uint_t
ngx_ampersand_log_due(time_t *last, time_t seconds)
{
    time_t  passed;

    passed = ngx_time() - *last;

    if (passed >= 0 && passed < seconds) {
        return 0;
    }

    *last = ngx_time();

    return 1;
}


/*
 * For what a client can cause: "error" at most once a second, else "info".  To
 * be assigned to a variable: ngx_log_error() evaluates its level twice.
 */

static ngx_inline ngx_uint_t
ngx_ampersand_log_level(time_t *last)
{
    return ngx_ampersand_log_due(last, 1) ? NGX_LOG_ERR : NGX_LOG_INFO;
}


#endif /* NGX_AMPERSAND_LOG_H */
