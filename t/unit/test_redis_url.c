#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "amp_redis_url.h"


typedef struct {
    const char  *text;
    const char  *host;
    const char  *path;
    unsigned     port;
    unsigned     db;
    const char  *user;
    const char  *password;
} good_t;


static const good_t  good[] = {
    { "redis://127.0.0.1", "127.0.0.1", "", 6379, 0, "", "" },
    { "redis://127.0.0.1:7000/", "127.0.0.1", "", 7000, 0, "", "" },
    { "redis://redis.internal:6380/15", "redis.internal", "", 6380, 15, "", "" },
    { "redis://my_redis-0", "my_redis-0", "", 6379, 0, "", "" },
    { "redis://[::1]:7000/1", "::1", "", 7000, 1, "", "" },
    { "redis://[::ffff:10.0.0.1]", "::ffff:10.0.0.1", "", 6379, 0, "", "" },
    { "redis://ann:s%40c%3At@h", "h", "", 6379, 0, "ann", "s@c:t" },
    { "redis://ann:a@b:c@h", "h", "", 6379, 0, "ann", "a@b:c" },
    { "redis://ann:a/b@h/3", "h", "", 6379, 3, "ann", "a/b" },
    { "redis://:secret@h", "h", "", 6379, 0, "", "secret" },
    { "redis://:secret%3f%23@h", "h", "", 6379, 0, "", "secret?#" },
    { "redis://ann@h", "h", "", 6379, 0, "ann", "" },
    { "unix:/run/redis.sock", "", "/run/redis.sock", 0, 0, "", "" },
    { "unix:///run/redis.sock", "", "/run/redis.sock", 0, 0, "", "" },
    { "unix:/run/redis.sock?db=3", "", "/run/redis.sock", 0, 3, "", "" },
};


static const char  *bad[] = {
    "", "redis:", "redis://", "redis://:6379", "redis://h:0", "redis://h:70000",
    "redis://h:", "redis://h:x", "redis://h/x", "redis://h/-1",
    "redis://h?db=1",
    "redis://h/1#x", "redis://a:%zz@h", "redis://a:%0a@h", "redis://a:%00@h",
    "redis://a:%4@h", "redis://[::1", "redis://[::1]x", "redis://[]",
    "redis://[h]", "redis://::1", "redis://@h", "redis://h%2e", "redis://h h",
    "redis://h/1/2", "redis://h/65536", "redis://h:1,h:2", "redis://h:1,",
    "redis://h\x80", "redis://h:0000001",
    "unix:", "unix:/", "unix:run/x", "unix://run/x", "unix:////x", "unix:/x?",
    "unix:/x?db=", "unix:/x?db=x", "unix:/x?y=1", "http://h", "127.0.0.1",
    "rediss:h", "REDIS://h", "redis+tls://h", "redis+unix:/x",
    "redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel:///m",
    "redis+sentinel://h:1,/m", "redis+sentinel://,h:1/m",
    "redis+sentinel://h:1/m/x", "redis+sentinel://h:1/m/1/2",
    "redis+sentinel://h:1/m x", "redis+sentinel://h:1/m%41",
    "redis+sentinel://h:1//1", "redis+sentinel://h:1/m?db=1",
    "redis+cluster://", "redis+cluster://h:1/0", "redis+cluster://h:1,",
    "redis+cluster://h:1,,h:2", "redis+cluster://h:1/m",
    "rediss+cluster://h:1,h:0",
    "redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
};


static amp_span_t
span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static void
every_single_form_is_read(void **state)
{
    size_t            i;
    const char       *error;
    amp_redis_url_t   url;

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(amp_redis_url_parse(span(good[i].text), &url, &error),
                         0);
        assert_int_equal(url.form, AMP_REDIS_SINGLE);
        assert_int_equal(url.tls, 0);
        assert_int_equal(url.nhosts, good[i].port != 0);
        assert_string_equal(url.hosts[0].host, good[i].host);
        assert_int_equal(url.hosts[0].port, good[i].port);
        assert_string_equal(url.path, good[i].path);
        assert_int_equal(url.db, good[i].db);
        assert_string_equal(url.user, good[i].user);
        assert_string_equal(url.password, good[i].password);
        assert_string_equal(url.name, "");
        assert_null(strstr(url.shown, "secret"));
    }
}


