/*
 * lease.lua and the wallets of its gateways: what the promise of amp_lease.h
 * needs.  t/model.t checks it exhaustively.
 *
 * Time goes in units (T is 1), from 0 to END.  A limit has a burst of BURST, of
 * which HELD units are those of wallets and the pool.  What a call gets of the
 * time line is spent at once: blocks are in lease.pml.  With REACH a gateway may
 * get one unit more, of so many beyond what may be spent; it spends that unit
 * later, or hands it back.  A reply gets lost, or
 * the call is given up, and Redis gets it later, or never.  With FAIL_OVER the
 * server's replica is some calls behind, and becomes the server once.  monitor
 * is one bucket over all that is admitted.
 *
 * Each of these breaks it, and has to be found:
 *   NO_WINDOW    the time line has the whole burst
 *   NO_LIMIT     what wallets have is not subtracted from the pool
 *   NO_ANSWERED  a call that does not know the last answer is believed
 *   NO_DEBT      a unit of a wallet counts as spent since the last call
 *   NO_POOL      a new server is not told what was in the pool
 *   NO_LINE      a unit that goes from the time line into a wallet stays there
 * With REACH this, too:
 *   ANY_PLACE    a unit that is handed back may be spent at once
 */

#ifndef GATEWAYS
#define GATEWAYS  2
#endif

#ifndef BURST
#define BURST  2
#endif

#ifndef HELD
#define HELD  1
#endif

#ifndef CALLS                    /* executed, at most                          */
#define CALLS  4
#endif

#ifndef END
#define END  4
#endif

#ifndef REACH
#define REACH  0
#endif

#define MAX(a, b)    ((a) > (b) -> (a) : (b))
#define MIN(a, b)    ((a) < (b) -> (a) : (b))
#define LESS(a, b)   ((a) > (b) -> (a) - (b) : 0)
#define TAKEN(g)     (filled[g] - wallet[g])
#ifdef NO_DEBT
#define FREED(g)     TAKEN(g)
#else
#define FREED(g)     LESS(TAKEN(g), LESS(debt[g], now))
#endif
#define ALL          ((1 << GATEWAYS) - 1)
#define UNKNOWN      255

#ifdef NO_WINDOW
#define WINDOW  BURST
#else
#define WINDOW  (BURST - HELD)
#endif

#ifdef NO_LIMIT
#define ROOM  HELD
#else
#define ROOM  LESS(HELD, server.lent)
#endif

typedef state_t {
    byte  at;
    byte  tat;
    byte  pool;
    byte  lent;                 /* units in all wallets                       */
    byte  wallet[GATEWAYS];     /* that may be in each                        */
    byte  seen[GATEWAYS];       /* the call that said so                      */
};

typedef call_t {
    bit   sent;
    byte  wallet;
    byte  answered;             /* the last call that has an answer           */
    byte  freed;                /* units that time can have put back          */
};

byte now;
byte monitor;
byte calls;

state_t server;
state_t replica;
byte    copied;                 /* calls that the replica has             */
bit     successor;              /* the replica has become the server          */
bool    telling;
byte    since;
byte    given;
byte    told;                   /* a bit for each gateway                     */

byte    wallet[GATEWAYS];
byte    answered[GATEWAYS];
byte    filled[GATEWAYS];       /* the wallet after that answer               */
byte    debt[GATEWAYS];         /* TAT of what was spent since then           */
byte    hand[GATEWAYS];         /* 1 + the place of a unit that it holds      */
byte    tail[GATEWAYS];         /* TAT of the last answer                     */
byte    pooled[GATEWAYS];       /* the pool of it                             */
byte    rest[GATEWAYS];         /* and how large that could be                */
call_t  late[GATEWAYS];         /* one that was given up                      */


inline admit(n)
{
    monitor = MAX(monitor, now) + n;
    assert(n == 0 || monitor <= now + BURST)
}


/* A unit at a place comes back, now if that is the end of the time line. */

inline hand_back(place)
{
    idle = (telling -> 0 : LESS(now, MAX(server.at, server.tat)));
    server.pool = MIN(server.pool + idle, ROOM);
    server.tat = MAX(server.tat, now);
    server.at = now;

    if
    :: telling || place < now
    :: else ->
        if
        :: server.tat == place + 1 -> server.tat = place
        :: else ->
            if
#ifndef ANY_PLACE
            :: place >= now + WINDOW
#endif
            :: else -> server.pool = MIN(server.pool + 1, ROOM)
            fi
        fi
    fi;

    calls++
}


/*
 * What lease.lua does for a call of gateway g: taken units for requests that
 * wait, more units for its wallet.
 */

