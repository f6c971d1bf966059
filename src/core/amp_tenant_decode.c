/* From the JSON of a tenant record to the flat block: see amp_tenant.h. */

#include <openssl/sha.h>

#include "amp_json.h"
#include "amp_seal.h"
#include "amp_tenant.h"


/* Appends text to the block and returns where it is. */

static amp_field_t
amp_tenant_put(amp_tenant_t *t, amp_buf_t *out, amp_span_t s)
{
    amp_field_t  f = { 0, 0 };

    if (s.len != 0) {
        f.offset = (uint16_t) (out->pos - (unsigned char *) t);
        f.len = (uint16_t) s.len;
        amp_buf_span(out, s);
    }

    return f;
}


static const char *
amp_tenant_read_identity(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    json_t      *disabled;
    uint64_t     v;
    amp_span_t   id;

    if (amp_json_count(json_object_get(json, "v"), &v) != 0 || v != 1) {
        return "\"v\" is not 1";
    }

    if (amp_json_count(json_object_get(json, "rev"), &t->rev) != 0) {
        return "\"rev\" is not a whole number";
    }

    id = amp_json_text(json_object_get(json, "id"));

    if (!amp_tenant_id_valid(id)) {
        return "\"id\" is not a tenant id";
    }

    t->id = amp_tenant_put(t, out, id);

    disabled = json_object_get(json, "disabled");

    if (disabled != NULL && !json_is_boolean(disabled)) {
        return "\"disabled\" is neither true nor false";
    }

    t->disabled = json_is_true(disabled);

    if (amp_frozen_read(json_object_get(json, "frozen"), &t->frozen) != 0) {
        return "\"frozen\" is not an array of classes";
    }

    return NULL;
}


static const char *
amp_tenant_read_project(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    size_t          i;
    json_t         *project, *member;
    amp_span_t      id, name;
    unsigned char   lower[AMP_PROJECT_NAME_MAX];

    project = json_object_get(json, "project");
    id = amp_json_text(json_object_get(project, "id"));

    if (!amp_project_id_valid(id)) {
        return "\"project\" has no valid \"id\"";
    }

    member = json_object_get(project, "name");
    name = amp_json_text(member);

    if (member != NULL && !json_is_null(member) && !json_is_string(member)) {
        return "\"project.name\" is not a string";
    }

    if (name.len != 0 && !amp_project_name_valid(name)) {
        return "\"project.name\" is not a project name";
    }

    for (i = 0; i < name.len; i++) {
        lower[i] = amp_lower(name.data[i]);
    }

    t->project_id = amp_tenant_put(t, out, id);
    t->project_name = amp_tenant_put(t, out, amp_span_make(lower, name.len));

    return NULL;
}


/*
 * t->owner, see amp_tenant.h.  Six bits of each byte of the digest are used:
 * 96 bits in all.
 */

static const char *
amp_tenant_set_owner(const json_t *json, amp_tenant_t *t)
{
    size_t         i;
    json_t        *incarnation;
    uint64_t       n;
    amp_buf_t      buf;
    amp_span_t     groups;
    unsigned char  text[AMP_TENANT_ID_MAX + 1 + AMP_PROJECT_ID_MAX + 1
                        + SHA256_DIGEST_LENGTH + 21];
    unsigned char  digest[SHA256_DIGEST_LENGTH];

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    amp_buf_init(&buf, text, sizeof(text));
    amp_buf_span(&buf, amp_tenant_field(t, t->id));
    amp_buf_byte(&buf, '/');
    amp_buf_span(&buf, amp_tenant_field(t, t->project_id));

    if (t->ngroups) {
        groups = amp_tenant_field(t, t->groups);

        if (SHA256(groups.data, groups.len, digest) == NULL) {
            return "OpenSSL failed to compute SHA-256";
        }

        amp_buf_byte(&buf, '/');
        amp_buf_put(&buf, digest, sizeof(digest));
    }

    incarnation = json_object_get(json, "incarnation");

    if (incarnation != NULL) {
        if (amp_json_count(incarnation, &n) != 0) {
            return "\"incarnation\" is not a whole number";
        }

        amp_buf_byte(&buf, '/');
        amp_json_number(n, &buf);
    }

    if (SHA256(text, amp_buf_written(&buf).len, digest) == NULL) {
        return "OpenSSL failed to compute SHA-256";
    }

    for (i = 0; i < AMP_TENANT_OWNER; i++) {
        t->owner[i] = (unsigned char) letters[digest[i] & 0x3f];
    }

    return NULL;
}


