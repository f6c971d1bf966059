/* The Ampersand key of a tenant record. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "amp_tenant_key.h"


#define KEY_A   "000102030405060708090a0b0c0d0e0f"                             \
                "101112131415161718191a1b1c1d1e1f"
#define KEY_B   "ff0102030405060708090a0b0c0d0e0f"                             \
                "101112131415161718191a1b1c1d1e1f"
#define SECRET  "test-secret-Qz81"


static uint64_t  block[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];


static amp_keyring_t *
ring_of(const char *key)
{
    const char     *error;
    amp_keyring_t  *ring = amp_keyring_create();

    assert_non_null(ring);
    assert_int_equal(amp_keyring_add(ring, amp_span_make(key, strlen(key)),
                                     &error), 0);

    return ring;
}


/* A tenant whose active key is this secret, sealed for the tenant "acme". */

static amp_tenant_t *
tenant_with(amp_keyring_t *ring, const char *id, amp_span_t secret)
{
    char           json[AMP_SEALED_MAX + 256];
    amp_buf_t      sealed;
    const char    *error;
    unsigned char  text[AMP_SEALED_MAX];

    static const unsigned char  nonce[AMP_NONCE_LEN] = { 1, 2, 3 };

    amp_buf_init(&sealed, text, sizeof(text));
    assert_int_equal(amp_seal(ring, amp_span("acme"), amp_span("k1"), secret,
                              nonce, &sealed), 0);

    snprintf(json, sizeof(json), "{\"v\":1,\"rev\":1,\"id\":\"%s\","
             "\"project\":{\"id\":\"P\"},\"keys\":[{\"id\":\"k1\","
             "\"sealed\":\"%.*s\",\"state\":\"active\"}]}", id,
             (int) amp_buf_written(&sealed).len, (char *) text);

    assert_true(amp_tenant_decode(amp_span_make(json, strlen(json)), block,
                                  sizeof(block), &error) != 0);

    return (amp_tenant_t *) block;
}


static void
assert_key(amp_keyring_t *ring, const amp_tenant_t *t)
{
    unsigned char  out[AMP_SECRET_MAX];

    assert_int_equal(amp_tenant_key(ring, t, out), sizeof(SECRET) - 1);
    assert_memory_equal(out, SECRET, sizeof(SECRET) - 1);
}


static void
the_active_key_is_opened(void **state)
{
    amp_tenant_t   *t;
    amp_keyring_t  *ring = ring_of(KEY_A);

    t = tenant_with(ring, "acme", amp_span(SECRET));
    assert_key(ring, t);

    t->opened = 1;
    assert_key(ring, t);

    amp_keyring_free(ring);
}


static void
keys_that_cannot_be_used(void **state)
{
    amp_tenant_t   *t;
    unsigned char   out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A), *other = ring_of(KEY_B);

    /* a line feed must not be sent in a header */

    t = tenant_with(ring, "acme", amp_span("key\nX: y"));
    assert_int_equal(amp_tenant_key(ring, t, out), -1);

    /* sealed with an unknown master key; sealed for another tenant */

    t = tenant_with(ring, "acme", amp_span(SECRET));
    assert_int_equal(amp_tenant_key(other, t, out), -2);

    t = tenant_with(ring, "else", amp_span(SECRET));
    assert_int_equal(amp_tenant_key(ring, t, out), -3);

    /* no active key */

    t->sealed.len = 0;
    assert_int_equal(amp_tenant_key(ring, t, out), -1);

    amp_keyring_free(ring);
    amp_keyring_free(other);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_active_key_is_opened),
        cmocka_unit_test(keys_that_cannot_be_used)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
