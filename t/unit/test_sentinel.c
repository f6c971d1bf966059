#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "amp_sentinel.h"
#include "resp.h"


static amp_redis_host_t  host;


static amp_reply_t
view(const char *text)
{
    amp_reply_t  reply;

    assert_int_equal(resp_read(text, strlen(text), &reply), 0);

    return reply;
}


static amp_sentinel_answer_e
answer(const char *text)
{
    amp_reply_t  reply;

    reply = view(text);

    return amp_sentinel_answer(&reply, &host);
}


static int
message(const char *text)
{
    memset(&host, 0, sizeof(host));

    return amp_sentinel_message(amp_span_make(text, strlen(text)),
                                amp_span("amp"), &host);
}


static unsigned
role(const char *text)
{
    amp_reply_t  reply;

    reply = view(text);

    return amp_sentinel_role_master(&reply);
}


static void
an_answer_names_the_master(void **state)
{
    (void) state;

    assert_int_equal(answer("*2\r\n$9\r\n127.0.0.1\r\n$5\r\n38137\r\n"),
                     AMP_SENTINEL_MASTER);
    assert_string_equal(host.host, "127.0.0.1");
    assert_int_equal(host.port, 38137);

    assert_int_equal(answer("*2\r\n$7\r\nr1.test\r\n$4\r\n6379\r\n"),
                     AMP_SENTINEL_MASTER);
    assert_string_equal(host.host, "r1.test");

    assert_int_equal(answer("*2\r\n$11\r\n2001:db8::1\r\n$5\r\n65535\r\n"),
                     AMP_SENTINEL_MASTER);
    assert_string_equal(host.host, "2001:db8::1");
    assert_int_equal(host.port, 65535);
}


static void
an_answer_without_a_master_says_why(void **state)
{
    size_t       i;
    const char  *malformed[] = {
        "*0\r\n", "*1\r\n$1\r\nh\r\n", "+OK\r\n", ":1\r\n", "$1\r\nh\r\n",
        "*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\nh\r\n:6379\r\n", "*2\r\n$-1\r\n$1\r\n1\r\n",
        "*2\r\n*0\r\n*0\r\n"
    };
    const char  *no_host[] = {
        "*2\r\n$0\r\n\r\n$1\r\n1\r\n", "*2\r\n$1\r\nh\r\n$0\r\n\r\n",
        "*2\r\n$1\r\n?\r\n$4\r\n6379\r\n", "*2\r\n$3\r\nh h\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\nh\r\n$1\r\n0\r\n", "*2\r\n$1\r\nh\r\n$5\r\n65536\r\n",
        "*2\r\n$1\r\nh\r\n$2\r\n1x\r\n", "*2\r\n$1\r\nh\r\n$2\r\n-1\r\n",
        "*2\r\n$1\r\nh\r\n$6\r\n000001\r\n"
    };

    (void) state;

    assert_int_equal(answer("*-1\r\n"), AMP_SENTINEL_NO_SUCH_NAME);
    assert_int_equal(answer("$-1\r\n"), AMP_SENTINEL_NO_SUCH_NAME);
    assert_int_equal(answer("-NOAUTH Authentication required.\r\n"),
                     AMP_SENTINEL_ERROR);

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_int_equal(answer(malformed[i]), AMP_SENTINEL_MALFORMED);
    }

    for (i = 0; i < sizeof(no_host) / sizeof(no_host[0]); i++) {
        assert_int_equal(answer(no_host[i]), AMP_SENTINEL_NO_HOST);
    }
}


static void
messages_name_the_new_master(void **state)
{
    (void) state;

    assert_int_equal(message("amp 127.0.0.1 38137 127.0.0.1 53769"), 0);
    assert_string_equal(host.host, "127.0.0.1");
    assert_int_equal(host.port, 53769);

    assert_int_equal(message("slave 127.0.0.1:53769 127.0.0.2 53769 @ amp "
                             "127.0.0.1 38137"), 0);
    assert_string_equal(host.host, "127.0.0.2");
    assert_int_equal(host.port, 53769);
}


static void
other_messages_are_ignored(void **state)
{
    size_t       i;
    const char  *other[] = {
        "", " ", "amp", "amp 127.0.0.1 1 127.0.0.1", "other h 1 h 2",
        "amp h 1 ? 2",
        "ampx h 1 h 2", "am h 1 h 2", "amp h 1 h 0", "amp h 1 h 65536",
        "amp h 1 h x", "amp h 1 h ", "amp h 1  2", "amp h 1 h 2 ",
        "amp h 1 h 2 3", "amp h 1 h 2 3 4", "amp h 1 h 2 3 4 5",
        "slave h:2 h 2 @ other h 1", "slave h:2 h x @ amp h 1",
        "slave h:2 h 2 @ amp h 1 ", "a b c d e f g h i j"
    };

    (void) state;

    for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_int_equal(message(other[i]), -1);
    }
}


static void
a_name_is_compared_as_a_whole(void **state)
{
    (void) state;

    assert_int_equal(amp_sentinel_message(amp_span("a h 1 h 2"),
                                          amp_span_null, &host), -1);
    assert_int_equal(amp_sentinel_message(amp_span_null, amp_span("a"), &host),
                     -1);
}


static void
only_a_master_says_that_it_is_one(void **state)
{
    (void) state;

    assert_int_equal(role("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), 1);
    assert_int_equal(role("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:38137\r\n"
                          "$9\r\nhandshake\r\n:-1\r\n"), 0);
    assert_int_equal(role("*2\r\n$8\r\nsentinel\r\n*1\r\n$3\r\namp\r\n"), 0);
    assert_int_equal(role("*1\r\n$7\r\nmasters\r\n"), 0);
    assert_int_equal(role("*1\r\n$5\r\nmaste\r\n"), 0);
    assert_int_equal(role("*0\r\n"), 0);
    assert_int_equal(role("$6\r\nmaster\r\n"), 0);
    assert_int_equal(role("-LOADING Redis is loading\r\n"), 0);
    assert_int_equal(role("$-1\r\n"), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(an_answer_names_the_master),
        cmocka_unit_test(an_answer_without_a_master_says_why),
        cmocka_unit_test(messages_name_the_new_master),
        cmocka_unit_test(other_messages_are_ignored),
        cmocka_unit_test(a_name_is_compared_as_a_whole),
        cmocka_unit_test(only_a_master_says_that_it_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
