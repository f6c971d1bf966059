#include "ngx_ampersand_registry.h"
#include "ngx_ampersand_lease.h"
#include "redis/ngx_ampersand_redis_error.h"
#include "zone/ngx_ampersand_clock.h"
#include "amp_gateway.h"
#include "amp_keys.h"
#include "amp_script.h"
#include "amp_version.h"


#define NGX_AMPERSAND_REGISTRY_MARK  2          /* ms after a mark            */
#define NGX_AMPERSAND_REGISTRY_SOON  100        /* ms after an event          */
#define NGX_AMPERSAND_REGISTRY_REST  1000       /* ms between two for events */
#define NGX_AMPERSAND_REGISTRY_TEXT  16         /* bytes of the file          */


static void ngx_ampersand_registry_beat(ngx_event_t *ev);
static void ngx_ampersand_registry_time(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_registry_write(ngx_ampersand_registry_t *registry);
static ngx_int_t ngx_ampersand_registry_call(ngx_ampersand_registry_t *registry,
    ngx_msec_t life, ngx_uint_t eval);
static void ngx_ampersand_registry_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_registry_load(ngx_ampersand_registry_t *registry,
    ngx_log_t *log);
static void ngx_ampersand_registry_save(ngx_ampersand_registry_t *registry,
    ngx_uint_t gateways);


#define ngx_ampersand_registry_id(registry)                                   \
    amp_span_make((registry)->zone->sh->leases.gateway,                       \
                  NGX_AMPERSAND_GATEWAY_ID)


void
ngx_ampersand_registry_init(ngx_ampersand_registry_t *registry, ngx_log_t *log,
    ngx_uint_t one)
{
    ngx_ampersand_registry_load(registry, log);

    if (!one) {
        return;
    }

    registry->timer.handler = ngx_ampersand_registry_beat;
    registry->timer.data = registry;
    registry->timer.log = log;
    registry->timer.cancelable = 1;

    ngx_ampersand_registry_beat(&registry->timer);
}


void
ngx_ampersand_registry_event(ngx_ampersand_registry_t *registry)
{
    ngx_msec_int_t  rest;

    if (!registry->timer.timer_set) {
        return;
    }

    rest = (ngx_msec_int_t) (registry->last + NGX_AMPERSAND_REGISTRY_REST
                             - ngx_current_msec);
    rest = ngx_max(rest, NGX_AMPERSAND_REGISTRY_SOON);

    if (registry->marks != registry->zone->sh->nmarks) {
        rest = NGX_AMPERSAND_REGISTRY_MARK;
    }

    if ((ngx_msec_int_t) (registry->timer.timer.key - ngx_current_msec) > rest)
    {
        ngx_del_timer(&registry->timer);
        ngx_add_timer(&registry->timer, (ngx_msec_t) rest);
    }
}


void
ngx_ampersand_registry_exit(ngx_ampersand_registry_t *registry)
{
    u_char      name[AMP_KEYS_MAX];
    amp_buf_t   key;
    amp_span_t  argv[2];

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gateway(ngx_ampersand_span(*registry->prefix),
                     ngx_ampersand_registry_id(registry), &key);

    argv[0] = amp_span("DEL");
    argv[1] = amp_buf_written(&key);

    (void) ngx_ampersand_redis_command(registry->redis, argv[1], 2, argv, NULL,
                                       NULL);
    (void) ngx_ampersand_registry_call(registry, 0, 0);
}


/* Not all gateways at the same time: the pause is a little random. */

static void
ngx_ampersand_registry_beat(ngx_event_t *ev)
{
    u_char                     name[AMP_KEYS_MAX];
    amp_buf_t                  key;
    amp_span_t                 argv[1];
    ngx_ampersand_registry_t  *registry;

    registry = ev->data;
    registry->last = ngx_current_msec;

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gateways(ngx_ampersand_span(*registry->prefix), &key);
    argv[0] = amp_span("TIME");

    (void) ngx_ampersand_redis_command(registry->redis, amp_buf_written(&key),
                                       1, argv, ngx_ampersand_registry_time,
                                       registry);

    ngx_ampersand_registry_write(registry);
    (void) ngx_ampersand_registry_call(registry, AMP_GATEWAY_LIFE, 0);

    if (!ngx_exiting) {
        ngx_add_timer(ev, AMP_GATEWAY_BEAT
                          - ngx_random() % (AMP_GATEWAY_BEAT / 8));
    }
}


/* Seconds and microseconds; an error is that of a right that is missing. */

static void
ngx_ampersand_registry_time(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_registry_t *registry = data;

    uint64_t   time;
    ngx_int_t  part[2];
    ngx_uint_t i;

    if (rc != NGX_OK) {
        return;
    }

    time = 0;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        for (i = 0; i < 2; i++) {
            part[i] = reply->element[i]->type == REDIS_REPLY_STRING
                      ? ngx_atoi((u_char *) reply->element[i]->str,
                                 ngx_ampersand_reply_len(reply->element[i]))
                      : NGX_ERROR;
        }

        if (part[0] > 0 && part[1] >= 0) {
            time = (uint64_t) part[0] * 1000 + (uint64_t) part[1] / 1000;
        }
    }

    ngx_ampersand_clock_set(registry->zone, registry->last, time);
}


