/* Tenants that share a limit: each gets its part, and all of them no more. */

#include "lease_one.h"
#include "../../src/core/amp_share.h"


#define TENANTS  4


typedef struct {
    amp_lease_t         lease;
    amp_shares_t        shares;
    amp_share_t         parts[TENANTS];
    unsigned            waiting[TENANTS];   /* requests that asked            */
    uint64_t            sent;               /* of the call, 0: none           */
    amp_lease_answer_t  answer;             /* ... to it                      */
} sharing_t;


typedef struct {
    server_t    redis;
    amp_rate_t  rate;
    uint64_t    now;
    uint64_t    begin;
    sharing_t   gateways[2];
    unsigned    got[TENANTS];
    unsigned    late[TENANTS];              /* refused after the first second */
    unsigned    calls;
} shared_t;


/* A call that reaches Redis after 200 us; its answer takes 200 us. */

static void
call(shared_t *s, int me)
{
    sharing_t        *g = &s->gateways[me];
    amp_lease_ask_t   ask;

    if (g->sent != 0 || !amp_lease_due(&g->lease, &s->rate, s->now)) {
        return;
    }

    g->sent = s->now;
    s->calls++;
    amp_lease_ask(&g->lease, &s->rate, s->now, TIMEOUT, &ask);
    server_call(&s->redis, &ask, me, 0, 0, 0,
                1763000000e6 + (double) ((s->now + MS / 5) / 1000), &g->answer);
}


/* A request, or one that waited: 0 when it has to wait for a call. */

static int
request(shared_t *s, int me, unsigned tenant, int waited)
{
    uint64_t          wait;
    sharing_t        *g = &s->gateways[me];
    amp_lease_e       rc;
    amp_share_look_t  look;

    amp_share_look(&g->shares, &g->parts[tenant], &s->rate, g->lease.gateways,
                   s->now, &look);
    amp_lease_keep(&g->lease, look.keep, look.leave);

    rc = amp_lease_look(&g->lease, &s->rate, s->now, waited, &wait);

    if (rc == AMP_LEASE_ADMIT) {
        amp_lease_spend(&g->lease, &s->rate, s->now, waited);
        amp_share_spend(&g->shares, &g->parts[tenant], &look, s->now);
        s->got[tenant]++;

    } else if (rc == AMP_LEASE_REFUSE) {
        s->late[tenant] += (s->now > s->begin + SECOND);
    }

    call(s, me);

    return rc != AMP_LEASE_ASK;
}


/* The answer of a call, when it is there: who waited looks again. */

static void
answer(shared_t *s, int me)
{
    unsigned    i, n, again[TENANTS];
    uint64_t    sent;
    sharing_t  *g = &s->gateways[me];

    if (g->sent == 0 || s->now < g->sent + 2 * MS / 5) {
        return;
    }

    sent = g->sent;
    g->sent = 0;
    assert_int_equal(amp_lease_answer(&g->lease, &g->answer, sent, s->now), 0);

    memcpy(again, g->waiting, sizeof(again));
    memset(g->waiting, 0, sizeof(g->waiting));

    for (i = 0; i < TENANTS; i++) {
        for (n = 0; n < again[i]; n++) {
            g->waiting[i] += !request(s, me, i, 1);
        }
    }
}


/*
 * Each tenant sends a request each so many ms, for so many seconds; 0: none.
 * With two gateways the requests of each go to both in turns.
 */

static void
run(shared_t *s, const char *rate, uint32_t burst, unsigned many,
    const unsigned every[TENANTS], unsigned seconds)
{
    int       me;
    double    most;
    unsigned  i, all, turn[TENANTS] = { 0 };
    uint64_t  next[TENANTS];

    memset(s, 0, sizeof(*s));
    assert_int_equal(amp_rate_parse(amp_span_make(rate, strlen(rate)),
                                    &s->rate), 0);
    s->rate.burst = burst;
    s->now = 77 * SECOND;
    s->begin = s->now;

    for (i = 0; i < TENANTS; i++) {
        next[i] = s->begin + i * MS;
    }

    for ( /* void */ ; s->now < s->begin + seconds * SECOND; s->now += MS / 10)
    {
        for (me = 0; me < (int) many; me++) {
            answer(s, me);
            call(s, me);
        }

        for (i = 0; i < TENANTS; i++) {
            if (every[i] != 0 && s->now >= next[i]) {
                me = (int) (turn[i]++ % many);
                next[i] += every[i] * MS;
                s->gateways[me].waiting[i] += !request(s, me, i, 0);
            }
        }
    }

    for (i = 0, all = 0; i < TENANTS; i++) {
        all += s->got[i];
    }

    most = (double) (s->now - s->begin) / (double) amp_rate_interval(&s->rate)
           + burst;

    assert_true(all <= most);
    assert_true(all >= 0.9 * (most - burst));
    assert_true(s->calls <= many * (20 * (seconds + 1) + 8));
}


