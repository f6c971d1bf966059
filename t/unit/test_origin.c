#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "amp_origin.h"


static const char *
fault(const char *text)
{
    return amp_origin_fault(amp_span_make(text, strlen(text)));
}


static void
what_browsers_send(void **state)
{
    size_t  i;

    static const char *const  good[] = {
        "https://app.example.com", "http://localhost", "http://localhost:3000",
        "https://a-b.c_d.test:8443", "http://127.0.0.1:1", "https://[::1]",
        "http://[2001:db8::1]:8080", "https://x:80", "http://x:443",
        "https://x:65535", "https://xn--bcher-kva.example"
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(fault(good[i]));
    }
}


static void
what_to_write_instead(void **state)
{
    char    host[300];
    size_t  i, n;

    static const struct {
        const char  *origin;
        const char  *says;
    } bad[] = {
        { "", "scheme" }, { "*", "each origin" },
        { "https://*.example.com", "each origin" }, { "null", "scheme" },
        { "app.example.com", "scheme" }, { "https://", "scheme" },
        { "ftp://a.test", "scheme" }, { "//a.test", "scheme" },
        { "HTTPS://a.test", "lower case" },
        { "https://App.test", "lower case" },
        { "https://b\xc3\xbc" "cher.example", "xn--" },
        { "https://a.test/", "no path" }, { "https://a.test/x", "no path" },
        { "https://:8080", "host behind" }, { "https:///x", "host behind" },
        { "https://[::1", "host behind" }, { "https://[]", "host behind" },
        { "https://[::g]", "host behind" },
        { "https://a.test:443", "leave out the port" },
        { "http://a.test:80", "leave out the port" },
        { "https://a.test:", "the port" }, { "https://a.test:0", "the port" },
        { "https://a.test:080", "the port" },
        { "https://a.test:65536", "the port" },
        { "https://a.test:123456", "the port" },
        { "https://a.test:4294967739", "the port" },
        { "https://a.test:8x", "the port" }, { "https://a.test:8/", "the port" },
        { "https://u@a.test", "the port" }, { "https://a.test?x", "the port" },
        { "https://a.test b", "the port" }, { "https://a.test,b", "the port" }
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(fault(bad[i].origin));
        assert_non_null(strstr(fault(bad[i].origin), bad[i].says));
    }

    for (n = 254; n < 258; n++) {
        memset(host, 'a', sizeof(host));
        memcpy(host, "https://", 8);
        host[8 + n] = '\0';
        assert_int_equal(fault(host) == NULL, n <= 255);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(what_browsers_send),
        cmocka_unit_test(what_to_write_instead)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