static const char *
amp_tenant_read_keys(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    size_t          i;
    json_t         *keys, *key;
    amp_buf_t       decoded;
    amp_span_t      id, sealed, state;
    unsigned char   buf[AMP_SEALED_MAX];

    keys = json_object_get(json, "keys");

    if (keys != NULL && !json_is_array(keys)) {
        return "\"keys\" is not an array";
    }

    json_array_foreach(keys, i, key) {
        id = amp_json_text(json_object_get(key, "id"));
        sealed = amp_json_text(json_object_get(key, "sealed"));
        state = amp_json_text(json_object_get(key, "state"));

        if (!amp_key_id_valid(id)) {
            return "an item of \"keys\" has no valid \"id\"";
        }

        if (!amp_sealed_text_valid(sealed)) {
            return "an item of \"keys\" has no valid \"sealed\"";
        }

        if (state.data == NULL) {
            return "an item of \"keys\" has no \"state\"";
        }

        if (t->key_id.len == 0 && amp_span_eq(state, amp_span("active"))) {
            t->key_id = amp_tenant_put(t, out, id);

            amp_buf_init(&decoded, buf, sizeof(buf));

            if (amp_seal_decode(sealed, &decoded) != 0) {
                return "the \"sealed\" of the active key is damaged";
            }

            t->sealed = amp_tenant_put(t, out, amp_buf_written(&decoded));
        }
    }

    return NULL;
}


/*
 * Adds the items of an allow or deny list.  Unknown items are ignored: a newer
 * ampctl may have written them.  0, or -1 when it is not an array of strings.
 */

static int
amp_tenant_read_items(const json_t *items, amp_grants_t *grants)
{
    size_t       i;
    json_t      *item;
    amp_span_t   text;

    if (!json_is_array(items)) {
        return -1;
    }

    json_array_foreach(items, i, item) {
        text = amp_json_text(item);

        if (text.data == NULL) {
            return -1;
        }

        (void) amp_grants_add(grants, text);
    }

    return 0;
}


static const char *
amp_tenant_read_grants(const json_t *json, amp_tenant_t *t)
{
    size_t        i;
    json_t       *grants, *list;
    unsigned      classes;
    amp_grants_t  allow, deny;

    memset(&allow, 0, sizeof(allow));
    memset(&deny, 0, sizeof(deny));

    grants = json_object_get(json, "grants");

    if (grants != NULL && !json_is_object(grants)) {
        return "\"grants\" is not an object";
    }

    list = json_object_get(grants, "allow");

    if (list == NULL) {
        amp_grants_default(&allow);

    } else if (amp_tenant_read_items(list, &allow) != 0) {
        return "\"grants.allow\" is not an array of strings";
    }

    list = json_object_get(grants, "deny");

    if (list != NULL && amp_tenant_read_items(list, &deny) != 0) {
        return "\"grants.deny\" is not an array of strings";
    }

    for (i = 0; i < AMP_GRANT_WORDS; i++) {
        t->granted[i] = allow.operations[i] & ~deny.operations[i];
    }

    classes = allow.classes & ~deny.classes;
    t->secrets = classes >> AMP_CLASS_SECRETS & 1;
    t->changes = classes >> AMP_CLASS_WRITE & 1;

    return NULL;
}


static const char *
amp_tenant_read_groups(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    size_t          i;
    json_t         *groups, *item;
    uint16_t        len;
    amp_span_t      group;
    unsigned char  *start = out->pos;

    groups = json_object_get(json, "groups");

    if (groups == NULL) {
        return NULL;
    }

    if (!json_is_array(groups)) {
        return "\"groups\" is not an array";
    }

    if (json_array_size(groups) > AMP_GROUPS_MAX) {
        return "\"groups\" has more than 64 items";
    }

    json_array_foreach(groups, i, item) {
        group = amp_json_text(item);

        if (!amp_group_valid(group)) {
            return "an item of \"groups\" is not a groupRef";
        }

        len = (uint16_t) group.len;
        amp_buf_put(out, &len, sizeof(len));
        amp_buf_span(out, group);
    }

    t->ngroups = (uint16_t) json_array_size(groups);
    t->groups.offset = (uint16_t) (start - (unsigned char *) t);
    t->groups.len = (uint16_t) (out->pos - start);

    return NULL;
}


int
amp_tenant_limit(const json_t *limit, amp_rate_t *rate)
{
    json_t    *burst;
    uint64_t   n;

    if (limit == NULL) {
        return 0;
    }

    if (!json_is_object(limit)) {
        return -1;
    }

    burst = json_object_get(limit, "burst");

    if (json_object_get(limit, "rate") == NULL) {
        return (burst == NULL) ? 0 : -1;
    }

    if (amp_rate_parse(amp_json_text(json_object_get(limit, "rate")), rate)) {
        return -1;
    }

    n = amp_rate_default_burst(rate);

    if (burst != NULL && amp_json_count(burst, &n) != 0) {
        return -1;
    }

    if (n == 0 || n > AMP_BURST_MAX) {
        return -1;
    }

    rate->burst = (uint32_t) n;

    return 1;
}


