/* The rights in Redis: one list, in its forms. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "amp_keys.h"
#include "amp_rights.h"


static amp_span_t
call(const amp_right_t *right, amp_rights_name_e name, const char *node,
    unsigned char text[AMP_RIGHTS_CALL_MAX])
{
    amp_buf_t  out;

    amp_buf_init(&out, text, AMP_RIGHTS_CALL_MAX);
    amp_rights_call(right, name, amp_span("amp:"),
                    amp_span_make(node, strlen(node)), &out);
    assert_false(out.overflow);

    return amp_buf_written(&out);
}


static const amp_right_t *
find(const char *command)
{
    size_t              i, n;
    const amp_right_t  *list;

    list = amp_rights(&n);

    for (i = 0; i < n; i++) {
        if (strcmp(list[i].command, command) == 0) {
            return &list[i];
        }
    }

    fail_msg("no right %s", command);

    return NULL;
}


static void
each_command_stands_once_and_in_order(void **state)
{
    size_t              i, n;
    const amp_right_t  *list;

    list = amp_rights(&n);

    for (i = 1; i < n; i++) {
        assert_true(strcmp(list[i - 1].command, list[i].command) < 0);
    }
}


static void
a_call_has_a_name_exactly_where_the_command_takes_one(void **state)
{
    size_t              i, n;
    const amp_right_t  *list;

    list = amp_rights(&n);

    for (i = 0; i < n; i++) {
        assert_int_equal(strchr(list[i].arguments, '%') != NULL,
                         list[i].names != 0);
        assert_true(list[i].names < (1u << AMP_RIGHTS_NAMES));
    }
}


static void
a_call_is_words(void **state)
{
    unsigned char  text[AMP_RIGHTS_CALL_MAX];

    assert_true(amp_span_eq(call(find("cluster|slots"), AMP_RIGHTS_NAMES, "",
                                 text), amp_span("cluster slots")));
    assert_true(amp_span_eq(call(find("get"), AMP_RIGHTS_TOKEN, "", text),
                            amp_span("get amp:token:doctor")));
    assert_true(amp_span_eq(call(find("hset"), AMP_RIGHTS_DOCTOR,
                                 "amp:doctor:7", text),
                            amp_span("hset amp:doctor:7 x x x")));
    assert_true(amp_span_eq(call(find("subscribe"), AMP_RIGHTS_EVENTS,
                                 "amp:doctor:7", text),
                            amp_span("subscribe amp:events")));
}


static void
the_rules_fit_with_the_longest_prefix(void **state)
{
    amp_buf_t      out;
    unsigned char  text[AMP_RIGHTS_ACL_MAX + 2], prefix[AMP_KEYS_PREFIX_MAX];

    memset(prefix, 'p', sizeof(prefix));
    amp_buf_init(&out, text, sizeof(text) - 1);
    amp_rights_acl(amp_span("u"), amp_span_make(prefix, sizeof(prefix)), &out);
    assert_false(out.overflow);

    amp_buf_init(&out, text, sizeof(text) - 1);
    amp_rights_acl(amp_span("gateway"), amp_span("amp:"), &out);
    assert_false(out.overflow);
    *out.pos = '\0';
    assert_non_null(strstr((char *) text, "ACL SETUSER gateway ~amp:* "
                                          "&amp:events +asking "));
    assert_non_null(strstr((char *) text, " +subscribe "));
}


static void
a_family_is_a_pattern(void **state)
{
    amp_buf_t      out;
    unsigned char  text[128];

    amp_buf_init(&out, text, sizeof(text));
    amp_rights_name(AMP_RIGHTS_LIMIT, amp_span("amp:"), &out);
    amp_rights_name(AMP_RIGHTS_TENANTS, amp_span(" amp:"), &out);
    assert_true(amp_span_eq(amp_buf_written(&out),
                            amp_span("amp:limit:* amp:tenants")));
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_stands_once_and_in_order),
        cmocka_unit_test(a_call_has_a_name_exactly_where_the_command_takes_one),
        cmocka_unit_test(a_call_is_words),
        cmocka_unit_test(the_rules_fit_with_the_longest_prefix),
        cmocka_unit_test(a_family_is_a_pattern)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
