/*
 * nginx's lists of headers: to walk through them and to add to them.
 */

#ifndef NGX_HTTP_AMPERSAND_HEADER_LIST_H
#define NGX_HTTP_AMPERSAND_HEADER_LIST_H


#include "ngx_ampersand_compat.h"
#include <ngx_http.h>


/* Begin with { &list->part, 0 }. */

typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_ampersand_walk_t;


/* The next header, or NULL at the end of the list. */

static ngx_inline ngx_table_elt_t *
ngx_http_ampersand_next(ngx_http_ampersand_walk_t *walk)
{
    while (walk->i == walk->part->nelts) {
        if (walk->part->next == NULL) {
            return NULL;
        }

        walk->part = walk->part->next;
        walk->i = 0;
    }

    return (ngx_table_elt_t *) walk->part->elts + walk->i++;
}


/* ngx_list_push() without the call where the last part has room. */

static ngx_inline ngx_table_elt_t *
ngx_http_ampersand_push(ngx_list_t *list)
{
    ngx_list_part_t  *last;

    last = list->last;

    if (last->nelts < list->nalloc) {
        return (ngx_table_elt_t *) last->elts + last->nelts++;
    }

    return ngx_list_push(list);
}


/*
 * Adds a header to the answer.  Name and value are not copied: both have to
 * live as long as the request.  NGX_ERROR: no memory.
 */

static ngx_inline ngx_int_t
ngx_http_ampersand_add_header(ngx_http_request_t *r, const char *name,
    size_t name_len, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_ampersand_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = name_len;
    h->value = *value;
    h->lowcase_key = (u_char *) name;
    ngx_ampersand_header_init(h);

    return NGX_OK;
}

#define ngx_http_ampersand_header(r, name, value)                             \
    ngx_http_ampersand_add_header(r, name, sizeof(name) - 1, value)


/* Has the header this name, given in lower case?  Does it begin so? */

#define ngx_http_ampersand_is(h, name)                                        \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ngx_memcmp((h)->lowcase_key, name, sizeof(name) - 1) == 0)

#define ngx_http_ampersand_begins(h, prefix)                                  \
    ((h)->key.len >= sizeof(prefix) - 1                                       \
     && ngx_memcmp((h)->lowcase_key, prefix, sizeof(prefix) - 1) == 0)


#endif /* NGX_HTTP_AMPERSAND_HEADER_LIST_H */
