#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "amp_slot.h"


static amp_span_t
span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static const amp_redis_host_t  answered = { "10.0.0.9", 7009 };

static amp_redirect_t  to;


static int
redirect(const char *text)
{
    return amp_redirect_parse(span(text), &answered, &to);
}


/* What CLUSTER KEYSLOT of Redis 7 answers. */

static void
keys_have_the_slots_of_redis(void **state)
{
    (void) state;

    assert_int_equal(amp_slot(amp_span_null), 0);
    assert_int_equal(amp_slot(span("123456789")), 0x31c3);
    assert_int_equal(amp_slot(span("foo")), 12182);
    assert_int_equal(amp_slot(span("bar")), 5061);
    assert_int_equal(amp_slot(span("hello")), 866);
}


static void
only_a_hash_tag_counts(void **state)
{
    (void) state;

    assert_int_equal(amp_slot(span("{user1000}.following")),
                     amp_slot(span("user1000")));
    assert_int_equal(amp_slot(span("amp:limit:{acme}:all")),
                     amp_slot(span("acme")));
    assert_int_equal(amp_slot(span("foo{bar}{zap}")), amp_slot(span("bar")));
    assert_int_equal(amp_slot(span("foo{{bar}}zap")), amp_slot(span("{bar")));

    /* none: an empty one counts the whole, so does one that does not end */

    assert_int_equal(amp_slot(span("foo{}{bar}")), 8363);
    assert_int_not_equal(amp_slot(span("foo{bar")), amp_slot(span("bar")));
    assert_int_not_equal(amp_slot(span("foo}bar{")), amp_slot(span("bar")));
}


static void
redirections_are_read(void **state)
{
    (void) state;

    assert_int_equal(redirect("MOVED 3999 127.0.0.1:6381"), 0);
    assert_int_equal(to.ask, 0);
    assert_int_equal(to.slot, 3999);
    assert_string_equal(to.host.host, "127.0.0.1");
    assert_int_equal(to.host.port, 6381);

    assert_int_equal(redirect("ASK 16383 redis-1.internal:1"), 0);
    assert_int_equal(to.ask, 1);
    assert_int_equal(to.slot, 16383);
    assert_string_equal(to.host.host, "redis-1.internal");

    assert_int_equal(redirect("MOVED 0 2001:db8::1:6381"), 0);
    assert_string_equal(to.host.host, "2001:db8::1");
    assert_int_equal(to.host.port, 6381);

    assert_int_equal(to.unknown, 0);
}


/* As Redis 7.0 sent them with each cluster-preferred-endpoint-type. */

static void
redirections_without_a_host_are_read(void **state)
{
    (void) state;

    assert_int_equal(redirect("MOVED 16287 :47871"), 0);
    assert_string_equal(to.host.host, "10.0.0.9");
    assert_int_equal(to.host.port, 47871);
    assert_int_equal(to.unknown, 0);

    assert_int_equal(redirect("MOVED 16287 ?:47871"), 0);
    assert_int_equal(to.slot, 16287);
    assert_int_equal(to.unknown, 1);

    assert_int_equal(redirect("ASK 16287 ?:47871"), 0);
    assert_int_equal(to.ask, 1);
    assert_int_equal(to.unknown, 1);

    assert_int_equal(redirect("MOVED 1 ??:1"), 0);
    assert_int_equal(to.unknown, 0);
}


static void
other_errors_and_malformed_redirections_are_none(void **state)
{
    char         text[400];
    size_t       i;
    const char  *bad[] = {
        "", "ERR", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 h",
        "MOVED 1 h:", "MOVED 1 h:0", "MOVED 1 h:65536", "MOVED 1 h:x",
        "MOVED 16384 h:1", "MOVED x h:1", "MOVED -1 h:1", "MOVED  h:1",
        "MOVED 000001 h:1", "MOVEDX 1 h:1", "ASKING 1 h:1", "moved 1 h:1",
        "MOVED 1 h h:1", "MOVED 1 h:1\r", "MOVED 1 \x80:1"
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(redirect(bad[i]), -1);
    }

    assert_int_equal(amp_redirect_parse(amp_span_null, &answered, &to), -1);

    memset(text, 'h', sizeof(text));
    memcpy(text, "MOVED 1 ", 8);
    memcpy(text + sizeof(text) - 2, ":1", 2);
    assert_int_equal(amp_redirect_parse(amp_span_make(text, sizeof(text)),
                                        &answered, &to), -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(keys_have_the_slots_of_redis),
        cmocka_unit_test(only_a_hash_tag_counts),
        cmocka_unit_test(redirections_are_read),
        cmocka_unit_test(redirections_without_a_host_are_read),
        cmocka_unit_test(other_errors_and_malformed_redirections_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
