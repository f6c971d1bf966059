/* What Ampersand gives a project, learned from its 429s (core/amp_budget.h). */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "amp_budget.h"


#define MS       UINT64_C(1000000)
#define SECOND   (1000 * MS)
#define TENANTS  3
#define BEGIN    (77 * SECOND)


/* An account: so many requests in each window, or a token bucket. */

typedef struct {
    uint64_t  limit;
    uint64_t  window;           /* 0: a bucket of limit units, limit a second */
    uint64_t  since;
    double    used;
} account_t;


/* Its tenants at one gateway, each with a cool-down of its own. */

typedef struct {
    amp_budget_t  budget;
    amp_share_t   parts[TENANTS];
    account_t     account;
    uint64_t      every[TENANTS];       /* ns between its requests, 0: none   */
    uint64_t      next[TENANTS];
    uint64_t      cool[TENANTS];        /* until when                         */
    unsigned      got[TENANTS];
    unsigned      held[TENANTS];        /* by the budget                      */
    unsigned      refused[TENANTS];     /* by the account                     */
    uint64_t      learned;              /* when there was a budget, 0: never  */
    uint64_t      now;
    int           off;                  /* nobody holds to the budget         */
} world_t;


static void
in_range(uint64_t n, uint64_t low, uint64_t high)
{
    assert_true(n >= low && n <= high);
}


/* The seconds to wait, 0: it takes the request. */

static uint64_t
account(account_t *a, uint64_t now)
{
    if (a->window) {
        if (now - a->since >= a->window) {
            a->since = now - (now - a->since) % a->window;
            a->used = 0;
        }

        if (a->used < a->limit) {
            a->used++;
            return 0;
        }

        return (a->since + a->window - now + SECOND - 1) / SECOND;
    }

    a->used -= (double) (now - a->since) * a->limit / SECOND;
    a->used = a->used > 0 ? a->used : 0;
    a->since = now;

    if (a->used + 1 <= a->limit) {
        a->used++;
        return 0;
    }

    return 1;
}


static void
request(world_t *w, unsigned i)
{
    uint64_t          wait, seconds;
    amp_share_look_t  look;

    wait = amp_budget_look(&w->budget, &w->parts[i], w->now, &look);

    if (w->now < w->cool[i]) {
        return;
    }

    if (wait && !w->off) {
        w->held[i]++;
        return;
    }

    amp_budget_spend(&w->budget, &w->parts[i], &look, w->now);
    seconds = account(&w->account, w->now);

    if (seconds == 0) {
        amp_budget_answered(&w->budget);
        w->got[i]++;
        return;
    }

    w->refused[i]++;
    w->cool[i] = w->now + seconds * SECOND;

    if (amp_budget_refused(&w->budget, seconds * SECOND, w->now)) {
        w->learned = w->now;
    }
}


static void
run(world_t *w, uint64_t ns)
{
    unsigned  i;
    uint64_t  end;

    if (w->now == 0) {
        w->now = BEGIN;
        w->account.since = BEGIN;
    }

    for (end = w->now + ns; w->now < end; w->now += MS) {
        for (i = 0; i < TENANTS; i++) {
            if (w->every[i] && w->next[i] <= w->now) {
                w->next[i] = (w->next[i] ? w->next[i] : w->now) + w->every[i];
                request(w, i);
            }
        }
    }
}


/* Until there is a budget; the counts begin again. */

static void
learn(world_t *w)
{
    while (w->learned == 0) {
        run(w, 10 * MS);
        assert_true(w->now < BEGIN + 300 * SECOND);
    }

    memset(w->got, 0, sizeof(w->got));
    memset(w->held, 0, sizeof(w->held));
    memset(w->refused, 0, sizeof(w->refused));
}


/* Requests a second, times ten. */

static unsigned
rate(const amp_budget_t *b, uint64_t now)
{
    return (unsigned) (10 * SECOND / amp_budget_unit(b, now));
}


