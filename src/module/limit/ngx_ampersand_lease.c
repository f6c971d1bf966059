#include "ngx_ampersand_lease.h"
#include "zone/ngx_ampersand_node.h"

#include <openssl/rand.h>


/*
 * All limits of a request are tested and spent from with the lock held once;
 * the calls that are due are sent after it.
 */


#define NGX_AMPERSAND_LEASE_MANY    4           /* limits of a request        */
#define NGX_AMPERSAND_LEASE_TRIES   8           /* to find room for all       */
#define NGX_AMPERSAND_LEASE_RECENT  256         /* nodes tested in one turn   */
#define NGX_AMPERSAND_LEASE_RETURN  8           /* calls in one turn          */
#define NGX_AMPERSAND_LEASE_CALLS   256         /* calls that tell, in one    */
#define NGX_AMPERSAND_LEASE_TELLING (3 * AMP_LEASE_SECOND)  /* lease.lua waits
                                                   for two seconds            */


typedef struct {
    ngx_ampersand_leasing_t      *leasing;
    uint64_t                     now;
    ngx_uint_t                   n;
    ngx_ampersand_limit_t       *limits;
    ngx_ampersand_leased_t      *leased[NGX_AMPERSAND_LEASE_MANY];
    amp_share_t                 *parts[NGX_AMPERSAND_LEASE_MANY]; /* or NULL  */
    amp_share_look_t             looks[NGX_AMPERSAND_LEASE_MANY];
    amp_lease_e                  results[NGX_AMPERSAND_LEASE_MANY];
    ngx_ampersand_lease_call_t  *calls[NGX_AMPERSAND_LEASE_MANY];
} ngx_ampersand_lease_round_t;


/* Begins a call for a lease, with the lock held: 1, or 0 where none is due. */

typedef ngx_uint_t (*ngx_ampersand_lease_ask_pt)(
    ngx_ampersand_leasing_t *leasing, ngx_ampersand_leased_t *leased,
    uint64_t now, amp_lease_ask_t *ask);


static ngx_int_t ngx_ampersand_lease_open(ngx_ampersand_lease_round_t *round);
static ngx_int_t ngx_ampersand_lease_find(ngx_ampersand_lease_round_t *round,
    ngx_uint_t make);
static amp_share_t *ngx_ampersand_lease_part(ngx_ampersand_zone_t *zone,
    amp_span_t tenant, ngx_uint_t make);
static void ngx_ampersand_lease_close(ngx_ampersand_lease_round_t *round);
static ngx_uint_t ngx_ampersand_lease_walk(ngx_ampersand_leasing_t *leasing,
    ngx_uint_t nodes, ngx_uint_t most, ngx_ampersand_lease_ask_pt ask);
static ngx_uint_t ngx_ampersand_lease_ask_return(
    ngx_ampersand_leasing_t *leasing, ngx_ampersand_leased_t *leased,
    uint64_t now, amp_lease_ask_t *ask);
static ngx_uint_t ngx_ampersand_lease_ask_tell(
    ngx_ampersand_leasing_t *leasing, ngx_ampersand_leased_t *leased,
    uint64_t now, amp_lease_ask_t *ask);
static ngx_int_t ngx_ampersand_lease_sum(ngx_ampersand_lease_round_t *round,
    uint64_t *wait);
static amp_lease_e ngx_ampersand_lease_fallback(
    ngx_ampersand_lease_round_t *round, ngx_uint_t i);
