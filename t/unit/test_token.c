/* Tokens: checksum, digest, creation, records. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "amp_escape.h"
#include "amp_token.h"


/* The checksums were computed with Python's zlib.crc32(). */

static const char *const  good[] = {
    "agw_0000000000000000000000000000002yg0Su",
    "agw_0123456789ABCDEFGHIJKLMNOPQRST0gaG9l",
    "agw_abcdefghijklmnopqrstuvwxyzABCD0jpvbi"
};


static amp_span_t
text(const char *s)
{
    return amp_span_make(s, strlen(s));
}


static void
valid_tokens(void **state)
{
    size_t  i;

    for (i = 0; i < 3; i++) {
        assert_true(amp_token_valid(text(good[i])));
        assert_false(amp_token_valid(amp_span_make(good[i], 39)));
        assert_false(amp_token_valid(amp_span_make(good[i], 0)));
    }

    assert_false(amp_token_valid(amp_span_null));
    assert_false(amp_token_valid(
                     text("agw_0000000000000000000000000000002yg0Su0")));
}


static void
every_changed_character_is_detected(void **state)
{
    char      token[AMP_TOKEN_LEN];
    size_t    i;
    unsigned  c;

    for (i = 0; i < AMP_TOKEN_LEN; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(token, good[1], AMP_TOKEN_LEN);

            if ((unsigned char) token[i] == c) {
                continue;
            }

            token[i] = (char) c;
            assert_false(amp_token_valid(amp_span_make(token, sizeof(token))));
        }
    }

    memcpy(token, good[1], AMP_TOKEN_LEN);
    token[10] = good[1][11];
    token[11] = good[1][10];
    assert_false(amp_token_valid(amp_span_make(token, sizeof(token))));
}


/* A correct checksum does not help a wrong character or prefix. */

static void
wrong_alphabet_or_prefix(void **state)
{
    assert_false(amp_token_valid(
                     text("agw_------------------------------2aWvxC")));
    assert_false(amp_token_valid(
                     text("agx_0000000000000000000000000000004YsyCf")));
}


