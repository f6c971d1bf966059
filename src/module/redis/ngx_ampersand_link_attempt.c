/* An attempt: from LOCATING to READY, address by address. */

#include "ngx_ampersand_link_state.h"
#include "amp_redis_host.h"


static void ngx_ampersand_link_set_display(ngx_ampersand_link_t *link);
static void ngx_ampersand_link_resolved(void *data, ngx_int_t rc);
static void ngx_ampersand_link_try_addresses(ngx_ampersand_link_t *link);
static ngx_int_t ngx_ampersand_link_next_address(ngx_ampersand_link_t *link,
    const char *why, ngx_err_t err);


void
ngx_ampersand_link_connect(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_int_t          rc;
    const char        *why;
    ngx_msec_t         timeout;
    amp_redis_host_t   located;

    timeout = link->opts.links->conf->timeout;

    link->state = NGX_AMPERSAND_LINK_LOCATING;
    link->attempt_end = ngx_current_msec + timeout;
    link->reason.why = NULL;
    link->connection.error_len = 0;
    link->handshake.why = NULL;
    link->error.len = 0;
    link->stable = 0;
    link->readonly = 0;
    link->pinged = 0;
    link->no_subscribe = 0;

    ngx_ampersand_link_count(link, 1);

    link->deadline.cancelable = 0;
    ngx_add_timer(&link->deadline, timeout);

    if (host == NULL) {
        host = link->opts.host;
    }

    if (host == NULL) {
        why = NULL;
        rc = link->opts.locate(link->opts.locate_data, link, &located, &why);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_ampersand_link_set_reason(link, why, 0);
            link->attempt_done(link, NGX_ERROR);
            return;
        }

        host = &located;
    }

    ngx_ampersand_link_resolve(link, host);
}


void
ngx_ampersand_link_resolve(ngx_ampersand_link_t *link,
    const amp_redis_host_t *host)
{
    ngx_int_t       rc;
    ngx_msec_int_t  left;

    if (!amp_redis_host_eq(&link->host, host)) {
        ngx_ampersand_link_count(link, 0);
    }

    link->host = *host;
    link->state = NGX_AMPERSAND_LINK_RESOLVING;

    ngx_ampersand_link_count(link, 1);
    ngx_ampersand_link_set_display(link);
    ngx_ampersand_count(link->opts.links->counters, connects);

    left = (ngx_msec_int_t) (link->attempt_end - ngx_current_msec);

    rc = ngx_ampersand_resolver_find(&link->resolver, link->opts.links->conf,
                                     host, (ngx_msec_t) ngx_max(left, 1),
                                     ngx_ampersand_link_resolved, link);

    if (rc != NGX_AGAIN) {
        ngx_ampersand_link_resolved(link, rc);
    }
}


/* A single Redis is shown by its URL, which has more than the host. */

static void
ngx_ampersand_link_set_display(ngx_ampersand_link_t *link)
{
    u_char      *p;
    const char  *format;

    if (link->opts.links->conf->form == AMP_REDIS_SINGLE) {
        return;
    }

    format = ngx_strchr(link->host.host, ':') ? "[%s]:%ui" : "%s:%ui";

    p = ngx_snprintf(link->display_text, sizeof(link->display_text), format,
                     link->host.host, (ngx_uint_t) link->host.port);

    link->display.data = link->display_text;
    link->display.len = p - link->display_text;
}


static void
ngx_ampersand_link_resolved(void *data, ngx_int_t rc)
{
    ngx_ampersand_link_t *link = data;

    if (rc != NGX_OK) {
        ngx_ampersand_link_set_reason(link, link->resolver.why, 0);
        link->attempt_done(link, NGX_ERROR);
        return;
    }

    ngx_ampersand_link_try_addresses(link);
}


/* Starts to connect to the current address or to the next that allows it. */

static void
ngx_ampersand_link_try_addresses(ngx_ampersand_link_t *link)
{
    ngx_int_t                 rc;
    ngx_err_t                 err;
    ngx_msec_int_t            left;
    ngx_ampersand_address_t  *address;

    do {
        link->state = NGX_AMPERSAND_LINK_CONNECTING;

        left = (ngx_msec_int_t) (link->attempt_end - ngx_current_msec);

        if (ngx_ampersand_resolver_more(&link->resolver)) {
            left /= 2;
        }

        /* ngx_add_timer() does not move a timer by less than 300 ms */

        if (link->deadline.timer_set) {
            ngx_del_timer(&link->deadline);
        }

        ngx_add_timer(&link->deadline, (ngx_msec_t) ngx_max(left, 1));

        address = ngx_ampersand_resolver_address(&link->resolver);

        rc = ngx_ampersand_connection_connect(&link->connection,
                                              &address->sockaddr.sockaddr,
                                              address->socklen,
                                              &link->display);
        if (rc == NGX_OK) {
            return;
        }

        err = ngx_socket_errno;

    } while (ngx_ampersand_link_next_address(link, "cannot be connected to",
                                             err)
             == NGX_OK);

    link->attempt_done(link, NGX_ERROR);
}


/* NGX_DECLINED: all addresses have failed. */

static ngx_int_t
ngx_ampersand_link_next_address(ngx_ampersand_link_t *link, const char *why,
    ngx_err_t err)
{
    ngx_queue_t  failed;

    if (why) {
        ngx_ampersand_link_set_reason(link, why, err);

    } else {
        ngx_ampersand_link_set_late(link);
    }

    if (ngx_ampersand_resolver_next(&link->resolver) != NGX_OK) {
        ngx_ampersand_resolver_failed(&link->resolver);
        return NGX_DECLINED;
    }

    ngx_ampersand_link_log_reason(link, NGX_LOG_INFO,
                                  "trying its next address");

    link->error.len = 0;
    link->handshake.why = NULL;

    ngx_ampersand_connection_close(&link->connection);

    /* the pipeline holds commands of the handshake only */

    ngx_queue_init(&failed);
    ngx_ampersand_pipeline_clear(&link->pipeline, &failed);
    ngx_ampersand_pipeline_fail(&failed, 0);

    return NGX_OK;
}


void
ngx_ampersand_link_address_failed(ngx_ampersand_link_t *link, const char *why,
    ngx_err_t err)
{
    if (ngx_ampersand_link_next_address(link, why, err) == NGX_OK) {
        ngx_ampersand_link_try_addresses(link);

    } else {
        link->attempt_done(link, NGX_ERROR);
    }
}


ngx_int_t
ngx_ampersand_link_connected(void *data)
{
    ngx_ampersand_link_t *link = data;

    link->state = NGX_AMPERSAND_LINK_HANDSHAKE;

    return ngx_ampersand_handshake_start(&link->handshake);
}


void
ngx_ampersand_link_handshake_done(void *data)
{
    ngx_ampersand_link_t *link = data;

    ngx_uint_t  n;
    amp_span_t  argv[3];

    if (link->opts.channel.len == 0) {
        link->attempt_done(link, NGX_OK);
        return;
    }

    n = 0;
    argv[n++] = amp_span("SUBSCRIBE");
    argv[n++] = ngx_ampersand_span(link->opts.channel);

    if (link->opts.channel2.len) {
        argv[n++] = ngx_ampersand_span(link->opts.channel2);
    }

    /* without memory the address misses its deadline */

    (void) ngx_ampersand_pipeline_write(&link->pipeline, n, argv);
}
