#include "ngx_ampersand_lease_call.h"
#include "ngx_ampersand_log.h"
#include "zone/ngx_ampersand_node.h"
#include "amp_keys.h"
#include "amp_script.h"


#if (NGX_AMPERSAND_SERVER_RUN != NGX_AMPERSAND_RUN_ID)
#error "the zone's run id of a Redis server has another length"
#endif

#if (AMP_TOKEN_ID_MAX > NGX_AMPERSAND_LEASE_HOLDER)
#error "the id of a token does not fit into that of a lease"
#endif


#define NGX_AMPERSAND_LEASE_LOG    10           /* s between log lines        */
#define NGX_AMPERSAND_LEASE_PLAN   (AMP_LEASE_UNUSED / 1000000 + 5)  /* ms,
                                                   timers may be early        */
#define NGX_AMPERSAND_LEASE_START  (10 * AMP_LEASE_SECOND)  /* servers seen
                                                   before are no successors   */


static ngx_int_t ngx_ampersand_lease_evaluate(ngx_ampersand_lease_call_t *call,
    amp_span_t key, const ngx_ampersand_server_t *server);
static void ngx_ampersand_lease_pong(void *data, ngx_int_t rc,
    redisReply *reply);
static uint64_t ngx_ampersand_lease_since(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_server_t *server);
static void ngx_ampersand_lease_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_int_t ngx_ampersand_lease_read(redisReply *reply,
    amp_lease_answer_t *answer);
static void ngx_ampersand_lease_account(ngx_ampersand_counters_t *counters,
    ngx_ampersand_lease_call_t *call, ngx_ampersand_leased_t *leased,
    amp_lease_answer_t *answer, uint64_t now);
static void ngx_ampersand_lease_log(ngx_ampersand_lease_call_t *call,
    ngx_uint_t failed);
static void ngx_ampersand_lease_end(ngx_ampersand_lease_call_t *call,
    amp_lease_answer_t *answer);
static uint32_t ngx_ampersand_lease_ms(uint64_t now);
static void ngx_ampersand_lease_plan(ngx_ampersand_lease_call_t *call,
    ngx_ampersand_leased_t *leased, uint64_t now);
static void ngx_ampersand_lease_planned(ngx_event_t *ev);


ngx_ampersand_lease_call_t *
ngx_ampersand_lease_call(ngx_ampersand_leasing_t *leasing, amp_span_t holder,
    amp_limit_e limit, uint64_t now)
{
    ngx_ampersand_lease_call_t  *call;

    call = ngx_alloc(sizeof(*call), leasing->log);
    if (call == NULL) {
        return NULL;
    }

    ngx_memzero(&call->timer, sizeof(call->timer));
    call->leasing = leasing;
    call->limit = limit;
    call->sent = now;
    call->eval = 0;
    call->pinged = 0;
    call->unsent = 0;
    call->foreign = 0;
    call->error.len = 0;
    call->len = holder.len;
    ngx_memcpy(call->holder, holder.data, holder.len);

    ngx_queue_insert_tail(&leasing->calls, &call->queue);

    return call;
}


void
ngx_ampersand_lease_call_free(ngx_ampersand_lease_call_t *call)
{
    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    ngx_queue_remove(&call->queue);
    ngx_free(call);
}


void
ngx_ampersand_lease_give_up(ngx_ampersand_leasing_t *leasing)
{
    ngx_queue_t                 *q;
    ngx_ampersand_zone_t        *zone;
    ngx_ampersand_leased_t      *leased;
    ngx_ampersand_lease_call_t  *call;

    zone = leasing->zone;

    while (!ngx_queue_empty(&leasing->calls)) {
        q = ngx_queue_head(&leasing->calls);
        call = ngx_queue_data(q, ngx_ampersand_lease_call_t, queue);

        ngx_ampersand_zone_lock(zone);

        leased = ngx_ampersand_lease_state(zone,
                                           amp_span_make(call->holder,
                                                         call->len),
                                           call->limit, 0);
        if (leased) {
            amp_lease_give_up(&leased->lease, call->sent);
        }

        ngx_ampersand_zone_unlock(zone);

        ngx_ampersand_lease_call_free(call);
    }
}