static const char *
amp_tenant_read_limits(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    int             limit, rc;
    json_t         *limits, *concurrency;
    uint64_t        n = 0;
    amp_rate_t      rate;
    unsigned char  *start = out->pos;

    static const char *const  errors[AMP_LIMIT_COUNT] = {
        "\"limits.default\" is not a rate and a burst",
        "\"limits.catalog\" is not a rate and a burst",
        "\"limits.read\" is not a rate and a burst",
        "\"limits.write\" is not a rate and a burst",
        "\"limits.data\" is not a rate and a burst",
        "\"limits.secrets\" is not a rate and a burst"
    };

    limits = json_object_get(json, "limits");

    if (limits != NULL && !json_is_object(limits)) {
        return "\"limits\" is not an object";
    }

    for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
        rc = amp_tenant_limit(
                 json_object_get(limits, amp_limit_name((amp_limit_e) limit)),
                 &rate);

        if (rc < 0) {
            return errors[limit];
        }

        if (rc > 0) {
            t->limits |= 1u << limit;
            amp_buf_put(out, &rate, sizeof(rate));
        }
    }

    concurrency = json_object_get(limits, "concurrency");

    if (concurrency != NULL
        && (amp_json_count(concurrency, &n) != 0 || n > AMP_BURST_MAX))
    {
        return "\"limits.concurrency\" is not a number of requests";
    }

    t->concurrency = (uint32_t) n;

    t->rates.offset = (uint16_t) (start - (unsigned char *) t);
    t->rates.len = (uint16_t) (out->pos - start);

    return NULL;
}


/*
 * Resolves names to one lifetime for each operation, so that a request needs
 * to test only one bit.
 */

static const char *
amp_tenant_read_cache(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    size_t                  i, n;
    json_t                 *cache, *item;
    uint32_t                seconds, lifetimes[AMP_OPERATIONS_MAX];
    unsigned                rank, ranks[AMP_OPERATIONS_MAX] = { 0 };
    amp_span_t              name;
    const char             *key;
    unsigned char          *start = out->pos;
    const amp_operation_t  *op;

    cache = json_object_get(json, "cache");

    if (cache != NULL && !json_is_object(cache)) {
        return "\"cache\" is not an object";
    }

    if (json_object_size(cache) == 0) {
        return NULL;
    }

    op = amp_operations(&n);

    json_object_foreach(cache, key, item) {
        name = amp_span_make(key, strlen(key));

        if (amp_lifetime_name(name) != AMP_LIFETIME_OWN) {
            continue;
        }

        if (amp_lifetime_parse(amp_json_text(item), &seconds) != 0) {
            return "an item of \"cache\" is not a time";
        }

        for (i = 0; i < n; i++) {
            rank = amp_lifetime_rank(name, &op[i]);

            if (rank > ranks[i] && op[i].class != AMP_CLASS_CATALOG) {
                ranks[i] = rank;
                lifetimes[i] = seconds;
            }
        }
    }

    for (i = 0; i < n; i++) {
        if (ranks[i]) {
            t->cached[i / 64] |= UINT64_C(1) << (i % 64);
            amp_buf_put(out, &lifetimes[i], sizeof(lifetimes[i]));
        }
    }

    t->cache.offset = (uint16_t) (start - (unsigned char *) t);
    t->cache.len = (uint16_t) (out->pos - start);

    return NULL;
}


/* NULL, or what is wrong with the record. */

static const char *
amp_tenant_read(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    const char  *error;

    error = amp_tenant_read_identity(json, t, out);

    if (error == NULL) {
        error = amp_tenant_read_project(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_read_keys(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_read_grants(json, t);
    }

    if (error == NULL) {
        error = amp_tenant_read_groups(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_set_owner(json, t);
    }

    if (error == NULL) {
        error = amp_tenant_read_limits(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_read_cache(json, t, out);
    }

    if (error == NULL && out->overflow) {
        error = "the record is too large";
    }

    return error;
}


size_t
amp_tenant_decode(amp_span_t json, void *out, size_t cap, const char **error)
{
    size_t   size;
    json_t  *object;

    if (json.len > AMP_TENANT_JSON_MAX) {
        *error = "the record is too large";
        return 0;
    }

    object = amp_json_object(json, error);

    if (object == NULL) {
        return 0;
    }

    size = amp_tenant_decode_object(object, out, cap, error);

    json_decref(object);

    return size;
}


size_t
amp_tenant_decode_object(const json_t *object, void *out, size_t cap,
    const char **error)
{
    amp_buf_t      b;
    amp_tenant_t  *t = out;

    if (cap > AMP_TENANT_FLAT_MAX) {
        cap = AMP_TENANT_FLAT_MAX;
    }

    if (cap < sizeof(*t)) {
        *error = "the record is too large";
        return 0;
    }

    /* clears padding too: equal records are equal bytes */

    memset(t, 0, sizeof(*t));

    amp_buf_init(&b, out, cap);
    b.pos += sizeof(*t);

    *error = amp_tenant_read(object, t, &b);

    if (*error != NULL) {
        return 0;
    }

    t->size = (uint32_t) amp_buf_written(&b).len;

    return t->size;
}
