/*
 * What an answer says of its freshness: Cache-Control, Expires and Age (RFC
 * 9111, sections 4.2 and 5.2.2; RFC 5861), as a shared cache reads them.
 */

#ifndef AMP_FRESHNESS_H
#define AMP_FRESHNESS_H


#include "amp_span.h"


/* The largest number of seconds; what is larger counts as this. */

#define AMP_FRESHNESS_MAX  INT64_C(2147483647)


/* Seconds; -1: the answer does not say it. */

typedef struct {
    int64_t   shared;           /* s-maxage                                   */
    int64_t   max_age;
    int64_t   expires;          /* Expires, less Date; set by the caller      */
    int64_t   age;              /* Age, 0 without it; set by the caller       */
    int64_t   updating;         /* stale-while-revalidate                     */
    int64_t   error;            /* stale-if-error                             */
    unsigned  forbidden:1;      /* no-store, no-cache or private, also where
                                   they name fields                           */
    unsigned  revalidate:1;     /* must-revalidate, proxy-revalidate or
                                   s-maxage: never served stale               */
} amp_freshness_t;


void amp_freshness_init(amp_freshness_t *f);

/*
 * Adds what one line of Cache-Control says.  Names are read in any case, values
 * with or without quotes.  A lifetime that is no number is 0, of two of one
 * name the smaller one holds; so an answer whose lifetime is in doubt is stale.
 */

void amp_freshness_control(amp_freshness_t *f, amp_span_t value);

/* A number of seconds, at most AMP_FRESHNESS_MAX; -1: it is none. */

int64_t amp_freshness_seconds(amp_span_t text);

/*
 * The value of Age: the number that it begins with, 0 where there is none (RFC
 * 9111, section 5.1).
 */

int64_t amp_freshness_age(amp_span_t text);

/*
 * How long the answer is still fresh when it is received: 0: it may not be
 * stored, or is stale; -1: it does not say.
 */

int64_t amp_freshness_left(const amp_freshness_t *f);


#endif /* AMP_FRESHNESS_H */
