/*
 * The head of an answer, before nginx parses it (core/amp_answer.h).
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "amp_answer.h"


#define assert_read(expected, text)                                           \
    assert_int_equal(expected, amp_answer_read(amp_span(text), &answer))


/* From memory of exactly that size, which the sanitizer watches. */

static amp_answer_e
read_of(const char *text, size_t len, amp_answer_t *answer)
{
    amp_answer_e    rc;
    unsigned char  *copy;

    copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);

    rc = amp_answer_read(amp_span_make(copy, len), answer);

    free(copy);

    return rc;
}


/* Cleans a copy; the answer is what is left, or the fault. */

static const char *
cleaned(const char *head)
{
    size_t          len;
    const char     *fault;
    static char     copy[4096];
    unsigned char  *exact;

    len = strlen(head);
    assert_true(len < sizeof(copy));

    exact = malloc(len);
    assert_non_null(exact);
    memcpy(exact, head, len);

    fault = NULL;
    len = amp_answer_clean(exact, len, &fault);
    memcpy(copy, exact, len);
    copy[len] = '\0';

    free(exact);

    assert_true((len == 0) == (fault != NULL));

    return len ? copy : fault;
}


static void
a_final_head_is_whole_at_its_empty_line(void **state)
{
    size_t        i;
    const char    head[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    amp_answer_t  answer;

    (void) state;

    for (i = 0; i < sizeof(head) - 1; i++) {
        assert_int_equal(read_of(head, i, &answer), AMP_ANSWER_PART);
    }

    assert_int_equal(read_of(head, i, &answer), AMP_ANSWER_FINAL);
    assert_int_equal(answer.len, sizeof(head) - 1);
    assert_int_equal(answer.status, 200);

    assert_read(AMP_ANSWER_FINAL, "HTTP/1.0 404\r\n\r\nbody");
    assert_int_equal(answer.len, 16);
    assert_int_equal(answer.status, 404);

    assert_read(AMP_ANSWER_FINAL, "HTTP/1.1 599 \n\nbody");
    assert_int_equal(answer.len, 15);

    assert_read(AMP_ANSWER_FINAL, "HTTP/1.1 204\n\r\n");
    assert_read(AMP_ANSWER_FINAL, "HTTP/1.1  403.7 IIS\r\nA: b\n\n");
    assert_read(AMP_ANSWER_PART, "HTTP/1.1 200\r\n\r");
    assert_read(AMP_ANSWER_PART, "HTTP/1.1 200\r\nA: b\r\n \r\n");
}


static void
an_interim_head_is_told_apart(void **state)
{
    amp_answer_t  answer;

    (void) state;

    assert_read(AMP_ANSWER_INTERIM, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1");
    assert_int_equal(answer.len, 25);
    assert_int_equal(answer.status, 100);

    assert_read(AMP_ANSWER_INTERIM, "HTTP/1.1 103 X\r\nLink: <a>\r\n\r\n");
    assert_read(AMP_ANSWER_INTERIM, "HTTP/1.1 199\n\n");
    assert_read(AMP_ANSWER_PART, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n");
}


static void
what_is_no_answer_is_invalid_at_once(void **state)
{
    static const char *const invalid[] = {
        "x", "\r\n", "http/1.1 200 OK\r\n", "HTTPS/1.1 200", "HTTP 1.1 200",
        "HTTP/x", "HTTP/0.9 200 OK\r\n", "HTTP/1x", "HTTP/1.x", "HTTP/1.1x",
        "HTTP/100.1 200 OK\r\n", "HTTP/1.100 200 OK\r\n", "HTTP/1.1\r\n",
        "HTTP/1.1\t200 OK\r\n", "HTTP/1.1 \r\n", "HTTP/1.1 OK", "HTTP/1.1 2x",
        "HTTP/1.1 20\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 200x",
        "HTTP/1.1 000 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1 999 OK\r\n", "HTTP/1.1 -20 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n", "<html>", "\0HTTP/1.1 200",
        "HTTP/1.1 200 OK\rX: y\r\n", "HTTP/1.1 200 \x01\r\n",
        "HTTP/1.1 200\r\r\n", "HTTP/1.1 200 \x7f\n"
    };
    size_t        i;
    amp_answer_t  answer;

    (void) state;

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_int_equal(read_of(invalid[i], strlen(invalid[i])
                                             + (invalid[i][0] == '\0'),
                                 &answer),
                         AMP_ANSWER_INVALID);
        assert_non_null(answer.fault);
    }

    assert_read(AMP_ANSWER_PART, "");
    assert_read(AMP_ANSWER_PART, "H");
    assert_read(AMP_ANSWER_PART, "HTTP/1.1 200");
}


static void
fields_of_one_connection_or_origin_are_removed(void **state)
{
    static const char *const removed[] = {
        "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
        "Proxy-Authenticate", "Proxy-Authentication-Info", "HTTP2-Settings",
        "Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins",
        "Public-Key-Pins-Report-Only", "Clear-Site-Data", "Set-Cookie2", "NEL",
        "Report-To", "Reporting-Endpoints", "Expect-CT", "Accept-CH",
        "alt-svc", "ALT-SVC", "B@d", ("B\x80" "d")
    };
    static const char *const kept[] = {
        "Date", "Server", "Content-Type", "Set-Cookie", "ETag", "Alt-Svc-X",
        "Altsvc", "X-Upgrade", "Te-x", "Connection-x", "Content-Lengths", "!"
    };
    char    head[256];
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(removed) / sizeof(removed[0]); i++) {
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nA: b\r\n"
                        "%s: x\r\nC: d\r\n\r\n", removed[i]);
        assert_string_equal(cleaned(head),
                            "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n");
    }

    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s: x\r\n\r\n",
                        kept[i]);
        assert_string_equal(cleaned(head), head);
    }

    /* no colon, LF alone; nothing but such lines */

    assert_string_equal(cleaned("HTTP/1.1 200\nUpgrade\nA: b\nNEL\n\n"),
                        "HTTP/1.1 200\nA: b\n\n");
    assert_string_equal(cleaned("HTTP/1.1 200\r\nNEL: {}\r\nTE:\r\n\r\n"),
                        "HTTP/1.1 200\r\n\r\n");

    /* a repeated status line and a malformed name are nginx's matter */

    assert_string_equal(cleaned("HTTP/1.1 200\r\nHTTP/1.1 200 OK\r\nB d: x\r\n"
                                "\r\n"),
                        "HTTP/1.1 200\r\nHTTP/1.1 200 OK\r\nB d: x\r\n\r\n");
}


