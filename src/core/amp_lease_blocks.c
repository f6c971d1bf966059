#include "amp_lease_blocks.h"


uint64_t
amp_lease_window(uint64_t unit, uint32_t burst)
{
    uint64_t  units = (burst > 1) ? burst - 1 : 0;

    /* without a division, which takes as long as the rest of a look */

    if (__builtin_mul_overflow(units, unit, &units) || units > AMP_LEASE_SPAN) {
        return AMP_LEASE_SPAN;
    }

    return units;
}


/* The Redis time now is not before lo, and not after hi. */

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

    if (amp_lease_window(lease->unit, lease->burst) >= delay + 2 * drift) {
        *lo -= drift;
        *hi += drift + delay;
    }
}


int
amp_lease_stale(const amp_lease_t *lease, uint64_t now)
{
    return lease->redis == 0 || now > lease->received + AMP_LEASE_LIFE;
}


/*
 * Units of a block with a place v, first <= v <= last, and *start the first
 * of these places.
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
amp_lease_here(const amp_lease_t *lease, uint64_t now, uint64_t window)
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


/* The first block becomes one that has a place behind first, at *start: 1. */

static int
amp_lease_settle(amp_lease_t *lease, uint64_t first, uint64_t *start)
{
    unsigned  i;

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        if (amp_lease_units(lease, &lease->blocks[0], first, UINT64_MAX, start))
        {
            return 1;
        }

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

    return amp_lease_settle(lease, hi, place);
}


void
amp_lease_append(amp_lease_t *lease, uint64_t start, uint64_t end)
{
    unsigned            i;
    uint64_t            place;
    amp_lease_block_t  *block;

    /* what lapsed is dropped before something else is */

    (void) amp_lease_settle(lease, lease->redis, &place);

    if (start == end) {
        return;
    }

    /* or was leased again, as somebody moved TAT back */

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
        memmove(&lease->blocks[0], &lease->blocks[1],
                i * sizeof(lease->blocks[0]));
    }

    lease->blocks[i].start = start;
    lease->blocks[i].end = end;
}


void
amp_lease_owe(amp_lease_t *lease)
{
    unsigned            i;
    uint64_t            n = 0, start, window;
    amp_lease_block_t  *block;

    window = amp_lease_window(lease->unit, lease->burst);

    for (i = AMP_LEASE_BLOCKS; i != 0 && n == 0; i--) {
        block = &lease->blocks[i - 1];

        n = amp_lease_units(lease, block, lease->redis, lease->redis + window,
                            &start);
        n = (n < lease->waiting) ? n : lease->waiting;

        if (n != 0) {
            block->start = start + n * lease->unit;
            lease->aside = block->start;
            lease->owed = (uint32_t) n;
        }
    }

    lease->waiting = 0;
}


int
amp_lease_owes(const amp_lease_t *lease, uint64_t now, int waited)
{
    return waited && lease->owed != 0
           && now <= lease->received + AMP_LEASE_PACE;
}


void
amp_lease_regain(amp_lease_t *lease)
{
    unsigned            i;
    uint64_t            start;
    amp_lease_block_t  *blocks = lease->blocks;

    start = lease->aside - lease->owed * lease->unit;

    if (lease->owed == 0) {
        return;
    }

    lease->owed = 0;

    for (i = 0; i < AMP_LEASE_BLOCKS; i++) {
        if (blocks[i].start == lease->aside) {
            blocks[i].start = start;
            return;
        }
    }

    if (blocks[AMP_LEASE_BLOCKS - 1].start == blocks[AMP_LEASE_BLOCKS - 1].end) {
        memmove(&blocks[1], &blocks[0],
                (AMP_LEASE_BLOCKS - 1) * sizeof(blocks[0]));
        blocks[0].start = start;
        blocks[0].end = lease->aside;
    }
}


int
amp_lease_let_go(amp_lease_t *lease, uint64_t now, amp_lease_ask_t *ask)
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
            block->start = block->end;
            return 1;
        }
    }

    return 0;
}


void
amp_lease_drop(amp_lease_t *lease)
{
    memset(lease->blocks, 0, sizeof(lease->blocks));
    lease->size = 0;
    lease->owed = 0;
}
