/*
 * One limit on one gateway: what Redis has leased to it, what was spent, when
 * to ask again, and what to do without Redis.
 *
 * The promise.  All gateways together admit, in any window of length t, at
 * most floor(t / T) + burst requests, where T is the time of one unit: exactly
 * what one GCRA in one place would.
 *
 * How.  Redis keeps one TAT a limit, in Redis time.  A lease of n units is the
 * block [start, start + nT) of that time line, where start = max(TAT, now),
 * and TAT moves to the block's end: blocks never overlap.  A request admitted
 * at the moment s is given a place v in a block, v = max(start, s), if
 *
 *     v + T <= end   and   v - W <= s,   with W = (burst - 1) T,
 *
 * and start moves to v + T.  So any two places are at least T apart, whoever
 * gave them, and s <= v <= s + W.  Requests of a window [a, b] have places in
 * [a, b + W], of which there are at most floor((b - a + W) / T) + 1 =
 * floor((b - a) / T) + burst.  Nothing else is needed: what is not spent
 * lapses when s passes it, as an idle bucket lapses in GCRA, and a gateway
 * that dies with a lease, or a lease whose answer is lost, only costs units.
 *
 * Where requests come fast, blocks reach up to AMP_LEASE_AHEAD beyond what may
 * be spent at once: so few calls hold a high rate with a small burst, too.
 *
 * Clocks.  A gateway's wall clock plays no part.  Its monotonic clock and the
 * last answer bound the Redis time s: not before R + (now - received), not
 * after R + (now - sent), both widened by what quartz drifts.  The second is
 * taken for v >= s, the first for v - W <= s.  Two cases count at another
 * moment than they happen:
 *   - requests that waited for an answer count at R, when Redis decided, as
 *     with any limiter that asks for each request;
 *   - where W is shorter than the answer took (burst 1, mostly), the first
 *     bound serves for both.
 * There a window measured at the gateways' doors is longer by the time that an
 * answer took, and by what then passed, at most AMP_LEASE_PACE, until who had
 * waited came.  A block is dropped AMP_LEASE_LIFE after the last answer, before
 * two clocks drift apart.
 *
 * Fail-over.  A replica may be promoted that lost the last leases.  They end
 * before (old now) + W + T + AMP_LEASE_AHEAD, so the script moves the TAT of a
 * state that another server wrote, or that is missing, behind since + that:
 * the bucket starts empty.  since is when gateways first saw the new server.
 * Only where one gateway leases, as far as that state and this gateway know,
 * the gateway tells what was lost: it has all answers, so the bucket goes on.
 * Not covered: two masters at once, a Redis whose clock jumps forward, keys
 * deleted or evicted, a second gateway of whose first calls all were lost.
 * Each of these costs at most one burst.
 *
 * Changes.  The promise holds for the new rate and burst from when all gateways
 * know them.  Until then the script sees both: what was spent is kept, as many
 * units, but never more than the burst of who asks.
 *
 * Sharing.  The script knows which gateways asked in the last 2 s.  Each may
 * always take its share of the rate, and more than that while more is there
 * than the others will ask for until the next call.  Where W is too short for
 * units to wait for requests, with several gateways, each request asks.
 *
 * The state has no pointer, is zero at first, and may be copied; the caller
 * locks.  All moments are nanoseconds: now, sent, received of a monotonic
 * clock that all workers of a machine share (CLOCK_MONOTONIC, read under the
 * lock), the rest of Redis TIME.
 *
 *   look ──▶ ADMIT ──▶ spend (of every limit, once all admit)
 *     ├────▶ REFUSE, wait
 *     ├────▶ ASK ──▶ due? ask ──▶ the script ──▶ answer ──▶ look (waited)
 *     │                                    └───▶ failed ──┐
 *     └────▶ AWAY ──▶ local, local_spend ◀────────────────┘
 */

#ifndef AMP_LEASE_H
#define AMP_LEASE_H


