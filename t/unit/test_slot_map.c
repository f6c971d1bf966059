#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "amp_slot_map.h"
#include "resp.h"


#define ID_A  "$40\r\nd2b2c19ab4353c5c45cf7b8b94b9bf083bcce3c9\r\n"
#define ID_B  "$40\r\n8e324412837a1586d1bfe424c960e9b23197518c\r\n"

#define NODE_A(host)  "*3\r\n" host ":7000\r\n" ID_A


static const amp_redis_host_t  answered = { "10.0.0.9", 7009 };

static amp_slot_map_t    map;
static amp_slot_range_t  range;


/* Opens the map in a recorded reply. */

static int
open_map(const char *text)
{
    amp_reply_t  reply;

    assert_int_equal(resp_read(text, strlen(text), &reply), 0);

    return amp_slot_map_open(&map, &reply, &answered);
}


static void
next_range(unsigned first, unsigned last, const char *host, unsigned port,
    unsigned replicas)
{
    assert_int_equal(amp_slot_map_next(&map, &range), 1);
    assert_int_equal(range.first, first);
    assert_int_equal(range.last, last);
    assert_int_equal(range.replicas, replicas);
    assert_int_equal(range.unknown, host == NULL);

    if (host != NULL) {
        assert_string_equal(range.master.host, host);
        assert_int_equal(range.master.port, port);
    }
}


static void
no_more_ranges(void)
{
    assert_int_equal(amp_slot_map_next(&map, &range), 0);
}


static void
redis_6_names_nodes_by_address(void **state)
{
    (void) state;

    assert_int_equal(open_map(
        "*2\r\n"
        "*4\r\n:0\r\n:8191\r\n"
            "*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n" ID_A
            "*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n" ID_B
        "*3\r\n:8192\r\n:16383\r\n"
            "*3\r\n$11\r\n2001:db8::1\r\n:7002\r\n" ID_B), 0);

    next_range(0, 8191, "127.0.0.1", 7000, 1);
    next_range(8192, 16383, "2001:db8::1", 7002, 0);
    no_more_ranges();
}


/* Redis 7.0 with each cluster-preferred-endpoint-type, as it answered. */

static void
redis_7_adds_metadata(void **state)
{
    (void) state;

    assert_int_equal(open_map(
        "*1\r\n*4\r\n:0\r\n:16383\r\n"
            "*4\r\n$9\r\n127.0.0.1\r\n:47871\r\n" ID_A
                "*2\r\n$8\r\nhostname\r\n$9\r\na.example\r\n"
            "*4\r\n$9\r\n127.0.0.1\r\n:36079\r\n" ID_B "*0\r\n"), 0);

    next_range(0, 16383, "127.0.0.1", 47871, 1);
    no_more_ranges();

    assert_int_equal(open_map(
        "*1\r\n*4\r\n:0\r\n:16383\r\n"
            "*4\r\n$9\r\na.example\r\n:47871\r\n" ID_A
                "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
            "*4\r\n$1\r\n?\r\n:36079\r\n" ID_B
                "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"), 0);

    next_range(0, 16383, "a.example", 47871, 1);

    assert_int_equal(open_map(
        "*1\r\n*3\r\n:0\r\n:16383\r\n"
            "*4\r\n$-1\r\n:47871\r\n" ID_A
                "*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
                    "$8\r\nhostname\r\n$9\r\na.example\r\n"), 0);

    next_range(0, 16383, "10.0.0.9", 47871, 0);
}


static void
null_and_empty_hosts_are_the_host_that_answered(void **state)
{
    (void) state;

    assert_int_equal(open_map("*1\r\n*3\r\n:0\r\n:16383\r\n"
                              NODE_A("$-1\r\n")), 0);
    next_range(0, 16383, "10.0.0.9", 7000, 0);

    assert_int_equal(open_map("*1\r\n*3\r\n:0\r\n:16383\r\n"
                              NODE_A("$0\r\n\r\n")), 0);
    next_range(0, 16383, "10.0.0.9", 7000, 0);
}


/* One node of Redis 7.0 that has met no other does not know its own address. */

static void
question_mark_is_replaced_by_the_ip_of_the_metadata(void **state)
{
    (void) state;

    assert_int_equal(open_map(
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\n?\r\n:47871\r\n" ID_A
            "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"), 0);
    next_range(0, 16383, "127.0.0.1", 47871, 0);

    assert_int_equal(open_map(
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\n?\r\n:47871\r\n" ID_A
            "*4\r\n$4\r\nzone\r\n$1\r\na\r\n$2\r\nip\r\n$3\r\n::1\r\n"), 0);
    next_range(0, 16383, "::1", 47871, 0);

    assert_int_equal(open_map(
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\n?\r\n:47871\r\n" ID_A
            "*2\r\n$2\r\nip\r\n$0\r\n\r\n"), 0);
    next_range(0, 16383, "10.0.0.9", 47871, 0);
}


