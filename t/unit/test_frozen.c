/* Which classes are frozen, as JSON and in a decision. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_decide.h"


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static int
decode(const char *json)
{
    unsigned  classes = 99;

    return amp_frozen_decode(text(json), &classes) == 0 ? (int) classes : -1;
}


static void
the_record_of_all_tenants(void **state)
{
    amp_buf_t      out;
    unsigned char  buf[128];

    assert_int_equal(decode("{\"v\":1,\"rev\":1,\"classes\":[\"write\"]}"),
                     1 << AMP_CLASS_WRITE);
    assert_int_equal(decode("{\"v\":1,\"rev\":1,\"classes\":[]}"), 0);

    /* a newer class is passed over, the others hold */

    assert_int_equal(decode("{\"v\":1,\"classes\":[\"newer\",\"read\"]}"),
                     1 << AMP_CLASS_READ);

    assert_int_equal(decode(""), -1);
    assert_int_equal(decode("{}"), -1);
    assert_int_equal(decode("{\"v\":1}"), -1);
    assert_int_equal(decode("{\"v\":2,\"classes\":[]}"), -1);
    assert_int_equal(decode("{\"v\":1,\"classes\":\"read\"}"), -1);
    assert_int_equal(decode("{\"v\":1,\"classes\":[1]}"), -1);

    amp_buf_init(&out, buf, sizeof(buf));
    amp_frozen_write(AMP_FROZEN_ALL, &out);
    assert_true(amp_span_eq(amp_buf_written(&out), text("[\"catalog\",\"read\","
                                          "\"write\",\"data\",\"secrets\"]")));
}


static amp_reason_e
decide(const char *record, unsigned frozen, const char *method,
    const char *path)
{
    uint64_t        block[AMP_TENANT_FLAT_MAX / 8];
    const char     *error;
    unsigned char   scratch[1024];
    amp_request_t   request;
    amp_decision_t  decision;

    assert_int_not_equal(amp_tenant_decode(text(record), block, sizeof(block),
                                           &error), 0);

    memset(&request, 0, sizeof(request));
    request.api = AMP_API_PLATFORM;
    request.method = text(method);
    request.path = text(path);
    request.frozen = frozen;
    request.observe = 1;

    return amp_decide(&request, (amp_tenant_t *) block, scratch, &decision);
}


static void
a_frozen_class_is_refused_of_one_tenant_and_of_all(void **state)
{
    unsigned     write = 1u << AMP_CLASS_WRITE;
    const char  *warm = "{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":"
                        "\"p\"}}";
    const char  *cold = "{\"v\":1,\"rev\":1,\"id\":\"a\",\"project\":{\"id\":"
                        "\"p\"},\"frozen\":[\"read\"]}";

    amp_path_init();

    assert_int_equal(decide(warm, 0, "GET", "/v1/topics"), AMP_OK);
    assert_int_equal(decide(cold, 0, "GET", "/v1/topics"), AMP_FROZEN);
    assert_int_equal(decide(cold, 0, "POST", "/v1/topics"), AMP_OK);
    assert_int_equal(decide(warm, write, "POST", "/v1/topics"), AMP_FROZEN);
    assert_int_equal(decide(warm, write, "GET", "/v1/topics"), AMP_OK);
    assert_int_equal(decide(cold, write, "POST", "/v1/topics"), AMP_FROZEN);

    /* what would be refused in any case says why */

    assert_int_equal(decide(cold, AMP_FROZEN_ALL, "GET",
                            "/v1/projects/other/topics"), AMP_OTHER_PROJECT);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_record_of_all_tenants),
        cmocka_unit_test(a_frozen_class_is_refused_of_one_tenant_and_of_all)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
