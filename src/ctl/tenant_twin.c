/*
 * Ids that differ only in case.  Redis compares: the pattern has both cases of
 * each letter.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_keys.h"
#include "tenant_twin.h"


#define TWIN_COUNT  "1000"          /* ids that one command looks at          */


static void
twin_pattern(amp_span_t id, char *out)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < id.len; i++) {
        c = amp_lower(id.data[i]);

        if (c >= 'a' && c <= 'z') {
            *out++ = '[';
            *out++ = (char) c;
            *out++ = (char) (c - 'a' + 'A');
            *out++ = ']';
        } else {
            *out++ = (char) c;
        }
    }

    *out = '\0';
}


/* The first of the members that is not the id itself, or NULL. */

static const redisReply *
twin_other(const redisReply *members, amp_span_t id)
{
    size_t  i;

    for (i = 0; i < members->elements; i++) {
        if (!amp_span_eq(amp_span_make(members->element[i]->str,
                                       members->element[i]->len), id))
        {
            return members->element[i];
        }
    }

    return NULL;
}


static int
twin_found(ctl_error_t *error, amp_span_t id, const redisReply *other)
{
    ctl_error(error, CTL_REFUSED, "exists", "there is a tenant \"%.*s\", whose "
              "id differs from \"%.*s\" only in case", (int) other->len,
              other->str, (int) id.len, (const char *) id.data);
    (void) ctl_remedy(error, "use that tenant (ampctl tenant show %.*s), or "
                      "another id", (int) other->len, other->str);

    return 1;
}


int
tenant_twin(store_t *store, ctl_error_t *error, amp_span_t id)
{
    int                rc;
    char               cursor[32], pattern[4 * AMP_TENANT_ID_MAX + 1];
    amp_buf_t          key;
    redisReply        *reply;
    unsigned char      buf[AMP_KEYS_MAX];
    const redisReply  *other;

    amp_buf_init(&key, buf, sizeof(buf));
    amp_keys_tenants(store_prefix(store), &key);
    twin_pattern(id, pattern);

    snprintf(cursor, sizeof(cursor), "0");
    rc = 0;

    do {
        reply = store_command(store, error, "SSCAN %b %s MATCH %s COUNT "
                              TWIN_COUNT, buf, amp_buf_written(&key).len,
                              cursor, pattern);

        if (reply == NULL) {
            return -1;
        }

        if (reply->elements != 2 || reply->element[0]->str == NULL) {
            freeReplyObject(reply);
            return 0;
        }

        other = twin_other(reply->element[1], id);

        if (other != NULL) {
            rc = twin_found(error, id, other);
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);

    } while (rc == 0 && strcmp(cursor, "0") != 0);

    return rc;
}
