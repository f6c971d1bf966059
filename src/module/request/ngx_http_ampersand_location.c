#include "ngx_http_ampersand_location.h"
#include "amp_path.h"


static ngx_int_t ngx_http_ampersand_location_find(ngx_str_t *path,
    ngx_str_t *part);
static ngx_int_t ngx_http_ampersand_location_full(ngx_pool_t *pool,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *path);
static ngx_int_t ngx_http_ampersand_location_rewritten(ngx_http_request_t *r,
    ngx_str_t *path);


static ngx_str_t  ngx_http_ampersand_v1 = ngx_string("/v1");

/* what the path of an API begins with, and what of it is the gateway's own */

static ngx_str_t  ngx_http_ampersand_paths[AMP_API_COUNT][2] = {
    [AMP_API_PLATFORM] = { ngx_string("/v1"), ngx_string("") },
    [AMP_API_READ] = { ngx_string("/read/v1"), ngx_string("/read") },
    [AMP_API_WRITE] = { ngx_string("/write/v1"), ngx_string("/write") },
    [AMP_API_SEARCH] = { ngx_string("/search/v1"), ngx_string("/search") },
    [AMP_API_PROXY] = { ngx_string("/proxy"), ngx_string("/proxy") }
};


void
ngx_http_ampersand_location_conf(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf)
{
    ngx_int_t                  at;
    ngx_str_t                 *name;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    name = &clcf->name;

    /* an "if" and the like: its location's */

    if (clcf->noname) {
        return;
    }

    /* where there is no prefix, the path may be either one */

    alcf->skip = 0;
    alcf->host = 1;

    if (clcf->named || name->len == 0
#if (NGX_PCRE)
        || clcf->regex
#endif
        )
    {
        return;
    }

    at = ngx_http_ampersand_location_find(name,
                                    &ngx_http_ampersand_paths[alcf->api][0]);

    alcf->host = (at == NGX_ERROR);

    if (at == NGX_ERROR && alcf->api != AMP_API_PROXY) {
        at = ngx_http_ampersand_location_find(name, &ngx_http_ampersand_v1);
    }

    if (at == NGX_ERROR) {
        at = name->len;
        at -= (name->data[at - 1] == '/');
    }

    alcf->skip = at;
}


ngx_str_t *
ngx_http_ampersand_location_root(ngx_uint_t api)
{
    return &ngx_http_ampersand_paths[api][0];
}


/* Where the segments of part stand in path. */

static ngx_int_t
ngx_http_ampersand_location_find(ngx_str_t *path, ngx_str_t *part)
{
    u_char  *p, *end, *last;

    last = path->data + path->len;

    for (p = path->data; (size_t) (last - p) >= part->len; p++) {
        end = p + part->len;

        if (ngx_memcmp(p, part->data, part->len) == 0
            && (end == last || *end == '/'))
        {
            return p - path->data;
        }
    }

    return NGX_ERROR;
}


const char *
ngx_http_ampersand_location_fault(ngx_conf_t *cf,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *uri, ngx_uint_t whole)
{
    u_char       *scratch;
    ngx_str_t     path, full;
    ngx_uint_t    i;
    amp_match_t   match;
    amp_reason_e  reason;

    for (i = 0; i < alcf->skip; i++) {
        if (uri->data[i] <= ' ' || ngx_strchr("%?#\x7f", uri->data[i])) {
            return "the part before the gateway's path has a byte that is"
                   " encoded in a URI";
        }
    }

    path.data = uri->data + alcf->skip;
    path.len = uri->len - alcf->skip;
    full = path;

    if (ngx_http_ampersand_location_full(cf->pool, alcf, &full) != NGX_OK) {
        return NULL;
    }

    if (!whole) {
        return (path.len <= 1
                || amp_path_begins(alcf->api, ngx_ampersand_span(path))
                || amp_path_begins(alcf->api, ngx_ampersand_span(full)))
               ? NULL : "no path of an operation of this API begins so";
    }

    scratch = ngx_pnalloc(cf->pool, AMP_PATH_SCRATCH(full.len) + 1);
    if (scratch == NULL) {
        return NULL;
    }

    reason = amp_path_match(alcf->api, amp_span("GET"),
                            ngx_ampersand_span(full), scratch, &match);

    return (reason == AMP_OK || reason == AMP_NO_METHOD)
           ? NULL : "no operation of this API has this path";
}