static unsigned ngx_ampersand_lease_gateways(ngx_ampersand_leases_t *leases);
static ngx_uint_t ngx_ampersand_lease_pending(amp_lease_t *lease,
    ngx_ampersand_limit_t *limit, uint64_t now);


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
ngx_ampersand_lease_take(ngx_ampersand_leasing_t *leasing,
    ngx_ampersand_limit_t *limits, ngx_uint_t n, ngx_uint_t waited,
    uint64_t *wait)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    amp_lease_t                  *lease;
    ngx_ampersand_leases_t       *leases;
    ngx_ampersand_lease_round_t   round;

    round.leasing = leasing;
    round.limits = limits;
    round.n = n;

    ngx_ampersand_zone_lock(leasing->zone);

    if (ngx_ampersand_lease_open(&round) != NGX_OK) {
        *wait = AMP_LEASE_SECOND;
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i++) {
        limits[i].wait = 0;

        lease = &round.leased[i]->lease;

        if (round.parts[i]) {
            amp_share_look(&round.leased[i]->shares, round.parts[i],
                           &limits[i].rate, lease->gateways, round.now,
                           &round.looks[i]);
            amp_lease_keep(lease, round.looks[i].keep, round.looks[i].leave);
        }

        if (waited && ngx_ampersand_lease_pending(lease, &limits[i], round.now))
        {
            round.results[i] = (waited == NGX_AMPERSAND_LEASE_OVERDUE)
                               ? AMP_LEASE_FALLBACK : AMP_LEASE_ASK;
            continue;
        }

        round.results[i] = amp_lease_look(lease, &limits[i].rate, round.now,
                                       waited != 0, &limits[i].wait);
        limits[i].received = lease->received;
    }

    rc = ngx_ampersand_lease_sum(&round, wait);

    leases = &leasing->zone->sh->leases;

    for (i = 0; rc == NGX_OK && i < n; i++) {
        lease = &round.leased[i]->lease;

        if (round.results[i] == AMP_LEASE_ADMIT) {
            amp_lease_spend(lease, &limits[i].rate, round.now, waited != 0);

            if (round.parts[i]) {
                amp_share_spend(&round.leased[i]->shares, round.parts[i],
                                &round.looks[i], round.now);
            }

        } else if (leasing->fallback == NGX_AMPERSAND_LEASE_LOCAL) {
            amp_lease_local_spend(lease, &limits[i].rate,
                                  ngx_ampersand_lease_gateways(leases),
                                  round.now);
        }
    }

    ngx_ampersand_lease_close(&round);

    return rc;
}


ngx_uint_t
ngx_ampersand_lease_registered(ngx_ampersand_zone_t *zone, ngx_uint_t gateways)
{
    uint64_t                 now;
    ngx_uint_t               before;
    ngx_ampersand_leases_t  *leases;

    leases = &zone->sh->leases;

    ngx_ampersand_zone_lock(zone);

    now = ngx_ampersand_lease_now();
    before = leases->registered;

    if (gateways >= before || now - leases->registered_at > AMP_LEASE_LIFE) {
        leases->registered = gateways;
        leases->registered_at = now;
    }

    gateways = leases->registered;

    ngx_ampersand_zone_unlock(zone);

    return (gateways != before) ? gateways : 0;
}


ngx_uint_t
ngx_ampersand_lease_degraded(ngx_ampersand_zone_t *zone)
{
    return zone->sh->leases.degraded;
}


/* NGX_DECLINED, the lock released: the zone has no room for the leases. */

static ngx_int_t
ngx_ampersand_lease_open(ngx_ampersand_lease_round_t *round)
{
    ngx_uint_t  i;

    /* with the lock held, so that time never decreases between workers */

    round->now = ngx_ampersand_lease_now();

    for (i = 0; i < NGX_AMPERSAND_LEASE_TRIES; i++) {

        if (ngx_ampersand_lease_find(round, 0) == NGX_OK) {
            return NGX_OK;
        }

        /* each evicts other nodes, maybe the one that was just made */

        (void) ngx_ampersand_lease_find(round, 1);
    }

    ngx_ampersand_zone_unlock(round->leasing->zone);

    for (i = 0; i < round->n; i++) {
        round->limits[i].remaining = 0;
        round->limits[i].wait = AMP_LEASE_SECOND;
        round->limits[i].reset = 0;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_ampersand_lease_find(ngx_ampersand_lease_round_t *round, ngx_uint_t make)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    for (i = 0; i < round->n; i++) {
        round->calls[i] = NULL;
        round->leased[i] = ngx_ampersand_lease_state(round->leasing->zone,
                                                     round->limits[i].holder,
                                                     round->limits[i].limit,
                                                     make);

        round->parts[i] = NULL;

        if (round->limits[i].tenant.len) {
            round->parts[i] = ngx_ampersand_lease_part(round->leasing->zone,
                                                       round->limits[i].tenant,
                                                       make);
        }

        if (round->leased[i] == NULL
            || (round->limits[i].tenant.len && round->parts[i] == NULL))
        {
            rc = NGX_DECLINED;
        }
    }

    return rc;
}


/* A tenant's part of its project's limit; NULL: none, or no room. */

static amp_share_t *
ngx_ampersand_lease_part(ngx_ampersand_zone_t *zone, amp_span_t tenant,
    ngx_uint_t make)
{
    ngx_ampersand_node_t  *node;

    node = make ? ngx_ampersand_node_obtain(zone, NGX_AMPERSAND_SHARE, tenant,
                                            sizeof(amp_share_t))
                : ngx_ampersand_node_find(zone->sh, NGX_AMPERSAND_SHARE,
                                          tenant);

    return node ? ngx_ampersand_node_state(node) : NULL;
}


/* Makes the calls that are due, releases the lock, and sends them. */

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

        /* none of those is this tenant's */

        if (round->parts[i]) {
            limit->remaining -= ngx_min(limit->remaining,
                                        round->looks[i].leave);
        }

        if (!amp_lease_due(lease, &limit->rate, round->now)) {
            continue;
        }

        call = ngx_ampersand_lease_call(round->leasing, limit->holder,
                                        limit->limit, round->now);
        if (call == NULL) {
            continue;
        }

        round->leased[i]->rate = limit->rate;

        amp_lease_ask(lease, &limit->rate, round->now,
                      ngx_ampersand_lease_timeout(round->leasing), &call->ask);

        round->calls[i] = call;
    }

    ngx_ampersand_zone_unlock(round->leasing->zone);

    for (i = 0; i < round->n; i++) {
        if (round->calls[i]) {
            ngx_ampersand_lease_send(round->calls[i]);
        }
    }
}


