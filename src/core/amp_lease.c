#include "amp_escape.h"
#include "amp_lease_blocks.h"


#define AMP_LEASE_SLACK     (AMP_LEASE_SECOND / 1000)
#define AMP_LEASE_GATEWAYS  65535


uint32_t
amp_lease_burst_max(const amp_rate_t *rate)
{
    uint64_t  most;

    most = AMP_LEASE_SPAN / amp_rate_interval(rate) + 1;

    return (most < AMP_BURST_MAX) ? (uint32_t) most : AMP_BURST_MAX;
}


/* May what is held be spent at this rate?  A smaller burst moves TAT back. */

static int
amp_lease_fits(const amp_lease_t *lease, const amp_rate_t *rate)
{
    return amp_rate_is(rate, lease->unit) && lease->burst <= rate->burst;
}


/* Was the last call told not to come back yet? */

static int
amp_lease_told(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    return now < lease->after
           && (lease->away || (amp_rate_is(rate, lease->unit)
                               && lease->burst == rate->burst));
}


/* Follows a rise at once and a fall by halves. */

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


/*
 * The TAT that Redis last told, as a moment of this machine; for another rate
 * as many units ahead.
 */

static uint64_t
amp_lease_tail(const amp_lease_t *lease, uint64_t unit)
{
    double  ahead;

    if (lease->tail <= lease->redis) {
        return 0;
    }

    if (unit == lease->unit) {
        return lease->received + (lease->tail - lease->redis);
    }

    ahead = (double) (lease->tail - lease->redis) / (double) lease->unit
            * (double) unit;

    return lease->received + ((ahead < (double) AMP_LEASE_SPAN)
                              ? (uint64_t) ahead : AMP_LEASE_SPAN);
}


/* Requests to come in AMP_LEASE_AHEAD, as far as the last ones tell. */

static uint64_t
amp_lease_demand(const amp_lease_t *lease)
{
    return lease->demand * AMP_LEASE_AHEAD / AMP_LEASE_SECOND;
}


/* When the pace allows the next call. */

static uint64_t
amp_lease_paced(const amp_lease_t *lease)
{
    return (lease->calls > (AMP_LEASE_QUICK - 1) * AMP_LEASE_PACE)
           ? lease->calls - (AMP_LEASE_QUICK - 1) * AMP_LEASE_PACE : 0;
}


static int
amp_lease_under_way(const amp_lease_t *lease, uint64_t now)
{
    return lease->asked != 0 && now < lease->asked + AMP_LEASE_LOST;
}