typedef struct {
    account_t  account;
    unsigned   rate;            /* what it gives, times ten                   */
    uint64_t   every[TENANTS];
} example_t;


static const example_t  examples[] = {
    { { 40, SECOND, 0, 0 }, 400, { 2 * MS, 200 * MS, 0 } },
    { { 40, SECOND, 0, 0 }, 400, { 2 * MS, 200 * MS, 2 * MS } },
    { { 40, 0, 0, 0 }, 400, { 2 * MS, 200 * MS, 0 } },
    { { 40, 0, 0, 0 }, 400, { 5 * MS, 150 * MS, 3 * MS } },
    { { 6, 0, 0, 0 }, 60, { 20 * MS, SECOND, 0 } },
    { { 600, 60 * SECOND, 0, 0 }, 100, { 2 * MS, 333 * MS, 0 } },
    { { 600, 60 * SECOND, 0, 0 }, 100, { 80 * MS, 333 * MS, 0 } },
    { { 10, 10 * SECOND, 0, 0 }, 10, { 20 * MS, 5 * SECOND, 0 } }
};


static void
begin(world_t *w, const example_t *e)
{
    memset(w, 0, sizeof(*w));

    w->account = e->account;
    memcpy(w->every, e->every, sizeof(w->every));
}


static void
what_is_learned(void **state)
{
    world_t   w;
    unsigned  i, part;

    (void) state;

    for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        begin(&w, &examples[i]);
        learn(&w);

        part = rate(&w.budget, w.now) * 100 / examples[i].rate;
        in_range(part, 78, 91);

        run(&w, 600 * SECOND);

        part = rate(&w.budget, w.now) * 100 / examples[i].rate;
        in_range(part, 70, 145);
    }
}


/*
 * Tenant 1 asks for less than its part.  After the hold in which the budget was
 * learned it gets all, for longer than ten seconds; without the budget far
 * less.
 */

static void
one_does_not_starve_another(void **state)
{
    world_t   w;
    uint64_t  begun;
    unsigned  i, asked, most;

    (void) state;

    for (i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        begin(&w, &examples[i]);
        learn(&w);
        run(&w, w.budget.hold_end + MS - w.now);

        begun = w.now;
        w.got[0] = w.got[1] = w.refused[0] = w.refused[1] = 0;
        run(&w, 15 * SECOND);

        asked = (unsigned) ((w.now - begun) / w.every[1]);
        in_range(w.got[1], asked - 1, asked + 1);
        assert_int_equal(w.refused[1], 0);
        assert_int_equal(w.refused[0] + w.refused[2], 0);

        /* who asks for more gets the rest */

        most = examples[i].rate * 15 / 10 - asked;
        in_range((w.got[0] + w.got[2]) * 100 / most, 75, 105);

        run(&w, 600 * SECOND);

        asked = (unsigned) ((w.now - begun) / w.every[1]);
        assert_int_equal(w.held[1], 0);
        in_range(w.got[1] * 100 / asked, 80, 100);

        most = (unsigned) ((w.now - begun) / SECOND) * examples[i].rate / 10
               - w.got[1];
        in_range((w.got[0] + w.got[2]) * 100 / most, 75, 102);
    }

    begin(&w, &examples[0]);
    w.off = 1;
    learn(&w);
    run(&w, 15 * SECOND);
    in_range(w.got[1], 0, 25);
}


/* Tenant 1 asks for half of its part, four requests at once. */

static void
bursts_within_a_part(void **state)
{
    world_t   w;
    unsigned  i, n;

    (void) state;

    begin(&w, &examples[0]);
    w.every[1] = 500 * MS;
    learn(&w);
    run(&w, w.budget.hold_end + MS - w.now);

    for (i = 0; i < 10; i++) {
        w.got[1] = 0;
        run(&w, 500 * MS);

        for (n = 0; n < 3; n++) {
            request(&w, 1);
        }

        assert_int_equal(w.got[1], 4);
    }

    assert_int_equal(w.held[1], 0);
}


