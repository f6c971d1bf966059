/*
 * Ampersand's own API through libcurl: the few calls that ampctl makes with a
 * tenant's key.
 */

#ifndef CTL_AMPERSAND_H
#define CTL_AMPERSAND_H


#include "../core/amp_tenant.h"
#include "output.h"


#define AMPERSAND_TEXT  256


typedef struct {
    long  status;                   /* HTTP                                   */
    char  id[AMPERSAND_TEXT];       /* of the project in a 200; or empty      */
    char  name[AMPERSAND_TEXT];
    char  detail[AMPERSAND_TEXT];   /* Ampersand's words in a refusal         */
} ampersand_project_t;


/* Is this a base URL: http:// or https://, a host, nothing secret in it? */

int ampersand_upstream_valid(const char *upstream);

/*
 * getProject with a key.  upstream NULL is api.withampersand.com itself; the
 * Host header names it in any case.  0 with any HTTP answer, or -1 with the
 * error filled: out of reach, too slow, TLS not verified.  Nothing that is
 * returned holds the key.
 */

int ampersand_project(const char *upstream, unsigned timeout, amp_span_t key,
    amp_span_t project, ampersand_project_t *answer, ctl_error_t *error);

/* Does anything answer there?  0, or -1 as above. */

int ampersand_reach(const char *upstream, unsigned timeout,
    ctl_error_t *error);


#endif /* CTL_AMPERSAND_H */