amp_lease_e
amp_lease_look(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    int waited, uint64_t *wait)
{
    int       fits;
    uint64_t  lo, place, window;

    *wait = 0;

    if (!waited) {
        amp_lease_count(lease, now);
    }

    fits = amp_lease_fits(lease, rate);

    if (fits && amp_lease_owes(lease, now, waited)) {
        return AMP_LEASE_ADMIT;
    }

    if (!amp_lease_owes(lease, now, 1)) {
        amp_lease_regain(lease);
    }

    if (fits && amp_lease_place(lease, now, &place, &lo)) {
        window = amp_lease_window(lease->unit, rate->burst);

        if (place <= lo + window) {
            return AMP_LEASE_ADMIT;
        }

        *wait = place - window - lo;
        return AMP_LEASE_REFUSE;
    }

    if (lease->away) {
        return AMP_LEASE_AWAY;
    }

    if (amp_lease_told(lease, rate, now)) {
        *wait = lease->after - now
                + (amp_lease_demand(lease) ? AMP_LEASE_AHEAD : 0);
        return AMP_LEASE_REFUSE;
    }

    if (!amp_lease_under_way(lease, now) && now < amp_lease_paced(lease)) {
        *wait = amp_lease_paced(lease) - now;
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
    uint64_t  lo, place;

    if (amp_lease_owes(lease, now, waited)) {
        lease->owed--;

    } else if (amp_lease_place(lease, now, &place, &lo)) {
        lease->blocks[0].start = place + lease->unit;
    }
}


/*
 * With others about, units may lapse before the next requests come: then they
 * are of use only to requests that wait for them.
 */

static int
amp_lease_brief(const amp_lease_t *lease, const amp_rate_t *rate)
{
    return lease->gateways > 1
           && (double) amp_lease_window(amp_rate_interval(rate), rate->burst)
              * lease->demand < 2.0 * (double) AMP_LEASE_SECOND;
}


/*
 * What the next requests may need.  They may not come, and others find the
 * bucket empty then: no more than refills soon, or is little of what is left.
 * What came in the first ms tells less, and nothing with others about: of such
 * a burst each has a part.
 */

static uint64_t
amp_lease_guess(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    uint64_t  first, guess, most, past, tail, unit, window;

    if (amp_lease_brief(lease, rate)) {
        return 0;
    }

    unit = amp_rate_interval(rate);
    window = amp_lease_window(unit, rate->burst);
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

    if (amp_lease_under_way(lease, now) || now < amp_lease_paced(lease)
        || amp_lease_told(lease, rate, now))
    {
        return 0;
    }

    if (lease->waiting != 0 || lease->away) {
        return 1;
    }

    if (lease->size == 0 || !amp_lease_fits(lease, rate)
        || now > lease->counted + 2 * AMP_LEASE_AHEAD
        || amp_lease_here(lease, now, AMP_LEASE_EVER) * 2 >= lease->size)
    {
        return 0;
    }

    /* where units are scarce nobody keeps one that may not be used */

    unit = lease->unit;
    window = amp_lease_window(unit, rate->burst);
    tail = amp_lease_tail(lease, unit);

    return amp_lease_guess(lease, rate, now) != 0
           || (unit <= AMP_LEASE_AHEAD && tail <= now + window / 2
               && !amp_lease_brief(lease, rate));
}


/* The state becomes one of the rate that is asked for. */

static void
amp_lease_begin(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    amp_lease_ask_t *ask)
{
    uint64_t  tail, unit;

    unit = amp_rate_interval(rate);
    tail = amp_lease_tail(lease, unit);

    if (unit != lease->unit && tail != 0) {
        lease->tail = lease->redis + (tail - lease->received);
    }

    lease->unit = unit;
    lease->burst = rate->burst;
    lease->asked = now;
    lease->calls = AMP_LEASE_PACE + (lease->calls > now ? lease->calls : now);

    ask->unit = unit;
    ask->window = amp_lease_window(unit, rate->burst);

    /* a share of the bucket is behind by as long as the bucket is, divided */

    tail = (tail > now) ? tail : now;

    if (lease->gateways == 1) {
        ask->told = 1 + (tail - now)
                    + (now - lease->received) / AMP_LEASE_DRIFT;
    }

    if (lease->local > tail) {
        ask->charge = (lease->local - tail)
                      / (lease->gateways ? lease->gateways : 1);
    }
}


void
amp_lease_ask(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    amp_lease_ask_t *ask)
{
    uint64_t  left, wanted;

    memset(ask, 0, sizeof(*ask));

    if (amp_lease_stale(lease, now) || !amp_lease_fits(lease, rate)) {
        amp_lease_regain(lease);
        (void) amp_lease_let_go(lease, now, ask);
        amp_lease_drop(lease);
    }

    amp_lease_begin(lease, rate, now, ask);

    left = amp_lease_here(lease, now, AMP_LEASE_EVER);
    wanted = amp_lease_guess(lease, rate, now);
    ask->reach = wanted ? AMP_LEASE_AHEAD : 0;
    wanted = (wanted > left) ? wanted - left : 0;
    wanted = (wanted > lease->waiting) ? wanted : lease->waiting;

    ask->wanted = (wanted == 0) ? 1
                  : (wanted < UINT32_MAX) ? (uint32_t) wanted : UINT32_MAX;
}


int
amp_lease_return(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    amp_lease_ask_t *ask)
{
    memset(ask, 0, sizeof(*ask));

    if (!amp_lease_owes(lease, now, 1)) {
        amp_lease_regain(lease);
    }

    if (amp_lease_under_way(lease, now) || now < amp_lease_paced(lease)
        || lease->away || !amp_lease_let_go(lease, now, ask))
    {
        return 0;
    }

    if (!amp_lease_fits(lease, rate)) {
        amp_lease_drop(lease);
    }

    amp_lease_begin(lease, rate, now, ask);
    lease->size = 0;

    return 1;
}


/* The clock went on since the last answer, and on the same server. */

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


int
amp_lease_answer(amp_lease_t *lease, const amp_lease_answer_t *answer,
    uint64_t sent, uint64_t received)
{
    uint64_t  delay, start, size, redis;

    if (lease->unit == 0 || received < sent || received < lease->received
        || answer->now == 0
        || answer->now > UINT64_MAX / 4 / 1000
        || answer->lead > 4 * AMP_LEASE_SPAN
        || answer->ahead > 4 * AMP_LEASE_SPAN
        || answer->wait > 4 * AMP_LEASE_SPAN
        || answer->granted > 4 * AMP_LEASE_SPAN / lease->unit
        || answer->gateways > UINT32_MAX)
    {
        amp_lease_failed(lease, received);
        return -1;
    }

    if (sent < lease->asked || sent < lease->received) {
        return 0;
    }

    redis = answer->now * 1000;
    amp_lease_regain(lease);

    if (!amp_lease_steady(lease, redis, sent, received)) {
        amp_lease_drop(lease);
    }

    delay = (received - sent) / 1000 + 2;       /* R is cut to microseconds */

    lease->redis = redis;
    lease->received = received;
    lease->delay = (delay < UINT32_MAX) ? (uint32_t) delay : UINT32_MAX;
    lease->tail = redis + answer->ahead;
    lease->gateways = answer->gateways ? (uint32_t) answer->gateways : 1;
    lease->after = answer->wait ? received + answer->wait : 0;
    lease->asked = 0;
    lease->away = 0;
    lease->local = 0;

    start = redis + answer->lead;
    amp_lease_append(lease, start, start + answer->granted * lease->unit);
    amp_lease_owe(lease);

    size = amp_lease_here(lease, received, AMP_LEASE_EVER) + lease->owed;
    lease->size = (size < UINT32_MAX) ? (uint32_t) size : UINT32_MAX;

    return 0;
}


void
amp_lease_failed(amp_lease_t *lease, uint64_t now)
{
    lease->asked = 0;
    lease->waiting = 0;
    lease->away = 1;
    lease->after = now + AMP_LEASE_RETRY;
}


/* Rate and burst of one gateway of several, and the TAT that they go on from. */

static uint64_t
amp_lease_share(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now, uint64_t *unit, uint64_t *window)
{
    uint64_t  tat, tail;

    gateways = (lease->gateways > gateways) ? lease->gateways : gateways;
    gateways = (gateways < AMP_LEASE_GATEWAYS) ? gateways : AMP_LEASE_GATEWAYS;
    gateways = gateways ? gateways : 1;

    *unit = amp_rate_interval(rate) * gateways;
    *window = amp_lease_window(*unit, rate->burst / gateways);

    tail = amp_lease_tail(lease, amp_rate_interval(rate));
    tat = (lease->local > tail) ? lease->local : tail;

    return (tat > now) ? tat : now;
}


uint64_t
amp_lease_local(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now)
{
    uint64_t  tat, unit, window;

    tat = amp_lease_share(lease, rate, gateways, now, &unit, &window);

    return (tat - now > window) ? tat - now - window : 0;
}


void
amp_lease_local_spend(amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now)
{
    uint64_t  tat, unit, window;

    tat = amp_lease_share(lease, rate, gateways, now, &unit, &window);
    lease->local = tat + unit;
}


/* Units that may be spent now by requests that did not wait. */

static uint64_t
amp_lease_ready(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    if (!amp_lease_fits(lease, rate)) {
        return 0;
    }

    return amp_lease_here(lease, now,
                          amp_lease_window(lease->unit, rate->burst));
}


uint64_t
amp_lease_held(const amp_lease_t *lease, const amp_rate_t *rate, uint64_t now)
{
    return amp_lease_ready(lease, rate, now)
           + (amp_lease_owes(lease, now, 1) ? lease->owed : 0);
}


uint32_t
amp_lease_remaining(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, uint64_t *reset)
{
    uint64_t  n, tail, unit, window;

    unit = amp_rate_interval(rate);
    window = amp_lease_window(unit, rate->burst);
    tail = amp_lease_tail(lease, unit);
    tail = (tail > now) ? tail - now : 0;

    *reset = tail;

    n = amp_lease_ready(lease, rate, now);

    if (!amp_lease_told(lease, rate, now) && tail <= window) {
        n += ((window - tail) / unit + 1)
             / (lease->gateways ? lease->gateways : 1);
    }

    return (n < rate->burst) ? (uint32_t) n : rate->burst;
}


static amp_span_t
amp_lease_number(uint64_t n, unsigned char *text)
{
    return amp_span_make(text, (size_t) (amp_decimal(text, n) - text));
}


void
amp_lease_argv(const amp_lease_ask_t *ask, amp_span_t gateway, amp_span_t run,
    uint64_t since, unsigned char text[AMP_LEASE_ARGS][AMP_LEASE_TEXT],
    amp_span_t argv[AMP_LEASE_ARGS])
{
    argv[0] = amp_lease_number(ask->unit, text[0]);
    argv[1] = amp_lease_number(ask->window, text[1]);
    argv[2] = amp_lease_number(ask->reach, text[2]);
    argv[3] = amp_lease_number(ask->wanted, text[3]);
    argv[4] = gateway;
    argv[5] = run;
    argv[6] = amp_lease_number(since, text[6]);
    argv[7] = amp_lease_number(ask->tail / 1000, text[7]);
    argv[8] = amp_lease_number(ask->tail % 1000, text[8]);
    argv[9] = amp_lease_number(ask->back, text[9]);
    argv[10] = amp_lease_number(ask->charge, text[10]);
    argv[11] = amp_lease_number(ask->told, text[11]);
}
