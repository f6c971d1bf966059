/* Names and times of cache lifetimes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "amp_lifetime.h"


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static void
times_are_parsed(void **state)
{
    size_t    i;
    uint32_t  seconds;

    static const struct {
        const char  *text;
        uint32_t     seconds;
    } good[] = {
        { "0", 0 }, { "0s", 0 }, { "1", 1 }, { "90s", 90 }, { "15m", 900 },
        { "2h", 7200 }, { "30d", AMP_LIFETIME_MAX }, { "007s", 7 },
        { "2592000", AMP_LIFETIME_MAX }
    };

    static const char *const  bad[] = {
        "", "s", "-1", "+1", " 1", "1 ", "1x", "1ss", "1m1s", "31d", "2592001",
        "99999999999d", "18446744073709551616", "1.5h", "none"
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(amp_lifetime_parse(text(good[i].text), &seconds), 0);
        assert_int_equal(seconds, good[i].seconds);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(amp_lifetime_parse(text(bad[i]), &seconds), -1);
    }

    assert_int_equal(amp_lifetime_parse(amp_span_null, &seconds), -1);
}


/* A name has a lifetime if operations that the table caches have that name. */

static void
what_a_name_means(void **state)
{
    size_t                  i, n;
    amp_lifetime_e          what;
    const amp_operation_t  *op;

    (void) state;

    assert_int_equal(amp_lifetime_name(text("default")), AMP_LIFETIME_OWN);
    assert_int_equal(amp_lifetime_name(text("read")), AMP_LIFETIME_OWN);
    assert_int_equal(amp_lifetime_name(text("catalog")), AMP_LIFETIME_SHARED);
    assert_int_equal(amp_lifetime_name(text("write")), AMP_LIFETIME_NEVER);
    assert_int_equal(amp_lifetime_name(text("data")), AMP_LIFETIME_NEVER);
    assert_int_equal(amp_lifetime_name(text("secrets")), AMP_LIFETIME_NEVER);
    assert_int_equal(amp_lifetime_name(text("Read")), AMP_LIFETIME_UNKNOWN);
    assert_int_equal(amp_lifetime_name(text("")), AMP_LIFETIME_UNKNOWN);
    assert_int_equal(amp_lifetime_name(text("404")), AMP_LIFETIME_UNKNOWN);
    assert_int_equal(amp_lifetime_name(text("proxyRequest")),
                     AMP_LIFETIME_OWN);
    assert_int_equal(amp_lifetime_name(text("generateUploadUrl")),
                     AMP_LIFETIME_NEVER);

    op = amp_operations(&n);

    for (i = 0; i < n; i++, op++) {
        what = amp_lifetime_name(text(op->id));

        assert_int_not_equal(what, AMP_LIFETIME_UNKNOWN);
        assert_int_equal(amp_lifetime_rank(text(op->id), op), 3);
        assert_int_equal(amp_lifetime_rank(text("x"), op), 0);
        assert_int_equal(amp_lifetime_rank(text("default"), op), op->ttl != 0);
        assert_int_equal(amp_lifetime_rank(text("read"), op),
                         op->ttl != 0 && op->class == AMP_CLASS_READ ? 2 : 0);

        if (op->ttl != 0) {
            assert_int_equal(what, op->class == AMP_CLASS_CATALOG
                                   ? AMP_LIFETIME_SHARED : AMP_LIFETIME_OWN);
        } else if (op->api != AMP_API_PROXY) {
            assert_int_equal(what, AMP_LIFETIME_NEVER);
        }
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(times_are_parsed),
        cmocka_unit_test(what_a_name_means)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