#include "amp_rate.h"


#define AMP_LEASE_SECOND   UINT64_C(1000000000)
#define AMP_LEASE_AHEAD    (AMP_LEASE_SECOND / 8)
#define AMP_LEASE_PACE     (AMP_LEASE_SECOND / 16)  /* between calls, 4 of    */
#define AMP_LEASE_QUICK    4                        /* which may come at once:
                                                       20 a second            */
#define AMP_LEASE_LIFE     (10 * AMP_LEASE_SECOND)
#define AMP_LEASE_LOST     (2 * AMP_LEASE_SECOND)   /* a call without an end  */
#define AMP_LEASE_RETRY    (AMP_LEASE_SECOND / 4)   /* after a failed call    */
#define AMP_LEASE_SPAN     (UINT64_C(1) << 51)      /* 26 days: a burst that
                                                       takes longer to refill
                                                       is cut to that         */
#define AMP_LEASE_BLOCKS   2
#define AMP_LEASE_ARGS     12
#define AMP_LEASE_ANSWER   6
#define AMP_LEASE_TEXT     32                       /* bytes of a number      */


typedef enum {
    AMP_LEASE_ADMIT = 0,
    AMP_LEASE_ASK,              /* nothing here, Redis may have some          */
    AMP_LEASE_REFUSE,
    AMP_LEASE_AWAY              /* nothing here, and the last call failed     */
} amp_lease_e;


typedef struct {
    uint64_t  start;
    uint64_t  end;              /* empty: start == end                        */
} amp_lease_block_t;


typedef struct {
    amp_lease_block_t  blocks[AMP_LEASE_BLOCKS];    /* the older first        */
    uint64_t           unit;        /* T of the blocks, and of the last call  */
    uint64_t           redis;       /* R; 0: no answer yet                    */
    uint64_t           received;    /* when R was                             */
    uint64_t           tail;        /* TAT after the last answer              */
    uint64_t           aside;       /* where what is owed ends                */
    uint64_t           local;       /* TAT without Redis, monotonic; 0: none  */
    uint64_t           after;       /* no call before, monotonic              */
    uint64_t           calls;       /* GCRA of the calls, monotonic           */
    uint64_t           asked;       /* when the call under way began, or 0    */
    uint64_t           counted;     /* start of what count counts             */
    uint32_t           burst;       /* of the last call                       */
    uint32_t           delay;       /* received - sent, microseconds          */
    uint32_t           count;       /* requests since counted                 */
    uint32_t           demand;      /* requests a second, lately              */
    uint32_t           size;        /* units of the last lease                */
    uint32_t           waiting;     /* requests that were told to ask         */
    uint32_t           owed;        /* units set aside for those that waited  */
    uint32_t           gateways;    /* of the last answer                     */
    uint32_t           away;        /* the last call failed                   */
} amp_lease_t;


/* What a call says.  wanted 0 hands back only. */

typedef struct {
    uint64_t  unit;             /* T                                          */
    uint64_t  window;           /* W                                          */
    uint64_t  reach;            /* how far beyond W places are of use         */
    uint64_t  tail;             /* the TAT that back is taken from            */
    uint64_t  back;             /* ns of the time line handed back            */
    uint64_t  charge;           /* ns of it spent without Redis               */
    uint64_t  told;             /* 1 + how far TAT is ahead, for whom Redis saw
                                   nobody else with; else 0                   */
    uint32_t  wanted;
} amp_lease_ask_t;


/* What the script answers: six integers, in this order. */

typedef struct {
    uint64_t  now;              /* Redis time, microseconds                   */
    uint64_t  lead;             /* start - now, ns                            */
    uint64_t  granted;
    uint64_t  gateways;         /* that asked in the last 2 s, this included  */
    uint64_t  ahead;            /* TAT - now, ns                              */
    uint64_t  wait;             /* before which no call is of use, ns         */
} amp_lease_answer_t;