void
ngx_ampersand_lease_idle(ngx_ampersand_leasing_t *leasing)
{
    (void) ngx_ampersand_lease_walk(leasing, NGX_AMPERSAND_LEASE_RECENT,
                                    NGX_AMPERSAND_LEASE_RETURN,
                                    ngx_ampersand_lease_ask_return);
}


void
ngx_ampersand_lease_exit(ngx_ampersand_leasing_t *leasing, ngx_uint_t last)
{
    leasing->closing = 1;

    while (last && !ngx_ampersand_lease_degraded(leasing->zone)
           && ngx_ampersand_lease_walk(leasing, NGX_AMPERSAND_LEASE_RECENT,
                                       NGX_AMPERSAND_LEASE_RETURN,
                                       ngx_ampersand_lease_ask_return))
    {
        /* void */
    }
}


ngx_uint_t
ngx_ampersand_lease_tell(ngx_ampersand_leasing_t *leasing)
{
    ngx_ampersand_leases_t  *leases;

    leases = &leasing->zone->sh->leases;

    if (leases->successor == 0) {
        return 0;
    }

    if (ngx_ampersand_lease_now() - leases->successor
            > NGX_AMPERSAND_LEASE_TELLING
        || ngx_ampersand_lease_walk(leasing, NGX_MAX_INT_T_VALUE,
                                    NGX_AMPERSAND_LEASE_CALLS,
                                    ngx_ampersand_lease_ask_tell) == 0)
    {
        leases->successor = 0;
        return 0;
    }

    return 1;
}


/*
 * Makes and sends the calls that "ask" begins for leases among so many nodes
 * used last, at most "most" calls.  Returns their number.
 */

static ngx_uint_t
ngx_ampersand_lease_walk(ngx_ampersand_leasing_t *leasing, ngx_uint_t nodes,
    ngx_uint_t most, ngx_ampersand_lease_ask_pt ask)
{
    u_char                      *id;
    uint64_t                     now;
    ngx_uint_t                   i, n;
    ngx_queue_t                 *q;
    amp_lease_ask_t              asked;
    ngx_ampersand_node_t        *node;
    ngx_ampersand_zone_t        *zone;
    ngx_ampersand_leased_t      *leased;
    ngx_ampersand_lease_call_t  *call, *calls[NGX_AMPERSAND_LEASE_CALLS];

    zone = leasing->zone;
    n = 0;

    ngx_ampersand_zone_lock(zone);

    now = ngx_ampersand_lease_now();

    for (i = 0, q = ngx_queue_head(&zone->sh->lru);
         i < nodes && n < most && q != ngx_queue_sentinel(&zone->sh->lru);
         i++, q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_ampersand_node_t, queue);

        if (node->kind != NGX_AMPERSAND_LEASE) {
            continue;
        }

        leased = ngx_ampersand_node_state(node);

        if (leased->rate.count == 0 || !ask(leasing, leased, now, &asked)) {
            continue;
        }

        id = ngx_ampersand_node_body(node);

        call = ngx_ampersand_lease_call(leasing,
                                        amp_span_make(id, node->len - 2),
                                        id[node->len - 1], now);
        if (call == NULL) {
            amp_lease_give_up(&leased->lease, now);
            break;
        }

        call->ask = asked;
        calls[n++] = call;
    }

    ngx_ampersand_zone_unlock(zone);

    for (i = 0; i < n; i++) {
        ngx_ampersand_lease_send(calls[i]);
    }

    return n;
}


/* Returns the units of a lease that has not been used lately. */

