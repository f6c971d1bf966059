/* Recorded replies of real servers, t/replies/NAME-VERSION.txt. */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "amp_redis_error.h"
#include "amp_redis_info.h"
#include "amp_sentinel.h"
#include "amp_slot.h"
#include "amp_slot_map.h"
#include "resp.h"


#define REPLIES  "t/replies"
#define FILES    32
#define LINE     (64 * 1024)

#define SCRIPT   1
#define PLAIN    0


typedef struct {
    const char         *name;
    amp_redis_error_e   class;
    unsigned            script;
    int                 since;      /* of Redis: 10 * major + minor           */
    unsigned            seen;       /* in the file that is read               */
} error_case_t;


typedef struct {
    const char         *name;
    void              (*check)(const amp_reply_t *reply);
    int                 since;
    unsigned            seen;
} reply_case_t;


static error_case_t  errors[] = {
    { "noauth", AMP_REDIS_ERROR_NOAUTH, PLAIN, 0, 0 },
    { "noauth-hello", AMP_REDIS_ERROR_NOAUTH, PLAIN, 0, 0 },
    { "noauth-info", AMP_REDIS_ERROR_NOAUTH, PLAIN, 0, 0 },
    { "sentinel-noauth", AMP_REDIS_ERROR_NOAUTH, PLAIN, 0, 0 },
    { "auth-wrong-password", AMP_REDIS_ERROR_WRONGPASS, PLAIN, 0, 0 },
    { "auth-unknown-user", AMP_REDIS_ERROR_WRONGPASS, PLAIN, 0, 0 },
    { "auth-disabled-user", AMP_REDIS_ERROR_WRONGPASS, PLAIN, 0, 0 },
    { "auth-no-password", AMP_REDIS_ERROR_NO_PASSWORD, PLAIN, 0, 0 },

    { "noperm-command", AMP_REDIS_ERROR_NOPERM, PLAIN, 0, 0 },
    { "noperm-subcommand", AMP_REDIS_ERROR_NOPERM, PLAIN, 0, 0 },
    { "noperm-key", AMP_REDIS_ERROR_NOPERM, PLAIN, 0, 0 },
    { "noperm-channel", AMP_REDIS_ERROR_NOPERM, PLAIN, 62, 0 },
    { "noperm-publish", AMP_REDIS_ERROR_NOPERM, PLAIN, 62, 0 },
    { "noperm-command-script", AMP_REDIS_ERROR_NOPERM, SCRIPT, 0, 0 },
    { "noperm-key-script", AMP_REDIS_ERROR_NOPERM, SCRIPT, 0, 0 },
    { "noperm-channel-script", AMP_REDIS_ERROR_NOPERM, SCRIPT, 62, 0 },

    { "protected", AMP_REDIS_ERROR_PROTECTED, PLAIN, 0, 0 },
    { "max-clients", AMP_REDIS_ERROR_MAX_CLIENTS, PLAIN, 0, 0 },

    { "readonly", AMP_REDIS_ERROR_READONLY, PLAIN, 0, 0 },
    { "readonly-script", AMP_REDIS_ERROR_READONLY, SCRIPT, 0, 0 },
    { "readonly-script-flags", AMP_REDIS_ERROR_READONLY, PLAIN, 70, 0 },
    { "masterdown", AMP_REDIS_ERROR_MASTERDOWN, PLAIN, 0, 0 },
    { "masterdown-script", AMP_REDIS_ERROR_MASTERDOWN, PLAIN, 0, 0 },
    { "loading", AMP_REDIS_ERROR_LOADING, PLAIN, 0, 0 },
    { "misconf", AMP_REDIS_ERROR_MISCONF, PLAIN, 0, 0 },
    { "misconf-script", AMP_REDIS_ERROR_MISCONF, SCRIPT, 0, 0 },
    { "noreplicas", AMP_REDIS_ERROR_NOREPLICAS, PLAIN, 0, 0 },
    { "noreplicas-script", AMP_REDIS_ERROR_NOREPLICAS, SCRIPT, 70, 0 },
    { "oom", AMP_REDIS_ERROR_OOM, PLAIN, 0, 0 },
    { "oom-script", AMP_REDIS_ERROR_OOM, SCRIPT, 0, 0 },
    { "oom-script-flags", AMP_REDIS_ERROR_OOM, PLAIN, 70, 0 },
    { "busy", AMP_REDIS_ERROR_BUSY, PLAIN, 0, 0 },
    { "killed-script", AMP_REDIS_ERROR_OTHER, SCRIPT, 0, 0 },

    { "moved", AMP_REDIS_ERROR_MOVED, PLAIN, 0, 0 },
    { "moved-script", AMP_REDIS_ERROR_MOVED, PLAIN, 0, 0 },
    { "moved-hostname", AMP_REDIS_ERROR_MOVED, PLAIN, 70, 0 },
    { "moved-no-hostname", AMP_REDIS_ERROR_MOVED, PLAIN, 70, 0 },
    { "moved-unknown-endpoint", AMP_REDIS_ERROR_MOVED, PLAIN, 70, 0 },
    { "ask", AMP_REDIS_ERROR_ASK, PLAIN, 0, 0 },
    { "ask-script", AMP_REDIS_ERROR_ASK, PLAIN, 0, 0 },
    { "tryagain", AMP_REDIS_ERROR_TRYAGAIN, PLAIN, 0, 0 },
    { "crossslot", AMP_REDIS_ERROR_OTHER, PLAIN, 0, 0 },
    { "not-local-script", AMP_REDIS_ERROR_OTHER, SCRIPT, 0, 0 },
    { "cluster-not-served", AMP_REDIS_ERROR_CLUSTERDOWN, PLAIN, 0, 0 },
    { "cluster-not-served-script", AMP_REDIS_ERROR_CLUSTERDOWN, PLAIN, 0, 0 },
    { "cluster-down", AMP_REDIS_ERROR_CLUSTERDOWN, PLAIN, 0, 0 },
    { "cluster-down-script", AMP_REDIS_ERROR_CLUSTERDOWN, PLAIN, 0, 0 },
    { "cluster-down-script-keyless", AMP_REDIS_ERROR_CLUSTERDOWN, SCRIPT, 0,
      0 },
    { "cluster-select", AMP_REDIS_ERROR_DB_INDEX, PLAIN, 0, 0 },
    { "no-cluster", AMP_REDIS_ERROR_NO_CLUSTER, PLAIN, 0, 0 },

    { "noscript", AMP_REDIS_ERROR_NOSCRIPT, PLAIN, 0, 0 },
    { "wrongtype", AMP_REDIS_ERROR_WRONGTYPE, PLAIN, 0, 0 },
    { "wrongtype-script", AMP_REDIS_ERROR_WRONGTYPE, SCRIPT, 0, 0 },
    { "unknown-command", AMP_REDIS_ERROR_UNKNOWN_COMMAND, PLAIN, 0, 0 },
    { "unknown-command-script", AMP_REDIS_ERROR_UNKNOWN_COMMAND, SCRIPT, 0, 0 },
    { "sentinel-of-a-server", AMP_REDIS_ERROR_UNKNOWN_COMMAND, PLAIN, 0, 0 },
    { "sentinel-get", AMP_REDIS_ERROR_UNKNOWN_COMMAND, PLAIN, 0, 0 },
    { "db-index", AMP_REDIS_ERROR_DB_INDEX, PLAIN, 0, 0 },

    { "compile-script", AMP_REDIS_ERROR_OTHER, PLAIN, 0, 0 },
    { "fails-script", AMP_REDIS_ERROR_OTHER, SCRIPT, 0, 0 },
    { "own-error-script", AMP_REDIS_ERROR_OTHER, PLAIN, 0, 0 },
    { "execabort", AMP_REDIS_ERROR_OTHER, PLAIN, 0, 0 },
    { "subscribed-get", AMP_REDIS_ERROR_OTHER, PLAIN, 0, 0 },
};


