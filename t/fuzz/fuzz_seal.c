/*
 * Any bytes as a sealed text: they do not open.  The same bytes as a secret are
 * sealed and opened; and written over a part of the sealed text, they make it
 * invalid.
 *
 * Two rings: libFuzzer learns sealed texts from memcmp(), so the ring that must
 * not open anything never seals.
 */

#include <stdlib.h>

#include "amp_seal.h"


#define HALF  "101112131415161718191a1b1c1d1e1f"
#define ID    "v1.2f17dc20."


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static int
opens(amp_keyring_t *ring, const void *text, size_t len, unsigned char *out)
{
    int             n;
    size_t          i;
    unsigned char  *copy;

    /* exactly size bytes: AddressSanitizer reports a read beyond */

    copy = malloc(len + !len);
    check(copy != NULL);
    memcpy(copy, text, len);

    n = amp_seal_open(ring, amp_span("acme"), amp_span("k1"),
                      amp_span_make(copy, len), out);
    free(copy);

    check(n <= AMP_SECRET_MAX && n != 0);

    for (i = 0; n < 0 && i < AMP_SECRET_MAX; i++) {
        check(out[i] == 0);
    }

    return n;
}


/* Opens the input behind the version and the id of a master key. */

static void
arbitrary(amp_keyring_t *ring, const uint8_t *data, size_t size,
    unsigned char *out)
{
    unsigned char  text[2 * AMP_SEALED_MAX];

    check(opens(ring, data, size, out) < 0);

    if (size < sizeof(text) - sizeof(ID)) {
        memcpy(text, ID, sizeof(ID) - 1);
        memcpy(text + sizeof(ID) - 1, data, size);
        check(opens(ring, text, sizeof(ID) - 1 + size, out) < 0);
    }
}


static void
round_trip(amp_keyring_t *ring, const uint8_t *data, size_t size,
    unsigned char *out)
{
    int            n;
    size_t         at, len;
    amp_buf_t      b;
    unsigned char  nonce[AMP_NONCE_LEN] = { 0 }, text[AMP_SEALED_MAX];
    unsigned char  spoilt[AMP_SEALED_MAX];

    amp_buf_init(&b, text, sizeof(text));
    memcpy(nonce, data, (size < sizeof(nonce)) ? size : sizeof(nonce));

    n = amp_seal(ring, amp_span("acme"), amp_span("k1"),
                 amp_span_make(data, size), nonce, &b);
    check((n == 0) == (size >= 1 && size <= AMP_SECRET_MAX));

    if (n != 0) {
        return;
    }

    len = amp_buf_written(&b).len;
    n = opens(ring, text, len, out);
    check(n == (int) size && memcmp(out, data, size) == 0);

    at = data[0] % len;
    memcpy(spoilt, text, len);
    memcpy(spoilt + at, data, (size < len - at) ? size : len - at);

    if (memcmp(spoilt, text, len) != 0) {
        check(opens(ring, spoilt, len, out) < 0);
    }

    check(opens(ring, text, len - 1, out) < 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static amp_keyring_t  *ring, *other;

    const char     *error;
    unsigned char   out[AMP_SECRET_MAX];

    if (ring == NULL) {
        ring = amp_keyring_create();
        other = amp_keyring_create();

        check(ring != NULL && other != NULL);
        check(amp_keyring_add(ring, amp_span("000102030405060708090a0b0c0d0e0f"
                                             HALF), &error) == 0);
        check(amp_keyring_add(other, amp_span(HALF HALF), &error) == 0);
    }

    arbitrary(ring, data, size, out);
    round_trip(other, data, size, out);

    return 0;
}
