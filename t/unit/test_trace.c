#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "amp_trace.h"


#define ID      "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT  "00f067aa0ba902b7"


static amp_span_t
id_of(const char *text)
{
    return amp_trace_id(amp_span_make(text, strlen(text)));
}


static void
the_id_of_a_trace_is_found(void **state)
{
    amp_span_t  id;

    (void) state;

    id = id_of("00-" ID "-" PARENT "-01");
    assert_int_equal(id.len, AMP_TRACE_ID);
    assert_memory_equal(id.data, ID, AMP_TRACE_ID);

    assert_int_equal(id_of("cc-" ID "-" PARENT "-01-later").len, AMP_TRACE_ID);
}


static void
a_malformed_value_has_no_id(void **state)
{
    size_t              i;
    static const char  *bad[] = {
        "",
        "00",
        "00-" ID "-" PARENT,
        "00-" ID "-" PARENT "-0",
        "00-" ID "-" PARENT "-0g",
        "00-" ID "-" PARENT "-01-later",
        "cc-" ID "-" PARENT "-01later",
        "ff-" ID "-" PARENT "-01",
        "0x-" ID "-" PARENT "-01",
        "00_" ID "-" PARENT "-01",
        "00-" ID "_" PARENT "-01",
        "00-" ID "-" PARENT "_01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473\"-" PARENT "-01"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(id_of(bad[i]).data);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_id_of_a_trace_is_found),
        cmocka_unit_test(a_malformed_value_has_no_id)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
