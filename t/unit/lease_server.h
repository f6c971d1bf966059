/*
 * A Redis for simulations: the state of one limit, the very text of lease.lua
 * in an embedded Lua 5.1, and a clock that the caller gives.
 * t/lease_script.t checks that a real Redis answers the same.
 */

#ifndef LEASE_SERVER_H
#define LEASE_SERVER_H


#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "amp_lease.h"
#include "amp_script.h"


#define SECOND           AMP_LEASE_SECOND
#define SERVER_GATEWAYS  1024
#define SERVER_FIELDS    7
#define SERVER_TEXT      512
#define TIMEOUT          (SECOND / 2)   /* of a call                          */


/* A text of length 0: there is no such field. */

typedef struct {
    int       there;
    double    expires;                  /* the server's clock, microseconds   */
    unsigned  calls;
    int       promoted;                 /* it was a replica before            */
    unsigned  n;                        /* fields of gateways                 */
    char      fields[SERVER_FIELDS][SERVER_TEXT];
    char      gateways[2][SERVER_GATEWAYS][48];   /* g:ID, w:ID            */
} server_t;


static const char *const  server_fields[SERVER_FIELDS] = {
    "at", "ahead", "unit", "run", "swept", "former", "wallets"
};

static server_t   *server_called;       /* by the script that runs            */
static double      server_clock;
static lua_State  *server_lua;


static void
server_check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "lease.lua: %s\n", what);
        abort();
    }
}


/* The room for a field's text.  Gateways have numbers for ids. */

static char *
server_field(server_t *s, const char *name)
{
    int       i;
    unsigned  id;

    if (name[1] == ':') {
        id = (unsigned) atoi(name + 2);
        server_check(id < SERVER_GATEWAYS, name);
        return s->gateways[*name == 'w'][id];
    }

    for (i = 0; i < SERVER_FIELDS; i++) {
        if (strcmp(name, server_fields[i]) == 0) {
            return s->fields[i];
        }
    }

    server_check(0, name);
    return NULL;
}


static void
server_push(lua_State *lua, const char *text)
{
    if (*text) {
        lua_pushstring(lua, text);
    } else {
        lua_pushboolean(lua, 0);
    }
}


static void
server_set(server_t *s, const char *name, const char *text)
{
    char   *field = server_field(s, name);
    size_t  size;

    size = (name[1] == ':') ? sizeof(s->gateways[0][0]) : SERVER_TEXT;
    server_check(strlen(text) < size && *text, name);

    s->n += (name[1] == ':' && *field == '\0');
    memcpy(field, text, strlen(text) + 1);
}


static void
server_pair(lua_State *lua, const char *name, const char *text, int *n)
{
    if (*text) {
        lua_pushstring(lua, name);
        lua_rawseti(lua, -2, ++*n);
        lua_pushstring(lua, text);
        lua_rawseti(lua, -2, ++*n);
    }
}


static int
server_all(lua_State *lua, const server_t *s)
{
    int   i, n = 0;
    char  name[16];

    lua_newtable(lua);

    for (i = 0; i < SERVER_FIELDS; i++) {
        server_pair(lua, server_fields[i], s->fields[i], &n);
    }

    for (i = 0; i < 2 * SERVER_GATEWAYS; i++) {
        if (s->gateways[i % 2][i / 2][0]) {
            snprintf(name, sizeof(name), "%c:%d", i % 2 ? 'w' : 'g', i / 2);
            server_pair(lua, name, s->gateways[i % 2][i / 2], &n);
        }
    }

    return 1;
}


/* redis.call() with the commands that the script uses. */

static int
server_command(lua_State *lua)
{
    int          i, n = lua_gettop(lua);
    char        *field, text[32];
    server_t    *s = server_called;
    const char  *name = luaL_checkstring(lua, 1);

    if (strcmp(name, "TIME") == 0) {
        lua_newtable(lua);
        snprintf(text, sizeof(text), "%.0f", floor(server_clock / 1e6));
        lua_pushstring(lua, text);
        lua_rawseti(lua, -2, 1);
        snprintf(text, sizeof(text), "%.0f", fmod(server_clock, 1e6));
        lua_pushstring(lua, text);
        lua_rawseti(lua, -2, 2);
        return 1;
    }

    if (strcmp(name, "HMGET") == 0) {
        lua_newtable(lua);

        for (i = 3; i <= n; i++) {
            server_push(lua, server_field(s, lua_tostring(lua, i)));
            lua_rawseti(lua, -2, i - 2);
        }

        return 1;
    }

    if (strcmp(name, "HLEN") == 0) {
        for (i = 0, n = (int) s->n; i < SERVER_FIELDS; i++) {
            n += (s->fields[i][0] != '\0');
        }

        lua_pushnumber(lua, s->there ? n : 0);
        return 1;
    }

    if (strcmp(name, "INFO") == 0) {
        lua_pushfstring(lua, "# Server\r\nuptime_in_seconds:3600\r\n"
                        "role:master\r\nmaster_replid2:%s\r\n"
                        "cluster_enabled:1\r\n", s->promoted
                        ? "8a4ddd4fcf4d3ce8d4c8e46a57f8d0f2e21bd6c9"
                        : "0000000000000000000000000000000000000000");
        return 1;
    }

    if (strcmp(name, "HGETALL") == 0) {
        return server_all(lua, s);
    }

    if (strcmp(name, "HDEL") == 0) {
        field = server_field(s, lua_tostring(lua, 3));
        i = (*field != '\0');
        s->n -= (unsigned) (i && lua_tostring(lua, 3)[1] == ':');
        *field = '\0';
        lua_pushnumber(lua, i);
        return 1;
    }

    if (strcmp(name, "HSET") == 0) {
        for (i = 3; i < n; i += 2) {
            server_set(s, lua_tostring(lua, i), lua_tostring(lua, i + 1));
        }

        s->there = 1;
        lua_pushnumber(lua, (n - 2) / 2);
        return 1;
    }

    server_check(strcmp(name, "PEXPIRE") == 0, name);
    s->expires = server_clock + lua_tonumber(lua, 3) * 1000;
    lua_pushnumber(lua, 1);
    return 1;
}