static ngx_uint_t
ngx_ampersand_lease_ask_return(ngx_ampersand_leasing_t *leasing,
    ngx_ampersand_leased_t *leased, uint64_t now, amp_lease_ask_t *ask)
{
    amp_lease_t  *lease;

    lease = &leased->lease;

    if (!leasing->closing) {

        if (!amp_lease_unused(lease, now)) {
            return 0;
        }

    } else {

        if (lease->size == 0 && lease->wallet == 0) {
            return 0;
        }

        /* no later call follows, so the time between two does not matter */

        lease->calls = 0;
    }

    if (!amp_lease_return(lease, &leased->rate, now,
                          ngx_ampersand_lease_timeout(leasing),
                          leasing->closing, ask))
    {
        lease->size = 0;
        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_ampersand_lease_ask_tell(ngx_ampersand_leasing_t *leasing,
    ngx_ampersand_leased_t *leased, uint64_t now, amp_lease_ask_t *ask)
{
    return leased->lease.received < leasing->zone->sh->leases.successor
           && amp_lease_tell(&leased->lease, &leased->rate, now,
                             ngx_ampersand_lease_timeout(leasing), ask);
}


/* The result of all limits together; a refusal goes before a wait. */

static ngx_int_t
ngx_ampersand_lease_sum(ngx_ampersand_lease_round_t *round, uint64_t *wait)
{
    uint64_t      asks;
    ngx_int_t     rc;
    ngx_uint_t    i, away, refused;
    amp_lease_t  *lease;

    rc = NGX_OK;
    away = 0;
    asks = 0;
    *wait = 0;

    for (i = 0; rc != NGX_ABORT && i < round->n; i++) {

        if (round->results[i] == AMP_LEASE_FALLBACK) {
            away = 1;

            switch (ngx_ampersand_lease_fallback(round, i)) {

            case AMP_LEASE_REFUSE:
                round->results[i] = AMP_LEASE_REFUSE;
                break;

            case AMP_LEASE_FALLBACK:
                rc = NGX_ABORT;
                break;

            default:
                break;
            }
        }

        if (round->results[i] == AMP_LEASE_REFUSE) {
            rc = NGX_DECLINED;
            *wait = ngx_max(*wait, round->limits[i].wait);

        } else if (round->results[i] == AMP_LEASE_ASK) {
            asks = ngx_max(asks, round->limits[i].wait);
            round->limits[i].wait = 0;
            rc = (rc == NGX_OK) ? NGX_AGAIN : rc;
        }
    }

    if (rc == NGX_AGAIN) {
        *wait = asks;
    }

    refused = (rc == NGX_DECLINED || rc == NGX_ABORT);

    /* another limit refused, so the request does not wait for this one */

    for (i = 0; refused && i < round->n; i++) {
        lease = &round->leased[i]->lease;

        if (round->results[i] == AMP_LEASE_ASK && lease->waiting) {
            lease->waiting--;
        }
    }

    if (away) {
        round->leasing->zone->sh->counters.limit_fallbacks++;
    }

    return rc;
}


/*
 * What the fallback says: ADMIT; REFUSE, with the time to wait; or FALLBACK
 * itself, which is "deny".
 */

static amp_lease_e
ngx_ampersand_lease_fallback(ngx_ampersand_lease_round_t *round, ngx_uint_t i)
{
    ngx_ampersand_limit_t   *limit;
    ngx_ampersand_leases_t  *leases;

    limit = &round->limits[i];

    switch (round->leasing->fallback) {

    case NGX_AMPERSAND_LEASE_ALLOW:
        return AMP_LEASE_ADMIT;

    case NGX_AMPERSAND_LEASE_DENY:
        return AMP_LEASE_FALLBACK;

    default: /* NGX_AMPERSAND_LEASE_LOCAL */
        leases = &round->leasing->zone->sh->leases;
        limit->wait = amp_lease_local(&round->leased[i]->lease, &limit->rate,
                                      ngx_ampersand_lease_gateways(leases),
                                      round->now);

        return limit->wait ? AMP_LEASE_REFUSE : AMP_LEASE_ADMIT;
    }
}


/* The number of gateways by which the fallback divides a limit. */

static unsigned
ngx_ampersand_lease_gateways(ngx_ampersand_leases_t *leases)
{
    unsigned  registered;

    registered = (unsigned) leases->registered;

    if (registered && leases->registered_at > leases->counted + AMP_LEASE_LIFE)
    {
        return registered;
    }

    return ngx_max(registered, leases->gateways);
}


/* It may take no unit, and no call has ended since this request was counted. */

static ngx_uint_t
ngx_ampersand_lease_pending(amp_lease_t *lease, ngx_ampersand_limit_t *limit,
    uint64_t now)
{
    return limit->received == lease->received && !lease->failed
           && amp_lease_held(lease, &limit->rate, now) <= lease->leave;
}
