/*
 * The links to Redis of all workers, by node and state, for the status.  They
 * are counted in the zone of ngx_ampersand_metrics.h, whose mutex guards them.
 *
 * A worker has a row of its own: what a dead worker has counted is void.  A
 * node has a place while links to it are counted, so that addresses that come
 * and go make no series without end; nodes without a place are counted
 * together.
 */

#ifndef NGX_AMPERSAND_LINK_COUNTS_H
#define NGX_AMPERSAND_LINK_COUNTS_H


#include "ngx_ampersand_metrics.h"


typedef struct {
    amp_span_t  name;               /* "other": the nodes without a place     */
    ngx_uint_t  links[NGX_AMPERSAND_LINKED];
} ngx_ampersand_link_count_t;


/* For init_process, before there are links: gives this worker a row. */

void ngx_ampersand_link_counts_join(ngx_ampersand_metrics_t *metrics);

/*
 * A link of this worker to the node has gone from one state to another;
 * NGX_AMPERSAND_LINKED: it is new, or there is none any more.  What of the name
 * is not plain text is counted as '?'.
 */

void ngx_ampersand_link_counts_move(ngx_ampersand_metrics_t *metrics,
    amp_span_t name, ngx_ampersand_linked_e from, ngx_ampersand_linked_e to);

/*
 * Fills counts, which has room for NGX_AMPERSAND_METRICS_NODES + 1, with the
 * nodes that have links, and returns how many there are.  The names stand in
 * the zone.
 */

ngx_uint_t ngx_ampersand_link_counts(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_link_count_t *counts);


#endif /* NGX_AMPERSAND_LINK_COUNTS_H */
