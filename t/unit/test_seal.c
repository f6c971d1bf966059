/* Sealing, opening and the ring of master keys. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/err.h>

#include "amp_seal.h"


#define KEY_A   "000102030405060708090a0b0c0d0e0f"                             \
                "101112131415161718191a1b1c1d1e1f"
#define KEY_B   "ff0102030405060708090a0b0c0d0e0f"                             \
                "101112131415161718191A1B1C1D1E1F"
#define SECRET  "test-secret-Qz81"

/* Computed by an AES-GCM in Python that does not use OpenSSL. */

#define SEALED "v1.2f17dc20.ZGVmZ2hpamtsbW5vPH6tElSaM_1MByvFix9SzMQJ"          \
               "_iFvsU-cjPk8G7JOkSk"


static const unsigned char  nonce[AMP_NONCE_LEN] = {
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111
};


static amp_keyring_t *
ring_of(const char *a, const char *b)
{
    const char     *error;
    amp_keyring_t  *ring = amp_keyring_create();

    assert_non_null(ring);
    assert_int_equal(amp_keyring_add(ring, amp_span_make(a, strlen(a)),
                                     &error), 0);

    if (b != NULL) {
        assert_int_equal(amp_keyring_add(ring, amp_span_make(b, strlen(b)),
                                         &error), 0);
    }

    return ring;
}


/* Opens; after a failure out is wiped, and OpenSSL has no error queued. */

static int
open_as(amp_keyring_t *ring, const char *tenant, const char *key_id,
    amp_span_t sealed, unsigned char out[AMP_SECRET_MAX])
{
    int     n;
    size_t  i;

    memset(out, 0x5a, AMP_SECRET_MAX);

    n = amp_seal_open(ring, amp_span_make(tenant, strlen(tenant)),
                      amp_span_make(key_id, strlen(key_id)), sealed, out);

    for (i = 0; n < 0 && i < AMP_SECRET_MAX; i++) {
        assert_int_equal(out[i], 0);
    }

    assert_int_equal(ERR_peek_error(), 0);

    return n;
}


/* amp_seal_open_decoded() and amp_seal_reveal() agree for every length. */

static void
reveal_agrees_with_open(void **state)
{
    size_t          len;
    amp_buf_t       sealed, decoded;
    amp_span_t      secret, packet;
    unsigned char   text[AMP_SEALED_MAX], bytes[AMP_SEALED_MAX];
    unsigned char   in[AMP_SECRET_MAX], out[AMP_SECRET_MAX], *exact;
    amp_keyring_t  *ring = ring_of(KEY_B, KEY_A), *other = ring_of(KEY_A, NULL);

    (void) state;

    for (len = 1; len <= AMP_SECRET_MAX; len++) {
        in[len - 1] = (unsigned char) (len * 7);
        secret = amp_span_make(in, len);

        amp_buf_init(&sealed, text, sizeof(text));
        assert_int_equal(amp_seal(ring, amp_span("t"), amp_span("k"), secret,
                                  nonce, &sealed), 0);

        amp_buf_init(&decoded, bytes, sizeof(bytes));
        assert_int_equal(amp_seal_decode(amp_buf_written(&sealed), &decoded),
                         0);
        packet = amp_buf_written(&decoded);

        assert_int_equal(amp_seal_open_decoded(ring, amp_span("t"),
                                               amp_span("k"), packet, out),
                         len);

        /* reads exactly packet.len bytes, writes only the secret */

        exact = malloc(packet.len);
        memcpy(exact, packet.data, packet.len);
        packet.data = exact;

        memset(out, 0, sizeof(out));
        assert_int_equal(amp_seal_reveal(ring, packet, out), len);
        assert_memory_equal(out, in, len);
        assert_true(len == AMP_SECRET_MAX || out[len] == 0);

        assert_int_equal(amp_seal_reveal(other, packet, out), -2);

        free(exact);
    }

    assert_int_equal(amp_seal_reveal(ring, amp_span_make(bytes, 36), out), -1);
    assert_int_equal(amp_seal_reveal(ring, amp_span_null, out), -1);
    assert_int_equal(ERR_peek_error(), 0);

    amp_keyring_free(ring);
    amp_keyring_free(other);
}


static void
a_known_sealed_text(void **state)
{
    int             n, i;
    amp_buf_t       b;
    unsigned char   text[AMP_SEALED_MAX], out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A "\n", NULL);

    for (i = 0; i < 3; i++) {
        amp_buf_init(&b, text, sizeof(text));
        assert_int_equal(amp_seal(ring, amp_span("acme"), amp_span("k1"),
                                  amp_span(SECRET), nonce, &b), 0);
        assert_true(amp_span_eq(amp_buf_written(&b), amp_span(SEALED)));

        n = open_as(ring, "acme", "k1", amp_span(SEALED), out);
        assert_int_equal(n, sizeof(SECRET) - 1);
        assert_memory_equal(out, SECRET, sizeof(SECRET) - 1);
    }

    assert_true(amp_span_eq(amp_seal_master_id(amp_span(SEALED)),
                            amp_span("2f17dc20")));
    assert_true(amp_span_eq(amp_keyring_id(ring, 0), amp_span("2f17dc20")));
    assert_int_equal(amp_keyring_id(ring, 1).len, 0);

    amp_keyring_free(ring);
}