static void
ngx_ampersand_registry_write(ngx_ampersand_registry_t *registry)
{
    u_char                   name[AMP_KEYS_MAX], text[AMP_GATEWAY_MAX],
                             life[NGX_INT_T_LEN];
    uint64_t                 marks[AMP_GATEWAY_MARKS];
    amp_buf_t                key, record;
    amp_span_t               argv[5];
    amp_event_t              event;
    amp_gateway_t            gateway;
    ngx_ampersand_zone_t    *zone;
    ngx_ampersand_shared_t  *sh;

    zone = registry->zone;
    sh = zone->sh;

    gateway.id = ngx_ampersand_registry_id(registry);
    gateway.version = amp_span(AMP_VERSION);
    gateway.status = ngx_ampersand_span(registry->status);
    gateway.event = &event;
    gateway.marks = marks;
    gateway.timed = (ngx_ampersand_clock_ahead(zone, &gateway.clock) == NGX_OK);

    ngx_ampersand_zone_lock(zone);

    gateway.start = sh->started;
    gateway.applied = sh->applied;
    event = sh->event;
    ngx_memcpy(marks, sh->marks, sizeof(marks));
    registry->marks = sh->nmarks;

    ngx_ampersand_zone_unlock(zone);

    gateway.nmarks = ngx_min(registry->marks, AMP_GATEWAY_MARKS);

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gateway(ngx_ampersand_span(*registry->prefix), gateway.id, &key);
    amp_buf_init(&record, text, sizeof(text));
    amp_gateway_write(&gateway, &record);

    argv[0] = amp_span("SET");
    argv[1] = amp_buf_written(&key);
    argv[2] = amp_buf_written(&record);
    argv[3] = amp_span("PX");
    argv[4] = amp_span_make(life, ngx_sprintf(life, "%d", AMP_GATEWAY_LIFE)
                                  - life);

    (void) ngx_ampersand_redis_command(registry->redis, argv[1], 5, argv, NULL,
                                       NULL);
}


static ngx_int_t
ngx_ampersand_registry_call(ngx_ampersand_registry_t *registry, ngx_msec_t life,
    ngx_uint_t eval)
{
    u_char      name[AMP_KEYS_MAX], text[NGX_INT_T_LEN];
    amp_buf_t   key;
    amp_span_t  argv[6];

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_gateways(ngx_ampersand_span(*registry->prefix), &key);

    argv[0] = eval ? amp_span("EVAL") : amp_span("EVALSHA");
    argv[1] = eval ? amp_script_register.text : amp_script_register.sha;
    argv[2] = amp_span("1");
    argv[3] = amp_buf_written(&key);
    argv[4] = ngx_ampersand_registry_id(registry);
    argv[5] = amp_span_make(text, ngx_sprintf(text, "%M", life) - text);

    return ngx_ampersand_redis_command(registry->redis, argv[3], 6, argv,
                                       ngx_ampersand_registry_reply, registry);
}


