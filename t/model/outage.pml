/*
 * lease.lua and its gateways when Redis was out of reach and comes back: each
 * gateway admits its share of rate and burst meanwhile, and the first call after
 * that reserves for each of the others what it may have admitted.  t/model.t
 * checks it exhaustively.
 *
 * Time goes by halves of a unit (T), which have a tick for each gateway, so that
 * shares are whole, from 0 to END.  A limit has a burst of BURST units.  Redis is out of reach once, for any time, at any
 * moment.  A gateway asks and spends at any moment, and admits without Redis
 * only after a call of its own has failed.  monitor is one bucket over all that
 * is admitted.
 *
 * Assumed: each gateway knows TAT when the outage begins (what it estimates of
 * the others is in docs/limits.md), and none is cut off alone: a call of each
 * fails in the outage.
 *
 * Each of these breaks it, and has to be found:
 *   NO_DIVIDING    a gateway admits the whole rate and burst without Redis
 *   NO_CHARGING    what it admitted is not charged
 *   NO_RESERVING   nothing of the bucket is reserved for those that did not call
 *   NO_RATE        ... and nothing of the rate
 */

#ifndef GATEWAYS
#define GATEWAYS  2
#endif

#ifndef BURST
#define BURST  2
#endif

#ifndef END
#define END  (4 * GATEWAYS)
#endif

#define T       (2 * GATEWAYS)
#define WINDOW  ((BURST - 1) * T)
#define MAX(a, b)  ((a) > (b) -> (a) : (b))

byte now;                   /* in ticks, as all times                         */
byte monitor;
bit  away;                  /* Redis is out of reach                          */
bit  was_away;

/* the server */

byte tat;
byte at;                    /* of the last call                               */
bit  thawed;                /* a gateway has called since the outage          */
byte missing;               /* gateways that have not                         */
byte reserved;              /* for each of them, ticks                        */
bit  called[GATEWAYS];      /* since the outage                               */

/* the gateways */

byte tail[GATEWAYS];        /* TAT of the last answer                         */
byte alone[GATEWAYS];       /* TAT without Redis                              */
byte spent[GATEWAYS];       /* units without Redis                            */
bit  failed[GATEWAYS];      /* the last call                                  */
byte first[GATEWAYS];       /* a block: from here ...                         */
byte end[GATEWAYS];         /* ... to here                                    */


#if GATEWAYS == 2
#define all_failed()  (failed[0] && failed[1])
#else
#define all_failed()  (failed[0] && failed[1] && failed[2])
#endif


inline admitted()
{
    monitor = MAX(monitor, now) + T;
    assert(monitor <= now + WINDOW + T)
}


/* What lease.lua does for gateway g; n units are granted from start on. */

inline script(g)
{
    start = MAX(tat, now);
    absent = missing;

    if
    :: missing > 0 && !called[g] -> missing--
    :: else
    fi;

    if
    :: failed[g] && !thawed ->
        thawed = 1;
        reserved = (start < now + WINDOW -> (now + WINDOW - start) / GATEWAYS
                                         : 0);
        missing = 0;

        for (i : 0 .. GATEWAYS - 1) {
            missing = missing + (i != g && !called[i])
        }
    :: else
    fi;

    if
    :: was_away && !away -> called[g] = 1
    :: else
    fi;

#ifndef NO_RATE
    start = start + (now - at) * absent / GATEWAYS;
#endif
#ifndef NO_CHARGING
    start = start + spent[g] * T;
#endif

#ifdef NO_RESERVING
    room = now + WINDOW + T;
#else
    room = now + WINDOW + T - missing * reserved;
#endif
    room = (room > start -> (room - start) / T : 0);
    n = 0;

    do
    :: n < room -> n++
    :: break
    od;

    tat = start + n * T;
    at = now
}


proctype gateway(byte g)
{
    byte  n, room, start, absent, i;

    do
    :: atomic {                                     /* a call                 */
        now < END && !away ->
        script(g);
        tail[g] = tat;
        alone[g] = 0;
        spent[g] = 0;
        failed[g] = 0;

        if
        :: end[g] == start -> end[g] = start + n * T
        :: else -> first[g] = start; end[g] = start + n * T
        fi;

        n = 0; room = 0; start = 0; absent = 0; i = 0
    }

    :: atomic { away && !failed[g] -> failed[g] = 1 }

    :: atomic {                                     /* a request              */
        MAX(first[g], now) + T <= end[g] && MAX(first[g], now) <= now + WINDOW ->
        first[g] = MAX(first[g], now) + T;
        admitted()
    }

    :: atomic {                                     /* ... without Redis      */
        failed[g] ->
        start = MAX(MAX(alone[g], tail[g]), now);

        if
#ifdef NO_DIVIDING
        :: start <= now + WINDOW ->
            alone[g] = start + T;
#else
        :: start <= now + (BURST / GATEWAYS - 1) * GATEWAYS * T ->
            alone[g] = start + GATEWAYS * T;
#endif
            spent[g]++;
            admitted()
        :: else
        fi;

        start = 0
    }

    :: now == END -> break
    od
}


init
{
    byte  g;

    atomic {
        for (g : 0 .. GATEWAYS - 1) {
            run gateway(g)
        }

        g = 0
    }

    do
    :: atomic { now < END -> now = now + GATEWAYS }

    :: atomic {                                     /* an outage begins       */
        !was_away ->
        away = 1;
        was_away = 1;

        for (g : 0 .. GATEWAYS - 1) {
            tail[g] = tat
        }

        g = 0
    }

    :: atomic { away && all_failed() -> away = 0 }

    :: now == END -> break
    od
}
