/*
 * Names of identities: what can be one, how it is kept, and its digest, which
 * no token has.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_identity.h"


#define SHA1  "5e2c000102030405060708090a0b0c0d0e0f1011"


static char  name[AMP_IDENTITY_MAX + 1];


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


/* The canonical name, or "" where the text cannot be one. */

static const char *
parsed(const char *s)
{
    amp_buf_t    out;
    const char  *why;

    amp_buf_init(&out, name, AMP_IDENTITY_MAX);
    why = amp_identity_parse(text(s), &out);

    assert_false(out.overflow);
    name[why == NULL ? amp_buf_written(&out).len : 0] = '\0';

    return name;
}


static void
fingerprints(void **state)
{
    (void) state;

    assert_string_equal(parsed("fingerprint:" SHA1), "fingerprint:" SHA1);
    assert_string_equal(parsed("fingerprint:5E:2C:00:01:02:03:04:05:06:07:08:"
                               "09:0A:0B:0C:0D:0E:0F:10:11"),
                        "fingerprint:" SHA1);
    assert_string_equal(parsed("fingerprint:" SHA1 "000000000000000000000000"),
                        "fingerprint:" SHA1 "000000000000000000000000");

    assert_string_equal(parsed("fingerprint:"), "");
    assert_string_equal(parsed("fingerprint:" SHA1 "0"), "");
    assert_string_equal(parsed("fingerprint:" SHA1 ":"), "");
    assert_string_equal(parsed("fingerprint::" SHA1), "");
    assert_string_equal(parsed("fingerprint:5e::2c000102030405060708090a0b0c0d"
                               "0e0f1011"), "");
    assert_string_equal(parsed("fingerprint:5e2 000102030405060708090a0b0c0d0e"
                               "0f1011"), "");
    assert_string_equal(parsed("fingerprint:ge2c0102030405060708090a0b0c0d0e0f"
                               "1011ab"), "");
}


static void
subjects(void **state)
{
    (void) state;

    assert_string_equal(parsed("subject:CN=billing,O=Example"),
                        "subject:CN=billing,O=Example");
    assert_string_equal(parsed("subject:2.5.4.97=x"), "subject:2.5.4.97=x");
    assert_string_equal(parsed("subject:CN=caf\\C3\\A9 =,="),
                        "subject:CN=caf\\C3\\A9 =,=");

    assert_string_equal(parsed("subject:"), "");
    assert_string_equal(parsed("subject:billing"), "");
    assert_string_equal(parsed("subject:=x"), "");
    assert_string_equal(parsed("subject:/C=US/CN=billing"), "");
    assert_string_equal(parsed("subject:CN=a\tb"), "");
    assert_string_equal(parsed("subject:CN=\xff"), "");
}


static void
claims(void **state)
{
    char  longest[AMP_IDENTITY_MAX + 2];

    (void) state;

    assert_string_equal(parsed("claim:sub=billing@example.com"),
                        "claim:sub=billing@example.com");
    assert_string_equal(parsed("claim:https://example.com/role=a=b"),
                        "claim:https://example.com/role=a=b");

    assert_string_equal(parsed("claim:sub"), "");
    assert_string_equal(parsed("claim:sub="), "");
    assert_string_equal(parsed("claim:=x"), "");
    assert_string_equal(parsed("claim:a b=x"), "");
    assert_string_equal(parsed("claim:sub=a\nb"), "");
    assert_string_equal(parsed("claim:"), "");
    assert_string_equal(parsed("sub=x"), "");
    assert_string_equal(parsed(""), "");

    /* the longest name and value, and one byte more */

    snprintf(longest, sizeof(longest), "claim:%064d=%0512d", 0, 0);
    assert_string_equal(parsed(longest), longest);
    snprintf(longest, sizeof(longest), "claim:%064d=%0513d", 0, 0);
    assert_string_equal(parsed(longest), "");
    snprintf(longest, sizeof(longest), "claim:%065d=%0512d", 0, 0);
    assert_string_equal(parsed(longest), "");
}


/* What nginx has becomes the same name as what people write. */

static void
values_of_variables(void **state)
{
    amp_buf_t  out;

    (void) state;

    amp_buf_init(&out, name, AMP_IDENTITY_MAX);
    assert_null(amp_identity_name(AMP_IDENTITY_FINGERPRINT, amp_span_null,
                                  text(SHA1), &out));
    assert_true(amp_span_eq(amp_buf_written(&out),
                            text("fingerprint:" SHA1)));

    amp_buf_init(&out, name, AMP_IDENTITY_MAX);
    assert_null(amp_identity_name(AMP_IDENTITY_CLAIM, text("sub"),
                                  text("a=b"), &out));
    assert_true(amp_span_eq(amp_buf_written(&out), text("claim:sub=a=b")));

    amp_buf_init(&out, name, AMP_IDENTITY_MAX);
    assert_non_null(amp_identity_name(AMP_IDENTITY_SUBJECT, amp_span_null,
                                      amp_span_null, &out));
}


static void
no_token_has_the_digest(void **state)
{
    amp_span_t     id;
    unsigned char  digest[AMP_TOKEN_DIGEST], other[AMP_TOKEN_DIGEST];

    (void) state;

    id = text("claim:sub=a");
    assert_int_equal(amp_identity_digest(id, digest), 0);

    assert_int_equal(amp_token_digest(id, other), 0);
    assert_memory_not_equal(digest, other, sizeof(digest));

    assert_int_equal(amp_token_digest(amp_span_make("\0claim:sub=a", 12),
                                      other), 0);
    assert_memory_equal(digest, other, sizeof(digest));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(subjects),
        cmocka_unit_test(claims),
        cmocka_unit_test(values_of_variables),
        cmocka_unit_test(no_token_has_the_digest)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
