#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_etag.h"


static void
tag_of(amp_span_t body, char *text)
{
    amp_etag_t  etag;

    amp_etag_init(&etag);
    amp_etag_add(&etag, body);
    amp_etag_write(&etag, (unsigned char *) text);

    text[AMP_ETAG_LEN] = '\0';
}


static void
the_hash_is_murmurhash3(void **state)
{
    char    text[AMP_ETAG_LEN + 1];
    size_t  i;

    /* of MurmurHash3_x64_128() with seed 0 */

    static const struct {
        amp_span_t   body;
        const char  *tag;
    } known[] = {
        { amp_span(""), "\"00000000000000000000000000000000\"" },
        { amp_span("hello"), "\"cbd8a7b341bd9b025b1e906a48ae1d19\"" },
        { amp_span("The quick brown fox jumps over the lazy dog"),
          "\"e34bbc7bbc071b6c7a433ca9c49a9347\"" },
    };

    (void) state;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        tag_of(known[i].body, text);
        assert_string_equal(text, known[i].tag);
    }
}


static void
the_parts_do_not_matter(void **state)
{
    char           whole[AMP_ETAG_LEN + 1], text[AMP_ETAG_LEN + 1];
    size_t         len, i, j;
    amp_etag_t     etag;
    unsigned char  body[70];

    (void) state;

    for (i = 0; i < sizeof(body); i++) {
        body[i] = (unsigned char) (i * 37 + 1);
    }

    for (len = 0; len <= sizeof(body); len++) {
        tag_of(amp_span_make(body, len), whole);

        for (i = 0; i <= len; i++) {
            for (j = i; j <= len; j++) {
                amp_etag_init(&etag);
                amp_etag_add(&etag, amp_span_make(body, i));
                amp_etag_add(&etag, amp_span_make(body + i, j - i));
                amp_etag_add(&etag, amp_span_make(body + j, len - j));
                amp_etag_write(&etag, (unsigned char *) text);

                text[AMP_ETAG_LEN] = '\0';
                assert_string_equal(text, whole);
            }
        }
    }
}


static void
each_bit_and_the_length_matter(void **state)
{
    char           whole[AMP_ETAG_LEN + 1], text[AMP_ETAG_LEN + 1];
    size_t         i;
    unsigned char  body[70] = { 0 };

    (void) state;

    tag_of(amp_span_make(body, sizeof(body)), whole);

    for (i = 0; i < sizeof(body); i++) {
        tag_of(amp_span_make(body, i), text);
        assert_string_not_equal(text, whole);
    }

    for (i = 0; i < 8 * sizeof(body); i++) {
        body[i / 8] ^= (unsigned char) (1 << i % 8);

        tag_of(amp_span_make(body, sizeof(body)), text);
        assert_string_not_equal(text, whole);

        body[i / 8] ^= (unsigned char) (1 << i % 8);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(the_hash_is_murmurhash3),
        cmocka_unit_test(the_parts_do_not_matter),
        cmocka_unit_test(each_bit_and_the_length_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
