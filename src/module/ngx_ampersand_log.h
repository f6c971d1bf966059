/*
 * Log lines that a client can cause again and again may not fill the error log.
 */

#ifndef NGX_AMPERSAND_LOG_H
#define NGX_AMPERSAND_LOG_H


#include "ngx_ampersand_compat.h"


/* Returns "error" at most once a second for each *last, else "info". */

static ngx_inline ngx_uint_t
ngx_ampersand_log_level(time_t *last)
{
    if (*last == ngx_time()) {
        return NGX_LOG_INFO;
    }

    *last = ngx_time();

    return NGX_LOG_ERR;
}


#endif /* NGX_AMPERSAND_LOG_H */
