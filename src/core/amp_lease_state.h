/*
 * The state of one limit on one gateway (amp_lease.h), with the constants that
 * amp_lease.c, amp_lease_blocks.c and amp_lease_local.c share.
 */

#ifndef AMP_LEASE_STATE_H
#define AMP_LEASE_STATE_H


#include "amp_rate.h"


#define AMP_LEASE_SECOND   UINT64_C(1000000000)
#define AMP_LEASE_AHEAD    (AMP_LEASE_SECOND / 8)
#define AMP_LEASE_PACE     (AMP_LEASE_SECOND / 16)  /* between calls, of      */
#define AMP_LEASE_PACE_BURST  4                     /* which so many may begin
                                                       at once: at most 20 in
                                                       a second               */
#define AMP_LEASE_LIFE     (10 * AMP_LEASE_SECOND)
#define AMP_LEASE_KEEP     (60 * AMP_LEASE_SECOND)  /* units of an answer     */
#define AMP_LEASE_RETRY    (AMP_LEASE_SECOND / 4)   /* after a failed call    */
#define AMP_LEASE_UNUSED   (2 * AMP_LEASE_AHEAD)    /* without requests: scarce
                                                       units are handed back  */
#define AMP_LEASE_SPAN     (UINT64_C(1) << 51)      /* 26 days: a burst that
                                                       takes longer to refill
                                                       is reduced to that     */
#define AMP_LEASE_LATELY   (3 * AMP_LEASE_SECOND)   /* a gateway that called is
                                                       known to the script    */
#define AMP_LEASE_BLOCKS   9


typedef struct {
    uint64_t  start;
    uint64_t  end;              /* empty: start == end                        */
} amp_lease_block_t;


/* Not a lease alone: its blocks, its calls, and what is counted for them. */

typedef struct {
    amp_lease_block_t  blocks[AMP_LEASE_BLOCKS];    /* the older first        */
    uint64_t           unit;        /* T of the blocks, and of the last call  */
    uint64_t           redis;       /* R of the last answer; 0: none so far   */
    uint64_t           received;    /* when that answer came, monotonic       */
    uint64_t           tail;        /* TAT after the last answer, Redis time  */
    uint64_t           reserved_end;    /* end of the reserved units          */
    uint64_t           local;       /* TAT without Redis, monotonic; 0: none  */
    uint64_t           after;       /* no call before, monotonic              */
    uint64_t           calls;       /* GCRA of the calls, monotonic           */
    uint64_t           asked;       /* when the current call began, or 0      */
    uint64_t           lost;        /* when it is taken for lost, monotonic   */
    uint64_t           counted;     /* since when count counts, monotonic     */
    uint64_t           away;        /* when the first call failed since the
                                       last answer, monotonic                 */
    uint64_t           lag;         /* ns that TAT may have moved between that
                                       answer and that call                   */
    uint32_t           burst;       /* of the last call                       */
    uint32_t           delay;       /* received - sent, microseconds          */
    uint32_t           count;       /* requests since counted                 */
    uint32_t           demand;      /* requests a second, recently            */
    uint32_t           size;        /* units held after the last answer       */
    uint32_t           waiting;     /* requests that got ASK                  */
    uint32_t           reserved;    /* units for requests that waited         */
    uint32_t           gateways;    /* of the last answer                     */
    uint32_t           shares;      /* by which local was counted             */
    uint32_t           failed;      /* the last call failed                   */
    uint32_t           spent;       /* units spent without Redis since the
                                       current call began                     */
    uint32_t           server;      /* of the last answer                     */
    uint32_t           lapsed;      /* units that nobody spent in time, since
                                       amp_lease_lapsed(), ...                */
    uint64_t           lapse;       /* ... and a part of one, ns              */
    uint32_t           others;      /* how fast other gateways move TAT, in
                                       1024ths of the rate                    */
    uint32_t           keep;        /* amp_lease_keep()                       */
    uint32_t           leave;       /* ... for the request that looks next    */
    uint32_t           shared;      /* ... was called                         */
    uint32_t           wallet;      /* units in the wallet                    */
    uint32_t           filled;      /* ... after the last answer              */
    uint32_t           filling;     /* the last call asked for some           */
    uint32_t           drawn;       /* units from the pool for requests that
                                       waited, as reserved                    */
    uint32_t           lent;        /* units in all wallets, of the last answer
                                       */
    uint64_t           pool;        /* of the last answer, ns                 */
    uint64_t           debt;        /* TAT of the units that left the wallet
                                       since the last answer, monotonic, by a
                                       slow clock                             */
    uint64_t           fill_after;  /* no call only to fill the wallet before,
                                       monotonic                              */
} amp_lease_t;


/* What a call asks for.  wanted and fill 0: it only hands back. */

typedef struct {
    uint64_t  unit;             /* T                                          */
    uint64_t  window;           /* W                                          */
    uint64_t  reach;            /* how far beyond W places are useful         */
    uint64_t  tail;             /* the TAT from which back is subtracted      */
    uint64_t  back;             /* ns of the time line handed back            */
    uint64_t  charge;           /* ns of it spent without Redis               */
    uint64_t  resume;           /* 1 + how far TAT is ahead, as far as this
                                   gateway knows; 0: it has had no answer     */
    uint64_t  answered;         /* Redis time of that, microseconds           */
    uint64_t  age;              /* of that, at least, microseconds            */
    uint64_t  away;             /* since when calls fail, microseconds before
                                   now; 0: the last one was answered          */
    uint64_t  timeout;          /* of this call, microseconds                 */
    uint32_t  peers;            /* gateways of the last answer                */
    uint32_t  wanted;           /* units                                      */
    uint32_t  waiting;          /* ... of these for requests that wait        */
    uint32_t  most;             /* units of all wallets and the pool          */
    uint32_t  wallet;           /* in this gateway's                          */
    uint32_t  fill;             /* units wanted for it                        */
    uint64_t  pool;             /* what this gateway knows of it, ns          */
    uint64_t  freed;            /* what left the wallet since the last answer,
                                   as far as time can have put it back into the
                                   pool, ns                                   */
} amp_lease_ask_t;


#endif /* AMP_LEASE_STATE_H */
