#include "amp_lease.h"
#include "amp_lease_wallet.h"


#define AMP_LEASE_SLACK  (AMP_LEASE_SECOND / 1000)
#define AMP_LEASE_FEW    32             /* a part of the burst                */


uint32_t
amp_lease_burst_max(const amp_rate_t *rate)
{
    uint64_t  most;

    most = AMP_LEASE_SPAN / amp_rate_interval(rate) + 1;

    return (most < AMP_BURST_MAX) ? (uint32_t) most : AMP_BURST_MAX;
}


/*
 * 1 when the held units may be spent at this rate and burst: those of the call
 * that brought them.  The script keeps TAT behind the blocks of each.
 */

static int
amp_lease_fits(const amp_lease_t *lease, const amp_rate_t *rate)
{
    return amp_rate_is(rate, lease->unit) && lease->burst == rate->burst;
}


/* 1 when a call is useless now: the last one failed, or its answer said so. */

static int
amp_lease_too_early(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now)
{
    return now < lease->after
           && (lease->failed || amp_lease_fits(lease, rate));
}


/*
 * Counts a request and estimates the demand, which follows a rise at once and a
 * fall by halves.
 */

static void
amp_lease_count(amp_lease_t *lease, uint64_t now)
{
    uint64_t  past, lately;

    past = now - lease->counted;

    if (past >= AMP_LEASE_AHEAD) {
        lately = lease->count * AMP_LEASE_SECOND / past;

        lease->demand = (past < AMP_LEASE_SECOND && lately < lease->demand)
                        ? (uint32_t) (lately + lease->demand) / 2
                        : (uint32_t) lately;
        lease->counted = now;
        lease->count = 0;
    }

    if (lease->count < UINT32_MAX / 2) {
        lease->count++;
    }
}


/* Requests expected within AMP_LEASE_AHEAD. */

static uint64_t
amp_lease_demand(const amp_lease_t *lease)
{
    return lease->demand * AMP_LEASE_AHEAD / AMP_LEASE_SECOND;
}


/* When the next call may begin: AMP_LEASE_PACE and AMP_LEASE_PACE_BURST. */

static uint64_t
amp_lease_next_call(const amp_lease_t *lease)
{
    return (lease->calls > (AMP_LEASE_PACE_BURST - 1) * AMP_LEASE_PACE)
           ? lease->calls - (AMP_LEASE_PACE_BURST - 1) * AMP_LEASE_PACE : 0;
}


/* 1 during a call. */

static int
amp_lease_calling(const amp_lease_t *lease, uint64_t now)
{
    return lease->asked != 0 && now < lease->lost;
}


void
amp_lease_keep(amp_lease_t *lease, uint32_t keep, uint32_t leave)
{
    lease->keep = keep;
    lease->leave = leave;
    lease->shared = 1;
}


/* Units that may be spent now by requests that did not wait. */

static uint64_t
amp_lease_ready(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    if (!amp_lease_fits(lease, rate)) {
        return 0;
    }

    return amp_lease_left(lease, now,
                          amp_lease_window(lease, lease->unit, rate->burst))
           + amp_lease_wallet(lease, now);
}


/*
 * 1 when so many units that may be spent are more than have to be left.  Of
 * several blocks the last one is enough: there is no room for many, and the
 * next answer would drop the first.
 */

static int
amp_lease_more(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint32_t reserved)
{
    const amp_lease_block_t  *last = &lease->blocks[AMP_LEASE_BLOCKS - 1];

    reserved += lease->drawn;

    return lease->leave == 0 || last->start != last->end
           || amp_lease_ready(lease, rate, now) + reserved > lease->leave;
}


