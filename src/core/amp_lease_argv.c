#include "amp_lease.h"
#include "amp_escape.h"


/* Writes a number and returns its digits. */

static amp_span_t
amp_lease_number(uint64_t n, unsigned char *text)
{
    return amp_span_make(text, (size_t) (amp_decimal(text, n) - text));
}


void
amp_lease_argv(const amp_lease_ask_t *ask, amp_span_t gateway, amp_span_t run,
    uint64_t since, unsigned gateways,
    unsigned char text[AMP_LEASE_ARGS][AMP_LEASE_TEXT],
    amp_span_t argv[AMP_LEASE_ARGS])
{
    argv[0] = amp_lease_number(ask->unit, text[0]);
    argv[1] = amp_lease_number(ask->window, text[1]);
    argv[2] = amp_lease_number(ask->reach, text[2]);
    argv[3] = amp_lease_number(ask->wanted, text[3]);
    argv[4] = gateway;
    argv[5] = run;
    argv[6] = amp_lease_number(since, text[6]);
    argv[7] = amp_lease_number(ask->tail / 1000, text[7]);
    argv[8] = amp_lease_number(ask->tail % 1000, text[8]);
    argv[9] = amp_lease_number(ask->back, text[9]);
    argv[10] = amp_lease_number(ask->charge, text[10]);
    argv[11] = amp_lease_number(ask->resume, text[11]);
    argv[12] = amp_lease_number(ask->peers > gateways ? ask->peers : gateways,
                                text[12]);
    argv[13] = amp_lease_number(ask->answered, text[13]);
    argv[14] = amp_lease_number(ask->age, text[14]);
    argv[15] = amp_lease_number(ask->away, text[15]);
    argv[16] = amp_lease_number(ask->peers, text[16]);
    argv[17] = amp_lease_number(ask->timeout, text[17]);
    argv[18] = amp_lease_number(ask->most, text[18]);
    argv[19] = amp_lease_number(ask->wallet, text[19]);
    argv[20] = amp_lease_number(ask->fill, text[20]);
    argv[21] = amp_lease_number(ask->waiting, text[21]);
    argv[22] = amp_lease_number(ask->pool, text[22]);
    argv[23] = amp_lease_number(ask->freed, text[23]);
}