/* Each of those that ask for more has as much as the other. */

static void
two_that_ask_for_more(void **state)
{
    world_t  w;

    (void) state;

    begin(&w, &examples[1]);
    learn(&w);
    run(&w, 60 * SECOND);
    in_range(w.got[0] * 100 / w.got[2], 50, 200);
    assert_true(w.got[2] > w.got[1]);

    /* ... however fast one of them asks */

    begin(&w, &examples[2]);
    w.every[0] = MS;
    w.every[2] = 45 * MS;
    learn(&w);
    run(&w, 60 * SECOND);
    in_range(w.got[1], 298, 300);
    in_range(w.got[2], 800, 1100);
}


static void
one_alone_is_not_refused(void **state)
{
    world_t  w;

    (void) state;

    begin(&w, &examples[0]);
    w.every[1] = 0;
    learn(&w);
    run(&w, 60 * SECOND);
    assert_int_equal(w.held[0], 0);
    assert_true(w.refused[0] > 20);

    /* what it took beyond the budget is no debt, when another one comes */

    w.every[1] = 200 * MS;
    w.next[1] = w.now;
    run(&w, 5 * SECOND);
    assert_true(w.held[0] > 0);
    assert_int_equal(w.held[1], 0);

    w.got[0] = 0;
    run(&w, 5 * SECOND);
    assert_true(w.got[0] > 5 * 25);
}


/* An upstream that always says "a second", whatever its window. */

static void
a_time_that_is_not_true(void **state)
{
    int           n;
    uint64_t      now, used;
    amp_budget_t  b;

    (void) state;

    memset(&b, 0, sizeof(b));
    used = 0;
    n = 0;

    /* 60 in a minute, and ten that come each second */

    for (now = BEGIN; now < BEGIN + 600 * SECOND; now += SECOND / 10) {
        used = ((now - BEGIN) % (60 * SECOND)) ? used : 0;

        if (used < 60) {
            used++;
            amp_budget_answered(&b);

        } else if (now >= b.hold_end) {
            n += amp_budget_refused(&b, SECOND, now);
        }
    }

    assert_int_equal(n, 1);
    in_range(rate(&b, now), 7, 10);
}


static void
answers(amp_budget_t *b, unsigned n)
{
    while (n--) {
        amp_budget_answered(b);
    }
}


static void
which_429_are_samples(void **state)
{
    uint64_t      now;
    amp_budget_t  b;

    (void) state;

    memset(&b, 0, sizeof(b));
    now = BEGIN;

    assert_int_equal(amp_budget_refused(&b, 2 * SECOND, now), 0);
    assert_true(amp_budget_unit(&b, now) == 0);

    /* in flight together */

    answers(&b, 20);
    assert_int_equal(amp_budget_refused(&b, 9 * SECOND, now + SECOND), 0);
    assert_true(b.hold_end == now + 2 * SECOND);

    now += 4 * SECOND;
    assert_int_equal(amp_budget_refused(&b, 0, now), 1);
    assert_true(amp_budget_unit(&b, now) == 150 * MS / 9 * 10);

    /* seven say nothing, but count */

    answers(&b, AMP_BUDGET_REQUESTS - 1);
    now += 2 * SECOND;
    assert_int_equal(amp_budget_refused(&b, SECOND, now), 0);
    assert_true(amp_budget_unit(&b, now) < 150 * MS / 9 * 10);

    answers(&b, 1);
    now += 2 * SECOND;
    assert_int_equal(amp_budget_refused(&b, SECOND, now), 0);
    assert_true(amp_budget_unit(&b, now) == 500 * MS / 9 * 10);

    /* one that comes late begins anew; the budget stays as it is then */

    answers(&b, 1000);
    now = b.hold_end + AMP_BUDGET_LATE + 1;
    assert_int_equal(amp_budget_refused(&b, SECOND, now), 0);
    assert_true(b.count == 0);
    assert_true(amp_budget_unit(&b, now) < 500 * MS / 9 * 10);
    assert_true(amp_budget_unit(&b, now) > 500 * MS / 2);
}