amp_lease_e
amp_lease_look(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    int waited, uint64_t *wait)
{
    int       fits;
    uint64_t  lo, next, place, window;

    *wait = 0;

    if (!waited) {
        amp_lease_count(lease, now);
    }

    fits = amp_lease_fits(lease, rate);

    if (fits && amp_lease_reserved(lease, now, waited)
        && amp_lease_more(lease, rate, now, lease->reserved))
    {
        return AMP_LEASE_ADMIT;
    }

    if (!amp_lease_reserved(lease, now, 1)) {
        amp_lease_unreserve(lease);
    }

    if (fits && amp_lease_more(lease, rate, now, 0)
        && amp_lease_place(lease, now, &place, &lo))
    {
        window = amp_lease_window(lease, lease->unit, rate->burst);

        if (place <= lo + window || amp_lease_wallet(lease, now) != 0) {
            return AMP_LEASE_ADMIT;
        }

        /* the pool may have units for requests that wait */

        if (lease->failed || lease->pool < lease->unit
            || amp_lease_too_early(lease, rate, now))
        {
            *wait = place - window - lo;
            return AMP_LEASE_REFUSE;
        }
    }

    if (fits && amp_lease_wallet(lease, now) != 0
        && amp_lease_more(lease, rate, now, 0))
    {
        return AMP_LEASE_ADMIT;
    }

    if (lease->failed) {
        return AMP_LEASE_FALLBACK;
    }

    if (amp_lease_too_early(lease, rate, now)) {
        *wait = lease->after - now;

        /* within a part of the limit a unit comes soon */

        if (lease->keep == 0 || lease->leave != 0 || *wait > AMP_LEASE_AHEAD) {
            *wait += amp_lease_demand(lease) ? AMP_LEASE_AHEAD : 0;
            return AMP_LEASE_REFUSE;
        }
    }

    next = amp_lease_next_call(lease);

    if (!amp_lease_calling(lease, now) && now + *wait < next) {
        *wait = next - now;
    }

    if (lease->waiting < UINT32_MAX) {
        lease->waiting++;
    }

    return AMP_LEASE_ASK;
}


void
amp_lease_spend(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    int waited)
{
    uint64_t  lo, place, window;

    window = amp_lease_window(lease, lease->unit, rate->burst);

    if (amp_lease_reserved(lease, now, waited)) {

        if (lease->reserved != 0) {
            lease->reserved--;
        } else {
            lease->drawn--;
        }

    } else if (amp_lease_place(lease, now, &place, &lo)
               && place <= lo + window)
    {
        amp_lease_spend_place(lease, place);

    } else if (lease->wallet != 0) {
        amp_lease_wallet_take(lease, 1, now);
    }
}


/*
 * 1 when units are likely to lapse before the next requests come, which matters
 * with several gateways: then only requests that wait can use them.
 */

static int
amp_lease_short_lived(const amp_lease_t *lease, const amp_rate_t *rate)
{
    uint64_t  window;

    window = amp_lease_window(lease, amp_rate_interval(rate), rate->burst);

    return lease->gateways > 1
           && (double) window * lease->demand < 2.0 * (double) AMP_LEASE_SECOND;
}


/*
 * How many units the next requests may need.  If they do not come, other
 * gateways find the bucket empty; so it is no more than refills soon, or than
 * a small part of what is left.  For a single gateway a burst that began within
 * the last milliseconds counts too; with several, each has only a part of it.
 */

static uint64_t
amp_lease_estimate(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now)
{
    uint64_t  first, guess, most, past, tail, unit, window;

    if (amp_lease_short_lived(lease, rate)
        || amp_lease_wallet_serves(lease, now))
    {
        return 0;
    }

    unit = amp_rate_interval(rate);
    window = amp_lease_window(lease, unit, rate->burst);
    tail = amp_lease_tail(lease, unit);

    most = now + window + unit;
    most = (tail < now) ? window + unit : (tail < most) ? most - tail : 0;
    most /= (lease->gateways > 1) ? 32 : 8;
    most = ((most > AMP_LEASE_AHEAD) ? most : AMP_LEASE_AHEAD) / unit;

    guess = amp_lease_demand(lease);
    guess += guess / 4;
    guess = (guess < most) ? guess : most;

    if (lease->gateways <= 1 && lease->count > 3) {
        past = now - lease->counted;
        past = (past > AMP_LEASE_AHEAD / 8) ? past : AMP_LEASE_AHEAD / 8;
        first = lease->count * AMP_LEASE_AHEAD / past;
        most = AMP_LEASE_AHEAD / unit;
        first = (first < most) ? first : most;
        guess = (guess > first) ? guess : first;
    }

    return guess;
}


int
amp_lease_due(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    uint64_t  tail, unit, window;

    if (amp_lease_calling(lease, now) || now < amp_lease_next_call(lease)
        || amp_lease_too_early(lease, rate, now))
    {
        return 0;
    }

    /*
     * Its answer would take the reserved units from requests that have not
     * looked yet: with burst 1 the unit would lapse, unspent.
     */

    if (amp_lease_reserved(lease, now, 1)) {
        return 0;
    }

    if (lease->waiting != 0 || lease->failed) {
        return 1;
    }

    if (!amp_lease_fits(lease, rate)) {
        return 0;
    }

    if (amp_lease_wallet_due(lease, now)) {
        return 1;
    }

    if (lease->size == 0 || amp_lease_wallet_serves(lease, now)
        || now > lease->counted + 2 * AMP_LEASE_AHEAD
        || amp_lease_left(lease, now, AMP_LEASE_FOREVER) * 2 >= lease->size)
    {
        return 0;
    }

    /* a scarce unit is not leased unless it will probably be used */

    unit = lease->unit;
    window = amp_lease_window(lease, unit, rate->burst);
    tail = amp_lease_tail(lease, unit);

    return amp_lease_estimate(lease, rate, now) != 0
           || (unit <= AMP_LEASE_AHEAD && tail <= now + window / 2
               && !amp_lease_short_lived(lease, rate));
}


