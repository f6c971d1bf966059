/* The Lua scripts as tools/lua-header made them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/sha.h>

#include "amp_script.h"


static const amp_script_t *const  scripts[] = {
    &amp_script_check_rights,
    &amp_script_check_writes,
    &amp_script_invalidate,
    &amp_script_lease,
    &amp_script_lookup,
    &amp_script_register,
    &amp_script_write_tenant,
    &amp_script_write_token,
    &amp_script_write_limit
};

#define SCRIPTS  (sizeof(scripts) / sizeof(scripts[0]))


static void
the_digest_is_the_sha1_of_the_text(void **state)
{
    char           hex[2 * SHA_DIGEST_LENGTH + 1];
    size_t         i, n;
    unsigned char  sha[SHA_DIGEST_LENGTH];

    for (n = 0; n < SCRIPTS; n++) {
        SHA1(scripts[n]->text.data, scripts[n]->text.len, sha);

        for (i = 0; i < SHA_DIGEST_LENGTH; i++) {
            snprintf(hex + 2 * i, 3, "%02x", sha[i]);
        }

        assert_int_equal(scripts[n]->sha.len, 2 * SHA_DIGEST_LENGTH);
        assert_string_equal(hex, (const char *) scripts[n]->sha.data);
    }
}


static void
the_text_is_a_string_of_c(void **state)
{
    size_t  n;

    for (n = 0; n < SCRIPTS; n++) {
        assert_int_equal(strlen((const char *) scripts[n]->text.data),
                         scripts[n]->text.len);
        assert_non_null(strstr((const char *) scripts[n]->text.data,
                               "redis."));
        assert_null(strstr((const char *) scripts[n]->text.data, "--"));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_digest_is_the_sha1_of_the_text),
        cmocka_unit_test(the_text_is_a_string_of_c)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
