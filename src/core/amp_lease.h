/*
 * One limit on one gateway: the units that Redis has leased to it, which of
 * them are spent, when to call Redis, and what to do without Redis.
 *
 * The promise.  All gateways together admit, in any window of length t, at
 * most floor(t / T) + burst requests, where T is the time of one unit: exactly
 * what a single GCRA (amp_rate.h) would.
 *
 * How.  Redis keeps one TAT for each limit, in Redis time.  A lease of n units
 * is the block [start, start + nT) of that time line, where start =
 * max(TAT, now), and TAT moves to the block's end: blocks never overlap.  A
 * request that is admitted at the moment s gets a place v in a block,
 * v = max(start, s), if
 *
 *     v + T <= end   and   v - W <= s,   with W = (burst - h - 1) T,
 *
 * where h is the number of units that wallets may have, see below, and start
 * moves to v + T.  So any two places are at least T apart, on whichever
 * gateway, and s <= v <= s + W.  Requests of a window [a, b] have places in
 * [a, b + W], of which there are at most
 * floor((b - a + W) / T) + 1 = floor((b - a) / T) + burst - h.  Nothing else is
 * needed: units that are not spent lapse when s passes them, as the units of an
 * idle bucket do in GCRA; and a gateway that dies with a lease, or a lease
 * whose reply is lost, only costs units.
 *
 * Wallets.  Where the burst refills within a minute, units lapse so soon that
 * a gateway with few requests would call Redis for each.  Of such a limit
 * h = burst / 4 units do not lapse (else h is 0): they are in the gateways'
 * wallets and in the pool, in all at most h.  Time that passes TAT while
 * nothing is leased fills the pool; a unit gets into a wallet from the pool
 * or, as one place, from the time line.  So what is admitted in [a, b] was in
 * wallets or the pool at a, at most h, or has used a place in [a, b + W].
 *   - The script knows of each wallet how many units may be in it: those that
 *     the gateway names with a call, and those that it gets.  A call that does
 *     not name the last answer may be a late one, or that answer is lost: then
 *     it is not less than before.
 *   - Time refills the pool only as far as wallets had room then.  So a call
 *     says how much of what left its wallet time can have put back: units that
 *     leave one after another are put back one after another, as of a GCRA.
 *     Of the time in which the line was full first that is used which refills
 *     what was missing at the last call, then as much of the rest.
 *   - A gateway spends a wallet for AMP_LEASE_WALLET_LIFE after an answer; for
 *     a second more the script counts it.
 *   - Units that a gateway hands back get into the pool, too, where other
 *     gateways leased behind them: those with a place that may be used by now.
 *   - Requests that wait get what is in the pool when the time line has nothing
 *     left; they count at R, see "Clocks".
 *   - A gateway drops what is more than its part, when others have come.
 * A wallet has what the gateway spent of it between two calls, twice, and at
 * most the gateway's part of h; that of a single gateway has all of them.
 * Where requests are many, units are leased ahead as above, and the wallet is
 * for the moment when these are used up.
 *
 * Where requests come fast, blocks reach up to AMP_LEASE_AHEAD beyond what may
 * be spent at once, so that few calls sustain a high rate with a small burst.
 *
 * Clocks.  A gateway's wall clock is not used.  Its monotonic clock and the
 * last answer bound the Redis time s: not before R + (now - received), not
 * after R + (now - sent), both widened by the drift of the two clocks.  The
 * second bound is used for v >= s, the first for v - W <= s.  Two kinds of
 * requests count at another moment than they happen:
 *   - requests that waited for an answer count at R, when Redis decided, as
 *     with any limiter that asks Redis for each request;
 *   - where W is shorter than the answer took (mostly with burst 1), the first
 *     bound is used for both.
 * There a window that is measured where requests arrive at the gateways is
 * longer by the time that an answer took, and by the time, at most
 * AMP_LEASE_PACE, until the waiting requests were admitted.  Blocks are dropped
 * AMP_LEASE_KEEP after the last answer, before the clocks have drifted apart.
 *
 * Another server.  A state that another server wrote may lack the last leases.
 * If it may not, because a slot of a cluster moved, TAT is right but for the
 * clocks of the two servers: a gateway whose last answer is the state's own
 * knows how much time passed since.  Else each gateway tells the new server the
 * TAT that it knows, once; the largest is not before the end of any block that
 * a living gateway has (with the answer it drops those of the old server).
 * Until all of them have, or for two seconds,
 *   - all units of the old server that are left lie before since + W + T +
 *     AMP_LEASE_AHEAD, with since not before the fail-over, and they lapse as
 *     time passes; the new server grants no more than time has passed since
 *     then, less AMP_LEASE_AHEAD.  So at no moment more than burst are left,
 *     whatever places the new ones have;
 *   - new blocks begin at the largest TAT told so far.  One that is told later
 *     is raised by all that was granted before, which counts from then on as if
 *     it had been granted behind that TAT;
 *   - no wallet is filled, and each gateway tells what is in its own, and how
 *     far all units reach that were leased or got into wallets: TAT less the
 *     pool. The largest says how much is in the pool.
 * Then TAT is ordinary again.  Not covered: writes that are lost with the
 * gateway that had the answers, or a second time within those two seconds; two
 * masters at the same time; a Redis whose clock jumps forward; keys that are
 * deleted or evicted.  Each of these costs at most one burst.
 *
 * Redis out of reach.  Each gateway spends its wallet, and divides the rate and
 * burst - h by the number of gateways, from the TAT that it knows and as far as
 * the others moved it before (lag).  A single one has what is in the pool, too.
 * The first call that Redis gets again reserves for each gateway of the limit
 * that has not called yet its part of the bucket, and of the rate since then;
 * it is released when that gateway calls and is charged, or after two seconds.
 * A call that Redis gets when nobody waits for the answer does nothing.  Exact
 * but for what the others lease between a gateway's last answer and the outage:
 * see docs/limits.md.
 *
 * Changes.  The promise holds for the new rate and burst from the moment when
 * all gateways use them; what is in a wallet lapses.  Until then the script
 * sees calls with either: the number of units that are spent, all in wallets
 * among them, stays the same, but is never more than the caller's burst.  That
 * moves TAT back and forth; blocks of one T must not overlap nevertheless,
 * since gateways spend those that came with the rate and burst that they use.
 * So for each T the script keeps the largest TAT for a minute
 * (AMP_LEASE_KEEP), and a call leases nothing before it.
 *
 * Tenants that share a limit: amp_share.h says how many units a request has to
 * leave to others.  The promise does not depend on that.
 *
 * Sharing.  The script knows which gateways called in the last 2 s (up to 3 s,
 * since it removes the others once a second).  Each may always have its share
 * of the rate, and more while there is more than the others will ask for until
 * the next call.  Where W is too short for units to stay valid until requests
 * come, with several gateways, each request asks Redis.
 *
 * The state has no pointers, is zero at first, and may be copied; the caller
 * locks it.  All times are nanoseconds: now, sent and received of a monotonic
 * clock that all workers of a machine share (CLOCK_MONOTONIC, read while the
 * lock is held), the others are Redis TIME.
 *
 *   look ──▶ ADMIT ──▶ spend (of every limit, once all admit)
 *     ├────▶ REFUSE, wait
 *     ├────▶ ASK ──▶ due? ask ──▶ lease.lua ──▶ answer ──▶ look (waited)
 *     │                                   └───▶ failed ──┐
 *     └────▶ FALLBACK ──▶ local, local_spend ◀───────────┘
 */