/* Begins a call for this rate: fills *ask but for wanted, reach and back. */

static void
amp_lease_begin(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, amp_lease_ask_t *ask)
{
    uint64_t  room, tail, unit;

    unit = amp_rate_interval(rate);
    tail = amp_lease_tail(lease, unit);

    if (unit != lease->unit && tail != 0) {
        lease->tail = lease->redis + (tail - lease->received);
    }

    amp_lease_wallet_expire(lease, rate, now);

    if (!amp_lease_fits(lease, rate)) {
        lease->pool = 0;
    }

    lease->unit = unit;
    lease->burst = rate->burst;
    lease->filling = 0;
    lease->asked = now;
    lease->lost = now + timeout;
    lease->spent = 0;
    lease->calls = AMP_LEASE_PACE + (lease->calls > now ? lease->calls : now);

    amp_lease_wallet_ask(lease, now, ask);

    ask->unit = unit;
    ask->window = amp_lease_window(lease, unit, rate->burst);
    ask->timeout = timeout / 1000;

    /*
     * A gateway's share of the bucket has a longer unit: its time is divided
     * by the number of gateways.
     */

    tail = (tail > now) ? tail : now;

    if (lease->redis != 0) {
        ask->resume = 1 + (tail - now)
                    + (now - lease->received) / AMP_LEASE_DRIFT;
        ask->peers = lease->gateways;
        ask->answered = lease->redis / 1000;
        ask->pool = amp_lease_pool(lease, rate, now, &room);
        ask->age = (now - lease->received
                    - (now - lease->received) / AMP_LEASE_DRIFT) / 1000;
    }

    if (lease->failed) {
        ask->away = 1 + (now - lease->away) / 1000;
        tail = amp_lease_tail_failed(lease, unit, now);
        tail = (tail > now) ? tail : now;
    }

    if (lease->local > tail) {
        ask->charge = (lease->local - tail)
                      / (lease->shares ? lease->shares : 1);
    }
}


void
amp_lease_ask(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, amp_lease_ask_t *ask)
{
    uint64_t  left, needed, wanted;

    memset(ask, 0, sizeof(*ask));

    if (amp_lease_stale(lease, now) || !amp_lease_fits(lease, rate)) {
        amp_lease_unreserve(lease);
        (void) amp_lease_hand_back(lease, now, ask);
        amp_lease_drop(lease);
    }

    amp_lease_begin(lease, rate, now, timeout, ask);

    left = amp_lease_left(lease, now, AMP_LEASE_FOREVER);
    wanted = amp_lease_estimate(lease, rate, now);
    ask->reach = wanted ? AMP_LEASE_AHEAD : 0;
    wanted = (wanted > left) ? wanted - left : 0;
    needed = lease->waiting;

    if (lease->keep != 0) {
        needed += lease->keep;
        needed = (needed > left) ? needed - left : 0;
    }

    wanted = (wanted > needed) ? wanted : needed;
    needed = (needed < lease->waiting) ? needed : lease->waiting;

    ask->waiting = (uint32_t) needed;
    ask->fill = amp_lease_wallet_wanted(lease);
    lease->filling = (ask->fill != 0);

    ask->wanted = (wanted == 0) ? ask->fill == 0
                  : (wanted < UINT32_MAX) ? (uint32_t) wanted : UINT32_MAX;
}


int
amp_lease_scarce(const amp_lease_t *lease, uint64_t now)
{
    return lease->gateways > 1 && lease->size != 0
           && amp_lease_wallet_most(lease, lease->unit, lease->burst) != 0
           && !amp_lease_half(lease, now);
}


int
amp_lease_unused(const amp_lease_t *lease, uint64_t now)
{
    uint32_t  few;
    uint64_t  since;

    few = lease->burst / AMP_LEASE_FEW;
    since = AMP_LEASE_SECOND;

    if (amp_lease_scarce(lease, now)) {
        few = 0;
        since = AMP_LEASE_UNUSED;
    }

    return lease->size > few && now >= lease->received + since
           && now >= lease->counted + since;
}


