#include "ngx_ampersand_lease.h"
#include "ngx_ampersand_node.h"
#include "ngx_ampersand_refusal.h"
#include "amp_keys.h"

#include <openssl/rand.h>


/*
 * A node of kind LEASE for each limit of each tenant, its id the tenant's id,
 * a NUL and the limit's number.
 *
 * A call is made under the lock (amp_lease_ask) and sent after it; its memory
 * is freed by its reply, of which there is exactly one.  Calls that are under
 * way when the worker exits go with the process.
 */


#define NGX_AMPERSAND_LEASE_MANY    2           /* limits of a request        */
#define NGX_AMPERSAND_LEASE_START   (10 * AMP_LEASE_SECOND) /* in which servers
                                                   are no successors          */
#define NGX_AMPERSAND_LEASE_IDLE    AMP_LEASE_SECOND
#define NGX_AMPERSAND_LEASE_RECENT  256         /* nodes that are looked at   */
#define NGX_AMPERSAND_LEASE_BACK    8           /* calls for them             */
#define NGX_AMPERSAND_LEASE_SAID    10          /* s between log lines        */


typedef struct {
    amp_lease_t   lease;
    amp_rate_t    rate;
} ngx_ampersand_leased_t;


typedef struct {
    ngx_ampersand_lessee_t  *lessee;
    amp_limit_e              limit;
    amp_lease_ask_t          ask;
    uint64_t                 sent;
    ngx_uint_t               eval;      /* with the whole script              */
    ngx_ampersand_refusal_t  refusal;   /* why there is no answer             */
    size_t                   len;
    u_char                   tenant[AMP_TENANT_ID_MAX];
} ngx_ampersand_lease_call_t;


typedef struct {
    ngx_ampersand_lessee_t      *lessee;
    amp_span_t                   tenant;
    uint64_t                     now;
    ngx_uint_t                   n;
    ngx_ampersand_limit_t       *limits;
    ngx_ampersand_leased_t      *leased[NGX_AMPERSAND_LEASE_MANY];
    amp_lease_e                  said[NGX_AMPERSAND_LEASE_MANY];
    ngx_ampersand_lease_call_t  *calls[NGX_AMPERSAND_LEASE_MANY];
} ngx_ampersand_lease_round_t;


static ngx_int_t ngx_ampersand_lease_open(ngx_ampersand_lease_round_t *round);
static void ngx_ampersand_lease_close(ngx_ampersand_lease_round_t *round);
static ngx_ampersand_lease_call_t *ngx_ampersand_lease_call(
    ngx_ampersand_lessee_t *lessee, amp_span_t tenant, amp_limit_e limit,
    uint64_t now);
static ngx_int_t ngx_ampersand_lease_sum(ngx_ampersand_lease_round_t *round,
    uint64_t *wait);
static amp_lease_e ngx_ampersand_lease_fallback(
    ngx_ampersand_lease_round_t *round, ngx_uint_t i);
static ngx_ampersand_leased_t *ngx_ampersand_lease_state(
    ngx_ampersand_zone_t *zone, amp_span_t tenant, amp_limit_e limit,
    ngx_uint_t make);
static uint64_t ngx_ampersand_lease_now(void);
static ngx_uint_t ngx_ampersand_lease_pending(ngx_ampersand_leased_t *leased,
    amp_rate_t *rate, uint64_t now);
static void ngx_ampersand_lease_send(ngx_ampersand_lease_call_t *call);
static uint64_t ngx_ampersand_lease_since(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_server_t *server);
static void ngx_ampersand_lease_reply(void *data, ngx_int_t rc,
    redisReply *reply);
static ngx_int_t ngx_ampersand_lease_read(redisReply *reply,
    amp_lease_answer_t *answer);
static void ngx_ampersand_lease_end(ngx_ampersand_lease_call_t *call,
    amp_lease_answer_t *answer);


ngx_int_t
ngx_ampersand_lease_init(ngx_ampersand_zone_t *zone)
{
    u_char                   random[NGX_AMPERSAND_GATEWAY_ID / 2];
    ngx_ampersand_leases_t  *leases;

    leases = &zone->sh->leases;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(leases->gateway, random, sizeof(random));
    leases->began = ngx_ampersand_lease_now();
    leases->gateways = 1;

    return NGX_OK;
}


