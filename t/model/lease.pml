/*
 * lease.lua and its gateways when another server of Redis has the state: what
 * the promise of amp_lease.h needs.  t/model.t checks it exhaustively.
 *
 * Time goes in units (T is 1), from 0 to END.  A limit has a burst of BURST.
 * The server's replica is some calls behind, and becomes the server once.
 * Replies get lost; a gateway asks and spends at any moment.  monitor is one
 * bucket over all that is admitted.
 *
 * Each of these breaks it, and has to be found:
 *   NO_TELLING   the new server goes on with the state that it has
 *   NO_EARNED    it grants all that its TAT allows before all have told
 *   NO_GIVEN     a TAT that is told later is not raised by what was granted
 *   NO_KEEPING   a gateway forgets the TAT of an answer
 *   NO_LAPSING   a gateway spends units that have lapsed
 */

#ifndef GATEWAYS
#define GATEWAYS  2
#endif

#ifndef BURST
#define BURST  2
#endif

#ifndef END
#define END  4
#endif

#define MAX(a, b)  ((a) > (b) -> (a) : (b))

byte now;
byte monitor;

/* the server */

byte tat;
byte replica;               /* what the replica has of tat                    */
bit  successor;           /* the replica has become the server              */
bool telling;
byte since;
byte given;
byte told;                  /* a bit for each gateway                         */

/* the gateways */

byte tail[GATEWAYS];        /* TAT that it knows                              */
byte first[GATEWAYS];       /* a block: from here ...                         */
byte end[GATEWAYS];         /* ... to here                                    */
bit  server[GATEWAYS];      /* that gave it                                   */

#define ALL  ((1 << GATEWAYS) - 1)


/* What lease.lua does for gateway g; n units are granted from start on. */

inline script(g)
{
    start = tat;

    if
    :: telling && !(told & (1 << g)) ->
#ifdef NO_GIVEN
        tat = MAX(tat, tail[g]);
#else
        tat = MAX(tat, tail[g] + given);
#endif
        told = told | (1 << g);
    :: else
    fi;

    if
    :: told == ALL -> telling = false
    :: else
    fi;

    start = MAX(tat, now);
    room = (now + BURST > start -> now + BURST - start : 0);

#ifndef NO_EARNED
    if
    :: telling && room > now - since - given -> room = now - since - given
    :: else
    fi;
#endif

    n = 0;

    do
    :: n < room -> n++
    :: break
    od;

    tat = start + n;

    if
    :: telling -> given = given + n
    :: else
    fi
}


proctype gateway(byte g)
{
    byte  n, room, start;

    do
    :: atomic {                                     /* a call                 */
        now < END ->
        script(g);

        if
        :: true                                     /* the reply is lost      */
        :: true ->
#ifndef NO_KEEPING
            tail[g] = tat;
#endif
            if
            :: server[g] == successor && end[g] == start -> end[g] = start + n
            :: else -> first[g] = start; end[g] = start + n
            fi;

            server[g] = successor
        fi;

        n = 0; room = 0; start = 0
    }

    :: atomic {                                     /* a request              */
#ifdef NO_LAPSING
        first[g] < end[g] && first[g] < now + BURST ->
#else
        MAX(first[g], now) < end[g] && MAX(first[g], now) < now + BURST ->
        first[g] = MAX(first[g], now);
#endif
        first[g] = first[g] + 1;
        monitor = MAX(monitor, now) + 1;
        assert(monitor <= now + BURST)
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
    }

    do
    :: atomic { now < END -> now++ }
    :: atomic { replica != tat && !successor -> replica = tat }

    :: atomic {                                     /* a fail-over            */
        !successor && now > 0 && now < END ->
        successor = 1;
        tat = replica;
        since = now;
#ifndef NO_TELLING
        telling = true
#endif
    }

    :: now == END -> break
    od
}