static void
moved_to_another_tenant_or_key(void **state)
{
    unsigned char   out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A, NULL);

    assert_int_equal(open_as(ring, "acmf", "k1", amp_span(SEALED), out), -3);
    assert_int_equal(open_as(ring, "acme", "k2", amp_span(SEALED), out), -3);
    assert_int_equal(open_as(ring, "k1", "acme", amp_span(SEALED), out), -3);
    assert_int_equal(open_as(ring, "acmek", "1", amp_span(SEALED), out), -3);
    assert_int_equal(open_as(ring, "", "k1", amp_span(SEALED), out), -1);
    assert_int_equal(open_as(ring, "acme", "", amp_span(SEALED), out), -1);

    /* a NUL cannot move the border between tenant and key id */

    assert_int_equal(amp_seal_open(ring, amp_span("acme\0k"), amp_span("1"),
                                   amp_span(SEALED), out), -1);

    assert_true(open_as(ring, "acme", "k1", amp_span(SEALED), out) > 0);

    amp_keyring_free(ring);
}


static void
every_changed_byte_is_detected(void **state)
{
    char            text[sizeof(SEALED) - 1];
    size_t          i;
    unsigned        c;
    unsigned char   out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A, NULL);

    for (i = 0; i < sizeof(text); i++) {
        assert_true(open_as(ring, "acme", "k1", amp_span_make(SEALED, i), out)
                    < 0);

        for (c = 0; c < 256; c++) {
            memcpy(text, SEALED, sizeof(text));

            if ((unsigned char) text[i] == c) {
                continue;
            }

            text[i] = (char) c;
            assert_true(open_as(ring, "acme", "k1",
                                amp_span_make(text, sizeof(text)), out) < 0);
        }
    }

    amp_keyring_free(ring);
}


static void
malformed_sealed_texts(void **state)
{
    char            big[AMP_SEALED_MAX + 8];
    size_t          i;
    unsigned char   out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A, NULL);

    static const char *const  bad[] = {
        "", "v1.", "v1.2f17dc20", "v1.2f17dc20.", "v1.2f17dc20.A",
        "v1.2f17dc20.AAAA", "v2" ".2f17dc20.ZGVmZ2hpamts",
        "v1.2F17DC20.ZGVmZ2hpamtsbW5vPH6tElSaM_1MByvFix9SzMQJ_iFvsU-cjPk8G7JOk"
        "Sk",
        "v1.2f17dc20.ZGVmZ2hpamtsbW5vPH6tElSaM_1MByvFix9SzMQJ_iFvsU-cjPk8G7JOk"
        "Sk=",
        "v1.2f17dc20.ZGVmZ2hpamtsbW5vPH6tElSaM/1MByvFix9SzMQJ_iFvsU-cjPk8G7JOk"
        "Sk",

        /* a nonce and a tag without a secret */

        "v1.2f17dc20.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(open_as(ring, "acme", "k1",
                                 amp_span_make(bad[i], strlen(bad[i])), out),
                         -1);
    }

    memset(big, 'A', sizeof(big));
    memcpy(big, "v1.2f17dc20.", 12);

    for (i = 700; i <= sizeof(big); i++) {
        assert_true(open_as(ring, "acme", "k1", amp_span_make(big, i), out)
                    < 0);
    }

    assert_int_equal(amp_seal_master_id(amp_span("v1.2f17dc20")).len, 0);
    assert_int_equal(amp_seal_master_id(amp_span("v1.2f17dc2g.AAAA")).len, 0);
    assert_int_equal(amp_seal_master_id(amp_span_null).len, 0);

    amp_keyring_free(ring);
}


static void
a_second_master_key(void **state)
{
    amp_buf_t       b;
    unsigned char   text[AMP_SEALED_MAX], out[AMP_SECRET_MAX];
    amp_keyring_t  *old = ring_of(KEY_A, NULL), *ring = ring_of(KEY_B, KEY_A);

    assert_true(open_as(ring, "acme", "k1", amp_span(SEALED), out) > 0);

    amp_buf_init(&b, text, sizeof(text));
    assert_int_equal(amp_seal(ring, amp_span("acme"), amp_span("k1"),
                              amp_span(SECRET), nonce, &b), 0);
    assert_true(amp_span_eq(amp_seal_master_id(amp_buf_written(&b)),
                            amp_keyring_id(ring, 0)));
    assert_false(amp_span_eq(amp_keyring_id(ring, 0), amp_keyring_id(old, 0)));

    assert_int_equal(open_as(ring, "acme", "k1", amp_buf_written(&b), out),
                     sizeof(SECRET) - 1);
    assert_int_equal(open_as(old, "acme", "k1", amp_buf_written(&b), out), -2);

    /* a text with the id of another master key */

    memcpy(text + 3, "2f17dc20", 8);
    assert_int_equal(open_as(ring, "acme", "k1", amp_buf_written(&b), out), -3);

    amp_keyring_free(ring);
    amp_keyring_free(old);
}


