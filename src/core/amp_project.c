#include "amp_project.h"
#include "amp_json.h"
#include "amp_tenant.h"


int
amp_project_limit(const json_t *limit, amp_rate_t *rate)
{
    int  rc;

    memset(rate, 0, sizeof(*rate));
    rc = amp_tenant_limit(limit, rate);

    if (rc < 0) {
        memset(rate, 0, sizeof(*rate));
    }

    return rc < 0 ? -1 : 0;
}


int
amp_project_limit_decode(amp_span_t text, amp_rate_t *rate)
{
    int          rc;
    json_t      *limit;
    const char  *error;

    memset(rate, 0, sizeof(*rate));

    if (text.len == 0) {
        return 0;
    }

    limit = amp_json_object(text, &error);

    if (limit == NULL) {
        return -1;
    }

    rc = amp_project_limit(limit, rate);
    json_decref(limit);

    return rc;
}


void
amp_project_limit_write(const amp_rate_t *rate, amp_buf_t *out)
{
    if (rate->count == 0) {
        amp_buf_text(out, "{}");
        return;
    }

    amp_buf_text(out, "{\"rate\":\"");
    amp_rate_write(rate, out);
    amp_buf_text(out, "\",\"burst\":");
    amp_json_number(rate->burst, out);
    amp_buf_byte(out, '}');
}