/* Puts the gateway's own part in front of a path of Ampersand's host. */

static ngx_int_t
ngx_http_ampersand_location_full(ngx_pool_t *pool,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *path)
{
    u_char     *p;
    ngx_str_t  *own;

    own = &ngx_http_ampersand_paths[alcf->api][1];

    if (own->len == 0 || !alcf->host
        || ngx_http_ampersand_location_find(path,
                                    &ngx_http_ampersand_paths[alcf->api][0])
           == 0)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, own->len + path->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(ngx_cpymem(p, own->data, own->len), path->data, path->len);

    path->data = p;
    path->len += own->len;

    return NGX_OK;
}


ngx_int_t
ngx_http_ampersand_location_path(ngx_http_request_t *r,
    ngx_http_ampersand_loc_conf_t *alcf, ngx_str_t *path, ngx_str_t *args)
{
    u_char                    *p;
    ngx_http_core_loc_conf_t  *clcf;

    *path = r->unparsed_uri;
    ngx_str_null(args);

    p = ngx_strlchr(path->data, path->data + path->len, '?');

    if (p) {
        args->data = p + 1;
        args->len = path->data + path->len - args->data;
        path->len = p - path->data;
    }

    if (!r->valid_unparsed_uri) {
        *args = r->args;

        if (ngx_http_ampersand_location_rewritten(r, path) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* after "rewrite ... break" the URI is not the one that was matched */

    if (alcf->skip && r->valid_location) {
        clcf = alcf->settings[ngx_http_core_module.ctx_index];

        /* otherwise it is encoded there, and no path of the gateway */

        if (path->len < alcf->skip
            || ngx_memcmp(path->data, clcf->name.data, alcf->skip) != 0)
        {
            return NGX_OK;
        }

        path->data += alcf->skip;
        path->len -= alcf->skip;
    }

    return ngx_http_ampersand_location_full(r->pool, alcf, path);
}


/*
 * r->uri is decoded.  The end of the path that was sent is taken where it
 * decodes to that, since "%2F" is no slash there; else r->uri is encoded.
 */

static ngx_int_t
ngx_http_ampersand_location_rewritten(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char     *p, *last, *src, *dst, *decoded;
    size_t      left;
    uintptr_t   escape;

    last = path->data + path->len;
    left = path->len;

    for (p = path->data; p < last; p++) {
        left -= (*p == '%' && last - p > 2) ? 2 : 0;
    }

    for (p = path->data; p < last && left > r->uri.len; p++, left--) {
        p += (*p == '%' && last - p > 2) ? 2 : 0;
    }

    if (left == r->uri.len && p < last && *p == '/') {

        decoded = ngx_pnalloc(r->pool, last - p);
        if (decoded == NULL) {
            return NGX_ERROR;
        }

        src = p;
        dst = decoded;
        ngx_unescape_uri(&dst, &src, last - p, 0);

        if ((size_t) (dst - decoded) == r->uri.len
            && ngx_memcmp(decoded, r->uri.data, r->uri.len) == 0)
        {
            path->data = p;
            path->len = last - p;
            return NGX_OK;
        }
    }

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len, NGX_ESCAPE_URI);

    path->data = ngx_pnalloc(r->pool, r->uri.len + escape);
    if (path->data == NULL) {
        return NGX_ERROR;
    }

    last = (u_char *) ngx_escape_uri(path->data, r->uri.data, r->uri.len,
                                     NGX_ESCAPE_URI);
    path->len = escape ? (size_t) (last - path->data) : r->uri.len;

    if (escape == 0) {
        ngx_memcpy(path->data, r->uri.data, r->uri.len);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_ampersand_location_handler(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t       *cscf;
    ngx_http_ampersand_srv_conf_t  *ascf;

    ascf = ngx_http_get_module_srv_conf(r, ngx_http_ampersand_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return (ascf->gateway && ascf->rootless
            && r->loc_conf == cscf->ctx->loc_conf)
           ? NGX_HTTP_NOT_FOUND : NGX_DECLINED;
}