int
amp_lease_return(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, int exits, amp_lease_ask_t *ask)
{
    memset(ask, 0, sizeof(*ask));

    if (!amp_lease_reserved(lease, now, 1)) {
        amp_lease_unreserve(lease);
    }

    if (amp_lease_calling(lease, now) || now < amp_lease_next_call(lease)
        || lease->failed)
    {
        return 0;
    }

    if (!amp_lease_fits(lease, rate)) {
        amp_lease_drop(lease);
    }

    exits = (exits && lease->wallet != 0);

    if (!amp_lease_hand_back(lease, now, ask) && !exits) {
        return 0;
    }

    if (exits) {
        amp_lease_wallet_give_up(lease, now);
    }

    amp_lease_begin(lease, rate, now, timeout, ask);
    lease->size = 0;

    return 1;
}


int
amp_lease_tell(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, amp_lease_ask_t *ask)
{
    memset(ask, 0, sizeof(*ask));

    if (amp_lease_calling(lease, now) || lease->redis == 0
        || (amp_lease_tail(lease, amp_rate_interval(rate)) <= now
            && amp_lease_wallet(lease, now) == 0
            && now > lease->received + AMP_LEASE_LATELY))
    {
        return 0;
    }

    if (!amp_lease_fits(lease, rate)) {
        amp_lease_drop(lease);
    }

    amp_lease_begin(lease, rate, now, timeout, ask);

    return 1;
}


/*
 * 1 when the Redis time of an answer fits the last one: the same server, and
 * its clock did not jump.
 */

static int
amp_lease_steady(const amp_lease_t *lease, uint64_t redis, uint64_t sent,
    uint64_t received)
{
    uint64_t  lo, hi, slack;

    slack = AMP_LEASE_SLACK + (received - lease->received) / AMP_LEASE_DRIFT;
    hi = lease->redis + (received - lease->received)
         + (uint64_t) lease->delay * 1000;
    lo = lease->redis + (sent > lease->received ? sent - lease->received : 0);

    return redis + slack >= lo && redis <= hi + slack;
}


/*
 * Units that were spent without Redis while the call was under way are in no
 * charge: as many of those granted are spent.  Returns their number; the next
 * call charges the rest.
 */

static uint64_t
amp_lease_settle(amp_lease_t *lease, uint64_t granted, uint64_t now)
{
    uint64_t  rest, tail;

    rest = (lease->spent > granted) ? lease->spent - granted : 0;
    tail = amp_lease_tail(lease, lease->unit);

    lease->local = rest ? (tail > now ? tail : now)
                          + rest * lease->unit * lease->shares
                        : 0;

    return lease->spent - rest;
}


/*
 * Notes how fast the other gateways lease: how far they moved TAT since the
 * last answer.  A block starts at lead, where they left it.
 */

static void
amp_lease_watch(amp_lease_t *lease, uint64_t redis, uint64_t lead)
{
    uint64_t  moved, past, start;

    past = (redis > lease->redis) ? redis - lease->redis : 1;
    start = (lease->tail > redis) ? lease->tail : redis;
    moved = (redis + lead > start) ? redis + lead - start : 0;

    moved = moved * 1024 / past;
    moved = (moved < UINT16_MAX) ? moved : UINT16_MAX;

    if (moved < lease->others) {
        moved = (moved + lease->others) / 2;
    }

    lease->others = (uint32_t) moved;
}