void
ngx_ampersand_lease_send(ngx_ampersand_lease_call_t *call)
{
    u_char                         name[AMP_KEYS_MAX];
    ngx_int_t                      rc;
    amp_buf_t                      key;
    amp_span_t                     ping;
    ngx_ampersand_leasing_t       *leasing;
    const ngx_ampersand_server_t  *server;

    leasing = call->leasing;

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_limit(amp_span_make(leasing->prefix->data, leasing->prefix->len),
                   amp_span_make(call->holder, call->len), call->limit, &key);

    rc = NGX_DECLINED;
    server = ngx_ampersand_redis_server(leasing->redis, amp_buf_written(&key));

    if (server) {
        rc = ngx_ampersand_lease_evaluate(call, amp_buf_written(&key), server);

    } else if (!call->pinged && !leasing->closing) {
        ping = amp_span("PING");
        rc = ngx_ampersand_redis_command(leasing->redis, amp_buf_written(&key),
                                         1, &ping, ngx_ampersand_lease_pong,
                                         call);
    }

    if (rc != NGX_OK) {
        call->unsent = 1;
        ngx_ampersand_lease_end(call, NULL);
    }
}


static ngx_int_t
ngx_ampersand_lease_evaluate(ngx_ampersand_lease_call_t *call, amp_span_t key,
    const ngx_ampersand_server_t *server)
{
    u_char                    text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];
    uint64_t                  since;
    ngx_int_t                 rc;
    amp_span_t                argv[4 + AMP_LEASE_ARGS];
    ngx_ampersand_zone_t     *zone;
    ngx_ampersand_leasing_t  *leasing;

    leasing = call->leasing;
    zone = leasing->zone;
    since = ngx_ampersand_lease_since(zone, server);

    if (call->eval) {
        argv[0] = amp_span("EVAL");
        argv[1] = amp_script_lease.text;

    } else {
        argv[0] = amp_span("EVALSHA");
        argv[1] = amp_script_lease.sha;
    }

    argv[2] = amp_span("1");
    argv[3] = key;

    amp_lease_argv(&call->ask,
                   amp_span_make(zone->sh->leases.gateway,
                                 NGX_AMPERSAND_GATEWAY_ID),
                   amp_span_make(server->run_id, server->run_id_len),
                   since, (unsigned) zone->sh->leases.registered, text,
                   &argv[4]);

    call->server = ngx_murmur_hash2((u_char *) server->run_id,
                                    server->run_id_len);

    rc = ngx_ampersand_redis_command(leasing->redis, key, 4 + AMP_LEASE_ARGS,
                                     argv, ngx_ampersand_lease_reply, call);

    if (rc == NGX_OK) {
        ngx_ampersand_count(&zone->sh->counters, lease_calls);
    }

    return rc;
}


static void
ngx_ampersand_lease_pong(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_lease_call_t *call = data;

    call->pinged = 1;

    if (rc == NGX_OK && reply->type != REDIS_REPLY_ERROR) {
        ngx_ampersand_lease_send(call);
        return;
    }

    if (rc == NGX_OK) {
        ngx_ampersand_redis_error_set(&call->error, reply);
    }

    ngx_ampersand_lease_end(call, NULL);
}


/*
 * When this gateway first saw the server, if it may be another one's successor,
 * else 0.  The servers that are seen in the first seconds are not: a cluster
 * has many.
 */

