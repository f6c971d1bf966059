/*
 * For test_path.c and test_path_table.c: matches the path of a request, and
 * composes the upstream path for a project.
 */

#ifndef PATH_MATCH_H
#define PATH_MATCH_H


#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "amp_path.h"


#define PROJECT_ID  "prj_01-Ab.c~"
#define VALUE       "v%20al%2d1%3ax"            /* decodes to "v al-1:x"      */
#define COMPOSED    "v%20al-1%3Ax"


static unsigned char  scratch[AMP_PATH_SCRATCH(AMP_PATH_MAX) + 1];
static char           composed[3 * AMP_PATH_MAX];


static amp_span_t
text_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


/*
 * Matches a copy of exactly the path's length, so that AddressSanitizer reports
 * a read beyond it.  m is valid until the next call.
 */

static amp_reason_e
match(amp_api_e api, const char *method, const char *path, amp_match_t *m)
{
    size_t                 len;
    static unsigned char  *exact;

    len = strlen(path);

    free(exact);
    exact = malloc(len ? len : 1);
    memcpy(exact, path, len);

    return amp_path_match(api, text_span(method), amp_span_make(exact, len),
                          scratch, m);
}


static const char *
compose(const amp_match_t *m)
{
    amp_buf_t  out;

    amp_buf_init(&out, composed, sizeof(composed) - 1);
    amp_path_compose(m, amp_span(PROJECT_ID), &out);
    assert_false(out.overflow);
    *out.pos = '\0';

    return composed;
}


static int
init(void **state)
{
    amp_match_t  m;

    /* before the index is built no path matches */

    if (match(AMP_API_PLATFORM, "GET", "/v1/projects", &m) != AMP_NO_OPERATION
        || match(AMP_API_PROXY, "GET", "/proxy/x", &m) != AMP_NO_OPERATION)
    {
        return -1;
    }

    amp_path_init();
    amp_path_init();

    return 0;
}


#endif /* PATH_MATCH_H */