static const amp_redis_host_t  answered = { "answered", 6379 };

static int  version;                /* of the file: 10 * major + minor, or 1000
                                       for Valkey                             */


static void
is_status(const amp_reply_t *reply)
{
    assert_int_equal(reply->type, AMP_REPLY_STATUS);
}


static void
is_info(const amp_reply_t *reply)
{
    amp_span_t  value;

    assert_int_equal(reply->type, AMP_REPLY_STRING);

    assert_int_equal(amp_redis_info(reply->text, amp_span("run_id"), &value),
                     0);
    assert_int_equal(value.len, 40);

    assert_int_equal(amp_redis_info(reply->text, amp_span("redis_version"),
                                    &value), 0);
    assert_true(value.len >= 5 && value.data[1] == '.');

    assert_int_equal(amp_redis_info(reply->text, amp_span("server_time_usec"),
                                    &value), version >= 70 ? 0 : -1);

    if (version >= 70) {
        assert_true(amp_span_eq(value, amp_span("1800000000123456")));
    }

    assert_int_equal(amp_redis_info(reply->text, amp_span("run_i"), &value),
                     -1);
}


static void
is_master(const amp_reply_t *reply)
{
    assert_int_equal(amp_sentinel_role_master(reply), 1);
}


static void
is_replica(const amp_reply_t *reply)
{
    assert_int_equal(reply->type, AMP_REPLY_ARRAY);
    assert_int_equal(amp_sentinel_role_master(reply), 0);
}


