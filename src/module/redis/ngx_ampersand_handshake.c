#include "ngx_ampersand_handshake.h"
#include "amp_redis_info.h"
#include "amp_sentinel.h"


static ngx_int_t ngx_ampersand_handshake_send(ngx_ampersand_handshake_t *hs);
static ngx_int_t ngx_ampersand_handshake_command(
    ngx_ampersand_handshake_t *hs, ngx_uint_t argc, const amp_span_t *argv,
    ngx_ampersand_reply_pt handler);
static void ngx_ampersand_handshake_login(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_handshake_info(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_handshake_ping(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_int_t
ngx_ampersand_handshake_start(ngx_ampersand_handshake_t *hs)
{
    hs->why = NULL;
    hs->auth_wanted = 0;
    hs->server.run_id_len = 0;
    hs->server.time = 0;

    return ngx_ampersand_handshake_send(hs);
}


static ngx_int_t
ngx_ampersand_handshake_send(ngx_ampersand_handshake_t *hs)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    amp_span_t                   argv[3];
    ngx_ampersand_redis_conf_t  *conf;

    conf = hs->conf;
    rc = NGX_OK;

    if (conf->password.len && (!hs->sentinel || hs->auth_wanted)) {
        n = 0;
        argv[n++] = amp_span("AUTH");

        if (conf->user.len) {
            argv[n++] = amp_span_make(conf->user.data, conf->user.len);
        }

        argv[n++] = amp_span_make(conf->password.data, conf->password.len);
        rc = ngx_ampersand_handshake_command(hs, n, argv,
                                             ngx_ampersand_handshake_login);
    }

    if (rc == NGX_OK && conf->db.len && !hs->sentinel) {
        argv[0] = amp_span("SELECT");
        argv[1] = amp_span_make(conf->db.data, conf->db.len);
        rc = ngx_ampersand_handshake_command(hs, 2, argv,
                                             ngx_ampersand_handshake_login);
    }

    if (rc == NGX_OK && !hs->sentinel) {
        argv[0] = amp_span("INFO");
        argv[1] = amp_span("server");
        rc = ngx_ampersand_handshake_command(hs, 2, argv,
                                             ngx_ampersand_handshake_info);
    }

    if (rc == NGX_OK) {
        argv[0] = hs->master ? amp_span("ROLE") : amp_span("PING");
        rc = ngx_ampersand_handshake_command(hs, 1, argv,
                                             ngx_ampersand_handshake_ping);
    }

    return rc;
}


static ngx_int_t
ngx_ampersand_handshake_command(ngx_ampersand_handshake_t *hs,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler)
{
    return ngx_ampersand_pipeline_add(hs->pipeline, argc, argv,
                                      hs->conf->timeout, handler, hs);
}


static void
ngx_ampersand_handshake_login(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *hs = data;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(hs->error, reply);
    }
}


static void
ngx_ampersand_handshake_info(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *hs = data;

    ngx_int_t                time;
    amp_span_t               text, value;
    ngx_ampersand_server_t  *server;

    server = &hs->server;

    /* a server that takes no more clients answers the first command only */

    if (rc == NGX_OK
        && ngx_ampersand_redis_error_effect(reply)
           == NGX_AMPERSAND_REDIS_EFFECT_CONNECTION)
    {
        ngx_ampersand_redis_error_set(hs->error, reply);
    }

    if (rc != NGX_OK || reply->type != REDIS_REPLY_STRING) {
        return;
    }

    text = amp_reply_hiredis(reply).text;

    if (amp_redis_info(text, amp_span("run_id"), &value) == 0
        && value.len <= sizeof(server->run_id))
    {
        server->run_id_len = value.len;
        ngx_memcpy(server->run_id, value.data, value.len);
    }

    if (amp_redis_info(text, amp_span("server_time_usec"), &value) == 0) {
        time = ngx_atoi((u_char *) value.data, value.len);
        server->time = (time > 0) ? (uint64_t) time : 0;
    }
}


static void
ngx_ampersand_handshake_ping(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *hs = data;

    amp_reply_t  view;

    if (rc != NGX_OK || hs->error->len) {
        return;
    }

    if (hs->sentinel && !hs->auth_wanted && hs->conf->password.len
        && ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOAUTH))
    {
        hs->auth_wanted = 1;

        if (ngx_ampersand_handshake_send(hs) == NGX_OK) {
            return;
        }
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(hs->error, reply);
        return;
    }

    view = amp_reply_hiredis(reply);

    if (hs->master && !amp_sentinel_role_master(&view)) {
        hs->why = "is not a master";
        return;
    }

    hs->done(hs->data);
}