static void
growth_and_end(void **state)
{
    uint64_t          now;
    amp_share_t       part;
    amp_budget_t      b;
    amp_share_look_t  look;

    (void) state;

    memset(&b, 0, sizeof(b));
    memset(&part, 0, sizeof(part));

    now = BEGIN;
    (void) amp_budget_refused(&b, SECOND, now);
    answers(&b, 90);
    now += SECOND;
    assert_int_equal(amp_budget_refused(&b, 60 * SECOND, now), 1);
    in_range(rate(&b, now), 13, 14);

    /* not while it holds, then a hundredth of it a second */

    assert_true(amp_budget_unit(&b, now + 60 * SECOND) == b.unit);
    now += 60 * SECOND;
    assert_true(amp_budget_unit(&b, now + 50 * SECOND) == b.unit * 10 / 15);
    assert_true(amp_budget_unit(&b, now + 100 * SECOND) == b.unit / 2);

    now += AMP_BUDGET_LIFE;
    assert_int_equal(amp_budget_over(&b, now), 0);
    assert_true(amp_budget_unit(&b, now) == b.unit / 7);

    now += 1;
    assert_int_equal(amp_budget_over(&b, now), 1);
    assert_true(amp_budget_unit(&b, now) == 0);
    assert_true(amp_budget_look(&b, &part, now, &look) == 0);
    assert_true(look.unit == 0);
    amp_budget_spend(&b, &part, &look, now);
    assert_true(part.tat == 0);

    /* the next one is a first one */

    assert_int_equal(amp_budget_refused(&b, SECOND, now), 0);
    assert_true(b.count == 0 && b.unit == 0);
}


/* No number overflows, and there is no division by 0. */

static void
extremes(void **state)
{
    unsigned          i;
    uint64_t          now, wait;
    amp_share_t       parts[2];
    amp_budget_t      b;
    amp_share_look_t  look;

    static const uint64_t  counts[] = { 8, 1000000, UINT64_C(1) << 40 };
    static const uint64_t  holds[] = { 0, SECOND, 86400 * SECOND };

    (void) state;

    for (i = 0; i < 9; i++) {
        memset(&b, 0, sizeof(b));
        memset(parts, 0, sizeof(parts));

        now = BEGIN;
        (void) amp_budget_refused(&b, holds[i % 3], now);
        b.count = counts[i / 3];
        now = b.hold_end;
        assert_int_equal(amp_budget_refused(&b, holds[i % 3], now), 1);

        for (now = b.hold_end; amp_budget_unit(&b, now); now += 7 * SECOND) {
            (void) amp_budget_look(&b, &parts[1], now, &look);
            (void) amp_budget_look(&b, &parts[0], now, &look);
            amp_budget_spend(&b, &parts[0], &look, now);

            wait = amp_budget_look(&b, &parts[0], now, &look);
            assert_true(look.unit != 0);
            assert_true(wait < 5 * 3600 * SECOND);
            assert_true(amp_budget_look(&b, &parts[0], now + wait, &look)
                        == 0);
        }

        assert_int_equal(amp_budget_over(&b, now), 1);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(what_is_learned),
        cmocka_unit_test(one_does_not_starve_another),
        cmocka_unit_test(bursts_within_a_part),
        cmocka_unit_test(two_that_ask_for_more),
        cmocka_unit_test(one_alone_is_not_refused),
        cmocka_unit_test(a_time_that_is_not_true),
        cmocka_unit_test(which_429_are_samples),
        cmocka_unit_test(growth_and_end),
        cmocka_unit_test(extremes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