static uint64_t
ngx_ampersand_lease_since(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_server_t *server)
{
    uint64_t                 since;
    ngx_uint_t               i;
    ngx_ampersand_seen_t    *seen;
    ngx_ampersand_leases_t  *leases;

    if (server->run_id_len != NGX_AMPERSAND_RUN_ID) {
        return 0;
    }

    leases = &zone->sh->leases;

    ngx_ampersand_zone_lock(zone);

    for (i = 0; i < ngx_min(leases->nservers, NGX_AMPERSAND_SERVERS); i++) {
        seen = &leases->servers[i];

        if (ngx_memcmp(seen->run, server->run_id, NGX_AMPERSAND_RUN_ID) == 0) {
            since = seen->since;
            goto done;
        }
    }

    since = 0;

    if (leases->nservers
        && ngx_ampersand_lease_now() - leases->began
           > NGX_AMPERSAND_LEASE_START)
    {
        since = server->time ? server->time
                             : (uint64_t) ngx_time() * 1000000;
        leases->successor = ngx_ampersand_lease_now();
    }

    seen = &leases->servers[leases->nservers++ % NGX_AMPERSAND_SERVERS];
    ngx_memcpy(seen->run, server->run_id, NGX_AMPERSAND_RUN_ID);
    seen->since = since;

done:

    ngx_ampersand_zone_unlock(zone);

    return since;
}


void
ngx_ampersand_lease_server(void *data, const ngx_ampersand_server_t *server)
{
    (void) ngx_ampersand_lease_since(data, server);
}


static void
ngx_ampersand_lease_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_lease_call_t *call = data;

    amp_lease_answer_t  answer;

    if (rc == NGX_OK && !call->eval
        && ngx_ampersand_redis_error_is(reply, AMP_REDIS_ERROR_NOSCRIPT))
    {
        call->eval = 1;
        ngx_ampersand_lease_send(call);
        return;
    }

    if (rc == NGX_OK && ngx_ampersand_lease_read(reply, &answer) == NGX_OK) {
        answer.server = call->server;
        ngx_ampersand_lease_end(call, &answer);
        return;
    }

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_redis_error_set(&call->error, reply);
        call->foreign = ngx_ampersand_redis_error_is(reply,
                                                    AMP_REDIS_ERROR_WRONGTYPE);
    }

    ngx_ampersand_lease_end(call, NULL);
}


static ngx_int_t
ngx_ampersand_lease_read(redisReply *reply, amp_lease_answer_t *answer)
{
    ngx_uint_t  i;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != AMP_LEASE_ANSWER)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < AMP_LEASE_ANSWER; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER
            || reply->element[i]->integer < 0)
        {
            return NGX_ERROR;
        }
    }

    answer->now = reply->element[0]->integer;
    answer->lead = reply->element[1]->integer;
    answer->granted = reply->element[2]->integer;
    answer->gateways = reply->element[3]->integer;
    answer->ahead = reply->element[4]->integer;
    answer->wait = reply->element[5]->integer;
    answer->drawn = reply->element[6]->integer;
    answer->filled = reply->element[7]->integer;
    answer->pool = reply->element[8]->integer;
    answer->lent = reply->element[9]->integer;
    answer->part = reply->element[10]->integer;

    return NGX_OK;
}


/* With the zone's lock held; leased and answer may be NULL. */

static void
ngx_ampersand_lease_account(ngx_ampersand_counters_t *counters,
    ngx_ampersand_lease_call_t *call, ngx_ampersand_leased_t *leased,
    amp_lease_answer_t *answer, uint64_t now)
{
    if (leased) {
        counters->lease_lapsed += amp_lease_lapsed(&leased->lease);
    }

    if (answer == NULL) {
        counters->lease_failures++;
        return;
    }

    counters->lease_units += answer->granted + answer->drawn + answer->filled;
    counters->lease_returned += call->ask.back / call->ask.unit;

    ngx_ampersand_histogram_add(
                              &counters->redis_times[NGX_AMPERSAND_FOR_LEASE],
                              (now - call->sent) / 1000);
}


/* The fault of one key is no outage of all limits. */

