#include "ngx_ampersand_link_counts.h"


static ngx_uint_t ngx_ampersand_link_counts_place(
    ngx_ampersand_metrics_shared_t *sh, amp_span_t name);
static ngx_uint_t ngx_ampersand_link_counts_free(
    ngx_ampersand_metrics_shared_t *sh, ngx_uint_t place);
static ngx_uint_t ngx_ampersand_link_counts_void(
    const ngx_ampersand_metrics_links_t *row);


void
ngx_ampersand_link_counts_join(ngx_ampersand_metrics_t *metrics)
{
    ngx_uint_t                      i;
    ngx_ampersand_metrics_links_t  *row;

    metrics->links = NULL;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    for (i = 0; i < NGX_AMPERSAND_WORKERS; i++) {
        row = &metrics->sh->links[i];

        if (row->pid == ngx_pid || ngx_ampersand_link_counts_void(row)) {
            ngx_memzero(row, sizeof(*row));
            row->pid = ngx_pid;
            metrics->links = row;
            break;
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


/*
 * A link that was counted among the others, since there was no place, is moved
 * from there.
 */

void
ngx_ampersand_link_counts_move(ngx_ampersand_metrics_t *metrics,
    amp_span_t name, ngx_ampersand_linked_e from, ngx_ampersand_linked_e to)
{
    ngx_uint_t                      place, left;
    ngx_ampersand_metrics_links_t  *row;

    row = metrics->links;

    if (row == NULL) {
        return;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    place = ngx_ampersand_link_counts_place(metrics->sh, name);

    if (from != NGX_AMPERSAND_LINKED) {
        left = row->counts[place][from] ? place : NGX_AMPERSAND_METRICS_NODES;
        row->counts[left][from] -= (row->counts[left][from] != 0);
    }

    if (to != NGX_AMPERSAND_LINKED) {
        row->counts[place][to]++;
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


static ngx_uint_t
ngx_ampersand_link_counts_place(ngx_ampersand_metrics_shared_t *sh,
    amp_span_t name)
{
    u_char                         text[NGX_AMPERSAND_METRICS_NODE];
    size_t                         i, len;
    ngx_uint_t                     place;
    ngx_ampersand_metrics_node_t  *node;

    len = ngx_min(name.len, NGX_AMPERSAND_METRICS_NODE);

    for (i = 0; i < len; i++) {
        text[i] = name.data[i];

        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"'
            || text[i] == '\\')
        {
            text[i] = '?';
        }
    }

    for (place = 0; place < NGX_AMPERSAND_METRICS_NODES; place++) {
        node = &sh->nodes[place];

        if (node->len == len && ngx_memcmp(node->name, text, len) == 0) {
            return place;
        }
    }

    for (place = 0; place < NGX_AMPERSAND_METRICS_NODES; place++) {

        if (ngx_ampersand_link_counts_free(sh, place)) {
            node = &sh->nodes[place];
            node->len = len;
            ngx_memcpy(node->name, text, len);

            return place;
        }
    }

    return NGX_AMPERSAND_METRICS_NODES;
}


static ngx_uint_t
ngx_ampersand_link_counts_free(ngx_ampersand_metrics_shared_t *sh,
    ngx_uint_t place)
{
    ngx_uint_t                      i, state;
    ngx_ampersand_metrics_links_t  *row;

    for (i = 0; i < NGX_AMPERSAND_WORKERS; i++) {
        row = &sh->links[i];

        for (state = 0; state < NGX_AMPERSAND_LINKED; state++) {

            if (row->counts[place][state]
                && !ngx_ampersand_link_counts_void(row))
            {
                return 0;
            }
        }
    }

    for (i = 0; i < NGX_AMPERSAND_WORKERS; i++) {
        ngx_memzero(sh->links[i].counts[place],
                    sizeof(sh->links[i].counts[place]));
    }

    return 1;
}


/* 1: nobody has the row, or its worker died. */

static ngx_uint_t
ngx_ampersand_link_counts_void(const ngx_ampersand_metrics_links_t *row)
{
    return row->pid == 0
           || (kill(row->pid, 0) == -1 && ngx_errno == NGX_ESRCH);
}


ngx_uint_t
ngx_ampersand_link_counts(ngx_ampersand_metrics_t *metrics,
    ngx_ampersand_link_count_t *counts)
{
    ngx_uint_t                       i, n, place, state, sum;
    ngx_ampersand_link_count_t      *count;
    ngx_ampersand_metrics_links_t   *row;
    ngx_ampersand_metrics_shared_t  *sh;

    sh = metrics->sh;

    ngx_memzero(counts, (NGX_AMPERSAND_METRICS_NODES + 1) * sizeof(*counts));

    ngx_shmtx_lock(&metrics->shpool->mutex);

    for (i = 0; i < NGX_AMPERSAND_WORKERS; i++) {
        row = &sh->links[i];

        if (ngx_ampersand_link_counts_void(row)) {
            continue;
        }

        for (place = 0; place <= NGX_AMPERSAND_METRICS_NODES; place++) {
            for (state = 0; state < NGX_AMPERSAND_LINKED; state++) {
                counts[place].links[state] += row->counts[place][state];
            }
        }
    }

    n = 0;

    for (place = 0; place <= NGX_AMPERSAND_METRICS_NODES; place++) {
        count = &counts[place];
        sum = 0;

        for (state = 0; state < NGX_AMPERSAND_LINKED; state++) {
            sum += count->links[state];
        }

        if (sum == 0) {
            continue;
        }

        count->name = place < NGX_AMPERSAND_METRICS_NODES
                      ? amp_span_make(sh->nodes[place].name,
                                      sh->nodes[place].len)
                      : amp_span("other");
        counts[n++] = *count;
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return n;
}
