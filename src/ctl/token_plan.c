/*
 * What would become of tokens.
 */

#include <stdio.h>
#include <string.h>

#include "config_diff.h"
#include "record.h"
#include "token_plan.h"
#include "token_scope.h"


int
token_plan_issue(ctl_t *ctl, amp_span_t tenant, int64_t lifetime,
    token_issued_t *issued)
{
    int      rc;
    json_t  *record;
    int64_t  now;

    memset(issued, 0, sizeof(*issued));

    rc = tenant_load(ctl->store, &ctl->error, tenant, &record);
    if (rc != 1) {
        return rc;
    }

    json_decref(record);

    if (store_time(ctl->store, &ctl->error, tenant, &now) != 0) {
        return -1;
    }

    issued->created = now / 1000000;
    issued->expires = lifetime ? issued->created + lifetime : 0;

    return 1;
}


/* A time for people, or for scripts; null: never. */

static json_t *
token_plan_time(const ctl_t *ctl, int64_t time)
{
    char  text[CTL_TIME_MAX];

    return time == 0 ? json_null()
           : ctl->json ? json_integer((json_int_t) time)
           : json_string(output_time(time, text));
}


static json_t *
token_plan_view(const ctl_t *ctl, const amp_token_record_t *record)
{
    return json_pack("{s:s%, s:s%, s:o, s:o, s:o*}",
                     "tenant", record->tenant.data, record->tenant.len,
                     "label", record->label.len
                     ? (const char *) record->label.data : "",
                     record->label.len,
                     "expires", token_plan_time(ctl, record->expires),
                     "scope", token_scope_json(record->scope),
                     "identity", record->identity.len
                     ? json_stringn((const char *) record->identity.data,
                                    record->identity.len) : NULL);
}


int
token_plan_print(ctl_t *ctl, const amp_token_record_t *made,
    const amp_token_record_t *old, int64_t ends)
{
    char            id[AMP_TOKEN_ID_MAX + 1];
    json_t         *before, *after;
    config_diff_t   diff;

    config_diff_begin(&diff, ctl->json, 1);

    if (made != NULL) {
        before = json_object();
        after = token_plan_view(ctl, made);
        config_diff_token(&diff, CONFIG_ADDED, NULL,
                          record_differences(before, after));
        json_decref(before);
        json_decref(after);
    }

    if (old != NULL) {
        snprintf(id, sizeof(id), "%.*s", (int) old->id.len, old->id.data);

        if (ends == 0) {
            config_diff_token(&diff, CONFIG_REMOVED, id, NULL);

        } else if (ends != old->expires) {
            before = json_pack("{s:o}", "expires",
                               token_plan_time(ctl, old->expires));
            after = json_pack("{s:o}", "expires", token_plan_time(ctl, ends));
            config_diff_token(&diff, CONFIG_CHANGED, id,
                              record_differences(before, after));
            json_decref(before);
            json_decref(after);
        }
    }

    return config_diff_end(&diff);
}
