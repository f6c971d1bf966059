#include "amp_lease_blocks.h"


#define AMP_LEASE_WALLET_PART    4          /* of the burst                   */
#define AMP_LEASE_WALLET_REFILL  (60 * AMP_LEASE_SECOND)


uint32_t
amp_lease_wallet_most(const amp_lease_t *lease, uint64_t unit, uint32_t burst)
{
    uint64_t  refill;

    if (lease->shared || __builtin_mul_overflow(unit, (uint64_t) burst, &refill)
        || refill > AMP_LEASE_WALLET_REFILL)
    {
        return 0;
    }

    return burst / AMP_LEASE_WALLET_PART;
}


uint64_t
amp_lease_window(const amp_lease_t *lease, uint64_t unit, uint32_t burst)
{
    burst -= amp_lease_wallet_most(lease, unit, burst);

    return amp_lease_units_time(unit, burst);
}


uint64_t
amp_lease_units_time(uint64_t unit, uint32_t burst)
{
    uint64_t  units = (burst > 1) ? burst - 1 : 0;

    /* a division would take as long as the rest of amp_lease_look() */

    if (__builtin_mul_overflow(units, unit, &units) || units > AMP_LEASE_SPAN) {
        return AMP_LEASE_SPAN;
    }

    return units;
}


/*
 * Bounds the Redis time of now: not before *lo, not after *hi.  Where W is
 * shorter than the answer took, both are the lower bound: see amp_lease.h.
 */

static void
amp_lease_clock(const amp_lease_t *lease, uint64_t now, uint64_t *lo,
    uint64_t *hi)
{
    uint64_t  age, drift, delay;

    age = now - lease->received;
    delay = (uint64_t) lease->delay * 1000;
    drift = (age + delay) / AMP_LEASE_DRIFT;

    *lo = lease->redis + age;
    *hi = *lo;

    if (amp_lease_window(lease, lease->unit, lease->burst)
        >= delay + 2 * drift)
    {
        *lo -= drift;
        *hi += drift + delay;
    }
}


int
amp_lease_half(const amp_lease_t *lease, uint64_t now)
{
    uint64_t  ahead, window;

    ahead = (lease->tail > lease->redis) ? lease->tail - lease->redis : 0;
    window = amp_lease_window(lease, lease->unit, lease->burst);

    return ahead <= now - lease->received + window / 2;
}


int
amp_lease_stale(const amp_lease_t *lease, uint64_t now)
{
    return lease->redis == 0 || now > lease->received + AMP_LEASE_KEEP;
}


/*
 * The number of units of a block that have a place v, first <= v <= last;
 * *start is the first of these places.
 */

static uint64_t
amp_lease_units(const amp_lease_t *lease, const amp_lease_block_t *block,
    uint64_t first, uint64_t last, uint64_t *start)
{
    uint64_t  end;

    *start = (block->start > first) ? block->start : first;

    if (block->end < *start + lease->unit) {
        return 0;
    }

    end = block->end - lease->unit;
    end = (end < last) ? end : last;

    return (end < *start) ? 0 : (end - *start) / lease->unit + 1;
}


uint64_t
amp_lease_left(const amp_lease_t *lease, uint64_t now, uint64_t window)
{
    unsigned  i;
    uint64_t  lo, hi, n = 0, start;

    if (amp_lease_stale(lease, now)) {
        return 0;
    }

    amp_lease_clock(lease, now, &lo, &hi);

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        n += amp_lease_units(lease, &lease->blocks[i], hi, lo + window, &start);
    }

    return n;
}


/*
 * What lies between the two will not be spent.  That is no whole number of
 * units where a request came in the middle of one.
 */

static void
amp_lease_lapse(amp_lease_t *lease, uint64_t start, uint64_t end)
{
    if (start < end && lease->unit != 0) {
        lease->lapse += end - start;
        lease->lapsed += (uint32_t) (lease->lapse / lease->unit);
        lease->lapse %= lease->unit;
    }
}


/*
 * Removes blocks from the front until the first one has a place not before
 * first: 1 with that place in *start, or 0 when no block has.
 */

static int
amp_lease_advance(amp_lease_t *lease, uint64_t first, uint64_t *start)
{
    unsigned  i;

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        if (amp_lease_units(lease, &lease->blocks[0], first, UINT64_MAX, start))
        {
            return 1;
        }

        amp_lease_lapse(lease, lease->blocks[0].start, lease->blocks[0].end);

        memmove(&lease->blocks[0], &lease->blocks[1],
                (AMP_LEASE_BLOCKS - 1) * sizeof(lease->blocks[0]));
        memset(&lease->blocks[AMP_LEASE_BLOCKS - 1], 0,
               sizeof(lease->blocks[0]));
    }

    return 0;
}


