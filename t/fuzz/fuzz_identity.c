/*
 * amp_identity_name() and amp_identity_parse().  Input: the value of a variable
 * of nginx, which a client chooses.
 *
 * What is taken as an identity has a name that fits, that is taken as it is
 * when people write it, and that has a digest.
 */

#include <stdio.h>
#include <stdlib.h>

#include "amp_identity.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


static void
check_name(amp_span_t name)
{
    amp_buf_t      out;
    unsigned char  buf[AMP_IDENTITY_MAX], digest[AMP_TOKEN_DIGEST];

    check(name.len <= AMP_IDENTITY_MAX);
    check(amp_identity_digest(name, digest) == 0);

    amp_buf_init(&out, buf, sizeof(buf));
    check(amp_identity_parse(name, &out) == NULL);
    check(!out.overflow);
    check(amp_span_eq(amp_buf_written(&out), name));
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int             i;
    amp_buf_t       out;
    unsigned char  *copy, buf[AMP_IDENTITY_MAX];

    copy = malloc(size ? size : 1);
    check(copy != NULL);

    if (size) {
        memcpy(copy, data, size);
    }

    for (i = AMP_IDENTITY_FINGERPRINT; i <= AMP_IDENTITY_CLAIM; i++) {
        amp_buf_init(&out, buf, sizeof(buf));

        if (amp_identity_name((amp_identity_e) i, amp_span("sub"),
                              amp_span_make(copy, size), &out)
            == NULL)
        {
            check(!out.overflow);
            check_name(amp_buf_written(&out));
        }
    }

    amp_buf_init(&out, buf, sizeof(buf));

    if (amp_identity_parse(amp_span_make(copy, size), &out) == NULL) {
        check(!out.overflow);
        check_name(amp_buf_written(&out));
    }

    free(copy);

    return 0;
}
