#include "ngx_ampersand_sentinel.h"


typedef struct {
    ngx_ampersand_sentinel_t        *sentinel;
    ngx_ampersand_link_t            *link;
} ngx_ampersand_follower_t;


/* A subscription to one Sentinel. */

typedef struct {
    ngx_ampersand_sentinel_t        *sentinel;
    ngx_ampersand_link_t            *link;
    ngx_uint_t                       index;     /* of its host                */
} ngx_ampersand_watch_t;


struct ngx_ampersand_sentinel_s {
    ngx_ampersand_links_t           *links;
    ngx_ampersand_redis_conf_t      *conf;
    ngx_ampersand_link_t            *ask;
    ngx_uint_t                       current;   /* index of whom it asks      */
    ngx_ampersand_watch_t            watches[AMP_REDIS_HOSTS_MAX];
    ngx_uint_t                       nfollowers;
    ngx_ampersand_follower_t  followers[NGX_AMPERSAND_SENTINEL_FOLLOWERS];
};


static void ngx_ampersand_sentinel_opts(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_opts_t *opts);
static ngx_int_t ngx_ampersand_sentinel_next(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static void ngx_ampersand_sentinel_ask_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static void ngx_ampersand_sentinel_watch_state(void *data,
    ngx_ampersand_link_t *link, ngx_uint_t up);
static ngx_int_t ngx_ampersand_sentinel_ask(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_reply_pt handler, void *data);
static ngx_int_t ngx_ampersand_sentinel_locate(void *data,
    ngx_ampersand_link_t *link, amp_redis_host_t *host, const char **why);
static void ngx_ampersand_sentinel_located(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_sentinel_checked(void *data, ngx_int_t rc,
    redisReply *reply);
static const char *ngx_ampersand_sentinel_answer(redisReply *reply,
    amp_redis_host_t *host);
static void ngx_ampersand_sentinel_message(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_uint_t ngx_ampersand_sentinel_news(
    ngx_ampersand_sentinel_t *sentinel, const amp_redis_host_t *host);
static void ngx_ampersand_sentinel_move(ngx_ampersand_sentinel_t *sentinel,
    const amp_redis_host_t *host);
static ngx_int_t ngx_ampersand_sentinel_host(amp_redis_host_t *host,
    const char *name, size_t name_len, const char *port, size_t port_len);


ngx_ampersand_sentinel_t *
ngx_ampersand_sentinel_create(ngx_ampersand_links_t *links)
{
    ngx_uint_t                  i;
    ngx_ampersand_watch_t      *watch;
    ngx_ampersand_sentinel_t   *sentinel;
    ngx_ampersand_link_opts_t   opts;

    sentinel = ngx_calloc(sizeof(*sentinel), links->log);
    if (sentinel == NULL) {
        return NULL;
    }

    sentinel->links = links;
    sentinel->conf = links->conf;

    ngx_ampersand_sentinel_opts(sentinel, &opts);

    opts.level = NGX_LOG_WARN;
    opts.nhosts = sentinel->conf->nhosts;
    opts.state = ngx_ampersand_sentinel_ask_state;
    opts.data = sentinel;
    opts.locate = ngx_ampersand_sentinel_next;
    opts.locate_data = sentinel;

    if (ngx_ampersand_link_create(&sentinel->ask, &opts) != NGX_OK) {
        goto failed;
    }

    for (i = 0; i < sentinel->conf->nhosts; i++) {
        watch = &sentinel->watches[i];
        watch->sentinel = sentinel;
        watch->index = i;

        ngx_ampersand_sentinel_opts(sentinel, &opts);

        /* the other link has said it */

        opts.level = NGX_LOG_INFO;
        opts.state = ngx_ampersand_sentinel_watch_state;
        opts.message = ngx_ampersand_sentinel_message;
        opts.data = watch;
        opts.host = &sentinel->conf->hosts[i].host;
        ngx_str_set(&opts.channel, "+switch-master");
        ngx_str_set(&opts.channel2, "+promoted-slave");

        if (ngx_ampersand_link_create(&watch->link, &opts) != NGX_OK) {
            goto failed;
        }
    }

    return sentinel;

failed:

    ngx_ampersand_sentinel_close(sentinel);

    return NULL;
}


ngx_int_t
ngx_ampersand_sentinel_follow(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts)
{
    ngx_ampersand_follower_t  *follower;

    if (sentinel->nfollowers == NGX_AMPERSAND_SENTINEL_FOLLOWERS) {
        return NGX_ERROR;
    }

    follower = &sentinel->followers[sentinel->nfollowers];
    follower->sentinel = sentinel;

    opts->locate = ngx_ampersand_sentinel_locate;
    opts->locate_data = follower;
    opts->master = 1;

    if (ngx_ampersand_link_create(&follower->link, opts) != NGX_OK) {
        return NGX_ERROR;
    }

    sentinel->nfollowers++;
    *link = follower->link;

    return NGX_OK;
}


void
ngx_ampersand_sentinel_close(ngx_ampersand_sentinel_t *sentinel)
{
    ngx_uint_t  i;

    if (sentinel->ask) {
        ngx_ampersand_link_close(sentinel->ask);
    }

    for (i = 0; i < sentinel->conf->nhosts; i++) {
        if (sentinel->watches[i].link) {
            ngx_ampersand_link_close(sentinel->watches[i].link);
        }
    }

    ngx_free(sentinel);
}


static void
ngx_ampersand_sentinel_opts(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_opts_t *opts)
{
    ngx_memzero(opts, sizeof(*opts));

    opts->links = sentinel->links;
    opts->kind = "Sentinel";
    opts->effect = "another one is asked";
    opts->sentinel = 1;
}


static ngx_int_t
ngx_ampersand_sentinel_next(void *data, ngx_ampersand_link_t *link,
    amp_redis_host_t *host, const char **why)
{
    ngx_ampersand_sentinel_t *sentinel = data;

    (void) why;

    if (ngx_ampersand_link_failures(link)) {
        sentinel->current = (sentinel->current + 1) % sentinel->conf->nhosts;
    }

    *host = sentinel->conf->hosts[sentinel->current].host;

    return NGX_OK;
}


static void
ngx_ampersand_sentinel_ask_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_sentinel_t *sentinel = data;

    ngx_uint_t  i;

    (void) link;

    for (i = 0; up && i < sentinel->nfollowers; i++) {
        ngx_ampersand_link_retry(sentinel->followers[i].link);
    }
}


static void
ngx_ampersand_sentinel_watch_state(void *data, ngx_ampersand_link_t *link,
    ngx_uint_t up)
{
    ngx_ampersand_watch_t *watch = data;

    (void) link;

    if (up) {
        (void) ngx_ampersand_sentinel_ask(watch->sentinel,
                                          ngx_ampersand_sentinel_checked,
                                          watch->sentinel);
    }
}


static ngx_int_t
ngx_ampersand_sentinel_ask(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_reply_pt handler, void *data)
{
    amp_span_t  argv[3];

    argv[0] = amp_span("SENTINEL");
    argv[1] = amp_span("GET-MASTER-ADDR-BY-NAME");
    argv[2] = ngx_ampersand_span(sentinel->conf->name);

    return ngx_ampersand_link_command(sentinel->ask, 3, argv, handler,
                                      data);
}


static ngx_int_t
ngx_ampersand_sentinel_locate(void *data, ngx_ampersand_link_t *link,
    amp_redis_host_t *host, const char **why)
{
    ngx_ampersand_follower_t *follower = data;

    (void) link;
    (void) host;

    if (ngx_ampersand_sentinel_ask(follower->sentinel,
                                   ngx_ampersand_sentinel_located, follower)
        == NGX_OK)
    {
        return NGX_AGAIN;
    }

    *why = "cannot be found, no Sentinel answers";

    return NGX_ERROR;
}


static void
ngx_ampersand_sentinel_located(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_follower_t *follower = data;

    const char        *why;
    amp_redis_host_t   host;

    why = "cannot be found, no Sentinel answers";

    if (rc == NGX_OK) {
        why = ngx_ampersand_sentinel_answer(reply, &host);
    }

    ngx_ampersand_link_located(follower->link, why ? NULL : &host, why);
}


static void
ngx_ampersand_sentinel_checked(void *data, ngx_int_t rc, redisReply *reply)
{
    amp_redis_host_t  host;

    if (rc == NGX_OK && ngx_ampersand_sentinel_answer(reply, &host) == NULL) {
        ngx_ampersand_sentinel_move(data, &host);
    }
}


/* NULL, or why there is no host in it. */

static const char *
ngx_ampersand_sentinel_answer(redisReply *reply, amp_redis_host_t *host)
{
    redisReply  **element;

    if (reply->type == REDIS_REPLY_NIL) {
        return "cannot be found, the Sentinel knows no master of that name";
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        return "cannot be found, the Sentinel answers with an error";
    }

    element = reply->element;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || element[0]->type != REDIS_REPLY_STRING
        || element[1]->type != REDIS_REPLY_STRING
        || ngx_ampersand_sentinel_host(host, element[0]->str,
                                       ngx_ampersand_reply_len(element[0]),
                                       element[1]->str,
                                       ngx_ampersand_reply_len(element[1]))
           != NGX_OK)
    {
        return "cannot be found, the Sentinel names no host and port";
    }

    return NULL;
}


/*
 * +switch-master    name oldhost oldport host port
 * +promoted-slave   slave host:port host port @ name oldhost oldport
 */

static void
ngx_ampersand_sentinel_message(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_watch_t *watch = data;

    u_char                    *p, *last;
    ngx_str_t                  word[8], *name, *where;
    ngx_uint_t                 n;
    amp_redis_host_t           host;
    ngx_ampersand_sentinel_t  *sentinel;

    (void) rc;

    sentinel = watch->sentinel;

    p = (u_char *) reply->str;
    last = p + ngx_ampersand_reply_len(reply);

    for (n = 0; n < 8 && p < last; n++) {
        word[n].data = p;

        while (p < last && *p != ' ') {
            p++;
        }

        word[n].len = p++ - word[n].data;
    }

    if (p < last || (n != 5 && n != 8)) {
        return;
    }

    name = (n == 5) ? &word[0] : &word[5];
    where = (n == 5) ? &word[3] : &word[2];

    if (name->len != sentinel->conf->name.len
        || ngx_memcmp(name->data, sentinel->conf->name.data, name->len) != 0
        || ngx_ampersand_sentinel_host(&host, (char *) where[0].data,
                                       where[0].len, (char *) where[1].data,
                                       where[1].len)
           != NGX_OK)
    {
        return;
    }

    /* the first that says so knows it; the others follow */

    if (sentinel->current != watch->index
        && ngx_ampersand_sentinel_news(sentinel, &host))
    {
        sentinel->current = watch->index;
        ngx_ampersand_link_move(sentinel->ask,
                                &sentinel->conf->hosts[watch->index].host);
    }

    ngx_ampersand_sentinel_move(sentinel, &host);
}


static ngx_uint_t
ngx_ampersand_sentinel_news(ngx_ampersand_sentinel_t *sentinel,
    const amp_redis_host_t *host)
{
    const amp_redis_host_t  *now;

    if (sentinel->nfollowers == 0) {
        return 0;
    }

    now = ngx_ampersand_link_host(sentinel->followers[0].link);

    return now->port != host->port || ngx_strcmp(now->host, host->host) != 0;
}


static void
ngx_ampersand_sentinel_move(ngx_ampersand_sentinel_t *sentinel,
    const amp_redis_host_t *host)
{
    ngx_uint_t  i;

    for (i = 0; i < sentinel->nfollowers; i++) {
        ngx_ampersand_link_move(sentinel->followers[i].link, host);
    }
}


static ngx_int_t
ngx_ampersand_sentinel_host(amp_redis_host_t *host, const char *name,
    size_t name_len, const char *port, size_t port_len)
{
    ngx_int_t  n;

    n = ngx_atoi((u_char *) port, port_len);

    if (name_len == 0 || name_len >= AMP_REDIS_URL_TEXT || n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn((u_char *) host->host, (u_char *) name, name_len + 1);
    host->port = (unsigned) n;

    return NGX_OK;
}
