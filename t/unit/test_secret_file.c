/* Files that hold a secret: access and content. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "amp_secret_file.h"


#define READER  1000
#define OTHER   1001


static void
a_file_of_the_reader_is_closed_to_all_others(void **state)
{
    unsigned  mode;

    for (mode = 0; mode <= 0777; mode++) {
        assert_int_equal(amp_secret_file_access(mode, READER, READER) == NULL,
                         (mode & 077) == 0);
    }
}


static void
a_file_of_root_may_be_read_by_its_group(void **state)
{
    unsigned  mode;

    for (mode = 0; mode <= 0777; mode++) {
        assert_int_equal(amp_secret_file_access(mode, 0, READER) == NULL,
                         (mode & 037) == 0);
        assert_int_equal(amp_secret_file_access(mode, 0, 0) == NULL,
                         (mode & 037) == 0);
    }
}


static void
a_file_of_another_user_is_refused(void **state)
{
    unsigned  mode;

    for (mode = 0; mode <= 0777; mode++) {
        assert_non_null(amp_secret_file_access(mode, OTHER, READER));
        assert_non_null(amp_secret_file_access(mode, OTHER, 0));
    }
}


static const amp_secret_refusal_t *
line(amp_span_t text, const char *expected)
{
    amp_span_t                   secret;
    const amp_secret_refusal_t  *refusal;

    refusal = amp_secret_file_line(text, &secret);

    if (expected == NULL) {
        assert_non_null(refusal);
        assert_true(refusal->why[0] != '\0' && refusal->remedy[0] != '\0');
        return refusal;
    }

    assert_null(refusal);
    assert_true(amp_span_eq(secret, amp_span_make(expected,
                                                  strlen(expected))));
    return NULL;
}


static void
line_ends_behind_the_secret_do_not_count(void **state)
{
    line(amp_span("s"), "s");
    line(amp_span("secret\n"), "secret");
    line(amp_span("secret\r\n"), "secret");
    line(amp_span("secret\n\n\r\n"), "secret");
    line(amp_span("two words \xc3\xa9\n"), "two words \xc3\xa9");
}


static void
what_is_no_line_is_refused(void **state)
{
    size_t         len;
    unsigned char  text[AMP_SECRET_LINE_MAX + 2];

    line(amp_span_null, NULL);
    line(amp_span("\r\n\n"), NULL);
    line(amp_span("\xef\xbb\xbfsecret\n"), NULL);
    line(amp_span("\xef\xbb\xbf"), NULL);
    line(amp_span("\xff\xfes\0\n\0"), NULL);
    line(amp_span("\xfe\xff\0s\0\n"), NULL);
    line(amp_span("one\ntwo\n"), NULL);
    line(amp_span("one\rtwo"), NULL);
    line(amp_span("\nsecret"), NULL);
    line(amp_span("sec\0ret"), NULL);
    line(amp_span("sec\x7fret"), NULL);
    line(amp_span("sec\tret"), NULL);

    memset(text, 's', sizeof(text));

    for (len = AMP_SECRET_LINE_MAX; len < sizeof(text); len++) {
        assert_int_equal(amp_secret_file_line(amp_span_make(text, len),
                                              &(amp_span_t) { 0, NULL })
                         == NULL, len == AMP_SECRET_LINE_MAX);
    }
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_the_reader_is_closed_to_all_others),
        cmocka_unit_test(a_file_of_root_may_be_read_by_its_group),
        cmocka_unit_test(a_file_of_another_user_is_refused),
        cmocka_unit_test(line_ends_behind_the_secret_do_not_count),
        cmocka_unit_test(what_is_no_line_is_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