ngx_int_t
ngx_ampersand_lease_take(ngx_ampersand_lessee_t *lessee, amp_span_t tenant,
    ngx_ampersand_limit_t *limits, ngx_uint_t n, ngx_uint_t waited,
    uint64_t *wait)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    amp_lease_t                  *lease;
    ngx_ampersand_leases_t       *leases;
    ngx_ampersand_lease_round_t   round;

    round.lessee = lessee;
    round.tenant = tenant;
    round.limits = limits;
    round.n = n;

    ngx_shmtx_lock(&lessee->zone->shpool->mutex);

    if (ngx_ampersand_lease_open(&round) != NGX_OK) {
        return NGX_OK;
    }

    for (i = 0; i < n; i++) {
        limits[i].wait = 0;

        if (waited && ngx_ampersand_lease_pending(round.leased[i],
                                                  &limits[i].rate, round.now))
        {
            round.said[i] = AMP_LEASE_ASK;
            continue;
        }

        round.said[i] = amp_lease_look(&round.leased[i]->lease, &limits[i].rate,
                                       round.now, waited, &limits[i].wait);
    }

    rc = ngx_ampersand_lease_sum(&round, wait);

    leases = &lessee->zone->sh->leases;

    for (i = 0; rc == NGX_OK && i < n; i++) {
        lease = &round.leased[i]->lease;

        if (round.said[i] == AMP_LEASE_ADMIT) {
            amp_lease_spend(lease, &limits[i].rate, round.now, waited);

        } else if (lessee->fallback == NGX_AMPERSAND_LEASE_LOCAL) {
            amp_lease_local_spend(lease, &limits[i].rate, leases->gateways,
                                  round.now);
        }
    }

    ngx_ampersand_lease_close(&round);

    return rc;
}


ngx_uint_t
ngx_ampersand_lease_away(ngx_ampersand_zone_t *zone)
{
    return zone->sh->leases.away;
}


/* NGX_DECLINED, the lock given back: no room for a state that could refuse. */

