#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "amp_redis_error.h"


#define SHA  "982e62c2aec45d4c995f977997c49e1cc19af3e4"

/* How Redis 6 begins the error of a script. */

#define R6   "ERR Error running script (call to f_" SHA "): "

/* How Redis 7, 8 and Valkey end it. */

#define R7   " script: " SHA ", on @user_script:70."


typedef struct {
    const char         *text;
    amp_redis_error_e   class;
    unsigned            script;
} case_t;


static void
check(const case_t *cases, size_t n)
{
    size_t             i;
    unsigned           script;
    amp_span_t         text;
    amp_redis_error_e  class;

    for (i = 0; i < n; i++) {
        text = amp_span_make(cases[i].text, strlen(cases[i].text));
        class = amp_redis_error_class(text, &script);

        if (class != cases[i].class || script != cases[i].script) {
            fail_msg("\"%s\": class %d, script %u", cases[i].text, class,
                     script);
        }

        assert_int_equal(amp_redis_error_class(text, NULL), class);
    }
}


/* As Redis 7.0 sent them; where another version says it otherwise, both. */

static void
plain_errors_have_a_class(void **state)
{
    static const case_t  cases[] = {
        { "NOAUTH Authentication required.", AMP_REDIS_ERROR_NOAUTH, 0 },
        { "WRONGPASS invalid username-password pair or user is disabled.",
          AMP_REDIS_ERROR_WRONGPASS, 0 },
        { "ERR invalid password", AMP_REDIS_ERROR_WRONGPASS, 0 },
        { "ERR AUTH <password> called without any password configured for the "
          "default user. Are you sure your configuration is correct?",
          AMP_REDIS_ERROR_NO_PASSWORD, 0 },
        { "ERR Client sent AUTH, but no password is set",
          AMP_REDIS_ERROR_NO_PASSWORD, 0 },
        { "NOPERM this user has no permissions to run the 'set' command",
          AMP_REDIS_ERROR_NOPERM, 0 },
        { "NOPERM User u has no permissions to access the 'amp:READONLY' key",
          AMP_REDIS_ERROR_NOPERM, 0 },
        { "READONLY You can't write against a read only replica.",
          AMP_REDIS_ERROR_READONLY, 0 },
        { "MASTERDOWN Link with MASTER is down and replica-serve-stale-data "
          "is set to 'no'.", AMP_REDIS_ERROR_MASTERDOWN, 0 },
        { "LOADING Redis is loading the dataset in memory",
          AMP_REDIS_ERROR_LOADING, 0 },
        { "MISCONF Errors writing to the AOF file: No space left on device",
          AMP_REDIS_ERROR_MISCONF, 0 },
        { "OOM command not allowed when used memory > 'maxmemory'.",
          AMP_REDIS_ERROR_OOM, 0 },
        { "BUSY Redis is busy running a script. You can only call SCRIPT KILL "
          "or SHUTDOWN NOSAVE.", AMP_REDIS_ERROR_BUSY, 0 },
        { "MOVED 16287 127.0.0.1:47871", AMP_REDIS_ERROR_MOVED, 0 },
        { "ASK 16287 :47871", AMP_REDIS_ERROR_ASK, 0 },
        { "TRYAGAIN Multiple keys request during rehashing of slot",
          AMP_REDIS_ERROR_TRYAGAIN, 0 },
        { "CLUSTERDOWN Hash slot not served", AMP_REDIS_ERROR_CLUSTERDOWN, 0 },
        { "ERR This instance has cluster support disabled",
          AMP_REDIS_ERROR_NO_CLUSTER, 0 },
        { "NOSCRIPT No matching script. Please use EVAL.",
          AMP_REDIS_ERROR_NOSCRIPT, 0 },
        { "WRONGTYPE Operation against a key holding the wrong kind of value",
          AMP_REDIS_ERROR_WRONGTYPE, 0 },
        { "ERR unknown command 'FOO', with args beginning with: 'secret' ",
          AMP_REDIS_ERROR_UNKNOWN_COMMAND, 0 },
        { "ERR unknown command `FOO`, with args beginning with: ",
          AMP_REDIS_ERROR_UNKNOWN_COMMAND, 0 },
        { "ERR DB index is out of range", AMP_REDIS_ERROR_DB_INDEX, 0 },
        { "READONLY", AMP_REDIS_ERROR_READONLY, 0 }
    };

    (void) state;

    check(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
redis_6_wraps_the_error_of_a_script(void **state)
{
    static const case_t  cases[] = {
        { R6 "@user_script:70: @user_script: 70: -READONLY You can't write "
          "against a read only replica.", AMP_REDIS_ERROR_READONLY, 1 },
        { R6 "@user_script:1: @user_script: 1: -OOM command not allowed when "
          "used memory > 'maxmemory'.", AMP_REDIS_ERROR_OOM, 1 },
        { R6 "@user_script:1: @user_script: 1: -MISCONF Redis is configured to "
          "save RDB snapshots, but it's currently unable to persist to disk.",
          AMP_REDIS_ERROR_MISCONF, 1 },
        { R6 "@user_script:1: WRONGTYPE Operation against a key holding the "
          "wrong kind of value", AMP_REDIS_ERROR_WRONGTYPE, 1 },
        { R6 "@user_script:1: @user_script: 1: The user executing the script "
          "can't run this command or subcommand", AMP_REDIS_ERROR_NOPERM, 1 },
        { R6 "@user_script:1: @user_script: 1: The user executing the script "
          "can't access at least one of the keys mentioned in the command "
          "arguments", AMP_REDIS_ERROR_NOPERM, 1 },
        { R6 "@user_script:1: @user_script: 1: The user executing the script "
          "can't publish to the channel mentioned in the command",
          AMP_REDIS_ERROR_NOPERM, 1 },
        { R6 "@user_script:1: @user_script: 1: Unknown Redis command called "
          "from Lua script", AMP_REDIS_ERROR_UNKNOWN_COMMAND, 1 },
        { R6 "@user_script:1: @user_script: 1: Script attempted to execute a "
          "command while the cluster is down",
          AMP_REDIS_ERROR_CLUSTERDOWN, 1 },
        { R6 "-READONLY You can't write against a read only replica.",
          AMP_REDIS_ERROR_READONLY, 1 },
        { R6 "@user_script:1: user_script:1: attempt to call a nil value",
          AMP_REDIS_ERROR_OTHER, 1 }
    };

    (void) state;

    check(cases, sizeof(cases) / sizeof(cases[0]));
}


static void
redis_7_and_valkey_append_the_script(void **state)
{
    static const case_t  cases[] = {
        { "READONLY You can't write against a read only replica." R7,
          AMP_REDIS_ERROR_READONLY, 1 },
        { "OOM command not allowed when used memory > 'maxmemory'." R7,
          AMP_REDIS_ERROR_OOM, 1 },
        { "WRONGTYPE Operation against a key holding the wrong kind of value"
          R7, AMP_REDIS_ERROR_WRONGTYPE, 1 },
        { "ERR Unknown Redis command called from script" R7,
          AMP_REDIS_ERROR_UNKNOWN_COMMAND, 1 },
        { "ERR Unknown command called from script" R7,
          AMP_REDIS_ERROR_UNKNOWN_COMMAND, 1 },
        { "ERR The user executing the script can't run this command or "
          "subcommand" R7, AMP_REDIS_ERROR_NOPERM, 1 },
        { "ERR The user executing the script can't access at least one of the "
          "keys mentioned in the command arguments" R7,
          AMP_REDIS_ERROR_NOPERM, 1 },
        { "ERR ACL failure in script: User u has no permissions to run the "
          "'hset' command" R7, AMP_REDIS_ERROR_NOPERM, 1 },
        { "ERR ACL failure in script: No permissions to access a key" R7,
          AMP_REDIS_ERROR_NOPERM, 1 },
        { "ERR Script attempted to access a slot not served" R7,
          AMP_REDIS_ERROR_CLUSTERDOWN, 1 },
        { "ERR This Redis command is not allowed from script" R7,
          AMP_REDIS_ERROR_OTHER, 1 },

        /* a script that declares its flags is refused before it runs */

        { "READONLY Can not run script with write flag on readonly replica",
          AMP_REDIS_ERROR_READONLY, 0 },
        { "OOM allow-oom flag is not set on the script, can not run it when "
          "used memory > 'maxmemory'", AMP_REDIS_ERROR_OOM, 0 }
    };

    (void) state;

    check(cases, sizeof(cases) / sizeof(cases[0]));
}


/* A code counts in its place only: names and values may look like one. */

static void
other_errors_have_no_class(void **state)
{
    static const case_t  cases[] = {
        { "", AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR", AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR ", AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR READONLY", AMP_REDIS_ERROR_OTHER, 0 },
        { "READONLYX", AMP_REDIS_ERROR_OTHER, 0 },
        { "readonly", AMP_REDIS_ERROR_OTHER, 0 },
        { " READONLY", AMP_REDIS_ERROR_OTHER, 0 },
        { "BUSYKEY Target key name already exists.", AMP_REDIS_ERROR_OTHER, 0 },
        { "BUSYGROUP Consumer Group name already exists",
          AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR value is not an integer or out of range",
          AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR no such key: OOM", AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR unknown subcommand 'SLOTS'. Try CLUSTER HELP.",
          AMP_REDIS_ERROR_OTHER, 0 },
        { "ERR Error running script", AMP_REDIS_ERROR_OTHER, 1 },
        { "ERR Error running script (call to f_", AMP_REDIS_ERROR_OTHER, 1 },
        { R6, AMP_REDIS_ERROR_OTHER, 1 },
        { R6 "-", AMP_REDIS_ERROR_OTHER, 1 },
        { R6 "@user_script:", AMP_REDIS_ERROR_OTHER, 1 },
        { R6 "@user_script: x: -READONLY", AMP_REDIS_ERROR_OTHER, 1 },
        { R6 "@user_script:1: no tenant READONLY", AMP_REDIS_ERROR_OTHER, 1 }
    };

    (void) state;

    check(cases, sizeof(cases) / sizeof(cases[0]));

    assert_int_equal(amp_redis_error_class(amp_span_null, NULL),
                     AMP_REDIS_ERROR_OTHER);
}


static void
a_text_ends_where_its_length_says(void **state)
{
    (void) state;

    assert_int_equal(amp_redis_error_class(amp_span_make("READONLY x", 4),
                                           NULL), AMP_REDIS_ERROR_OTHER);
    assert_int_equal(amp_redis_error_class(amp_span_make("OOMx", 3), NULL),
                     AMP_REDIS_ERROR_OOM);
}


static void
shown(const char *text, size_t size, const char *expected)
{
    size_t         len;
    unsigned char  out[200];

    memset(out, '#', sizeof(out));

    len = amp_redis_error_text(amp_span_make(text, strlen(text)), out, size);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
    assert_int_equal(out[len], '#');
}


static void
the_text_that_is_shown_is_printable_and_has_no_arguments(void **state)
{
    (void) state;

    shown("ERR unknown command 'AUTH', with args beginning with: 'secret' ",
          160, "ERR unknown command 'AUTH'");
    shown("ERR a\r\nb\x80\x7f", 160, "ERR a??b??");
    shown("NOAUTH Authentication required.", 6, "NOAUTH");
    shown("", 160, "?");
    shown(", with args", 160, "?");
    shown("x", 0, "");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(plain_errors_have_a_class),
        cmocka_unit_test(redis_6_wraps_the_error_of_a_script),
        cmocka_unit_test(redis_7_and_valkey_append_the_script),
        cmocka_unit_test(other_errors_have_no_class),
        cmocka_unit_test(a_text_ends_where_its_length_says),
        cmocka_unit_test(
            the_text_that_is_shown_is_printable_and_has_no_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
