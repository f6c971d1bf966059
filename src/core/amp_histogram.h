/*
 * Buckets of durations, as Prometheus has them: each counts what took at most
 * so long, the last one the rest.
 */

#ifndef AMP_HISTOGRAM_H
#define AMP_HISTOGRAM_H


#include <stdint.h>


#define AMP_HISTOGRAM_BUCKETS  20


/* The bucket that counts a duration: 0 to AMP_HISTOGRAM_BUCKETS - 1. */

unsigned amp_histogram_bucket(uint64_t us);

/*
 * The longest duration of a bucket, in seconds: "1e-05" to "10", and "+Inf"
 * of the last one.
 */

const char *amp_histogram_bound(unsigned bucket);


#endif /* AMP_HISTOGRAM_H */