static void
secrets_of_every_length(void **state)
{
    int             n;
    size_t          len;
    amp_buf_t       b;
    unsigned char   secret[AMP_SECRET_MAX + 1], out[AMP_SECRET_MAX];
    unsigned char   text[AMP_SEALED_MAX];
    amp_keyring_t  *ring = ring_of(KEY_A, NULL);

    memset(secret, 'x', sizeof(secret));

    for (len = 0; len <= AMP_SECRET_MAX + 1; len++) {
        amp_buf_init(&b, text, sizeof(text));
        n = amp_seal(ring, amp_span("acme"), amp_span("k1"),
                     amp_span_make(secret, len), nonce, &b);

        if (len == 0 || len > AMP_SECRET_MAX) {
            assert_int_equal(n, -1);
            continue;
        }

        assert_int_equal(n, 0);
        assert_int_equal(open_as(ring, "acme", "k1", amp_buf_written(&b), out),
                         (int) len);
        assert_memory_equal(out, secret, len);
    }

    /* nothing is written of a text that does not fit */

    for (len = 0; len < sizeof(SEALED) - 1; len++) {
        amp_buf_init(&b, text, len);
        assert_int_equal(amp_seal(ring, amp_span("acme"), amp_span("k1"),
                                  amp_span(SECRET), nonce, &b), -1);
        assert_true(b.overflow);
        assert_int_equal(amp_buf_written(&b).len, 0);
    }

    amp_keyring_free(ring);
}


static void
texts_of_master_key_files(void **state)
{
    size_t          i;
    amp_buf_t       b;
    const char     *error;
    unsigned char   text[AMP_SEALED_MAX], out[AMP_SECRET_MAX];
    amp_keyring_t  *ring = amp_keyring_create();

    static const char *const  bad[] = {
        "", "\n", KEY_A "\n\n", KEY_A "\r\n", KEY_A "0", (" " KEY_A),
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1\n"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error = NULL;
        assert_int_equal(amp_keyring_add(ring, amp_span_make(bad[i],
                                         strlen(bad[i])), &error), -1);
        assert_non_null(error);
        assert_null(strstr(error, "0102"));
    }

    assert_int_equal(amp_keyring_id(ring, 0).len, 0);

    amp_buf_init(&b, text, sizeof(text));
    assert_int_equal(amp_seal(ring, amp_span("acme"), amp_span("k1"),
                              amp_span(SECRET), nonce, &b), -1);
    assert_int_equal(open_as(ring, "acme", "k1", amp_span(SEALED), out), -2);

    assert_int_equal(amp_keyring_add(ring, amp_span(KEY_A), &error), 0);
    assert_int_equal(amp_keyring_add(ring, amp_span(KEY_A "\n"), &error), -1);
    assert_int_equal(amp_keyring_id(ring, 1).len, 0);
    assert_true(open_as(ring, "acme", "k1", amp_span(SEALED), out) > 0);

    amp_keyring_free(ring);
    amp_keyring_free(NULL);
}


static void
alphabet_of_a_secret(void **state)
{
    unsigned       c;
    unsigned char  text[AMP_SECRET_MAX + 1];

    memset(text, 'k', sizeof(text));

    assert_true(amp_secret_valid(amp_span_make(text, AMP_SECRET_MAX)));
    assert_false(amp_secret_valid(amp_span_make(text, AMP_SECRET_MAX + 1)));
    assert_false(amp_secret_valid(amp_span_null));

    for (c = 0; c < 256; c++) {
        text[3] = (unsigned char) c;
        assert_int_equal(amp_secret_valid(amp_span_make(text, 8)),
                         c > 0x20 && c < 0x7f);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_known_sealed_text),
        cmocka_unit_test(reveal_agrees_with_open),
        cmocka_unit_test(moved_to_another_tenant_or_key),
        cmocka_unit_test(every_changed_byte_is_detected),
        cmocka_unit_test(malformed_sealed_texts),
        cmocka_unit_test(a_second_master_key),
        cmocka_unit_test(secrets_of_every_length),
        cmocka_unit_test(texts_of_master_key_files),
        cmocka_unit_test(alphabet_of_a_secret)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