int
amp_lease_place(amp_lease_t *lease, uint64_t now, uint64_t *place,
    uint64_t *s)
{
    uint64_t  hi;

    if (amp_lease_stale(lease, now)) {
        return 0;
    }

    amp_lease_clock(lease, now, s, &hi);

    return amp_lease_advance(lease, hi, place);
}


void
amp_lease_append(amp_lease_t *lease, uint64_t start, uint64_t end)
{
    unsigned            i;
    uint64_t            place;
    amp_lease_block_t  *block;

    /* removes lapsed blocks, to make room */

    (void) amp_lease_advance(lease, lease->redis, &place);

    if (start == end) {
        return;
    }

    /*
     * A TAT before the end of a block went back: Redis may have leased the
     * same units to another gateway.
     */

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        if (lease->blocks[i].end > start) {
            amp_lease_drop(lease);
        }
    }

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        block = &lease->blocks[i];

        if (block->start == block->end) {
            break;
        }

        if (block->end == start) {
            block->end = end;
            return;
        }
    }

    if (i == AMP_LEASE_BLOCKS) {
        i--;
        amp_lease_lapse(lease, lease->blocks[0].start, lease->blocks[0].end);
        memmove(&lease->blocks[0], &lease->blocks[1],
                i * sizeof(lease->blocks[0]));
    }

    lease->blocks[i].start = start;
    lease->blocks[i].end = end;
}


void
amp_lease_reserve(amp_lease_t *lease)
{
    unsigned            i;
    uint64_t            n = 0, most, start, window;
    amp_lease_block_t  *block;

    window = amp_lease_window(lease, lease->unit, lease->burst);
    most = lease->waiting;

    /* those that are kept are nobody's who waits */

    if (lease->keep != 0) {
        n = amp_lease_left(lease, lease->received, window);
        n = (n > lease->keep) ? n - lease->keep : 0;
        most = (n < most) ? n : most;
        n = 0;
    }

    for (i = AMP_LEASE_BLOCKS; i != 0 && n == 0; i--) {
        block = &lease->blocks[i - 1];

        n = amp_lease_units(lease, block, lease->redis, lease->redis + window,
                            &start);
        n = (n < most) ? n : most;

        if (n != 0) {
            block->start = start + n * lease->unit;
            lease->reserved_end = block->start;
            lease->reserved = (uint32_t) n;
        }
    }

    lease->waiting = 0;
}


int
amp_lease_reserved(const amp_lease_t *lease, uint64_t now, int waited)
{
    return waited && (lease->reserved != 0 || lease->drawn != 0)
           && now <= lease->received + AMP_LEASE_PACE;
}


void
amp_lease_unreserve(amp_lease_t *lease)
{
    unsigned            i;
    uint64_t            start;
    amp_lease_block_t  *blocks = lease->blocks;

    lease->lapsed += lease->drawn;
    lease->drawn = 0;

    start = lease->reserved_end - lease->reserved * lease->unit;

    if (lease->reserved == 0) {
        return;
    }

    lease->reserved = 0;

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        if (blocks[i].start == lease->reserved_end) {
            blocks[i].start = start;
            return;
        }
    }

    if (blocks[AMP_LEASE_BLOCKS - 1].start
        == blocks[AMP_LEASE_BLOCKS - 1].end)
    {
        memmove(&blocks[1], &blocks[0],
                (AMP_LEASE_BLOCKS - 1) * sizeof(blocks[0]));
        blocks[0].start = start;
        blocks[0].end = lease->reserved_end;
    }
}


int
amp_lease_hand_back(amp_lease_t *lease, uint64_t now, amp_lease_ask_t *ask)
{
    unsigned            i;
    uint64_t            lo, hi, start;
    amp_lease_block_t  *block;

    if (lease->redis == 0) {
        return 0;
    }

    amp_lease_clock(lease, now, &lo, &hi);

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        block = &lease->blocks[i];

        if (block->end == lease->tail
            && amp_lease_units(lease, block, hi, UINT64_MAX, &start) != 0)
        {
            ask->tail = block->end;
            ask->back = block->end - start;
            amp_lease_lapse(lease, block->start, start);
            block->start = block->end;
            return 1;
        }
    }

    return 0;
}


void
amp_lease_spend_place(amp_lease_t *lease, uint64_t place)
{
    amp_lease_lapse(lease, lease->blocks[0].start, place);
    lease->blocks[0].start = place + lease->unit;
}


void
amp_lease_drop(amp_lease_t *lease)
{
    unsigned  i;

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        amp_lease_lapse(lease, lease->blocks[i].start, lease->blocks[i].end);
    }

    lease->lapsed += lease->reserved;

    memset(lease->blocks, 0, sizeof(lease->blocks));
    lease->size = 0;
    lease->reserved = 0;
}
