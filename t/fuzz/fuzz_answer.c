/*
 * amp_answer_read() and amp_answer_clean().  Input: the bytes of an upstream.
 *
 * More bytes never change what the first ones were found to be, nothing is read
 * or written behind them, and a cleaned head is a final head that stays as it
 * is when it is cleaned again.
 */

#include <stdio.h>
#include <stdlib.h>

#include "amp_answer.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


/* Of a copy, behind which the sanitizer sees each read. */

static amp_answer_e
read_of(const uint8_t *data, size_t size, amp_answer_t *answer)
{
    amp_answer_e    rc;
    unsigned char  *copy;

    copy = malloc(size ? size : 1);
    check(copy != NULL);

    if (size) {
        memcpy(copy, data, size);
    }

    rc = amp_answer_read(amp_span_make(copy, size), answer);

    free(copy);

    return rc;
}


static void
clean(const uint8_t *data, size_t size, unsigned status)
{
    size_t          len, again;
    const char     *fault;
    amp_answer_t    answer;
    unsigned char  *head;

    head = malloc(size);
    check(head != NULL);
    memcpy(head, data, size);

    fault = NULL;
    len = amp_answer_clean(head, size, &fault);

    check((len == 0) == (fault != NULL));
    check(len <= size);

    if (len) {
        check(read_of(head, len, &answer) == AMP_ANSWER_FINAL);
        check(answer.len == len);
        check(answer.status == status);

        again = amp_answer_clean(head, len, &fault);
        check(again == len);

        again = amp_answer_share(head, len);
        check(again <= len);
        check(amp_answer_share(head, again) == again);
        check(read_of(head, again, &answer) == AMP_ANSWER_FINAL);
    }

    free(head);
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        i;
    amp_answer_e  rc, less;
    amp_answer_t  answer, part;

    rc = read_of(data, size, &answer);

    if (rc == AMP_ANSWER_FINAL || rc == AMP_ANSWER_INTERIM) {
        check(answer.len <= size);
        check(answer.status >= 100 && answer.status <= 599);
        check((rc == AMP_ANSWER_INTERIM) == (answer.status < 200));
    }

    for (i = 0; i < size; i++) {
        less = read_of(data, i, &part);

        check(less == AMP_ANSWER_PART || less == rc);

        if (less != AMP_ANSWER_PART && rc != AMP_ANSWER_INVALID) {
            check(i >= answer.len && part.len == answer.len);
        }
    }

    if (rc == AMP_ANSWER_FINAL) {
        clean(data, answer.len, answer.status);
    }

    return 0;
}