inline script(g, my_wallet, my_answer, my_freed)
{
    idle = (telling -> 0 : LESS(now, MAX(server.at, server.tat)));

    if
    :: telling && !(told & (1 << g)) ->
        x = HELD + server.tat - server.pool;

        if
        :: answered[g] ->
            room = pooled[g] + MIN(LESS(now, tail[g]),
                                   LESS(rest[g], pooled[g]) + my_freed);
            tail[g] = MAX(tail[g], now);
            server.tat = MAX(server.tat, tail[g] + given);
#ifndef NO_POOL
            x = MAX(x, HELD + tail[g] - room + given)
#endif
        :: else
        fi;

        server.pool = LESS(HELD + server.tat, x);
        told = told | (1 << g);
    :: else
    fi;

    x = MIN(idle, LESS(ROOM, server.pool));
    server.pool = MIN(server.pool + x, ROOM);
    idle = idle - x;

    more = my_wallet;
#ifndef NO_ANSWERED
    if
    :: server.wallet[g] > 0 && server.seen[g] != my_answer ->
        more = MAX(more, server.wallet[g])
    :: else
    fi;
#endif
    server.lent = server.lent - server.wallet[g] + more;
    server.wallet[g] = more;
    server.pool = MIN(server.pool + MIN(idle, my_freed), ROOM);

    server.tat = MAX(server.tat, now);
    server.at = now;
    more = 0;

    if
    :: told == ALL -> telling = false
    :: else
    fi;

    room = LESS(now + WINDOW, server.tat);

    if
    :: telling -> room = MIN(room, LESS(now - since, given))
    :: else
    fi;

    do
    :: room > 0 ->                                  /* waits: from the line   */
        taken++;
        room--;
        server.tat++;
        given = given + telling
    :: !telling && server.pool > 0 ->               /* or from the pool       */
        taken++;
        server.pool--
    :: !telling && server.pool > 0 && server.lent < HELD ->
        server.pool--;
        server.lent++;
        more++
    :: !telling && room > 0 && server.lent < HELD ->
#ifndef NO_LINE
        room--;
        server.tat++;
#endif
        server.lent++;
        more++
    :: break
    od;

    server.wallet[g] = server.wallet[g] + more;
    server.pool = MIN(server.pool, ROOM);

    place = 0;

    if
    :: REACH > 0 && !telling && server.tat < now + WINDOW + REACH ->
        place = server.tat + 1;
        server.tat++
    :: true
    fi;

    calls++;
    server.seen[g] = calls
}


inline forget(c)
{
    c.sent = 0;
    c.wallet = 0;
    c.answered = 0;
    c.freed = 0
}


proctype gateway(byte g)
{
    byte  freed, idle, more, place, room, taken, x;

    do
    :: atomic {                                     /* a call                 */
        now < END && calls < CALLS ->
        freed = FREED(g);
        script(g, wallet[g], answered[g], freed);

        if
        :: true                                     /* the reply is lost      */
        :: true ->
            admit(taken);
            wallet[g] = wallet[g] + more;
            hand[g] = (place -> place : hand[g]);
            filled[g] = wallet[g];
            debt[g] = 0;
            answered[g] = calls;
            tail[g] = server.tat;
            pooled[g] = server.pool;
            rest[g] = ROOM
        fi;

        freed = 0; idle = 0; more = 0; place = 0; room = 0; taken = 0; x = 0
    }

    :: atomic {                                     /* one that is given up   */
        now < END && !late[g].sent ->
        late[g].sent = 1;
        late[g].wallet = wallet[g];
        late[g].answered = answered[g];
        late[g].freed = FREED(g)
    }

    :: atomic {                                     /* and nobody waits       */
        now < END && late[g].sent && calls < CALLS ->
        script(g, late[g].wallet, late[g].answered, late[g].freed);
        forget(late[g]);
        idle = 0; more = 0; place = 0; room = 0; taken = 0; x = 0
    }

    :: atomic {                                     /* a unit comes back, or
                                                       the call is lost       */
        now < END && calls < CALLS && hand[g] ->

        if
        :: hand_back(hand[g] - 1)
        :: true
        fi;

        hand[g] = 0;
        idle = 0
    }

    :: atomic {                                     /* or is spent            */
        now < END && hand[g] > now && hand[g] <= now + WINDOW ->
        hand[g] = 0;
        admit(1)
    }

    :: atomic {                                     /* a request              */
        now < END && wallet[g] > 0 ->
        wallet[g]--;
        debt[g] = MAX(debt[g], now) + 1;
        admit(1)
    }

    :: now == END -> break
    od
}


inline copy(to, from)
{
    to.at = from.at;
    to.tat = from.tat;
    to.pool = from.pool;
    to.lent = from.lent;

    for (i : 0 .. GATEWAYS - 1) {
        to.wallet[i] = from.wallet[i];
        to.seen[i] = from.seen[i]
    }

    i = 0
}


init
{
    byte  i;

    atomic {
        server.pool = HELD;
        replica.pool = HELD;

        for (i : 0 .. GATEWAYS - 1) {
            run gateway(i)
        }

        i = 0
    }

    do
    :: atomic { now < END -> now++ }

#ifdef FAIL_OVER
    :: atomic { !successor && copied != calls ->
        copy(replica, server);
        copied = calls
    }

    :: atomic {                                     /* a fail-over            */
        !successor && now > 0 && now < END ->
        successor = 1;
        copy(server, replica);
        since = now;
        telling = true;

        for (i : 0 .. GATEWAYS - 1) {
            server.seen[i] = UNKNOWN;
            forget(late[i])
        }

        i = 0
    }
#endif

    :: now == END -> break
    od
}
