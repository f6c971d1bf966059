#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "amp_escape.h"


static void
check_decimal(uint64_t n)
{
    int             len;
    char            expected[32];
    unsigned char  *out;

    len = snprintf(expected, sizeof(expected), "%" PRIu64, n);

    /* exactly len bytes: AddressSanitizer reports a write beyond */

    out = malloc((size_t) len);

    assert_int_equal(amp_decimal(out, n) - out, len);
    assert_memory_equal(out, expected, len);

    free(out);
}


static void
decimal_digits_of_numbers_of_every_length(void **state)
{
    uint64_t  n;

    (void) state;

    for (n = 1; n <= UINT64_MAX / 10; n *= 10) {
        check_decimal(n - 1);
        check_decimal(n);
        check_decimal(n + 1);
        check_decimal(n * 7);
    }

    check_decimal(n - 1);
    check_decimal(n);
    check_decimal(UINT64_MAX);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(decimal_digits_of_numbers_of_every_length)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
