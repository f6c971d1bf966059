#include "amp_event.h"
#include "amp_escape.h"
#include "amp_frozen.h"
#include "amp_json.h"
#include "amp_project.h"


static const char *const  amp_event_types[] = {
    "tenant", "token", "generation", "purge", "cooldown", "freeze",
    "mark", "limit"
};


static int
amp_event_type(amp_span_t name, amp_event_e *type)
{
    unsigned  i;

    for (i = 0; i <= AMP_EVENT_LIMIT; i++) {
        if (amp_span_eq(name, amp_span_make(amp_event_types[i],
                                            strlen(amp_event_types[i]))))
        {
            *type = (amp_event_e) i;
            return 0;
        }
    }

    return -1;
}


/* Reads a digest in lower-case hex, as amp_hex() writes it: 0, or -1. */

static int
amp_event_digest(amp_span_t hex, unsigned char digest[AMP_TOKEN_DIGEST])
{
    size_t         i;
    unsigned char  c, value;

    if (hex.len != AMP_TOKEN_DIGEST_HEX) {
        return -1;
    }

    for (i = 0; i < hex.len; i++) {
        c = hex.data[i];

        if (c >= '0' && c <= '9') {
            value = (unsigned char) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            value = (unsigned char) (c - 'a' + 10);

        } else {
            return -1;
        }

        digest[i / 2] = (unsigned char) (digest[i / 2] << 4 | value);
    }

    return 0;
}


static int
amp_event_tenant(const json_t *json, amp_event_t *event)
{
    amp_span_t  tenant;

    tenant = amp_json_text(json_object_get(json, "tenant"));

    if (!amp_tenant_id_valid(tenant)) {
        return -1;
    }

    memcpy(event->tenant, tenant.data, tenant.len);
    event->tenant_len = tenant.len;

    return 0;
}


static int
amp_event_project(const json_t *json, amp_event_t *event)
{
    amp_span_t  project;

    project = amp_json_text(json_object_get(json, "project"));

    if (!amp_project_id_valid(project)) {
        return -1;
    }

    memcpy(event->project, project.data, project.len);
    event->project_len = project.len;

    return 0;
}


static int
amp_event_family(const json_t *json, amp_event_t *event)
{
    int  family;

    family = amp_family_find(amp_json_text(json_object_get(json, "family")));

    if (family < 0) {
        return -1;
    }

    event->family = (amp_family_e) family;

    return amp_event_project(json, event);
}


static int
amp_event_limit(const json_t *json, amp_event_t *event)
{
    json_t  *limit;

    limit = json_object_get(json, "limit");

    if (limit == NULL || amp_project_limit(limit, &event->rate) != 0) {
        return -1;
    }

    return amp_event_project(json, event);
}


static int
amp_event_cooldown(const json_t *json, amp_event_t *event)
{
    json_t  *scope;

    scope = json_object_get(json, "scope");

    if (scope != NULL) {
        event->scoped = 1;

        if (amp_event_digest(amp_json_text(scope), event->digest) != 0) {
            return -1;
        }
    }

    if (amp_json_count(json_object_get(json, "ms"), &event->rev) != 0) {
        return -1;
    }

    return amp_event_tenant(json, event);
}


static int
amp_event_read(const json_t *json, amp_event_t *event)
{
    uint64_t  v;

    if (amp_json_count(json_object_get(json, "v"), &v) != 0 || v != 1
        || amp_event_type(amp_json_text(json_object_get(json, "type")),
                          &event->type)
           != 0)
    {
        return -1;
    }

    if (event->type == AMP_EVENT_TOKEN) {
        if (amp_event_tenant(json, event) != 0) {
            return -1;
        }

        return amp_event_digest(amp_json_text(json_object_get(json, "token")),
                                event->digest);
    }

    if (event->type == AMP_EVENT_COOLDOWN) {
        return amp_event_cooldown(json, event);
    }

    if (event->type == AMP_EVENT_LIMIT) {
        return amp_event_limit(json, event);
    }

    if (amp_json_count(json_object_get(json, "rev"), &event->rev) != 0) {
        return -1;
    }

    switch (event->type) {

    case AMP_EVENT_TENANT:
        return amp_event_tenant(json, event);

    case AMP_EVENT_MARK:
        return 0;

    case AMP_EVENT_FREEZE:
        return amp_frozen_read(json_object_get(json, "classes"),
                               &event->classes);

    default: /* AMP_EVENT_GENERATION, AMP_EVENT_PURGE */
        return amp_event_family(json, event);
    }
}


int
amp_event_decode(amp_span_t json, amp_event_t *event)
{
    int          rc;
    json_t      *object;
    const char  *error;

    memset(event, 0, sizeof(*event));

    if (json.len > AMP_EVENT_MAX) {
        return -1;
    }

    object = amp_json_object(json, &error);

    if (object == NULL) {
        return -1;
    }

    rc = amp_event_read(object, event);

    json_decref(object);

    return rc;
}


static void
amp_event_write_digest(const amp_event_t *event, amp_buf_t *out)
{
    unsigned char  hex[AMP_TOKEN_DIGEST_HEX];

    amp_hex(event->digest, AMP_TOKEN_DIGEST, hex);
    amp_json_string(amp_span_make(hex, sizeof(hex)), out);
}


static void
amp_event_write_project(const amp_event_t *event, amp_buf_t *out)
{
    amp_buf_text(out, ",\"project\":");
    amp_json_string(amp_span_make(event->project, event->project_len), out);
}


static void
amp_event_write_family(const amp_event_t *event, amp_buf_t *out)
{
    const char  *family = amp_family_name(event->family);

    amp_event_write_project(event, out);
    amp_buf_text(out, ",\"family\":");
    amp_json_string(amp_span_make(family, strlen(family)), out);
}


void
amp_event_write(const amp_event_t *event, amp_buf_t *out)
{
    const char  *type = amp_event_types[event->type];

    amp_buf_text(out, "{\"v\":1,\"type\":");
    amp_json_string(amp_span_make(type, strlen(type)), out);

    if (event->type == AMP_EVENT_GENERATION || event->type == AMP_EVENT_PURGE) {
        amp_event_write_family(event, out);

    } else if (event->type == AMP_EVENT_LIMIT) {
        amp_event_write_project(event, out);

    } else if (event->type == AMP_EVENT_FREEZE) {
        amp_buf_text(out, ",\"classes\":");
        amp_frozen_write(event->classes, out);

    } else if (event->type != AMP_EVENT_MARK) {
        amp_buf_text(out, ",\"tenant\":");
        amp_json_string(amp_span_make(event->tenant, event->tenant_len), out);
    }

    switch (event->type) {

    case AMP_EVENT_TOKEN:
        amp_buf_text(out, ",\"token\":");
        amp_event_write_digest(event, out);
        break;

    case AMP_EVENT_COOLDOWN:
        if (event->scoped) {
            amp_buf_text(out, ",\"scope\":");
            amp_event_write_digest(event, out);
        }

        amp_buf_text(out, ",\"ms\":");
        amp_json_number(event->rev, out);
        break;

    case AMP_EVENT_LIMIT:
        amp_buf_text(out, ",\"limit\":");
        amp_project_limit_write(&event->rate, out);
        break;

    default:
        amp_buf_text(out, ",\"rev\":");
        amp_json_number(event->rev, out);
    }

    amp_buf_byte(out, '}');
}