static ngx_int_t
ngx_ampersand_lease_open(ngx_ampersand_lease_round_t *round)
{
    ngx_uint_t             i;
    ngx_ampersand_zone_t  *zone;

    zone = round->lessee->zone;

    /* read with the lock held, so that no worker goes back behind another */

    round->now = ngx_ampersand_lease_now();

    for (i = 0; i < round->n; i++) {
        (void) ngx_ampersand_lease_state(zone, round->tenant,
                                         round->limits[i].limit, 1);
    }

    /* making one may have dropped another */

    for (i = 0; i < round->n; i++) {
        round->calls[i] = NULL;
        round->leased[i] = ngx_ampersand_lease_state(zone, round->tenant,
                                                  round->limits[i].limit, 0);

        if (round->leased[i] == NULL) {
            ngx_shmtx_unlock(&zone->shpool->mutex);

            for (i = 0; i < round->n; i++) {
                round->limits[i].remaining = round->limits[i].rate.burst;
                round->limits[i].wait = 0;
                round->limits[i].reset = 0;
            }

            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Begins the calls that are due, gives the lock back, and sends them. */

static void
ngx_ampersand_lease_close(ngx_ampersand_lease_round_t *round)
{
    ngx_uint_t                   i;
    amp_lease_t                 *lease;
    ngx_ampersand_limit_t       *limit;
    ngx_ampersand_lease_call_t  *call;

    for (i = 0; i < round->n; i++) {
        lease = &round->leased[i]->lease;
        limit = &round->limits[i];

        limit->remaining = amp_lease_remaining(lease, &limit->rate, round->now,
                                               &limit->reset);

        if (!amp_lease_due(lease, &limit->rate, round->now)) {
            continue;
        }

        call = ngx_ampersand_lease_call(round->lessee, round->tenant,
                                        limit->limit, round->now);
        if (call == NULL) {
            continue;
        }

        round->leased[i]->rate = limit->rate;

        amp_lease_ask(lease, &limit->rate, round->now, &call->ask);

        round->calls[i] = call;
    }

    ngx_shmtx_unlock(&round->lessee->zone->shpool->mutex);

    for (i = 0; i < round->n; i++) {
        if (round->calls[i]) {
            ngx_ampersand_lease_send(round->calls[i]);
        }
    }
}


static ngx_ampersand_lease_call_t *
ngx_ampersand_lease_call(ngx_ampersand_lessee_t *lessee, amp_span_t tenant,
    amp_limit_e limit, uint64_t now)
{
    ngx_ampersand_lease_call_t  *call;

    call = ngx_alloc(sizeof(*call), lessee->log);
    if (call == NULL) {
        return NULL;
    }

    call->lessee = lessee;
    call->limit = limit;
    call->sent = now;
    call->eval = 0;
    call->refusal.len = 0;
    call->len = tenant.len;
    ngx_memcpy(call->tenant, tenant.data, tenant.len);

    return call;
}


void
ngx_ampersand_lease_idle(ngx_ampersand_lessee_t *lessee)
{
    u_char                      *id;
    uint64_t                     now;
    ngx_uint_t                   i, n;
    ngx_queue_t                 *q;
    ngx_ampersand_node_t        *node;
    ngx_ampersand_zone_t        *zone;
    ngx_ampersand_leased_t      *leased;
    ngx_ampersand_lease_call_t  *call, *calls[NGX_AMPERSAND_LEASE_BACK];

    zone = lessee->zone;
    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    now = ngx_ampersand_lease_now();

    for (i = 0, q = ngx_queue_head(&zone->sh->lru);
         i < NGX_AMPERSAND_LEASE_RECENT && n < NGX_AMPERSAND_LEASE_BACK
         && q != ngx_queue_sentinel(&zone->sh->lru);
         i++, q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_ampersand_node_t, queue);

        if (node->kind != NGX_AMPERSAND_LEASE) {
            continue;
        }

        leased = ngx_ampersand_node_state(node);

        if (leased->lease.size == 0 || leased->rate.count == 0
            || now < leased->lease.received + NGX_AMPERSAND_LEASE_IDLE
            || now < leased->lease.counted + NGX_AMPERSAND_LEASE_IDLE)
        {
            continue;
        }

        id = ngx_ampersand_node_body(node);

        call = ngx_ampersand_lease_call(lessee,
                                        amp_span_make(id, node->len - 2),
                                        id[node->len - 1], now);
        if (call == NULL) {
            break;
        }

        if (!amp_lease_return(&leased->lease, &leased->rate, now, &call->ask)) {
            leased->lease.size = 0;
            ngx_free(call);
            continue;
        }

        calls[n++] = call;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    for (i = 0; i < n; i++) {
        ngx_ampersand_lease_send(calls[i]);
    }
}


/* What all limits together say; a refusal counts more than a wait. */

static ngx_int_t
ngx_ampersand_lease_sum(ngx_ampersand_lease_round_t *round, uint64_t *wait)
{
    uint64_t      asks;
    ngx_int_t     rc;
    ngx_uint_t    i, away;
    amp_lease_t  *lease;

    rc = NGX_OK;
    away = 0;
    asks = 0;
    *wait = 0;

    for (i = 0; i < round->n; i++) {

        if (round->said[i] == AMP_LEASE_AWAY) {
            away = 1;

            switch (ngx_ampersand_lease_fallback(round, i)) {

            case AMP_LEASE_REFUSE:
                round->said[i] = AMP_LEASE_REFUSE;
                break;

            case AMP_LEASE_AWAY:
                round->lessee->zone->sh->counters.limit_fallbacks++;
                return NGX_ABORT;

            default:
                break;
            }
        }

        if (round->said[i] == AMP_LEASE_REFUSE) {
            rc = NGX_DECLINED;
            *wait = ngx_max(*wait, round->limits[i].wait);

        } else if (round->said[i] == AMP_LEASE_ASK) {
            asks = ngx_max(asks, round->limits[i].wait);
            round->limits[i].wait = 0;
            rc = (rc == NGX_OK) ? NGX_AGAIN : rc;
        }
    }

    if (rc == NGX_AGAIN) {
        *wait = asks;
    }

    /* nobody waits for the one when the other refuses: it shall cost nothing */

    for (i = 0; rc == NGX_DECLINED && i < round->n; i++) {
        lease = &round->leased[i]->lease;

        if (round->said[i] == AMP_LEASE_ASK && lease->waiting) {
            lease->waiting--;
        }
    }

    if (away) {
        round->lessee->zone->sh->counters.limit_fallbacks++;
    }

    return rc;
}


/* ADMIT, REFUSE with the time to wait, or AWAY: an error. */

static amp_lease_e
ngx_ampersand_lease_fallback(ngx_ampersand_lease_round_t *round, ngx_uint_t i)
{
    ngx_ampersand_limit_t  *limit;

    limit = &round->limits[i];

    switch (round->lessee->fallback) {

    case NGX_AMPERSAND_LEASE_ALLOW:
        return AMP_LEASE_ADMIT;

    case NGX_AMPERSAND_LEASE_DENY:
        return AMP_LEASE_AWAY;

    default: /* NGX_AMPERSAND_LEASE_LOCAL */
        limit->wait = amp_lease_local(&round->leased[i]->lease, &limit->rate,
                                round->lessee->zone->sh->leases.gateways,
                                round->now);

        return limit->wait ? AMP_LEASE_REFUSE : AMP_LEASE_ADMIT;
    }
}


static ngx_ampersand_leased_t *
ngx_ampersand_lease_state(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    amp_limit_e limit, ngx_uint_t make)
{
    u_char                *p, name[AMP_TENANT_ID_MAX + 2];
    amp_span_t             id;
    ngx_ampersand_node_t  *node;

    p = ngx_cpymem(name, tenant.data, tenant.len);
    *p++ = '\0';
    *p++ = (u_char) limit;

    id = amp_span_make(name, p - name);

    node = make ? ngx_ampersand_node_make(zone, NGX_AMPERSAND_LEASE, id,
                                          sizeof(ngx_ampersand_leased_t))
                : ngx_ampersand_node_get(zone->sh, NGX_AMPERSAND_LEASE,
                                         ngx_ampersand_zone_hash(id.data,
                                                                 id.len),
                                         id.data, id.len);

    return node ? ngx_ampersand_node_state(node) : NULL;
}


static uint64_t
ngx_ampersand_lease_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * AMP_LEASE_SECOND + ts.tv_nsec;
}


/* Nothing is here, and a call is still under way: it has said so already. */

static ngx_uint_t
ngx_ampersand_lease_pending(ngx_ampersand_leased_t *leased, amp_rate_t *rate,
    uint64_t now)
{
    amp_lease_t  *lease;

    lease = &leased->lease;

    return lease->asked && now < lease->asked + AMP_LEASE_LOST
           && amp_lease_held(lease, rate, now) == 0;
}


static void
ngx_ampersand_lease_send(ngx_ampersand_lease_call_t *call)
{
    u_char                         name[AMP_KEYS_MAX];
    u_char                         text[AMP_LEASE_ARGS][AMP_LEASE_TEXT];
    uint64_t                       since;
    ngx_int_t                      rc;
    amp_buf_t                      key;
    amp_span_t                     argv[4 + AMP_LEASE_ARGS];
    ngx_ampersand_zone_t          *zone;
    ngx_ampersand_lessee_t        *lessee;
    const ngx_ampersand_server_t  *server;

    lessee = call->lessee;
    zone = lessee->zone;

    amp_buf_init(&key, name, sizeof(name));
    amp_keys_limit(amp_span_make(lessee->prefix->data, lessee->prefix->len),
                   amp_span_make(call->tenant, call->len), call->limit, &key);

    rc = NGX_DECLINED;
    server = ngx_ampersand_redis_server(lessee->redis, amp_buf_written(&key));

    if (server) {
        since = ngx_ampersand_lease_since(zone, server);

        if (call->eval) {
            argv[0] = amp_span("EVAL");
            argv[1] = amp_span_make(amp_lease_script,
                                    ngx_strlen(amp_lease_script));

        } else {
            argv[0] = amp_span("EVALSHA");
            argv[1] = amp_span_make(amp_lease_sha, 40);
        }

        argv[2] = amp_span("1");
        argv[3] = amp_buf_written(&key);

        amp_lease_argv(&call->ask,
                       amp_span_make(zone->sh->leases.gateway,
                                     NGX_AMPERSAND_GATEWAY_ID),
                       amp_span_make(server->run, server->len), since, text,
                       &argv[4]);

        rc = ngx_ampersand_redis_command(lessee->redis, argv[3],
                                         4 + AMP_LEASE_ARGS, argv,
                                         ngx_ampersand_lease_reply, call);
    }

    if (rc == NGX_OK) {
        (void) ngx_atomic_fetch_add(&zone->sh->counters.lease_calls, 1);
        return;
    }

    ngx_ampersand_lease_end(call, NULL);
}


/*
 * When this gateway first saw the server, if it is another one's successor.
 * A cluster has many servers: those that are met in the first seconds were
 * there before.
 */

static uint64_t
ngx_ampersand_lease_since(ngx_ampersand_zone_t *zone,
    const ngx_ampersand_server_t *server)
{
    uint64_t                 since;
    ngx_uint_t               i;
    ngx_ampersand_seen_t    *seen;
    ngx_ampersand_leases_t  *leases;

    if (server->len != NGX_AMPERSAND_RUN_ID) {
        return 0;
    }

    leases = &zone->sh->leases;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < ngx_min(leases->nservers, NGX_AMPERSAND_SERVERS); i++) {
        seen = &leases->servers[i];

        if (ngx_memcmp(seen->run, server->run, NGX_AMPERSAND_RUN_ID) == 0) {
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
    }

    seen = &leases->servers[leases->nservers++ % NGX_AMPERSAND_SERVERS];
    ngx_memcpy(seen->run, server->run, NGX_AMPERSAND_RUN_ID);
    seen->since = since;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return since;
}


static void
ngx_ampersand_lease_reply(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_lease_call_t *call = data;

    amp_lease_answer_t  answer;

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR && !call->eval
        && ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0)
    {
        call->eval = 1;
        ngx_ampersand_lease_send(call);
        return;
    }

    if (rc == NGX_OK && ngx_ampersand_lease_read(reply, &answer) == NGX_OK) {
        ngx_ampersand_lease_end(call, &answer);
        return;
    }

    if (rc == NGX_OK && reply->type == REDIS_REPLY_ERROR) {
        ngx_ampersand_refusal_set(&call->refusal, reply);
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

    return NGX_OK;
}


/* The call is over; without an answer the fallback decides. */

static void
ngx_ampersand_lease_end(ngx_ampersand_lease_call_t *call,
    amp_lease_answer_t *answer)
{
    uint32_t                 hash;
    uint64_t                 now;
    amp_span_t               tenant;
    ngx_uint_t               failed;
    ngx_ampersand_zone_t    *zone;
    ngx_ampersand_leased_t  *leased;
    ngx_ampersand_lessee_t  *lessee;
    ngx_ampersand_leases_t  *leases;

    static time_t            said;
    static const char *const effects[] = {
        "each gateway holds tenants to its share of their limits",
        "tenants are not held to their limits",
        "tenants that have limits get 503"
    };

    lessee = call->lessee;
    zone = lessee->zone;
    leases = &zone->sh->leases;
    tenant = amp_span_make(call->tenant, call->len);
    failed = (answer == NULL);

    ngx_shmtx_lock(&zone->shpool->mutex);

    now = ngx_ampersand_lease_now();
    leased = ngx_ampersand_lease_state(zone, tenant, call->limit, 0);

    if (leased && answer) {
        failed = (amp_lease_answer(&leased->lease, answer, call->sent, now)
                  != 0);

    } else if (leased) {
        amp_lease_failed(&leased->lease, now);
    }

    if (!failed
        && (answer->gateways >= leases->gateways
            || now - leases->counted > AMP_LEASE_LIFE))
    {
        leases->gateways = (unsigned) answer->gateways;
        leases->counted = now;
    }

    zone->sh->counters.lease_failures += failed;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (failed && ngx_atomic_cmp_set(&leases->away, 0, 1)) {
        if (ngx_time() - said >= NGX_AMPERSAND_LEASE_SAID) {
            said = ngx_time();
            ngx_log_error(NGX_LOG_WARN, lessee->log, 0,
                          "ampersand: no leases from Redis, %s: \"%*s\"",
                          effects[lessee->fallback], call->refusal.len,
                          call->refusal.text);
        }

    } else if (!failed && ngx_atomic_cmp_set(&leases->away, 1, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, lessee->log, 0,
                      "ampersand: leases come from Redis again");
    }

    hash = ngx_ampersand_lease_tenant(tenant);

    ngx_free(call);

    lessee->wake(lessee->data, hash);
}