static void
tokens_from_random_bytes(void **state)
{
    size_t         i;
    unsigned char  random[64], token[AMP_TOKEN_LEN], out[62];

    memset(random, 0, sizeof(random));
    assert_int_equal(amp_token_make(random, 30, token), 0);
    assert_memory_equal(token, good[0], AMP_TOKEN_LEN);
    assert_int_equal(amp_token_make(random, 29, token), -1);

    /* 248 .. 255 are skipped: else eight characters would be more likely */

    for (i = 0; i < 8; i++) {
        random[i] = (unsigned char) (248 + i);
    }

    for (i = 0; i < 30; i++) {
        random[8 + i] = (unsigned char) (i + 62 * (i % 4));
    }

    assert_int_equal(amp_token_make(random, 37, token), -1);
    assert_int_equal(amp_token_make(random, 38, token), 0);
    assert_memory_equal(token, good[1], AMP_TOKEN_LEN);
    assert_true(amp_token_valid(amp_span_make(token, sizeof(token))));

    for (i = 0; i < 62; i++) {
        random[i] = (unsigned char) (185 + 1 + i);
    }

    assert_int_equal(amp_base62(random, 62, out, 62), 0);
    assert_memory_equal(out, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz", 62);
}


/* Examples of FIPS 180-4; the first one again, to detect a state kept. */

static void
digest_of_a_token(void **state)
{
    size_t         i;
    unsigned char  digest[AMP_TOKEN_DIGEST], hex[AMP_TOKEN_DIGEST_HEX];

    static const char *const  vectors[][2] = {
        { "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }
    };

    for (i = 0; i < 4; i++) {
        assert_int_equal(amp_token_digest(text(vectors[i][0]), digest), 0);
        amp_hex(digest, sizeof(digest), hex);
        assert_memory_equal(hex, vectors[i][1], sizeof(hex));
    }
}


static void
tenant_of_a_token_id(void **state)
{
    assert_true(amp_span_eq(amp_token_id_tenant(text("acme.x3Kf0a9QzT")),
                            amp_span("acme")));
    assert_true(amp_span_eq(amp_token_id_tenant(text("a.b.c.0123456789")),
                            amp_span("a.b.c")));

    assert_int_equal(amp_token_id_tenant(text("acme.x3Kf0a9Qz")).len, 0);
    assert_int_equal(amp_token_id_tenant(text("acme.x3Kf0a9QzT1")).len, 0);
    assert_int_equal(amp_token_id_tenant(text("acme.x3Kf0a9Qz-")).len, 0);
    assert_int_equal(amp_token_id_tenant(text(".x3Kf0a9QzT")).len, 0);
    assert_int_equal(amp_token_id_tenant(text("-a.x3Kf0a9QzT")).len, 0);
    assert_int_equal(amp_token_id_tenant(text("acme-x3Kf0a9QzT")).len, 0);
    assert_int_equal(amp_token_id_tenant(amp_span_null).len, 0);
}


static int
decode(const char *json, unsigned char *buf, size_t cap, amp_token_record_t *r)
{
    const char  *error = NULL;

    if (amp_token_record_decode(text(json), buf, cap, r, &error) == 0) {
        assert_null(error);
        return 0;
    }

    assert_non_null(error);
    assert_null(strstr(error, "SENTINEL"));
    assert_int_equal(r->tenant.len, 0);

    return -1;
}


static void
token_records(void **state)
{
    unsigned char       buf[512];
    amp_token_record_t  r;

    assert_int_equal(decode("{\"v\":1,\"tenant\":\"acme\",\"new\":[],"
                            "\"id\":\"acme.x3Kf0a9QzT\",\"label\":\"c\\u00ed\","
                            "\"created\":1763000000,\"expires\":1763000001}",
                            buf, sizeof(buf), &r), 0);
    assert_true(amp_span_eq(r.tenant, amp_span("acme")));
    assert_true(amp_span_eq(r.id, amp_span("acme.x3Kf0a9QzT")));
    assert_true(amp_span_eq(r.label, amp_span("c\xc3\xad")));
    assert_int_equal(r.created, 1763000000);
    assert_int_equal(r.expires, 1763000001);
    assert_ptr_equal(r.tenant.data, buf);

    assert_int_equal(decode("{\"v\":1,\"tenant\":\"acme\","
                            "\"id\":\"acme.x3Kf0a9QzT\",\"expires\":null}",
                            buf, 19, &r), 0);
    assert_int_equal(r.expires, 0);
    assert_int_equal(r.label.len, 0);
}


static void
malformed_token_records(void **state)
{
    size_t              i;
    unsigned char       buf[512];
    amp_token_record_t  r;

    static const char *const  bad[] = {
        "",
        "SENTINEL",
        "[]",
        "{}",
        "{\"v\":2,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\"}",
        "{\"v\":\"1\",\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\"}",
        "{\"v\":1,\"id\":\"acme.x3Kf0a9QzT\"}",
        "{\"v\":1,\"tenant\":\"acme SENTINEL\",\"id\":\"acme.x3Kf0a9QzT\"}",
        "{\"v\":1,\"tenant\":\"acme\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acm.x3Kf0a9QzT\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"SENTINEL\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\",\"label\":1}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"label\":\"\\u001b[31mSENTINEL\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"label\":\"\\u009bSENTINEL\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"created\":-1}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"expires\":\"SENTINEL\"}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"expires\":1.5}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\",\"v\":1}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"x\":{\"SENTINEL\":1,\"SENTINEL\":2}}",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\"} SENTINEL",
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
            "\"label\":\"\xff\"}"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(decode(bad[i], buf, sizeof(buf), &r), -1);
    }

    assert_int_equal(decode("{\"v\":1,\"tenant\":\"acme\","
                            "\"id\":\"acme.x3Kf0a9QzT\"}", buf, 18, &r), -1);
}


static void
a_written_record_is_decoded(void **state)
{
    amp_buf_t            out;
    const char          *error;
    unsigned char        json[512], buf[512];
    amp_token_record_t   r, back;

    r.tenant = amp_span("acme");
    r.id = amp_span("acme.x3Kf0a9QzT");
    r.label = amp_span("say \"hi\" \\ \xe2\x82\xac");
    r.created = 1763000000;
    r.expires = 0;
    r.scope = amp_span_null;
    r.identity = amp_span_null;

    amp_buf_init(&out, json, sizeof(json));
    amp_token_record_write(&r, &out);
    assert_false(out.overflow);

    assert_true(amp_span_eq(amp_buf_written(&out), amp_span(
        "{\"v\":1,\"tenant\":\"acme\",\"id\":\"acme.x3Kf0a9QzT\","
        "\"label\":\"say \\\"hi\\\" \\\\ \xe2\x82\xac\","
        "\"created\":1763000000,\"expires\":null}")));

    r.expires = INT64_MAX;
    amp_buf_init(&out, json, sizeof(json));
    amp_token_record_write(&r, &out);

    assert_int_equal(amp_token_record_decode(amp_buf_written(&out), buf,
                                             sizeof(buf), &back, &error), 0);
    assert_true(amp_span_eq(back.label, r.label));
    assert_true(back.expires == INT64_MAX);
    assert_int_equal(back.identity.len, 0);

    r.identity = amp_span("subject:CN=a \"b\"");
    amp_buf_init(&out, json, sizeof(json));
    amp_token_record_write(&r, &out);

    assert_int_equal(amp_token_record_decode(amp_buf_written(&out), buf,
                                             sizeof(buf), &back, &error), 0);
    assert_true(amp_span_eq(back.identity, r.identity));

    amp_buf_init(&out, json, 60);
    amp_token_record_write(&r, &out);
    assert_true(out.overflow);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(valid_tokens),
        cmocka_unit_test(every_changed_character_is_detected),
        cmocka_unit_test(wrong_alphabet_or_prefix),
        cmocka_unit_test(tokens_from_random_bytes),
        cmocka_unit_test(digest_of_a_token),
        cmocka_unit_test(tenant_of_a_token_id),
        cmocka_unit_test(token_records),
        cmocka_unit_test(malformed_token_records),
        cmocka_unit_test(a_written_record_is_decoded)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