static void
question_mark_alone_is_an_unknown_node(void **state)
{
    char         text[300];
    size_t       i;
    const char  *nodes[] = {
        "*2\r\n$1\r\n?\r\n:7000\r\n",
        NODE_A("$1\r\n?\r\n"),
        "*4\r\n$1\r\n?\r\n:7000\r\n" ID_A "*0\r\n",
        "*4\r\n$1\r\n?\r\n:7000\r\n" ID_A "$-1\r\n",
        "*4\r\n$1\r\n?\r\n:7000\r\n" ID_A "*1\r\n$2\r\nip\r\n",
        "*4\r\n$1\r\n?\r\n:7000\r\n" ID_A "*2\r\n$2\r\nip\r\n$1\r\n?\r\n",
        "*4\r\n$1\r\n?\r\n:7000\r\n" ID_A "*2\r\n$2\r\nIP\r\n$1\r\nh\r\n",
    };

    (void) state;

    for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        snprintf(text, sizeof(text), "*2\r\n*3\r\n:0\r\n:99\r\n%s"
                 "*3\r\n:100\r\n:16383\r\n*2\r\n$1\r\nh\r\n:1\r\n", nodes[i]);

        assert_int_equal(open_map(text), 0);
        next_range(0, 99, NULL, 0, 0);
        next_range(100, 16383, "h", 1, 0);
        no_more_ranges();
    }
}


static void
a_node_with_port_0_is_unknown(void **state)
{
    (void) state;

    assert_int_equal(open_map("*1\r\n*3\r\n:0\r\n:16383\r\n"
                              "*3\r\n$1\r\nh\r\n:0\r\n" ID_A), 0);
    next_range(0, 16383, NULL, 0, 0);
}


static void
an_empty_map_has_no_ranges(void **state)
{
    (void) state;

    assert_int_equal(open_map("*0\r\n"), 0);
    no_more_ranges();
}


static void
a_malformed_map_is_refused_as_a_whole(void **state)
{
    char         text[400];
    size_t       i;
    const char  *whole[] = {
        "-ERR This instance has cluster support disabled\r\n",
        "$-1\r\n", "*-1\r\n", ":1\r\n", "+OK\r\n", "$1\r\nx\r\n"
    };
    const char  *ranges[] = {
        "$1\r\nx\r\n",
        "*0\r\n",
        "*2\r\n:100\r\n:200\r\n",
        "*3\r\n$1\r\n1\r\n:200\r\n" NODE_A("$1\r\nh\r\n"),
        "*3\r\n:100\r\n$1\r\n9\r\n" NODE_A("$1\r\nh\r\n"),
        "*3\r\n:-1\r\n:200\r\n" NODE_A("$1\r\nh\r\n"),
        "*3\r\n:100\r\n:16384\r\n" NODE_A("$1\r\nh\r\n"),
        "*3\r\n:200\r\n:199\r\n" NODE_A("$1\r\nh\r\n"),
        "*3\r\n:100\r\n:200\r\n$1\r\nh\r\n",
        "*3\r\n:100\r\n:200\r\n*0\r\n",
        "*3\r\n:100\r\n:200\r\n*1\r\n$1\r\nh\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n$1\r\nh\r\n$1\r\n1\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n$1\r\nh\r\n:-1\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n:1\r\n:1\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n$3\r\nh h\r\n:1\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n$2\r\nh\n\r\n:1\r\n",
        "*3\r\n:100\r\n:200\r\n*2\r\n+h\r\n:1\r\n",
        "*3\r\n:100\r\n:200\r\n*4\r\n$1\r\n?\r\n:1\r\n" ID_A
            "*2\r\n$2\r\nip\r\n:1\r\n",
        "*3\r\n:99\r\n:200\r\n" NODE_A("$1\r\nh\r\n")
    };

    (void) state;

    for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        assert_int_equal(open_map(whole[i]), -1);
    }

    for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        snprintf(text, sizeof(text), "*2\r\n*3\r\n:0\r\n:99\r\n%s%s",
                 NODE_A("$1\r\nh\r\n"), ranges[i]);
        assert_int_equal(open_map(text), -1);
    }
}


static void
a_host_may_have_255_bytes(void **state)
{
    char    text[400], name[257];
    size_t  len;

    (void) state;

    memset(name, 'h', sizeof(name));

    for (len = 255; len <= 256; len++) {
        snprintf(text, sizeof(text), "*1\r\n*3\r\n:0\r\n:1\r\n"
                 "*2\r\n$%zu\r\n%.*s\r\n:1\r\n", len, (int) len, name);
        assert_int_equal(open_map(text), len == 255 ? 0 : -1);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(redis_6_names_nodes_by_address),
        cmocka_unit_test(redis_7_adds_metadata),
        cmocka_unit_test(null_and_empty_hosts_are_the_host_that_answered),
        cmocka_unit_test(question_mark_is_replaced_by_the_ip_of_the_metadata),
        cmocka_unit_test(question_mark_alone_is_an_unknown_node),
        cmocka_unit_test(a_node_with_port_0_is_unknown),
        cmocka_unit_test(an_empty_map_has_no_ranges),
        cmocka_unit_test(a_malformed_map_is_refused_as_a_whole),
        cmocka_unit_test(a_host_may_have_255_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