#ifndef AMP_LEASE_H
#define AMP_LEASE_H


#include "amp_lease_local.h"


#define AMP_LEASE_ARGS     24
#define AMP_LEASE_ANSWER   11
#define AMP_LEASE_TEXT     32                       /* bytes for a number     */


typedef enum {
    AMP_LEASE_ADMIT = 0,
    AMP_LEASE_ASK,              /* no unit here, Redis may have some          */
    AMP_LEASE_REFUSE,
    AMP_LEASE_FALLBACK          /* no unit here, and the last call failed     */
} amp_lease_e;


/* What the script returns: eleven integers, in this order. */

typedef struct {
    uint64_t  now;              /* Redis time, microseconds                   */
    uint64_t  lead;             /* start - now, ns                            */
    uint64_t  granted;          /* units                                      */
    uint64_t  gateways;         /* that called lately, with this one          */
    uint64_t  ahead;            /* TAT - now, ns                              */
    uint64_t  wait;             /* ns before which another call is useless    */
    uint64_t  drawn;            /* units for requests that wait, of the pool  */
    uint64_t  filled;           /* units for the wallet                       */
    uint64_t  pool;             /* what is left in the pool, ns               */
    uint64_t  lent;             /* units in all wallets                       */
    uint64_t  part;             /* units that this gateway's may have         */
    uint32_t  server;           /* not from the script: a number for the server
                                   that answered                              */
} amp_lease_answer_t;


/* The largest burst that a rate may have: it refills in AMP_LEASE_SPAN. */

uint32_t amp_lease_burst_max(const amp_rate_t *rate);

/*
 * For a limit that several share, see amp_share.h, which has no wallets: the
 * request that looks next has to leave so many units that may be spent, and
 * calls ask for keep units beyond what requests wait for.  Holds until it is
 * called again; of such a limit it is called before the first request.
 */

void amp_lease_keep(amp_lease_t *lease, uint32_t keep, uint32_t leave);

/*
 * May a request be admitted?  waited: this request got ASK before, and the call
 * has ended since; it looks once for each call that ends.  Counts the request
 * as demand unless it waited.
 *   ADMIT     amp_lease_spend() takes the unit; nothing is taken yet
 *   ASK       wait for the end of a call; *wait is the ns until
 *             amp_lease_due() can return 1, 0: now, during a call, or while
 *             units are reserved for others
 *   REFUSE    *wait is the ns (> 0) until this may have changed
 *   FALLBACK  see amp_lease_local(); amp_lease_due() says when to call Redis
 * When the rate or burst changes, the next call hands back the held units if no
 * other gateway leased behind them (otherwise they lapse), and the script
 * carries over the number of units that are spent, at most the whole burst.
 */