static void
server_start(void)
{
    server_lua = luaL_newstate();
    server_check(server_lua != NULL, "no memory");
    luaL_openlibs(server_lua);

    lua_newtable(server_lua);
    lua_pushcfunction(server_lua, server_command);
    lua_setfield(server_lua, -2, "call");
    lua_pushcfunction(server_lua, server_command);
    lua_setfield(server_lua, -2, "pcall");
    lua_setglobal(server_lua, "redis");

    server_check(luaL_loadbuffer(server_lua,
                              (const char *) amp_script_lease.text.data,
                              amp_script_lease.text.len, "lease.lua") == 0,
                 "does not compile");
}


/* Runs the script, as EVAL does; numbers are cut to integers. */

static void
server_eval(server_t *s, const amp_span_t *argv, double now,
    uint64_t answer[AMP_LEASE_ANSWER])
{
    int  i;

    if (server_lua == NULL) {
        server_start();
    }

    if (s->there && now >= s->expires) {
        s->there = 0;
        s->n = 0;
        memset(s->fields, 0, sizeof(s->fields));
        memset(s->gateways, 0, sizeof(s->gateways));
    }

    s->calls++;
    server_called = s;
    server_clock = now;

    lua_newtable(server_lua);
    lua_pushliteral(server_lua, "amp:limit:{acme}:default");
    lua_rawseti(server_lua, -2, 1);
    lua_setglobal(server_lua, "KEYS");

    lua_newtable(server_lua);

    for (i = 0; i < AMP_LEASE_ARGS; i++) {
        lua_pushlstring(server_lua, (const char *) argv[i].data, argv[i].len);
        lua_rawseti(server_lua, -2, i + 1);
    }

    lua_setglobal(server_lua, "ARGV");

    lua_pushvalue(server_lua, 1);
    i = lua_pcall(server_lua, 0, 1, 0);
    server_check(i == 0, lua_tostring(server_lua, -1));

    for (i = 0; i < AMP_LEASE_ANSWER; i++) {
        lua_rawgeti(server_lua, -1, i + 1);
        server_check(lua_tonumber(server_lua, -1) >= 0, "a negative number");
        answer[i] = (uint64_t) lua_tonumber(server_lua, -1);
        lua_pop(server_lua, 1);
    }

    lua_settop(server_lua, 1);
}


/*
 * now: microseconds of the server's clock; many: the number of gateways, 0: not
 * known.
 */

static void
server_call(server_t *s, const amp_lease_ask_t *ask, int me, int run,
    double since, unsigned many, double now, amp_lease_answer_t *answer)
{
    char           id[16], run_id[16];
    uint64_t       numbers[AMP_LEASE_ANSWER];
    amp_span_t     argv[AMP_LEASE_ARGS];
    unsigned char  text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];

    snprintf(id, sizeof(id), "%d", me);
    snprintf(run_id, sizeof(run_id), "r%d", run);

    amp_lease_argv(ask, amp_span_make(id, strlen(id)),
                   amp_span_make(run_id, strlen(run_id)), (uint64_t) since,
                   many, text, argv);

    server_eval(s, argv, now, numbers);

    answer->now = numbers[0];
    answer->lead = numbers[1];
    answer->granted = numbers[2];
    answer->gateways = numbers[3];
    answer->ahead = numbers[4];
    answer->wait = numbers[5];
    answer->drawn = numbers[6];
    answer->filled = numbers[7];
    answer->pool = numbers[8];
    answer->lent = numbers[9];
    answer->part = numbers[10];
    answer->server = (uint32_t) run;
}


/* How far TAT was ahead after the last call, ns. */

static inline double
server_ahead(const server_t *s)
{
    return atof(s->fields[1]);
}


#endif /* LEASE_SERVER_H */