static void
a_greedy_tenant_stops_no_other(void **state)
{
    size_t    i;
    shared_t  s;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        unsigned     every[TENANTS];    /* the first one is greedy            */
    } cases[] = {
        { "50/s", 40, { 1, 100, 0, 0 } },
        { "50/s", 40, { 1, 100, 100, 200 } },
        { "50/s", 500, { 1, 50, 0, 0 } },
        { "200/s", 40, { 1, 20, 0, 0 } },
        { "10/s", 8, { 2, 500, 0, 0 } },
        { "600/m", 600, { 1, 500, 500, 0 } },
    };

    for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        run(&s, cases[i / 2].rate, cases[i / 2].burst, (unsigned) i % 2 + 1,
            cases[i / 2].every, 20);

        assert_int_equal(s.late[1], 0);
        assert_int_equal(s.late[2], 0);
        assert_int_equal(s.late[3], 0);
    }
}


/* Of several that want more than there is each has its part. */

static void
greedy_tenants_have_their_parts(void **state)
{
    shared_t  s;
    unsigned  i;

    static const unsigned  every[TENANTS] = { 1, 2, 5, 0 };

    run(&s, "60/s", 40, 1, every, 20);

    for (i = 0; i < 3; i++) {
        assert_true(s.got[i] >= 0.9 * 20 * 60 / 3);
    }

    run(&s, "60/s", 40, 2, every, 20);

    for (i = 0; i < 3; i++) {
        assert_true(s.got[i] >= 0.8 * 20 * 60 / 3);
    }
}


/*
 * What some leave of their parts, the others share max-min: beside the first
 * one, which asks for all, each has nearly what is fair, counted from the first
 * second on.
 */

static void
what_is_left_is_shared_max_min(void **state)
{
    size_t    i;
    double    fair;
    shared_t  s;
    unsigned  t;

    static const struct {
        const char  *rate;
        uint32_t     burst;
        unsigned     every[TENANTS];
        unsigned     fair[TENANTS];     /* units in ten seconds               */
        double       least;             /* what it has of that                */
    } cases[] = {
        { "100/s", 100, { 1, 20, 100, 0 }, { 450, 450, 100, 0 }, 0.9 },
        { "100/s", 100, { 1, 25, 100, 0 }, { 500, 400, 100, 0 }, 0.9 },
        { "100/s", 100, { 1, 2, 50, 200 }, { 375, 375, 200, 50 }, 0.9 },
        { "200/s", 100, { 1, 14, 25, 50 }, { 700, 700, 400, 200 }, 0.9 },
        { "6000/m", 200, { 1, 25, 25, 50 }, { 267, 267, 267, 200 }, 0.9 },
        { "30/s", 60, { 1, 90, 1000, 1000 }, { 169, 111, 10, 10 }, 0.85 },
        { "60/s", 120, { 1, 45, 500, 500 }, { 338, 222, 20, 20 }, 0.9 },
    };

    for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        run(&s, cases[i / 2].rate, cases[i / 2].burst, (unsigned) i % 2 + 1,
            cases[i / 2].every, 60);

        for (t = 1; t < TENANTS; t++) {
            fair = 6 * cases[i / 2].fair[t];
            assert_true(s.got[t] >= cases[i / 2].least * fair);
        }
    }
}


/* Alone a tenant has the whole burst, again when the others do not ask. */

