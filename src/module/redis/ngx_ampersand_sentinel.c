#include "ngx_ampersand_sentinel.h"
#include "amp_redis_host.h"
#include "amp_reply_hiredis.h"
#include "amp_sentinel.h"


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
    ngx_ampersand_link_t            *ask;       /* to one Sentinel at a time  */
    ngx_uint_t                       current;   /* the index of its host      */
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
static ngx_uint_t ngx_ampersand_sentinel_new_master(
    ngx_ampersand_sentinel_t *sentinel, const amp_redis_host_t *host);
static void ngx_ampersand_sentinel_move(ngx_ampersand_sentinel_t *sentinel,
    const amp_redis_host_t *host);


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

        /* the link that asks logs an outage of its Sentinel already */

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


/* NULL with *host set, or why the answer names no master. */

static const char *
ngx_ampersand_sentinel_answer(redisReply *reply, amp_redis_host_t *host)
{
    amp_reply_t  view;

    view = amp_reply_hiredis(reply);

    switch (amp_sentinel_answer(&view, host)) {

    case AMP_SENTINEL_MASTER:
        return NULL;

    case AMP_SENTINEL_NO_SUCH_NAME:
        return "cannot be found, the Sentinel knows no master of that name";

    case AMP_SENTINEL_ERROR:
        return "cannot be found, the Sentinel answers with an error";

    case AMP_SENTINEL_NO_HOST:
        return "cannot be found, the Sentinel names no host and port";

    default:
        return "cannot be found, the Sentinel answers as no Sentinel does";
    }
}


static void
ngx_ampersand_sentinel_message(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_watch_t *watch = data;

    amp_redis_host_t           host;
    ngx_ampersand_sentinel_t  *sentinel;

    (void) rc;

    sentinel = watch->sentinel;

    if (amp_sentinel_message(amp_reply_hiredis(reply).text,
                             ngx_ampersand_span(sentinel->conf->name), &host)
        != 0)
    {
        return;
    }

    /* the first Sentinel that names the new master is asked from now on */

    if (sentinel->current != watch->index
        && ngx_ampersand_sentinel_new_master(sentinel, &host))
    {
        sentinel->current = watch->index;
        ngx_ampersand_link_move(sentinel->ask,
                                &sentinel->conf->hosts[watch->index].host);
    }

    ngx_ampersand_sentinel_move(sentinel, &host);
}


/* 1 where the links to the master are not at this host. */

static ngx_uint_t
ngx_ampersand_sentinel_new_master(ngx_ampersand_sentinel_t *sentinel,
    const amp_redis_host_t *host)
{
    return sentinel->nfollowers != 0
           && !amp_redis_host_eq(
                   ngx_ampersand_link_host(sentinel->followers[0].link), host);
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