static void
what_connection_lists_is_removed(void **state)
{
    char  head[1024];

    (void) state;

    assert_string_equal(cleaned("HTTP/1.1 200 OK\r\nX-One: 1\r\n"
                                "Connection: close , x-ONE\r\nX-Two: 2\r\n"
                                "X: 3\r\nconnection:\tX-Two,,keep-alive\r\n"
                                "X-Two: 4\r\n\r\n"),
                        "HTTP/1.1 200 OK\r\nConnection: close , x-ONE\r\n"
                        "X: 3\r\nconnection:\tX-Two,,keep-alive\r\n\r\n");

    /* not what frames the answer */

    assert_string_equal(cleaned("HTTP/1.1 200 OK\r\n"
                                "Connection: Content-Length, connection, x\r\n"
                                "Content-Length: 5\r\n\r\n"),
                        "HTTP/1.1 200 OK\r\n"
                        "Connection: Content-Length, connection, x\r\n"
                        "Content-Length: 5\r\n\r\n");

    (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nConnection: %0600d"
                    "\r\n\r\n", 1);
    assert_string_equal(cleaned(head), "too much in Connection");
}


static void
the_length_of_the_body_is_stated_once(void **state)
{
    static const char *const two[] = {
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
    };
    static const char *const lengths[] = {
        "", " ", "-1", "+1", "1 1", "1,1", "0x1", "1.0", "a",
        "1234567890123456789"
    };
    static const char *const codings[] = {
        "", "identity", "gzip, chunked", "chunked, chunked", "chunkedx",
        "xchunked", "chunked;q=1", ("\x0b" "chunked")
    };
    char    head[256];
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(two) / sizeof(two[0]); i++) {
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s\r\n",
                        two[i]);
        assert_string_equal(cleaned(head), "more than one length of the body");
    }

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n"
                        "Content-Length:%s\r\n\r\n", lengths[i]);
        assert_string_equal(cleaned(head), "malformed Content-Length");
    }

    for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n"
                        "Transfer-Encoding: %s\r\n\r\n", codings[i]);
        assert_string_equal(cleaned(head), "unknown Transfer-Encoding");
    }

    assert_string_equal(cleaned("HTTP/1.1 200 OK\r\nTransfer-Encoding:"
                                " \tCHUNKED \r\n\r\n"),
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding:"
                        " \tCHUNKED \r\n\r\n");
}