static void
sentinels_clusters_and_tls_are_read(void **state)
{
    const char       *error;
    amp_redis_url_t   url;

    (void) state;

    assert_int_equal(amp_redis_url_parse(span("rediss://a:b@h/2"), &url,
                                         &error), 0);
    assert_int_equal(url.form, AMP_REDIS_SINGLE);
    assert_int_equal(url.tls, 1);
    assert_int_equal(url.hosts[0].port, 6379);
    assert_int_equal(url.db, 2);
    assert_string_equal(url.shown, "rediss://h:6379");

    assert_int_equal(amp_redis_url_parse(
                         span("redis+sentinel://a:secret@s1,[::2]:5,s-3:7/"
                              "my.master_1/4"), &url, &error), 0);
    assert_int_equal(url.form, AMP_REDIS_SENTINEL);
    assert_int_equal(url.tls, 0);
    assert_int_equal(url.nhosts, 3);
    assert_string_equal(url.hosts[0].host, "s1");
    assert_int_equal(url.hosts[0].port, 26379);
    assert_string_equal(url.hosts[1].host, "::2");
    assert_int_equal(url.hosts[1].port, 5);
    assert_string_equal(url.hosts[2].host, "s-3");
    assert_string_equal(url.name, "my.master_1");
    assert_int_equal(url.db, 4);
    assert_string_equal(url.user, "a");
    assert_string_equal(url.password, "secret");
    assert_string_equal(url.shown, "redis+sentinel://s1:26379,[::2]:5,s-3:7/"
                                   "my.master_1");

    assert_int_equal(amp_redis_url_parse(span("rediss+sentinel://h/m/"), &url,
                                         &error), 0);
    assert_int_equal(url.tls, 1);
    assert_string_equal(url.shown, "rediss+sentinel://h:26379/m");

    assert_int_equal(amp_redis_url_parse(
                         span("rediss+cluster://:secret@h:1,h:2,h/"), &url,
                         &error), 0);
    assert_int_equal(url.form, AMP_REDIS_CLUSTER);
    assert_int_equal(url.tls, 1);
    assert_int_equal(url.nhosts, 3);
    assert_int_equal(url.hosts[2].port, 6379);
    assert_string_equal(url.shown, "rediss+cluster://h:1,h:2,h:6379");

    assert_int_equal(amp_redis_url_parse(span("redis+cluster://h"), &url,
                                         &error), 0);
    assert_int_equal(url.nhosts, 1);
    assert_int_equal(url.db, 0);

    assert_int_equal(amp_redis_url_parse(
                         span("redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,"
                              "14,15,16"), &url, &error), 0);
    assert_int_equal(url.nhosts, 16);
}


static void
what_is_shown_is_bounded(void **state)
{
    char              text[16 * 260 + 600], host[256];
    unsigned          i;
    const char       *error;
    amp_redis_url_t   url;

    (void) state;

    memset(host, 'h', 255);
    host[255] = '\0';

    strcpy(text, "rediss+sentinel://");

    for (i = 0; i < 16; i++) {
        sprintf(text + strlen(text), "%s%s", i ? "," : "", host);
    }

    sprintf(text + strlen(text), "/%s", host);

    assert_int_equal(amp_redis_url_parse(span(text), &url, &error), 0);
    assert_int_equal(url.nhosts, 16);

    sprintf(text, "rediss+sentinel://%s:26379,.../%s", host, host);
    assert_string_equal(url.shown, text);
}


static void
bad_forms_are_refused_without_repeating_them(void **state)
{
    char              text[400];
    size_t            i;
    const char       *error;
    amp_redis_url_t   url;

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error = NULL;

        if (amp_redis_url_parse(span(bad[i]), &url, &error) != -1) {
            fail_msg("\"%s\" is taken", bad[i]);
        }

        assert_non_null(error);
    }

    memset(text, 'x', sizeof(text));
    memcpy(text, "redis://", 8);
    assert_int_equal(amp_redis_url_parse(amp_span_make(text, sizeof(text)),
                                         &url, &error),
                     -1);
    memcpy(text, "unix:/", 6);
    assert_int_equal(amp_redis_url_parse(amp_span_make(text, sizeof(text)),
                                         &url, &error),
                     -1);
    assert_int_equal(amp_redis_url_parse(amp_span_make("redis://h\0x", 11),
                                         &url, &error),
                     -1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_single_form_is_read),
        cmocka_unit_test(sentinels_clusters_and_tls_are_read),
        cmocka_unit_test(what_is_shown_is_bounded),
        cmocka_unit_test(bad_forms_are_refused_without_repeating_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
