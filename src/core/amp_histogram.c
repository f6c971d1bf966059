#include "amp_histogram.h"


static const struct {
    uint64_t     us;
    const char  *seconds;
} amp_histogram_bounds[AMP_HISTOGRAM_BUCKETS] = {
    { 10, "1e-05" },
    { 25, "2.5e-05" },
    { 50, "5e-05" },
    { 100, "0.0001" },
    { 250, "0.00025" },
    { 500, "0.0005" },
    { 1000, "0.001" },
    { 2500, "0.0025" },
    { 5000, "0.005" },
    { 10000, "0.01" },
    { 25000, "0.025" },
    { 50000, "0.05" },
    { 100000, "0.1" },
    { 250000, "0.25" },
    { 500000, "0.5" },
    { 1000000, "1" },
    { 2500000, "2.5" },
    { 5000000, "5" },
    { 10000000, "10" },
    { UINT64_MAX, "+Inf" }
};


unsigned
amp_histogram_bucket(uint64_t us)
{
    unsigned  i;

    for (i = 0; us > amp_histogram_bounds[i].us; i++) { /* void */ }

    return i;
}


const char *
amp_histogram_bound(unsigned bucket)
{
    return amp_histogram_bounds[bucket].seconds;
}