static void
names_a_master(const amp_reply_t *reply)
{
    amp_redis_host_t  host;

    assert_int_equal(amp_sentinel_answer(reply, &host), AMP_SENTINEL_MASTER);
    assert_string_equal(host.host, "127.0.0.1");
    assert_true(host.port > 20000);
}


static void
knows_no_master(const amp_reply_t *reply)
{
    amp_redis_host_t  host;

    assert_int_equal(amp_sentinel_answer(reply, &host),
                     AMP_SENTINEL_NO_SUCH_NAME);
}


static void
tells_of_a_new_master(const amp_reply_t *reply)
{
    amp_reply_t       text;
    amp_redis_host_t  host;

    text = amp_reply_element(reply, 2);

    assert_int_equal(amp_sentinel_message(text.text, amp_span("main"), &host),
                     0);
    assert_string_equal(host.host, "127.0.0.1");
    assert_int_equal(amp_sentinel_message(text.text, amp_span("other"), &host),
                     -1);
}


static void
is_message(const amp_reply_t *reply)
{
    assert_int_equal(reply->type, AMP_REPLY_ARRAY);
    assert_true(reply->elements >= 2);
    assert_int_equal(amp_reply_element(reply, 0).type, AMP_REPLY_STRING);
}


/* A map of so many slots, each at a node with this host; NULL: unknown. */

static void
is_map(const amp_reply_t *reply, unsigned slots, const char *host)
{
    unsigned          n;
    amp_slot_map_t    map;
    amp_slot_range_t  range;

    assert_int_equal(amp_slot_map_open(&map, reply, &answered), 0);

    for (n = 0; amp_slot_map_next(&map, &range); ) {
        n += range.last - range.first + 1;

        assert_int_equal(range.unknown, host == NULL);

        if (host) {
            assert_string_equal(range.master.host, host);
            assert_true(range.master.port > 20000);
        }
    }

    assert_int_equal(n, slots);
}


static void
is_whole_map(const amp_reply_t *reply)
{
    is_map(reply, AMP_SLOTS, "127.0.0.1");
}


static void
is_map_of_host_names(const amp_reply_t *reply)
{
    is_map(reply, AMP_SLOTS, "node.example.com");
}


static void
is_map_of_nobody(const amp_reply_t *reply)
{
    is_map(reply, 0, NULL);
}


static void
is_map_of_who_answered(const amp_reply_t *reply)
{
    is_map(reply, AMP_SLOTS - 1, "answered");
}


static void
is_map_of_whole_cluster_that_answered(const amp_reply_t *reply)
{
    is_map(reply, AMP_SLOTS, "answered");
}


static reply_case_t  replies[] = {
    { "ping", is_status, 0, 0 },
    { "sentinel-ping", is_status, 0, 0 },
    { "auth", is_status, 0, 0 },
    { "info", is_info, 0, 0 },
    { "role-master", is_master, 0, 0 },
    { "role-replica", is_replica, 0, 0 },
    { "subscribe", is_message, 0, 0 },
    { "message", is_message, 0, 0 },
    { "subscribed-ping", is_message, 0, 0 },
    { "sentinel-master", names_a_master, 0, 0 },
    { "sentinel-no-such-name", knows_no_master, 0, 0 },
    { "sentinel-switch", tells_of_a_new_master, 0, 0 },
    { "cluster-slots", is_whole_map, 0, 0 },
    { "cluster-slots-none", is_map_of_nobody, 0, 0 },
    { "cluster-slots-no-host", is_map_of_who_answered, 0, 0 },
    { "cluster-slots-no-hostname", is_whole_map, 70, 0 },
    { "cluster-slots-hostname", is_map_of_host_names, 70, 0 },
    { "cluster-slots-unknown-endpoint", is_map_of_whole_cluster_that_answered,
      70, 0 }
};


#define ERRORS   (sizeof(errors) / sizeof(errors[0]))
#define CASES    (sizeof(replies) / sizeof(replies[0]))


/* "\r", "\n" and "\\" in place; the length. */

static size_t
unescape(char *text)
{
    char        *out;
    const char  *p;

    out = text;

    for (p = text; *p; p++) {
        if (*p == '\\') {
            p++;
            *out++ = *p == 'r' ? '\r' : *p == 'n' ? '\n' : *p;

        } else {
            *out++ = *p;
        }
    }

    return (size_t) (out - text);
}


