#include "ngx_ampersand_handshake.h"


static ngx_int_t ngx_ampersand_handshake_say(
    ngx_ampersand_handshake_t *greeting);
static ngx_int_t ngx_ampersand_handshake_ask(
    ngx_ampersand_handshake_t *greeting, ngx_uint_t argc,
    const amp_span_t *argv, ngx_ampersand_reply_pt handler);
static void ngx_ampersand_handshake_accepted(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_handshake_server(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_int_t ngx_ampersand_handshake_field(redisReply *reply,
    const char *name, ngx_str_t *value);
static void ngx_ampersand_handshake_answered(void *data, ngx_int_t rc,
    redisReply *reply);


ngx_int_t
ngx_ampersand_handshake_start(ngx_ampersand_handshake_t *greeting)
{
    greeting->asked = 0;
    greeting->server.len = 0;
    greeting->server.time = 0;

    return ngx_ampersand_handshake_say(greeting);
}


static ngx_int_t
ngx_ampersand_handshake_say(ngx_ampersand_handshake_t *greeting)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    amp_span_t                   argv[3];
    ngx_ampersand_redis_conf_t  *conf;

    conf = greeting->conf;
    rc = NGX_OK;

    if (conf->password.len && (!greeting->sentinel || greeting->asked)) {
        n = 0;
        argv[n++] = amp_span("AUTH");

        if (conf->user.len) {
            argv[n++] = amp_span_make(conf->user.data, conf->user.len);
        }

        argv[n++] = amp_span_make(conf->password.data, conf->password.len);
        rc = ngx_ampersand_handshake_ask(greeting, n, argv,
                                        ngx_ampersand_handshake_accepted);
    }

    if (rc == NGX_OK && conf->db.len && !greeting->sentinel) {
        argv[0] = amp_span("SELECT");
        argv[1] = amp_span_make(conf->db.data, conf->db.len);
        rc = ngx_ampersand_handshake_ask(greeting, 2, argv,
                                        ngx_ampersand_handshake_accepted);
    }

    if (rc == NGX_OK && !greeting->sentinel) {
        argv[0] = amp_span("INFO");
        argv[1] = amp_span("server");
        rc = ngx_ampersand_handshake_ask(greeting, 2, argv,
                                        ngx_ampersand_handshake_server);
    }

    if (rc == NGX_OK) {
        argv[0] = greeting->master ? amp_span("ROLE") : amp_span("PING");
        rc = ngx_ampersand_handshake_ask(greeting, 1, argv,
                                        ngx_ampersand_handshake_answered);
    }

    return rc;
}


static ngx_int_t
ngx_ampersand_handshake_ask(ngx_ampersand_handshake_t *greeting,
    ngx_uint_t argc, const amp_span_t *argv, ngx_ampersand_reply_pt handler)
{
    return ngx_ampersand_pipeline_add(greeting->commands, argc, argv,
                                      greeting->conf->timeout, handler,
                                      greeting);
}


static void
ngx_ampersand_handshake_accepted(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *greeting = data;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(greeting->refusal, reply);
    }
}


static void
ngx_ampersand_handshake_server(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *greeting = data;

    ngx_int_t                time;
    ngx_str_t                value;
    ngx_ampersand_server_t  *server;

    server = &greeting->server;

    if (rc != NGX_OK || reply->type != REDIS_REPLY_STRING) {
        return;
    }

    if (ngx_ampersand_handshake_field(reply, "\nrun_id:", &value) == NGX_OK
        && value.len <= sizeof(server->run))
    {
        server->len = value.len;
        ngx_memcpy(server->run, value.data, value.len);
    }

    if (ngx_ampersand_handshake_field(reply, "\nserver_time_usec:", &value)
        == NGX_OK)
    {
        time = ngx_atoi(value.data, value.len);
        server->time = (time > 0) ? (uint64_t) time : 0;
    }
}


static ngx_int_t
ngx_ampersand_handshake_field(redisReply *reply, const char *name,
    ngx_str_t *value)
{
    u_char  *p, *last;
    size_t   len;

    len = ngx_strlen(name);
    last = (u_char *) reply->str + ngx_ampersand_reply_len(reply);

    p = ngx_strnstr((u_char *) reply->str, (char *) name,
                    ngx_ampersand_reply_len(reply));
    if (p == NULL) {
        return NGX_DECLINED;
    }

    value->data = p + len;

    for (p = value->data; p < last && *p > ' '; p++) { /* void */ }

    value->len = p - value->data;

    return NGX_OK;
}


static void
ngx_ampersand_handshake_answered(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_handshake_t *greeting = data;

    redisReply  *role;

    if (rc != NGX_OK || greeting->refusal->len) {
        return;
    }

    if (greeting->sentinel && !greeting->asked && greeting->conf->password.len
        && ngx_ampersand_redis_error_is(reply, "NOAUTH"))
    {
        greeting->asked = 1;

        if (ngx_ampersand_handshake_say(greeting) == NGX_OK) {
            return;
        }
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(greeting->refusal, reply);
        return;
    }

    if (greeting->master) {
        role = (reply->type == REDIS_REPLY_ARRAY && reply->elements)
               ? reply->element[0] : reply;

        if (role->type != REDIS_REPLY_STRING
            || ngx_strcmp(role->str, "master") != 0)
        {
            greeting->refusal->len = ngx_sprintf(greeting->refusal->text,
                                                 "it is not the master")
                                     - greeting->refusal->text;
            return;
        }
    }

    greeting->done(greeting->data);
}
