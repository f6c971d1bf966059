/* The record of a gateway in the registry. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "amp_gateway.h"
#include "amp_json.h"


static unsigned char  bytes[AMP_GATEWAY_MAX];


static void
is_written(const amp_gateway_t *gateway, const char *want)
{
    amp_buf_t  out;

    amp_buf_init(&out, bytes, sizeof(bytes));
    amp_gateway_write(gateway, &out);
    assert_false(out.overflow);
    assert_int_equal(amp_buf_written(&out).len, strlen(want));
    assert_memory_equal(bytes, want, strlen(want));
}


static void
a_record(void **state)
{
    amp_event_t     event;
    amp_gateway_t   gateway;
    const uint64_t  marks[] = { 4711, 0 };

    memset(&gateway, 0, sizeof(gateway));
    gateway.id = amp_span("0123456789abcdef");
    gateway.version = amp_span("0.1.0");
    gateway.start = 1764378000;
    gateway.event = &event;

    is_written(&gateway, "{\"v\":1,\"id\":\"0123456789abcdef\","
               "\"version\":\"0.1.0\",\"start\":1764378000}");

    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_TENANT;
    event.rev = 8;
    event.tenant_len = 4;
    memcpy(event.tenant, "acme", 4);

    gateway.applied = 1764378123;
    gateway.status = amp_span("http://10.0.0.5:8080/-/status");

    is_written(&gateway, "{\"v\":1,\"id\":\"0123456789abcdef\","
               "\"version\":\"0.1.0\",\"start\":1764378000,"
               "\"status\":\"http://10.0.0.5:8080/-/status\","
               "\"event\":{\"v\":1,\"type\":\"tenant\",\"tenant\":\"acme\","
               "\"rev\":8},\"applied\":1764378123}");

    gateway.applied = 0;
    gateway.status = amp_span("");
    gateway.clock = -3600000;

    is_written(&gateway, "{\"v\":1,\"id\":\"0123456789abcdef\","
               "\"version\":\"0.1.0\",\"start\":1764378000}");

    gateway.timed = 1;

    is_written(&gateway, "{\"v\":1,\"id\":\"0123456789abcdef\","
               "\"version\":\"0.1.0\",\"start\":1764378000,"
               "\"clock\":-3600000}");

    gateway.clock = 12;
    gateway.marks = marks;
    gateway.nmarks = 2;

    is_written(&gateway, "{\"v\":1,\"id\":\"0123456789abcdef\","
               "\"version\":\"0.1.0\",\"start\":1764378000,\"clock\":12,"
               "\"marks\":[4711,0]}");
}


/* A path may hold any byte; the longest record is JSON, too. */

static void
the_longest_record_fits(void **state)
{
    json_t         *doc;
    uint64_t        marks[AMP_GATEWAY_MARKS];
    amp_buf_t       out;
    const char     *why;
    amp_event_t     event;
    amp_gateway_t   gateway;
    unsigned char   status[AMP_GATEWAY_STATUS];

    memset(marks, 0x7f, sizeof(marks));
    memset(&event, 0, sizeof(event));
    event.type = AMP_EVENT_PURGE;
    event.rev = UINT64_MAX >> 1;
    event.family = AMP_FAMILY_COUNT - 1;
    event.project_len = sizeof(event.project);
    memset(event.project, 'p', sizeof(event.project));
    memset(status, 1, sizeof(status));

    gateway.id = amp_span("0123456789abcdef");
    gateway.version = amp_span("100.100.100");
    gateway.status = amp_span_make(status, sizeof(status));
    gateway.start = UINT64_MAX >> 1;
    gateway.clock = INT64_MIN;
    gateway.timed = 1;
    gateway.applied = UINT64_MAX >> 1;
    gateway.event = &event;
    gateway.marks = marks;
    gateway.nmarks = AMP_GATEWAY_MARKS;

    amp_buf_init(&out, bytes, sizeof(bytes));
    amp_gateway_write(&gateway, &out);
    assert_false(out.overflow);

    doc = amp_json_object(amp_buf_written(&out), &why);
    assert_non_null(doc);
    json_decref(doc);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_record),
        cmocka_unit_test(the_longest_record_fits)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
