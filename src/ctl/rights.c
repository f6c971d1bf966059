/*
 * What to do about a missing right.
 */

#include <string.h>

#include "../core/amp_rights.h"
#include "rights.h"


const char *
rights_user(ctl_t *ctl)
{
    const char  *user;

    user = ctl->store == NULL ? "" : store_route(ctl->store)->nodes.url.user;

    return *user == '\0' ? "default" : user;
}


void
rights_remedy(ctl_t *ctl)
{
    amp_buf_t      acl;
    amp_span_t     prefix;
    unsigned char  text[AMP_RIGHTS_ACL_MAX + AMP_REDIS_URL_TEXT];

    if (strcmp(ctl->error.code, "redis_permission") != 0) {
        return;
    }

    prefix = ctl_span(ctl->prefix);

    amp_buf_init(&acl, text, sizeof(text));
    amp_rights_acl(ctl_span(rights_user(ctl)), prefix, &acl);

    ctl_remedy(&ctl->error, "run in Redis, as a user who may: %.*s (Redis 6.0: "
               "without &%.*sevents)", (int) amp_buf_written(&acl).len,
               (char *) text, (int) prefix.len, (char *) prefix.data);
}
