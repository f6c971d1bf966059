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
    { "redis://[::1]:7000/1", "::1", "", 7000, 1, "", "" },
    { "redis://[::1]", "::1", "", 6379, 0, "", "" },
    { "redis://ann:s%40c%3At@h", "h", "", 6379, 0, "ann", "s@c:t" },
    { "redis://ann:a@b:c@h", "h", "", 6379, 0, "ann", "a@b:c" },
    { "redis://:secret@h", "h", "", 6379, 0, "", "secret" },
    { "redis://ann@h", "h", "", 6379, 0, "ann", "" },
    { "unix:/run/redis.sock", "", "/run/redis.sock", 6379, 0, "", "" },
    { "unix:///run/redis.sock", "", "/run/redis.sock", 6379, 0, "", "" },
    { "unix:/run/redis.sock?db=3", "", "/run/redis.sock", 6379, 3, "", "" },
};


static const char  *bad[] = {
    "", "redis:", "redis://", "redis://:6379", "redis://h:0", "redis://h:70000",
    "redis://h:", "redis://h:x", "redis://h/x", "redis://h/-1", "redis://h?db=1",
    "redis://h/1#x", "redis://a:%zz@h", "redis://a:%0a@h", "redis://a:%00@h",
    "redis://a:%4@h", "redis://[::1", "redis://[::1]x", "redis://[]", "unix:",
    "unix:/x?", "unix:/x?db=", "unix:/x?db=x", "unix:/x?y=1", "http://h",
    "rediss://h", "redis+sentinel://h:1/n", "redis+cluster://h:1", "127.0.0.1",
};


static amp_span_t
span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


static void
every_form_is_read(void **state)
{
    size_t            i;
    const char       *error;
    amp_redis_url_t   url;

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(amp_redis_url_parse(span(good[i].text), &url, &error),
                         0);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.path, good[i].path);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.db, good[i].db);
        assert_string_equal(url.user, good[i].user);
        assert_string_equal(url.password, good[i].password);
        assert_null(strstr(url.shown, "secret"));
    }
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
        assert_int_equal(amp_redis_url_parse(span(bad[i]), &url, &error), -1);
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
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(bad_forms_are_refused_without_repeating_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