/* The largest burst that a rate may have: it refills in AMP_LEASE_SPAN. */

uint32_t amp_lease_burst_max(const amp_rate_t *rate);

/*
 * May a request be admitted?  waited: it was told to ASK before, and the call
 * has ended since; it looks once for each call that ends.  Counts the request
 * as demand unless it waited.
 *   ADMIT    spend() takes the unit; nothing is taken before
 *   ASK      wait for the end of a call; *wait ns until due() can say yes,
 *            0: now, or a call is under way
 *   REFUSE   *wait ns (> 0) until this may have changed
 *   AWAY     the fallback decides, see amp_lease_local(); due() tells when to
 *            try again
 * When the rate changes, or the burst gets smaller, the next call hands back
 * what is held, as far as nobody leased behind it (else it lapses), and the
 * script carries over what was spent: as many units, at most the whole burst.
 * A larger burst changes nothing but W.
 */

amp_lease_e amp_lease_look(amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, int waited, uint64_t *wait);

/*
 * After look() said ADMIT, under the same lock, with the same arguments.  Units
 * are set aside for those that waited; what they do not come for within
 * AMP_LEASE_PACE is spent by others again: no place was given for it yet.
 */

void amp_lease_spend(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    int waited);

/*
 * 1 when a call should be made now: somebody waits, or less than half of the
 * last lease is left; never while one is under way or too early.
 */

int amp_lease_due(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/* Begins a call: until answer(), failed() or AMP_LEASE_LOST there is no other. */

void amp_lease_ask(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    amp_lease_ask_t *ask);

/*
 * Begins a call that hands back all that can be, for a tenant that went idle
 * or a gateway that exits: 1, or 0 when there is nothing.  Its answer may be
 * ignored; then failed() ends the call.
 */

int amp_lease_return(amp_lease_t *lease, const amp_rate_t *rate, uint64_t now,
    amp_lease_ask_t *ask);

/*
 * The answer of the call under way.  sent: the now of ask().  0, or -1 with
 * the call failed: it makes no sense.  What comes later than another call's is
 * not looked at: its units lapse.
 */

int amp_lease_answer(amp_lease_t *lease, const amp_lease_answer_t *answer,
    uint64_t sent, uint64_t received);

/* No answer, or an error: AWAY until an answer comes. */

void amp_lease_failed(amp_lease_t *lease, uint64_t now);

/*
 * Without Redis: rate and burst divided by the gateways last seen (by this
 * limit or, if that is more, by the caller), from what was left.  0 when a
 * request may be admitted, else the ns until then; nothing is taken.  What is
 * taken is charged to Redis when it is back.
 */

uint64_t amp_lease_local(const amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now);
void amp_lease_local_spend(amp_lease_t *lease, const amp_rate_t *rate,
    unsigned gateways, uint64_t now);

/* Units that are here to be spent now, those set aside included. */

uint64_t amp_lease_held(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now);

/*
 * Units that this gateway could admit at once, as far as it knows, and ns until
 * the whole burst is there again: for RateLimit headers.
 */

uint32_t amp_lease_remaining(const amp_lease_t *lease, const amp_rate_t *rate,
    uint64_t now, uint64_t *reset);


/*
 * The arguments of amp_script_lease (lease.lua).  text is room for the numbers, which argv
 * points into.  gateway: 1 .. 64 bytes, its own on every gateway (machine).
 * run: the run_id of the server asked, or empty.  since: Redis time,
 * microseconds, when this gateway first saw that server, if it knew another
 * one before; 0 otherwise.
 */

void amp_lease_argv(const amp_lease_ask_t *ask, amp_span_t gateway,
    amp_span_t run, uint64_t since,
    unsigned char text[AMP_LEASE_ARGS][AMP_LEASE_TEXT],
    amp_span_t argv[AMP_LEASE_ARGS]);


#endif /* AMP_LEASE_H */
