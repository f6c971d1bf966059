#include "ngx_http_ampersand_reach.h"
#include "request/ngx_http_ampersand_location.h"


/* Of the location around a location, or of server{}. */

typedef struct ngx_http_ampersand_level_s  ngx_http_ampersand_level_t;

struct ngx_http_ampersand_level_s {
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ampersand_level_t  *outer;         /* NULL: clcf is server{}'s   */
};


static ngx_int_t ngx_http_ampersand_reach_level(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level);
static ngx_int_t ngx_http_ampersand_reach_tree(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_location_tree_node_t *node);
static ngx_int_t ngx_http_ampersand_reach_static(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_core_loc_conf_t *clcf);
static ngx_http_ampersand_loc_conf_t *ngx_http_ampersand_reach_gateway(
    ngx_http_core_loc_conf_t *clcf);
static void ngx_http_ampersand_reach_path(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri);
static void ngx_http_ampersand_reach_warn(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, const char *why, ngx_str_t *name,
    const char *remedy);

#if (NGX_PCRE)
static ngx_int_t ngx_http_ampersand_reach_regex(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_core_loc_conf_t **regex);
static ngx_http_core_loc_conf_t *ngx_http_ampersand_reach_covered(
    ngx_http_ampersand_level_t *level, ngx_http_core_loc_conf_t *clcf,
    ngx_str_t *uri);
static ngx_uint_t ngx_http_ampersand_reach_covers(
    ngx_http_core_loc_conf_t *regex, ngx_str_t *uri);
static ngx_uint_t ngx_http_ampersand_reach_open(ngx_str_t *pattern);
static ngx_uint_t ngx_http_ampersand_reach_ends(ngx_str_t *pattern,
    const char *tail);
static ngx_int_t ngx_http_ampersand_reach_begin(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *begin);
static size_t ngx_http_ampersand_reach_literal(ngx_str_t *pattern, u_char *p);
static void ngx_http_ampersand_reach_prefer(
    ngx_http_location_tree_node_t *node, ngx_str_t *uri,
    ngx_http_core_loc_conf_t **best, ngx_uint_t *open);
#endif