static void
ngx_ampersand_registry_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_registry_t *registry = data;

    ngx_uint_t  gateways;

    if (rc != NGX_OK) {
        return;
    }

    if (ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOSCRIPT)) {
        (void) ngx_ampersand_registry_call(registry, AMP_GATEWAY_LIFE, 1);
        return;
    }

    if (ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_WRONGTYPE)
        && !registry->foreign)
    {
        registry->foreign = 1;
        ngx_log_error(NGX_LOG_ERR, registry->timer.log, 0,
                      "ampersand: the gateways are not counted: "
                      "\"%Vgateways\" in Redis is not a hash; \"ampctl "
                      "repair\" mends it",
                      registry->prefix);
    }

    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 1
        || reply->integer > NGX_AMPERSAND_GATEWAYS)
    {
        return;
    }

    registry->foreign = 0;
    gateways = ngx_ampersand_lease_registered(registry->zone,
                                              (ngx_uint_t) reply->integer);
    if (gateways) {
        ngx_ampersand_registry_save(registry, gateways);
    }
}


static void
ngx_ampersand_registry_load(ngx_ampersand_registry_t *registry, ngx_log_t *log)
{
    u_char                   text[NGX_AMPERSAND_REGISTRY_TEXT];
    ssize_t                  n;
    ngx_fd_t                 fd;
    ngx_int_t                gateways;
    ngx_ampersand_leases_t  *leases;

    leases = &registry->zone->sh->leases;

    if (leases->registered) {
        return;
    }

    fd = ngx_open_file(registry->file.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        if (ngx_errno != NGX_ENOENT) {
            ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                          "ampersand: the number of gateways cannot be read "
                          "from \"%V\"", &registry->file);
        }

        return;
    }

    n = ngx_read_fd(fd, text, sizeof(text));

    (void) ngx_close_file(fd);

    /* digits and a newline */

    gateways = (n > 1 && text[n - 1] == '\n') ? ngx_atoi(text, n - 1)
                                              : NGX_ERROR;

    if (gateways < 1 || gateways > NGX_AMPERSAND_GATEWAYS) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "ampersand: \"%V\" does not hold a number of gateways, "
                      "it is written again when Redis has told it",
                      &registry->file);
        return;
    }

    /* what Redis says to another worker meanwhile is newer */

    (void) ngx_atomic_cmp_set(&leases->registered, 0, gateways);
}


static void
ngx_ampersand_registry_save(ngx_ampersand_registry_t *registry,
    ngx_uint_t gateways)
{
    u_char      text[NGX_AMPERSAND_REGISTRY_TEXT], path[NGX_MAX_PATH];
    size_t      len;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;

    (void) ngx_snprintf(path, sizeof(path), "%V.new%Z", &registry->file);
    len = ngx_sprintf(text, "%ui\n", gateways) - text;
    err = 0;

    fd = ngx_open_file(path, NGX_FILE_WRONLY, NGX_FILE_TRUNCATE, 0600);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

    } else {
        n = ngx_write_fd(fd, text, len);

        if (n != (ssize_t) len) {
            err = (n == -1) ? ngx_errno : NGX_ENOSPC;
        }

        (void) ngx_close_file(fd);

        if (err == 0
            && ngx_rename_file(path, registry->file.data) == NGX_FILE_ERROR)
        {
            err = ngx_errno;
        }
    }

    if (err && !registry->failed) {
        registry->failed = 1;
        ngx_log_error(NGX_LOG_WARN, registry->timer.log, err,
                      "ampersand: the number of gateways cannot be saved in "
                      "\"%V\", a gateway that starts while Redis is out of "
                      "reach takes itself for the only one", &registry->file);
    }
}
