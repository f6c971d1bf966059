#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "amp_trace.h"


#define ID      "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT  "00f067aa0ba902b7"


static int
read_text(const char *text, amp_trace_t *trace)
{
    memset(trace, 0x7e, sizeof(*trace));

    return amp_trace_read(amp_span_make(text, strlen(text)), trace);
}


static void
a_trace_is_read(void **state)
{
    amp_trace_t  trace;

    (void) state;

    assert_int_equal(read_text("00-" ID "-" PARENT "-01", &trace), 0);
    assert_memory_equal(trace.id, ID, AMP_TRACE_ID);
    assert_memory_equal(trace.span, PARENT, AMP_TRACE_SPAN);
    assert_int_equal(trace.flags, AMP_TRACE_SAMPLED);

    assert_int_equal(read_text("cc-" ID "-" PARENT "-fe-later", &trace), 0);
    assert_memory_equal(trace.id, ID, AMP_TRACE_ID);
    assert_int_equal(trace.flags, 2);
}


static void
a_trace_is_written(void **state)
{
    amp_trace_t    trace;
    unsigned char  random[16], text[AMP_TRACE_PARENT];

    (void) state;

    assert_int_equal(read_text("cc-" ID "-" PARENT "-ff-later", &trace), 0);
    assert_ptr_equal(amp_trace_write(&trace, text), text + sizeof(text));
    assert_memory_equal(text, "00-" ID "-" PARENT "-03", sizeof(text));

    memset(random, 0xa5, sizeof(random));
    amp_trace_make_id(&trace, random);
    amp_trace_make_span(&trace, random + 8);
    trace.flags = 0;
    amp_trace_write(&trace, text);
    assert_memory_equal(text, "00-a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5-"
                        "a5a5a5a5a5a5a5a5-00", sizeof(text));
}


static void
ids_are_read(void **state)
{
    unsigned char  id[AMP_TRACE_ID];

    (void) state;

    assert_int_equal(amp_trace_read_id(amp_span(ID), id), 0);
    assert_memory_equal(id, ID, AMP_TRACE_ID);
    assert_int_equal(amp_trace_read_span(amp_span(PARENT), id), 0);
    assert_memory_equal(id, PARENT, AMP_TRACE_SPAN);

    assert_int_equal(amp_trace_read_id(amp_span(PARENT), id), -1);
    assert_int_equal(amp_trace_read_span(amp_span(ID), id), -1);
    assert_int_equal(amp_trace_read_span(amp_span("0000000000000000"), id), -1);
    assert_int_equal(amp_trace_read_span(amp_span("00F067AA0BA902B7"), id), -1);
    assert_int_equal(amp_trace_read_span(amp_span_null, id), -1);
}


static void
a_malformed_value_is_no_trace(void **state)
{
    size_t              i;
    amp_trace_t         trace;
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
        assert_int_equal(read_text(bad[i], &trace), -1);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_trace_is_read),
        cmocka_unit_test(a_trace_is_written),
        cmocka_unit_test(ids_are_read),
        cmocka_unit_test(a_malformed_value_is_no_trace)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
