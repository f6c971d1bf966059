/*
 * The values of the labels that metrics have, by their numbers in
 * ngx_ampersand_metrics.h.
 */

#ifndef NGX_HTTP_AMPERSAND_LABELS_H
#define NGX_HTTP_AMPERSAND_LABELS_H


#include "zone/ngx_ampersand_metrics.h"


/* Where the time of a request goes; what it waits for, from IN_LOOKUP on. */

extern const char  *ngx_http_ampersand_parts[NGX_AMPERSAND_IN_PARTS];

/* How a try of an upstream request failed. */

extern const char  *ngx_http_ampersand_tries[NGX_AMPERSAND_TRY_FAILURES];

/* What Redis is called for. */

extern const char  *ngx_http_ampersand_for[NGX_AMPERSAND_FOR];

/* How a link to Redis stands. */

extern const char  *ngx_http_ampersand_linked[NGX_AMPERSAND_LINKED];

/* What was found in the cache. */

extern const char  *ngx_http_ampersand_cached[NGX_AMPERSAND_METRICS_CACHE];

/* "none": no operation was found. */

const char *ngx_http_ampersand_label_api(ngx_uint_t api);


#endif /* NGX_HTTP_AMPERSAND_LABELS_H */