static void
check_redirect(const char *name, amp_span_t text, amp_redis_error_e class)
{
    amp_redirect_t  redirect;

    assert_int_equal(amp_redirect_parse(text, &answered, &redirect), 0);
    assert_int_equal(redirect.ask, class == AMP_REDIS_ERROR_ASK);

    if (strcmp(name, "moved-no-hostname") == 0) {
        assert_int_equal(redirect.unknown, 1);
        return;
    }

    assert_int_equal(redirect.unknown, 0);
    assert_string_equal(redirect.host.host,
                        strcmp(name, "moved-hostname") == 0 ? "node.example.com"
                        : strcmp(name, "moved-unknown-endpoint") == 0
                          ? "answered" : "127.0.0.1");
}


static void
check_error(const char *file, const char *name, amp_span_t text)
{
    size_t             i;
    unsigned           script;
    unsigned char      shown[256];
    amp_redis_error_e  class;

    for (i = 0; i < ERRORS && strcmp(errors[i].name, name) != 0; i++) { }

    if (i == ERRORS) {
        fail_msg("%s: no case \"%s\" in test_replies.c", file, name);
    }

    errors[i].seen = 1;
    class = amp_redis_error_class(text, &script);

    if (class != errors[i].class || script != errors[i].script) {
        fail_msg("%s: %s: \"%.*s\" has class %d, script %u", file, name,
                 (int) text.len, text.data, class, script);
    }

    if (class == AMP_REDIS_ERROR_MOVED || class == AMP_REDIS_ERROR_ASK) {
        check_redirect(name, text, class);
    }

    /* what Redis repeats of a command may be a password */

    memset(shown, 0, sizeof(shown));
    (void) amp_redis_error_text(text, shown, sizeof(shown) - 1);

    assert_null(strstr((char *) shown, "secret"));
}


static void
check_reply(const char *file, const char *name, const amp_reply_t *reply)
{
    size_t  i;

    for (i = 0; i < CASES && strcmp(replies[i].name, name) != 0; i++) { }

    if (i == CASES) {
        fail_msg("%s: no case \"%s\" in test_replies.c", file, name);
    }

    replies[i].seen = 1;
    replies[i].check(reply);
}


static void
check_file(const char *file)
{
    char          path[512], kind[16];
    char         *line, *text;
    FILE         *f;
    size_t        i, len;
    unsigned      major, minor;
    amp_reply_t   reply;

    snprintf(path, sizeof(path), REPLIES "/%s", file);

    f = fopen(path, "r");
    assert_non_null(f);

    line = malloc(LINE);
    assert_non_null(line);

    assert_non_null(fgets(line, LINE, f));
    assert_int_equal(sscanf(line, "# %15s %u.%u", kind, &major, &minor), 3);
    version = strcmp(kind, "valkey") == 0 ? 1000 : (int) (10 * major + minor);

    for (i = 0; i < ERRORS; i++) {
        errors[i].seen = (version < errors[i].since);
    }

    for (i = 0; i < CASES; i++) {
        replies[i].seen = (version < replies[i].since);
    }

    while (fgets(line, LINE, f) != NULL) {
        text = strchr(line, ' ');
        assert_non_null(text);
        *text++ = '\0';
        text[strcspn(text, "\n")] = '\0';
        len = unescape(text);

        if (resp_read(text, len, &reply) != 0) {
            fail_msg("%s: %s is no reply", file, line);
        }

        if (reply.type == AMP_REPLY_ERROR) {
            check_error(file, line, reply.text);

        } else {
            check_reply(file, line, &reply);
        }
    }

    for (i = 0; i < ERRORS; i++) {
        if (!errors[i].seen) {
            fail_msg("%s: \"%s\" is not recorded", file, errors[i].name);
        }
    }

    for (i = 0; i < CASES; i++) {
        if (!replies[i].seen) {
            fail_msg("%s: \"%s\" is not recorded", file, replies[i].name);
        }
    }

    free(line);
    fclose(f);
}


static void
replies_of_all_versions_are_understood(void **state)
{
    DIR            *dir;
    char            names[FILES][64];
    size_t          len;
    unsigned        files;
    struct dirent  *entry;

    (void) state;

    files = 0;

    dir = opendir(REPLIES);
    assert_non_null(dir);

    while ((entry = readdir(dir)) != NULL) {
        len = strlen(entry->d_name);

        if (len > 4 && strcmp(entry->d_name + len - 4, ".txt") == 0) {
            assert_true(files < FILES && len < sizeof(names[0]));
            memcpy(names[files++], entry->d_name, len + 1);
        }
    }

    closedir(dir);

    assert_true(files >= 4);

    while (files-- > 0) {
        check_file(names[files]);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(replies_of_all_versions_are_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