ngx_int_t
ngx_http_ampersand_reach_check(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_core_srv_conf_t   **cscf;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_ampersand_level_t   level;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        level.clcf = cscf[i]->ctx->loc_conf[ngx_http_core_module.ctx_index];
        level.outer = NULL;

        if (ngx_http_ampersand_reach_level(cf, &level) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ampersand_reach_level(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level)
{
#if (NGX_PCRE)
    ngx_http_core_loc_conf_t  **regex;

    regex = level->clcf->regex_locations;

    for ( /* void */ ; regex && *regex; regex++) {
        if (ngx_http_ampersand_reach_regex(cf, level, regex) != NGX_OK) {
            return NGX_ERROR;
        }
    }
#endif

    return ngx_http_ampersand_reach_tree(cf, level,
                                         level->clcf->static_locations);
}


static ngx_int_t
ngx_http_ampersand_reach_tree(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_location_tree_node_t *node)
{
    if (node == NULL) {
        return NGX_OK;
    }

    if ((node->exact
         && ngx_http_ampersand_reach_static(cf, level, node->exact) != NGX_OK)
        || (node->inclusive
            && ngx_http_ampersand_reach_static(cf, level, node->inclusive)
               != NGX_OK)
        || ngx_http_ampersand_reach_tree(cf, level, node->left) != NGX_OK
        || ngx_http_ampersand_reach_tree(cf, level, node->tree) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ampersand_reach_tree(cf, level, node->right);
}


/* A location for a prefix, or for one path. */

static ngx_int_t
ngx_http_ampersand_reach_static(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_ampersand_level_t  inner;
#if (NGX_PCRE)
    ngx_http_core_loc_conf_t   *regex;
#endif

    if (ngx_http_ampersand_reach_gateway(clcf)) {
        ngx_http_ampersand_reach_path(cf, clcf, &clcf->name);

#if (NGX_PCRE)
        regex = ngx_http_ampersand_reach_covered(level, clcf, &clcf->name);

        if (regex) {
            ngx_http_ampersand_reach_warn(cf, clcf,
                  "nginx prefers the regular expression", &regex->name,
                  "write \"location ^~\" for a prefix that is to win");
        }
#endif
    }

    inner.clcf = clcf;
    inner.outer = level;

    return ngx_http_ampersand_reach_level(cf, &inner);
}


/* Our part of its configuration; NULL: "ampersand" does not stand in it. */

static ngx_http_ampersand_loc_conf_t *
ngx_http_ampersand_reach_gateway(ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = clcf->loc_conf[ngx_http_ampersand_module.ctx_index];

    return alcf->own ? alcf : NULL;
}


/* Warns where no operation has a path that begins with the decoded uri. */

static void
ngx_http_ampersand_reach_path(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf,
    ngx_str_t *uri)
{
    const char                     *fault;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_ampersand_reach_gateway(clcf);

    if (alcf->rewrites) {
        return;
    }

    fault = ngx_http_ampersand_location_fault(cf, alcf, uri,
                                              clcf->exact_match);
    if (fault) {
        ngx_http_ampersand_reach_warn(cf, clcf, fault, NULL,
                                      "see \"ampctl operations\"");
    }
}


static void
ngx_http_ampersand_reach_warn(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf,
    const char *why, ngx_str_t *name, const char *remedy)
{
    ngx_str_t                       none = ngx_null_string;
    const char                     *modifier;
    ngx_http_ampersand_loc_conf_t  *alcf;

    alcf = ngx_http_ampersand_reach_gateway(clcf);
    modifier = clcf->exact_match ? "= " : "";

#if (NGX_PCRE)
    if (clcf->regex) {
        modifier = "~ ";

    } else if (clcf->noregex) {
        modifier = "^~ ";
    }
#endif

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"ampersand\" in %s:%ui: \"location %s%V\" can never match, "
                  "%s%s%V%s, %s; the API's own place is \"location %V\"",
                  alcf->file, alcf->line, modifier, &clcf->name, why,
                  name ? " \"" : "", name ? name : &none, name ? "\"" : "",
                  remedy, ngx_http_ampersand_location_root(alcf->api));
}


#if (NGX_PCRE)

static ngx_int_t
ngx_http_ampersand_reach_regex(ngx_conf_t *cf,
    ngx_http_ampersand_level_t *level, ngx_http_core_loc_conf_t **regex)
{
    ngx_int_t                    rc;
    ngx_str_t                    begin;
    ngx_uint_t                   open;
    ngx_http_core_loc_conf_t    *clcf, *other, **earlier;
    ngx_http_ampersand_level_t   inner;

    clcf = *regex;
    inner.clcf = clcf;
    inner.outer = level;

    rc = ngx_http_ampersand_reach_gateway(clcf)
         ? ngx_http_ampersand_reach_begin(cf, clcf, &begin) : NGX_DECLINED;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_ampersand_reach_level(cf, &inner);
    }

    ngx_http_ampersand_reach_path(cf, clcf, &begin);

    for (earlier = level->clcf->regex_locations; earlier < regex; earlier++) {
        if (ngx_http_ampersand_reach_covers(*earlier, &begin)) {
            ngx_http_ampersand_reach_warn(cf, clcf,
                  "an earlier regular expression matches before it:",
                  &(*earlier)->name, "change their order");
            break;
        }
    }

    other = NULL;
    open = 0;

    ngx_http_ampersand_reach_prefer(level->clcf->static_locations, &begin,
                                    &other, &open);

    if (other && other->noregex && !open) {
        ngx_http_ampersand_reach_warn(cf, clcf,
              "no regular expression is tried because of \"^~\" in location",
              &other->name, "leave out its \"^~\", or put this one into it");
    }

    /* those of an outer level are tried after those of an inner one */

    return ngx_http_ampersand_reach_level(cf, &inner);
}


/*
 * The regular expression that takes all requests whose URI begins so from a
 * location for a prefix of this level, or NULL.  Those of outer levels do, too,
 * unless the location in between has "^~".
 */

static ngx_http_core_loc_conf_t *
ngx_http_ampersand_reach_covered(ngx_http_ampersand_level_t *level,
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri)
{
    ngx_http_core_loc_conf_t  **regex;

    if (clcf->exact_match) {
        return NULL;
    }

    for ( /* void */ ; level && clcf->regex == NULL; level = level->outer) {
        regex = clcf->noregex ? NULL : level->clcf->regex_locations;

        for ( /* void */ ; regex && *regex; regex++) {
            if (ngx_http_ampersand_reach_covers(*regex, uri)) {
                return *regex;
            }
        }

        clcf = level->clcf;
    }

    return NULL;
}


/* Does the regular expression match the URI, and all that begin with it? */

static ngx_uint_t
ngx_http_ampersand_reach_covers(ngx_http_core_loc_conf_t *regex,
    ngx_str_t *uri)
{
    return ngx_http_ampersand_reach_open(&regex->name)
           && ngx_regex_exec(regex->regex->regex, uri, NULL, 0) >= 0;
}


/*
 * Is it certain that a pattern which matches a text matches each that begins
 * with it?  Not with "$", "\b" and others that look at what follows; ".*$" at
 * the end takes all (but line ends, which no path of an API has).
 */

static ngx_uint_t
ngx_http_ampersand_reach_open(ngx_str_t *pattern)
{
    u_char  *p, *last;

    p = pattern->data;
    last = p + pattern->len;

    if (ngx_http_ampersand_reach_ends(pattern, ".*$")
        || ngx_http_ampersand_reach_ends(pattern, "(.*)$"))
    {
        last--;
    }

    for ( /* void */ ; p < last; p++) {

        switch (*p) {

        case '$':
            return 0;

        case '\\':
            if (++p == last
                || ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z')
                    || (*p >= 'a' && *p <= 'z')))
            {
                return 0;
            }

            break;

        case '(':
            if (last - p > 1 && (p[1] == '*' || p[1] == '?')
                && !(last - p > 2 && p[1] == '?' && p[2] == ':'))
            {
                return 0;
            }

            break;

        case '+':
            if (p > pattern->data && ngx_strchr("*+?}", p[-1])) {
                return 0;
            }

            break;

        default:
            break;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_ampersand_reach_ends(ngx_str_t *pattern, const char *tail)
{
    u_char  *p;
    size_t   len;

    len = ngx_strlen(tail);

    if (pattern->len <= len) {
        return 0;
    }

    p = pattern->data + pattern->len - len;

    return p[-1] != '\\' && ngx_memcmp(p, tail, len) == 0;
}


/*
 * What each URI begins with that the pattern matches.  NGX_DECLINED: nothing
 * certain, or not the same in any case ("~*").
 */

static ngx_int_t
ngx_http_ampersand_reach_begin(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf,
    ngx_str_t *begin)
{
    size_t       len;
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   i;

    static const char  *ends[] = { "", "/", "x", "/x", "/x/y", "/x/y/z", "x/y",
                                   NULL };

    begin->data = ngx_pnalloc(cf->pool,
                              2 * (clcf->name.len + sizeof("/x/y/z")));
    if (begin->data == NULL) {
        return NGX_ERROR;
    }

    begin->len = ngx_http_ampersand_reach_literal(&clcf->name, begin->data);

    if (begin->len < 2) {
        return NGX_DECLINED;
    }

    /* a text that matches, and does not in capitals */

    text.data = begin->data + clcf->name.len + sizeof("/x/y/z");

    for (i = 0; ends[i]; i++) {
        len = ngx_strlen(ends[i]);
        text.len = begin->len + len;

        p = ngx_cpymem(text.data, begin->data, begin->len);
        ngx_memcpy(p, ends[i], len);

        if (ngx_regex_exec(clcf->regex->regex, &text, NULL, 0) < 0) {
            continue;
        }

        for (p = text.data; p < text.data + begin->len; p++) {
            *p = ngx_toupper(*p);
        }

        if (ngx_memcmp(text.data, begin->data, begin->len) == 0
            || ngx_regex_exec(clcf->regex->regex, &text, NULL, 0) >= 0)
        {
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* Copies what stands literally behind the "^" of a pattern; its length. */

static size_t
ngx_http_ampersand_reach_literal(ngx_str_t *pattern, u_char *p)
{
    u_char  *src, *last, *start;

    src = pattern->data;
    last = src + pattern->len;
    start = p;

    if (pattern->len == 0 || *src++ != '^'
        || ngx_strlchr(src, last, '|') != NULL)
    {
        return 0;
    }

    for ( /* void */ ; src < last; src++) {

        if (ngx_strchr("*?{", *src)) {

            /* what it follows may be left out */

            return p > start ? (size_t) (p - start - 1) : 0;
        }

        if (*src == '\\' && last - src > 1 && ngx_strchr("./-_~", src[1])) {
            src++;

        } else if (ngx_strchr("\\^$.[]()+|}", *src)) {
            break;
        }

        *p++ = *src;
    }

    return p - start;
}


/*
 * Among the prefixes of a tree: the longest with which the URI begins, and
 * whether after a longer one regular expressions are tried.
 */

static void
ngx_http_ampersand_reach_prefer(ngx_http_location_tree_node_t *node,
    ngx_str_t *uri, ngx_http_core_loc_conf_t **best, ngx_uint_t *open)
{
    size_t                     len;
    ngx_http_core_loc_conf_t  *clcf;

    if (node == NULL) {
        return;
    }

    clcf = node->inclusive;

    if (clcf) {
        len = ngx_min(clcf->name.len, uri->len);

        if (ngx_memcmp(clcf->name.data, uri->data, len) == 0) {

            if (clcf->name.len > uri->len) {
                *open |= !clcf->noregex;

            } else if (*best == NULL || clcf->name.len > (*best)->name.len) {
                *best = clcf;
            }
        }
    }

    ngx_http_ampersand_reach_prefer(node->left, uri, best, open);
    ngx_http_ampersand_reach_prefer(node->tree, uri, best, open);
    ngx_http_ampersand_reach_prefer(node->right, uri, best, open);
}

#endif