amp_lease_e amp_lease_look(amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, int waited, uint64_t *wait);

/*
 * Takes the unit after amp_lease_look() returned ADMIT: under the same lock,
 * with the same arguments.  An answer reserves units for the requests that
 * waited for it; what they have not taken after AMP_LEASE_PACE is spent like
 * the rest: no place was given for it yet.
 */

void amp_lease_spend(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    int waited);

/*
 * 1 when a call should begin now: requests wait, the last call failed, or less
 * than half of the last lease is left and more units will probably be used.  0
 * otherwise, during a call, while units are reserved for requests that waited,
 * and when it is too early for one.
 */

int amp_lease_due(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/*
 * Begins a call and fills *ask.  A call is named by the moment when it began,
 * now.  No other begins until amp_lease_answer(), amp_lease_failed() or
 * amp_lease_give_up(), or until timeout ns have passed: whoever made the call
 * is gone then.
 */

void amp_lease_ask(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, amp_lease_ask_t *ask);

/*
 * 1 where this gateway may hold units that others want: it is not the only one,
 * and the bucket is not half full.  0 for a limit without wallets: it has no
 * pool for what comes back.
 */

int amp_lease_scarce(const amp_lease_t *lease, uint64_t now);

/*
 * 1 when units should be handed back, since no requests come: more than a few
 * after a second; where they are scarce, any after AMP_LEASE_UNUSED.  That time
 * counts from the last answer and from the last period of AMP_LEASE_AHEAD that
 * began with a request.
 */

int amp_lease_unused(const amp_lease_t *lease, uint64_t now);

/*
 * Begins a call that hands back all units that can be handed back, for a tenant
 * without requests or a gateway that exits: 1 with *ask filled, or 0 when there
 * are none of this rate and burst, or a call may not begin now.  exits: the
 * wallet is given up, too.
 * Its answer may be ignored; then amp_lease_failed() ends the call.
 */

int amp_lease_return(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, int exits, amp_lease_ask_t *ask);

/*
 * The answer to the current call.  sent: the now of amp_lease_ask().  0, or -1
 * when the answer is impossible; then the call has failed.  The answer to a
 * call that was given up, or taken for lost before another began, is ignored:
 * its units lapse.
 */

int amp_lease_answer(amp_lease_t *lease, const amp_lease_answer_t *answer,
    uint64_t sent, uint64_t received);

/*
 * The call that began at sent got no answer, or an error: FALLBACK until the
 * next answer.  Nothing, if that call was taken for lost and another began.
 */

void amp_lease_failed(amp_lease_t *lease, uint64_t sent, uint64_t now);

/*
 * Begins a call that only tells a new server what this gateway knows: 1 with
 * *ask filled, or 0 when it knows nothing of use, or a call is under way.
 */

int amp_lease_tell(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    uint64_t timeout, amp_lease_ask_t *ask);

/*
 * Whoever made the call that began at sent does not wait for its answer any
 * more: another call may begin at once.
 */

void amp_lease_give_up(amp_lease_t *lease, uint64_t sent);

/*
 * The units that may be spent here now, those that are reserved included, also
 * where nobody has taken them in time: amp_lease_look() finds them.
 */

uint64_t amp_lease_held(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/*
 * For RateLimit headers: the units that could be admitted at once, over all
 * gateways, as of the last answer; without those that other gateways hold.  In
 * *reset the ns until the whole burst is available again.
 */

uint32_t amp_lease_remaining(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, uint64_t *reset);

/*
 * For the status: how near the limit is, 0 to 1000.  The larger of two parts:
 * that of the burst which is spent, and, from 8/s on, that of the rate which
 * this gateway's requests of the last second took.
 */

unsigned amp_lease_used(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/*
 * Units of leases that were neither spent nor handed back, since the last call
 * of this.
 */

uint32_t amp_lease_lapsed(amp_lease_t *lease);


/*
 * The arguments of amp_script_lease (lease.lua), behind its key.
 * text is room for the numbers; argv points into it.  gateway: 1 .. 64 bytes
 * that are different for each gateway (machine).  run: the run_id of the server
 * that is called, or empty.  since: Redis time, microseconds, when this gateway
 * first saw that server, if it has seen another one before; else 0.  gateways:
 * how many there are as far as the caller knows, 0 if it does not.
 */

void amp_lease_argv(const amp_lease_ask_t *ask, amp_span_t gateway,
    amp_span_t run, uint64_t since, unsigned gateways,
    unsigned char text[AMP_LEASE_ARGS][AMP_LEASE_TEXT],
    amp_span_t argv[AMP_LEASE_ARGS]);


#endif /* AMP_LEASE_H */