int
amp_lease_answer(amp_lease_t *lease, const amp_lease_answer_t *answer,
    uint64_t sent, uint64_t received)
{
    uint64_t  delay, start, size, spent, redis;

    if (lease->asked != sent) {
        return 0;
    }

    if (lease->unit == 0 || received < sent || received < lease->received
        || answer->now == 0
        || answer->now > UINT64_MAX / 4 / 1000
        || answer->lead > 4 * AMP_LEASE_SPAN
        || answer->ahead > 4 * AMP_LEASE_SPAN
        || answer->wait > 4 * AMP_LEASE_SPAN
        || answer->granted > 4 * AMP_LEASE_SPAN / lease->unit
        || answer->gateways > UINT32_MAX
        || answer->drawn > lease->burst || answer->filled > lease->burst
        || answer->lent > UINT32_MAX || answer->part > UINT32_MAX
        || answer->pool > 4 * AMP_LEASE_SPAN)
    {
        amp_lease_failed(lease, sent, received);
        return -1;
    }

    redis = answer->now * 1000;
    amp_lease_unreserve(lease);

    if (answer->server != lease->server
        || !amp_lease_steady(lease, redis, sent, received))
    {
        amp_lease_drop(lease);
    }

    amp_lease_watch(lease, redis, answer->lead);

    delay = (received - sent) / 1000 + 2;       /* R is in microseconds */

    lease->server = answer->server;
    lease->redis = redis;
    lease->received = received;
    lease->delay = (delay < UINT32_MAX) ? (uint32_t) delay : UINT32_MAX;
    lease->tail = redis + answer->ahead;
    lease->gateways = answer->gateways ? (uint32_t) answer->gateways : 1;
    lease->after = answer->wait ? received + answer->wait : 0;
    lease->asked = 0;
    lease->failed = 0;

    start = redis + answer->lead;
    spent = amp_lease_settle(lease, answer->granted, received);
    amp_lease_append(lease, start + spent * lease->unit,
                     start + answer->granted * lease->unit);
    amp_lease_reserve(lease);

    lease->drawn = (uint32_t) answer->drawn;
    lease->wallet += (uint32_t) answer->filled;

    if (lease->wallet > answer->part) {
        lease->lapsed += lease->wallet - (uint32_t) answer->part;
        lease->wallet = (uint32_t) answer->part;
    }

    lease->fill_after = (lease->filling && answer->filled == 0)
                        ? received + AMP_LEASE_LIFE : 0;
    lease->filled = lease->wallet;
    lease->debt = 0;
    lease->pool = answer->pool;
    lease->lent = (uint32_t) answer->lent;

    size = amp_lease_left(lease, received, AMP_LEASE_FOREVER) + lease->reserved;
    lease->size = (size < UINT32_MAX) ? (uint32_t) size : UINT32_MAX;

    return 0;
}


void
amp_lease_failed(amp_lease_t *lease, uint64_t sent, uint64_t now)
{
    if (lease->asked != sent) {
        return;
    }

    if (!lease->failed) {
        lease->away = now;
        lease->lag = (lease->gateways > 1) ? amp_lease_others(lease, sent) : 0;
    }

    lease->asked = 0;
    lease->waiting = 0;
    lease->failed = 1;
    lease->after = now + AMP_LEASE_RETRY;
}


void
amp_lease_give_up(amp_lease_t *lease, uint64_t sent)
{
    if (lease->asked == sent) {
        lease->asked = 0;
    }
}


uint64_t
amp_lease_held(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    return amp_lease_ready(lease, rate, now) + lease->reserved + lease->drawn;
}


uint32_t
amp_lease_remaining(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, uint64_t *reset)
{
    uint64_t  n, pool, room, tail, unit, window;

    unit = amp_rate_interval(rate);
    window = amp_lease_window(lease, unit, rate->burst);
    tail = amp_lease_tail(lease, unit);
    tail = (tail > now) ? tail - now : 0;
    pool = amp_lease_pool(lease, rate, now, &room);

    *reset = tail + (room - pool);

    n = amp_lease_ready(lease, rate, now) + pool / unit;

    if (!amp_lease_too_early(lease, rate, now) && tail <= window) {
        n += (window - tail) / unit + 1;
    }

    return (n < rate->burst) ? (uint32_t) n : rate->burst;
}


unsigned
amp_lease_used(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    uint64_t  ahead, held, pool, rated, room, spent, unit;

    unit = amp_rate_interval(rate);

    pool = amp_lease_pool(lease, rate, now, &room);
    ahead = amp_lease_tail(lease, unit);
    ahead = (ahead > now) ? ahead - now : 0;
    ahead = (ahead + (room - pool) + unit - 1) / unit;

    if (lease->local > now) {
        spent = (lease->local - now)
                / (unit * (lease->shares ? lease->shares : 1));
        ahead = (spent > ahead) ? spent : ahead;
    }

    held = amp_lease_fits(lease, rate)
           ? amp_lease_held(lease, rate, now) - amp_lease_wallet(lease, now)
           : 0;
    spent = (ahead > held) ? (ahead - held) * 1000 / rate->burst : 0;

    /* one request is no rate by the minute */

    rated = (unit <= AMP_LEASE_AHEAD && now - lease->counted < AMP_LEASE_SECOND)
            ? (uint64_t) lease->demand * rate->period * 1000 / rate->count : 0;

    spent = (spent > rated) ? spent : rated;

    return (spent < 1000) ? (unsigned) spent : 1000;
}


uint32_t
amp_lease_lapsed(amp_lease_t *lease)
{
    uint32_t  n = lease->lapsed;

    lease->lapsed = 0;

    return n;
}
