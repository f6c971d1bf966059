/*
 * Usage: what tenants and operations took, counted by days (UTC), in Redis; see
 * usage.lua.
 */

#ifndef AMP_USAGE_H
#define AMP_USAGE_H


#include <stdint.h>


/* What is counted; the letters are those of the fields in Redis. */

typedef enum {
    AMP_USAGE_REQUESTS = 0,     /* r                                          */
    AMP_USAGE_UPSTREAM,         /* u: those sent to Ampersand                 */
    AMP_USAGE_BYTES,            /* b: of the answers, headers included        */
    AMP_USAGE_REFUSALS,         /* f: refused, or failed                      */
    AMP_USAGE_COUNTS
} amp_usage_e;

#define AMP_USAGE_LETTERS  "rubf"

#define AMP_USAGE_KEPT     INT64_C(34560000000)     /* ms: 400 days           */
#define AMP_USAGE_DAY      86400                    /* s                      */
#define AMP_USAGE_DATE     10                       /* bytes: 2026-01-31      */


/* The date of a day since 1970, AMP_USAGE_DATE bytes without a NUL. */

void amp_usage_date(uint32_t day, unsigned char *date);

/* The day since 1970 of a date as above; -1: it is none. */

int64_t amp_usage_day(const unsigned char *date);


#endif /* AMP_USAGE_H */
