/*
 * What Ampersand gives a project, as its 429s show it, and how the project's
 * tenants share that; on one gateway.
 *
 * Tenants of a project share one account.  When one of them asks for more than
 * the account gives, all of them get 429s.  A 429 that names a time is a
 * sample: at this moment the account had nothing left.  Between two samples
 * Ampersand has taken what the account gives in that time.  So the requests
 * that it took, all but those that it answered with 429, divided by the time
 * are its rate.
 *
 *   first 429      begins to count
 *   within a hold  no sample: the hold of a 429 is the time that it names, at
 *                  least a second.  Requests that were in flight together get
 *                  429s together
 *   later 429      the estimate, from at least 8 requests; with fewer they are
 *                  counted on.  One that comes more than a minute after the
 *                  last hold begins to count anew: the account was not used up
 *                  in the meantime, and the estimate would be too small
 *
 * The time is that between the ends of the two holds: for a window of L
 * requests in W it is a multiple of W, whenever in a window the 429s come; for
 * a token bucket it is as long as that between the 429s.
 *
 * The budget is nine tenths of the last estimate.  It grows by a hundredth of
 * that a second until the next 429, since Ampersand's limit may have grown; and
 * is forgotten ten minutes after the end of the last hold.
 *
 * It is a bucket of a second's worth, at least 2, half full at the end of a
 * hold.  The tenants that ask share it as they share a limit of twice that
 * burst, see amp_share.h: a request within its tenant's part is not refused,
 * another one has to leave what is kept, half of the bucket at most.  Where one
 * tenant asks alone nothing is refused.
 *
 * The caller locks; zeroed states are new ones.  Times are monotonic, ns.
 */

#ifndef AMP_BUDGET_H
#define AMP_BUDGET_H


#include "amp_share.h"


#define AMP_BUDGET_SECOND    UINT64_C(1000000000)
#define AMP_BUDGET_REQUESTS  8          /* fewer say nothing                  */
#define AMP_BUDGET_LATE      (60 * AMP_BUDGET_SECOND)   /* after a hold       */
#define AMP_BUDGET_LIFE      (600 * AMP_BUDGET_SECOND)  /* the same           */


/* Of a project. */

typedef struct {
    uint64_t      since;        /* the end of the hold of the 429 with which
                                   it began to count; 0: none                 */
    uint64_t      count;        /* requests that Ampersand took since that 429
                                                                              */
    uint64_t      hold_end;     /* of the last hold                           */
    uint64_t      unit;         /* ns of a request when the budget was
                                   learned; 0: there is no budget             */
    uint64_t      learned;      /* since when it grows                        */
    uint64_t      tat;          /* until when the bucket's units are taken    */
    amp_shares_t  shares;
} amp_budget_t;


/* Ampersand has answered a request, and not with 429. */

static inline void
amp_budget_answered(amp_budget_t *b)
{
    b->count++;
}


/*
 * Ampersand has answered 429, and named a time: hold, ns.  1: there is a budget
 * now, and there was none.
 */

int amp_budget_refused(amp_budget_t *b, uint64_t hold, uint64_t now);

/* 1: so long after the last 429 the state says nothing any more. */

int amp_budget_over(const amp_budget_t *b, uint64_t now);

/* The ns of a request at this moment; 0: there is no budget. */

uint64_t amp_budget_unit(const amp_budget_t *b, uint64_t now);

/*
 * May a request of this tenant be sent?  0, or the ns until there may be a unit
 * for it.  Fills *look; look->unit is 0 where there is no budget.  The tenant
 * counts as one that asks, in any case.
 */

uint64_t amp_budget_look(amp_budget_t *b, amp_share_t *share, uint64_t now,
    amp_share_look_t *look);

/* The request that was looked at is sent. */

void amp_budget_spend(amp_budget_t *b, amp_share_t *share,
    const amp_share_look_t *look, uint64_t now);


#endif /* AMP_BUDGET_H */