static void
ngx_ampersand_lease_log(ngx_ampersand_lease_call_t *call, ngx_uint_t failed)
{
    u_char                    name[AMP_KEYS_MAX];
    amp_buf_t                 key;
    ngx_atomic_t             *degraded;
    ngx_ampersand_leasing_t  *leasing;

    static const char *const effects[] = {
        "each gateway holds tenants to its share of their limits",
        "tenants are not held to their limits",
        "tenants that have limits get 503"
    };

    leasing = call->leasing;
    degraded = &leasing->zone->sh->leases.degraded;

    if (failed && call->foreign) {

        if (ngx_ampersand_log_due(&leasing->named, NGX_AMPERSAND_LEASE_LOG)) {
            amp_buf_init(&key, name, sizeof(name));
            amp_keys_limit(ngx_ampersand_span(*leasing->prefix),
                           amp_span_make(call->holder, call->len), call->limit,
                           &key);
            ngx_log_error(NGX_LOG_ERR, leasing->log, 0,
                          "ampersand: a limit has no leases from Redis: "
                          "\"%*s\" is not a hash; \"ampctl repair\" mends it",
                          amp_buf_written(&key).len, name);
        }

    } else if (failed && ngx_atomic_cmp_set(degraded, 0, 1)) {

        if (ngx_ampersand_log_due(&leasing->logged, NGX_AMPERSAND_LEASE_LOG)) {
            ngx_log_error(NGX_LOG_WARN, leasing->log, 0,
                          "ampersand: no leases from Redis, %s: \"%*s\"",
                          effects[leasing->fallback], call->error.len,
                          call->error.text);
        }

    } else if (!failed && ngx_atomic_cmp_set(degraded, 1, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, leasing->log, 0,
                      "ampersand: leases come from Redis again");
    }
}


/* Ends the call.  Without an answer the fallback decides. */

static void
ngx_ampersand_lease_end(ngx_ampersand_lease_call_t *call,
    amp_lease_answer_t *answer)
{
    uint32_t                  hash;
    uint64_t                  now;
    amp_span_t                holder;
    ngx_uint_t                failed;
    ngx_ampersand_zone_t     *zone;
    ngx_ampersand_leased_t   *leased;
    ngx_ampersand_leases_t   *leases;
    ngx_ampersand_leasing_t  *leasing;

    leasing = call->leasing;
    zone = leasing->zone;
    leases = &zone->sh->leases;
    holder = amp_span_make(call->holder, call->len);
    failed = (answer == NULL);

    ngx_ampersand_zone_lock(zone);

    now = ngx_ampersand_lease_now();
    leased = ngx_ampersand_lease_state(zone, holder, call->limit, 0);

    /* only this worker may have no link: another one calls instead */

    if (answer == NULL
        && (leasing->closing
            || (call->unsent && leased
                && now - leased->lease.received < AMP_LEASE_RETRY)))
    {
        if (leased) {
            amp_lease_give_up(&leased->lease, call->sent);
        }

        ngx_ampersand_zone_unlock(zone);
        ngx_ampersand_lease_call_free(call);
        return;
    }

    if (leased && answer) {
        failed = (amp_lease_answer(&leased->lease, answer, call->sent, now)
                  != 0);

    } else if (leased) {
        amp_lease_failed(&leased->lease, call->sent, now);
    }

    if (!failed
        && (answer->gateways >= leases->gateways
            || now - leases->counted > AMP_LEASE_LIFE))
    {
        leases->gateways = (unsigned) answer->gateways;
        leases->counted = now;
    }

    ngx_ampersand_lease_account(&zone->sh->counters, call, leased,
                                failed ? NULL : answer, now);

    if (leased && !failed && !leasing->closing) {
        ngx_ampersand_lease_plan(call, leased, now);
    }

    ngx_ampersand_zone_unlock(zone);

    ngx_ampersand_lease_log(call, failed);

    /* who waits for a token's limit waits as its tenant */

    if (call->limit == AMP_LIMIT_TOKEN) {
        holder = amp_token_id_tenant(holder);
    }

    hash = ngx_ampersand_lease_hash(holder);

    ngx_ampersand_lease_call_free(call);

    leasing->wake(leasing->data, hash);
}


