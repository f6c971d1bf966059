/*
 * Views of replies as Redis sends them, for tests: a recorded reply is read
 * where it stands.  t/fuzz gives it anything, so it trusts nothing.
 */

#ifndef RESP_H
#define RESP_H


#include "amp_reply.h"


#define RESP_NODES  4096
#define RESP_DEPTH  8


typedef struct {
    amp_reply_t  nodes[RESP_NODES];
    size_t       order[RESP_NODES];
    size_t       nnodes;
    size_t       norder;
} resp_t;


/* An array's view names its first entry of order[] as its source. */

static resp_t  resp;


static inline amp_reply_t
resp_element(const void *source, size_t i)
{
    return resp.nodes[((const size_t *) source)[i]];
}


/* A number and its line's end at *p; 0, or -1. */

static inline int
resp_number(const unsigned char **p, const unsigned char *last,
    long long *number)
{
    int        negative, digits;
    long long  n;

    n = 0;
    digits = 0;
    negative = (*p < last && **p == '-');
    *p += negative;

    for (; *p < last && **p >= '0' && **p <= '9' && digits < 18; (*p)++) {
        n = n * 10 + (**p - '0');
        digits++;
    }

    if (digits == 0 || last - *p < 2 || (*p)[0] != '\r' || (*p)[1] != '\n') {
        return -1;
    }

    *p += 2;
    *number = negative ? -n : n;

    return 0;
}


static inline int
resp_array(size_t node, const unsigned char **p, const unsigned char *last,
    unsigned depth);


/* One reply at *p, into a new node: its index, or -1. */

static inline long
resp_node(const unsigned char **p, const unsigned char *last, unsigned depth)
{
    long                  node;
    long long             n;
    amp_reply_t          *view;
    unsigned char         kind;
    const unsigned char  *start;

    if (*p >= last || resp.nnodes == RESP_NODES || depth == RESP_DEPTH) {
        return -1;
    }

    node = (long) resp.nnodes++;
    view = &resp.nodes[node];
    memset(view, 0, sizeof(*view));

    kind = *(*p)++;
    start = *p;

    switch (kind) {

    case '+':
    case '-':
        while (*p < last && **p != '\r') {
            (*p)++;
        }

        if (last - *p < 2) {
            return -1;
        }

        view->type = kind == '+' ? AMP_REPLY_STATUS : AMP_REPLY_ERROR;
        view->text = amp_span_make(start, *p - start);
        *p += 2;

        return node;

    case ':':
        view->type = AMP_REPLY_INTEGER;
        return resp_number(p, last, &view->integer) == 0 ? node : -1;

    case '$':
    case '*':
        if (resp_number(p, last, &n) != 0 || n < -1) {
            return -1;
        }

        if (n == -1) {
            view->type = AMP_REPLY_NIL;
            return node;
        }

        if (kind == '*') {
            view->type = AMP_REPLY_ARRAY;
            view->elements = (size_t) n;
            return resp_array((size_t) node, p, last, depth) == 0 ? node : -1;
        }

        if (last - *p < n + 2) {
            return -1;
        }

        view->type = AMP_REPLY_STRING;
        view->text = amp_span_make(*p, (size_t) n);
        *p += n + 2;

        return node;

    default:
        return -1;
    }
}


static inline int
resp_array(size_t node, const unsigned char **p, const unsigned char *last,
    unsigned depth)
{
    long    child;
    size_t  i, n, first;

    n = resp.nodes[node].elements;
    first = resp.norder;

    if (n > RESP_NODES - first) {
        return -1;
    }

    resp.norder += n;

    for (i = 0; i < n; i++) {
        child = resp_node(p, last, depth + 1);

        if (child == -1) {
            return -1;
        }

        resp.order[first + i] = (size_t) child;
    }

    resp.nodes[node].element = resp_element;
    resp.nodes[node].source = &resp.order[first];

    return 0;
}


/* 0 and the view of the first reply in text, or -1; one at a time. */

static inline int
resp_read(const void *text, size_t len, amp_reply_t *reply)
{
    long                  node;
    const unsigned char  *p;

    resp.nnodes = 0;
    resp.norder = 0;
    p = text;

    node = resp_node(&p, p + len, 0);

    if (node == -1) {
        return -1;
    }

    *reply = resp.nodes[node];

    return 0;
}


#endif /* RESP_H */