static void
an_answer_that_tenants_share(void **state)
{
    size_t         len;
    unsigned char  head[] =
        "HTTP/1.1 200 OK\r\n"
        "X-RateLimit-Remaining: 1\r\n"
        "CONTENT-TYPE: a/b\r\n"
        "ETag: \"1\"\r\n"
        "ETag-X: 2\r\n"
        "Content-Length: 0\r\n"
        "Server: x\r\n"
        "Cache-Control: max-age=1\r\n"
        "C: d\r\n"
        "\r\n";

    static const char  left[] =
        "HTTP/1.1 200 OK\r\n"
        "CONTENT-TYPE: a/b\r\n"
        "ETag: \"1\"\r\n"
        "Content-Length: 0\r\n"
        "Cache-Control: max-age=1\r\n"
        "\r\n";

    (void) state;

    len = amp_answer_share(head, sizeof(head) - 1);
    assert_int_equal(len, sizeof(left) - 1);
    assert_memory_equal(head, left, len);
}


static void
an_event_stream_is_told_by_its_type(void **state)
{
    (void) state;

    assert_true(amp_answer_streams(amp_span("text/event-stream")));
    assert_true(amp_answer_streams(amp_span("Text/Event-Stream")));
    assert_true(amp_answer_streams(amp_span("text/event-stream;charset=x")));
    assert_true(amp_answer_streams(amp_span("text/event-stream \t; a=b")));

    assert_false(amp_answer_streams(amp_span_null));
    assert_false(amp_answer_streams(amp_span("text/event-streams")));
    assert_false(amp_answer_streams(amp_span("text/event")));
    assert_false(amp_answer_streams(amp_span(";text/event-stream")));
    assert_false(amp_answer_streams(amp_span("application/json")));
}


static void
names_of_trailers_that_pass(void **state)
{
    (void) state;

    assert_true(amp_answer_passes(amp_span("X-Sum")));
    assert_true(amp_answer_passes(amp_span("digest")));

    assert_false(amp_answer_passes(amp_span_null));
    assert_false(amp_answer_passes(amp_span("Alt-Svc")));
    assert_false(amp_answer_passes(amp_span("Connection")));
    assert_false(amp_answer_passes(amp_span("content-length")));
    assert_false(amp_answer_passes(amp_span("Transfer-Encoding")));
    assert_false(amp_answer_passes(amp_span("Strict-Transport-Security")));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_final_head_is_whole_at_its_empty_line),
        cmocka_unit_test(an_interim_head_is_told_apart),
        cmocka_unit_test(what_is_no_answer_is_invalid_at_once),
        cmocka_unit_test(fields_of_one_connection_or_origin_are_removed),
        cmocka_unit_test(what_connection_lists_is_removed),
        cmocka_unit_test(names_of_trailers_that_pass),
        cmocka_unit_test(the_length_of_the_body_is_stated_once),
        cmocka_unit_test(an_answer_that_tenants_share),
        cmocka_unit_test(an_event_stream_is_told_by_its_type)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