/* The milliseconds for ngx_ampersand_leased_t.planned: never 0. */

static uint32_t
ngx_ampersand_lease_ms(uint64_t now)
{
    return (uint32_t) (now / 1000000) | 1;
}


/* With the zone's lock held: plans a call that hands units back, if none is. */

static void
ngx_ampersand_lease_plan(ngx_ampersand_lease_call_t *call,
    ngx_ampersand_leased_t *leased, uint64_t now)
{
    uint32_t                     ms;
    ngx_ampersand_lease_call_t  *plan;

    ms = ngx_ampersand_lease_ms(now);

    /* a plan whose timer is long overdue is that of a worker that died */

    if (!amp_lease_scarce(&leased->lease, now)
        || (leased->planned != 0
            && ms - leased->planned < 2 * NGX_AMPERSAND_LEASE_PLAN))
    {
        return;
    }

    plan = ngx_ampersand_lease_call(call->leasing,
                                    amp_span_make(call->holder, call->len),
                                    call->limit, 0);
    if (plan == NULL) {
        return;
    }

    plan->timer.handler = ngx_ampersand_lease_planned;
    plan->timer.data = plan;
    plan->timer.log = call->leasing->log;
    plan->timer.cancelable = 1;

    leased->planned = ms;
    plan->planned = ms;
    ngx_add_timer(&plan->timer, NGX_AMPERSAND_LEASE_PLAN);
}


static void
ngx_ampersand_lease_planned(ngx_event_t *ev)
{
    uint64_t                     now;
    ngx_uint_t                   scarce, sends, waits;
    ngx_ampersand_zone_t        *zone;
    ngx_ampersand_leased_t      *leased;
    ngx_ampersand_lease_call_t  *call;

    call = ev->data;
    zone = call->leasing->zone;
    sends = 0;
    waits = 0;

    ngx_ampersand_zone_lock(zone);

    now = ngx_ampersand_lease_now();
    leased = ngx_ampersand_lease_state(zone,
                                       amp_span_make(call->holder, call->len),
                                       call->limit, 0);

    if (leased && leased->planned == call->planned) {
        scarce = amp_lease_scarce(&leased->lease, now);
        waits = scarce && !amp_lease_unused(&leased->lease, now);
        sends = scarce && !waits
                && amp_lease_return(&leased->lease, &leased->rate, now,
                                    ngx_ampersand_lease_timeout(call->leasing),
                                    0, &call->ask);
        call->planned = waits ? ngx_ampersand_lease_ms(now) : 0;
        leased->planned = call->planned;
    }

    ngx_ampersand_zone_unlock(zone);

    if (sends) {
        call->sent = now;
        ngx_ampersand_lease_send(call);

    } else if (waits) {
        ngx_add_timer(ev, NGX_AMPERSAND_LEASE_PLAN);

    } else {
        ngx_ampersand_lease_call_free(call);
    }
}


amp_span_t
ngx_ampersand_lease_id(amp_span_t holder, amp_limit_e limit, u_char *name)
{
    u_char  *p;

    p = ngx_cpymem(name, holder.data, holder.len);
    *p++ = '\0';
    *p++ = (u_char) limit;

    return amp_span_make(name, p - name);
}


ngx_ampersand_leased_t *
ngx_ampersand_lease_state(ngx_ampersand_zone_t *zone, amp_span_t holder,
    amp_limit_e limit, ngx_uint_t make)
{
    u_char                 name[NGX_AMPERSAND_LEASE_ID];
    amp_span_t             id;
    ngx_ampersand_node_t  *node;

    id = ngx_ampersand_lease_id(holder, limit, name);

    node = make ? ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_LEASE, id,
                                          sizeof(ngx_ampersand_leased_t))
                : ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_LEASE, id);

    return node ? ngx_ampersand_node_state(node) : NULL;
}


uint64_t
ngx_ampersand_lease_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * AMP_LEASE_SECOND + ts.tv_nsec;
}