static void
alone_nothing_is_kept(void **state)
{
    uint64_t          now = 77 * SECOND;
    amp_rate_t        rate = { 50, 1, 40 };
    amp_share_t       parts[2];
    amp_shares_t      shares;
    amp_share_look_t  look;

    memset(&shares, 0, sizeof(shares));
    memset(parts, 0, sizeof(parts));

    amp_share_look(&shares, &parts[0], &rate, 1, now, &look);
    assert_int_equal(look.keep, 0);
    assert_int_equal(look.leave, 0);
    amp_share_spend(&shares, &parts[0], &look, now);
    assert_true(parts[0].tat == 0);

    amp_share_look(&shares, &parts[1], &rate, 1, now, &look);
    assert_int_equal(look.keep, 10);
    assert_int_equal(look.leave, 0);
    assert_true(look.unit == 2 * amp_rate_interval(&rate));

    now += amp_share_period(&rate, 1);
    amp_share_look(&shares, &parts[0], &rate, 1, now, &look);
    assert_int_equal(look.keep, 10);

    now += amp_share_period(&rate, 1);
    amp_share_look(&shares, &parts[0], &rate, 1, now, &look);
    assert_int_equal(look.keep, 0);

    /* the limit's state was evicted, the tenant's was not */

    now++;
    memset(&shares, 0, sizeof(shares));
    amp_share_look(&shares, &parts[0], &rate, 1, now, &look);
    assert_int_equal(look.keep, 0);
    assert_int_equal(look.leave, 0);
    amp_share_look(&shares, &parts[1], &rate, 1, now, &look);
    assert_int_equal(look.keep, 10);

    /* a burst below two for each gateway */

    rate.burst = 3;
    amp_share_look(&shares, &parts[1], &rate, 2, now, &look);
    assert_int_equal(look.keep, 0);
    rate.burst = 4;
    amp_share_look(&shares, &parts[1], &rate, 2, now, &look);
    assert_int_equal(look.keep, 1);
}


/* As many units at once as are kept, then no more than its part of the rate. */

static void
a_part_is_a_part(void **state)
{
    unsigned          n;
    uint64_t          now, end = 87 * SECOND;
    amp_rate_t        rate = { 50, 1, 80 };
    amp_share_t       parts[2];
    amp_shares_t      shares;
    amp_share_look_t  look;

    memset(&shares, 0, sizeof(shares));
    memset(parts, 0, sizeof(parts));

    for (n = 0, now = 77 * SECOND; now < end; now += MS) {
        amp_share_look(&shares, &parts[1], &rate, 1, now, &look);
        amp_share_look(&shares, &parts[0], &rate, 1, now, &look);
        n += (look.leave == 0);
        amp_share_spend(&shares, &parts[0], &look, now);
    }

    assert_true(n >= 250);
    assert_true(n <= 250 + 20 / 2);
}


static void
the_longest_units(void **state)
{
    size_t            i;
    amp_rate_t        rate = { 1, 86400, 10000000 };
    amp_share_t       parts[2];
    amp_shares_t      shares;
    amp_share_look_t  look;

    static const uint32_t  gateways[] = { 0, 1, 65535, UINT32_MAX };

    for (i = 0; i < sizeof(gateways) / sizeof(gateways[0]); i++) {
        memset(&shares, 0, sizeof(shares));
        memset(parts, 0, sizeof(parts));
        shares.tenants = UINT32_MAX - 1;
        shares.since = 77 * SECOND;

        amp_share_look(&shares, &parts[0], &rate, gateways[i], 77 * SECOND,
                       &look);
        assert_true(look.unit > 0 && look.unit <= UINT64_C(1) << 51);
        amp_share_spend(&shares, &parts[0], &look, 77 * SECOND);
        amp_share_look(&shares, &parts[0], &rate, gateways[i], 78 * SECOND,
                       &look);
        assert_int_equal(look.leave, look.keep);
        assert_true(amp_share_period(&rate, gateways[i]) <= 60 * SECOND);
    }

    rate.count = AMP_RATE_MAX;
    rate.period = 1;
    assert_true(amp_share_period(&rate, 1) == 4 * SECOND);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_greedy_tenant_stops_no_other),
        cmocka_unit_test(greedy_tenants_have_their_parts),
        cmocka_unit_test(what_is_left_is_shared_max_min),
        cmocka_unit_test(alone_nothing_is_kept),
        cmocka_unit_test(a_part_is_a_part),
        cmocka_unit_test(the_longest_units)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
