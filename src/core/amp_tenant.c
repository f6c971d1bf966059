#include "amp_json.h"
#include "amp_seal.h"
#include "amp_tenant.h"

#include <openssl/sha.h>


#define AMP_GRANT_WORDS    (AMP_OPERATIONS_MAX / 64)
#define AMP_GRANT_DEFAULT  (1u << AMP_CLASS_CATALOG | 1u << AMP_CLASS_READ   \
                            | 1u << AMP_CLASS_WRITE | 1u << AMP_CLASS_DATA)


/* What a list of grant items says: single operations, and whole classes. */

typedef struct {
    uint64_t  operations[AMP_GRANT_WORDS];
    unsigned  classes;                      /* 1 << amp_class_e               */
} amp_grants_t;


static int
amp_alnum(unsigned char c)
{
    return (unsigned) (c - '0') <= 9
           || (unsigned) ((c | 0x20) - 'a') <= 'z' - 'a';
}


static int
amp_word_valid(amp_span_t word, size_t max)
{
    size_t         i;
    unsigned char  c;

    if (word.len == 0 || word.len > max) {
        return 0;
    }

    for (i = 0; i < word.len; i++) {
        c = word.data[i];

        if (!amp_alnum(c) && c != '.' && c != '_' && c != '-') {
            return 0;
        }
    }

    return 1;
}


int
amp_tenant_id_valid(amp_span_t id)
{
    return amp_word_valid(id, AMP_TENANT_ID_MAX) && amp_alnum(id.data[0]);
}


int
amp_project_id_valid(amp_span_t id)
{
    return amp_word_valid(id, AMP_PROJECT_ID_MAX) && amp_alnum(id.data[0]);
}


int
amp_project_name_valid(amp_span_t name)
{
    return amp_word_valid(name, AMP_PROJECT_NAME_MAX);
}


int
amp_key_id_valid(amp_span_t id)
{
    return amp_word_valid(id, AMP_KEY_ID_MAX) && amp_alnum(id.data[0]);
}


int
amp_group_valid(amp_span_t group)
{
    return group.len > 0 && group.len <= AMP_GROUP_MAX
           && amp_json_printable(group);
}


int
amp_limit_find(amp_span_t name)
{
    int  class;

    if (amp_span_eq(name, amp_span("default"))) {
        return AMP_LIMIT_DEFAULT;
    }

    class = amp_class_find(name);

    return (class >= 0 && class < AMP_CLASS_COUNT) ? AMP_LIMIT_CATALOG + class
                                                   : -1;
}


const char *
amp_limit_name(amp_limit_e limit)
{
    if (limit == AMP_LIMIT_DEFAULT) {
        return "default";
    }

    return amp_class_name((amp_class_e) (limit - AMP_LIMIT_CATALOG));
}


/*
 * In any case, so that "Write", which is a tag of one operation too, cannot be
 * taken for less than was meant.
 */

static int
amp_grant_class(amp_span_t item)
{
    int          class;
    const char  *name;

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        name = amp_class_name((amp_class_e) class);

        if (amp_span_caseeq(item, amp_span_make(name, strlen(name)))) {
            return class;
        }
    }

    return -1;
}


static int
amp_grant_tag_eq(amp_span_t item, const char *tag)
{
    size_t         i;
    unsigned char  a, b;

    if (item.len != strlen(tag)) {
        return 0;
    }

    for (i = 0; i < item.len; i++) {
        a = amp_lower(item.data[i]);
        b = amp_lower((unsigned char) tag[i]);

        if ((a == ' ' ? '-' : a) != (b == ' ' ? '-' : b)) {
            return 0;
        }
    }

    return 1;
}


unsigned
amp_grant_expand(amp_span_t item, uint64_t set[AMP_OPERATIONS_MAX / 64])
{
    int                     class;
    size_t                  i, n;
    unsigned                index, named = 0;
    amp_span_t              tag = item;
    const amp_operation_t  *op, *one;

    class = amp_grant_class(item);
    one = amp_operation_find(item);
    op = amp_operations(&n);

    if (tag.len > 4 && memcmp(tag.data, "tag:", 4) == 0) {
        tag.data += 4;
        tag.len -= 4;
    }

    for (i = 0; i < n; i++, op++) {
        if (op->class == AMP_CLASS_NONE
            || !((class >= 0) ? (int) op->class == class
                 : (one != NULL) ? op == one
                 : amp_grant_tag_eq(tag, op->tag)))
        {
            continue;
        }

        index = amp_operation_index(op);
        set[index / 64] |= UINT64_C(1) << (index % 64);
        named++;
    }

    return named;
}


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
amp_tenant_read_project(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    size_t          i;
    json_t         *project, *member;
    amp_span_t      id, name;
    unsigned char   lower[AMP_PROJECT_NAME_MAX];

    project = json_object_get(json, "project");
    id = amp_json_text(json_object_get(project, "id"));

    if (!amp_project_id_valid(id)) {
        return "\"project\" has no \"id\" that is a project id";
    }

    member = json_object_get(project, "name");
    name = amp_json_text(member);

    if (member != NULL && !json_is_null(member) && !json_is_string(member)) {
        return "\"project.name\" is no string";
    }

    if (name.len != 0 && !amp_project_name_valid(name)) {
        return "\"project.name\" is no project name";
    }

    for (i = 0; i < name.len; i++) {
        lower[i] = amp_lower(name.data[i]);
    }

    t->project_id = amp_tenant_put(t, out, id);
    t->project_name = amp_tenant_put(t, out, amp_span_make(lower, name.len));

    return NULL;
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
        return "\"rev\" is no whole number";
    }

    id = amp_json_text(json_object_get(json, "id"));

    if (!amp_tenant_id_valid(id)) {
        return "\"id\" is no tenant id";
    }

    t->id = amp_tenant_put(t, out, id);

    disabled = json_object_get(json, "disabled");

    if (disabled != NULL && !json_is_boolean(disabled)) {
        return "\"disabled\" is neither true nor false";
    }

    t->disabled = json_is_true(disabled);

    return NULL;
}


/* Ninety-six bits: six of each byte. */

static const char *
amp_tenant_set_owner(amp_tenant_t *t)
{
    size_t         i;
    amp_buf_t      buf;
    unsigned char  text[AMP_TENANT_ID_MAX + 1 + AMP_PROJECT_ID_MAX];
    unsigned char  digest[SHA256_DIGEST_LENGTH];

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    amp_buf_init(&buf, text, sizeof(text));
    amp_buf_span(&buf, amp_tenant_field(t, t->id));
    amp_buf_byte(&buf, '/');
    amp_buf_span(&buf, amp_tenant_field(t, t->project_id));

    if (SHA256(text, amp_buf_written(&buf).len, digest) == NULL) {
        return "SHA-256 does not work";
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
        return "\"keys\" is no array";
    }

    json_array_foreach(keys, i, key) {
        id = amp_json_text(json_object_get(key, "id"));
        sealed = amp_json_text(json_object_get(key, "sealed"));
        state = amp_json_text(json_object_get(key, "state"));

        if (!amp_key_id_valid(id)) {
            return "an item of \"keys\" has no \"id\" that is a key id";
        }

        if (!amp_word_valid(sealed, AMP_SEALED_MAX)) {
            return "an item of \"keys\" has no \"sealed\" that is a sealed"
                   " text";
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


/* Unknown items are passed over: a newer ampctl may know more of them. */

static int
amp_tenant_read_items(const json_t *items, amp_grants_t *grants)
{
    int          class;
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

        amp_grant_expand(text, grants->operations);
        class = amp_grant_class(text);

        if (class >= 0) {
            grants->classes |= 1u << class;
        }
    }

    return 0;
}


static void
amp_tenant_default_grants(amp_grants_t *grants)
{
    int          class;
    const char  *name;

    grants->classes = AMP_GRANT_DEFAULT;

    for (class = 0; class < AMP_CLASS_COUNT; class++) {
        if (AMP_GRANT_DEFAULT & 1u << class) {
            name = amp_class_name((amp_class_e) class);
            amp_grant_expand(amp_span_make(name, strlen(name)),
                             grants->operations);
        }
    }
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
        return "\"grants\" is no object";
    }

    list = json_object_get(grants, "allow");

    if (list == NULL) {
        amp_tenant_default_grants(&allow);

    } else if (amp_tenant_read_items(list, &allow) != 0) {
        return "\"grants.allow\" is no array of strings";
    }

    list = json_object_get(grants, "deny");

    if (list != NULL && amp_tenant_read_items(list, &deny) != 0) {
        return "\"grants.deny\" is no array of strings";
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
        return "\"groups\" is no array";
    }

    if (json_array_size(groups) > AMP_GROUPS_MAX) {
        return "\"groups\" has more than 64 items";
    }

    json_array_foreach(groups, i, item) {
        group = amp_json_text(item);

        if (!amp_group_valid(group)) {
            return "an item of \"groups\" is no groupRef";
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


/* 1: there is one, 0: there is none, -1: it is malformed. */

static int
amp_tenant_read_limit(const json_t *limit, amp_rate_t *rate)
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

    n = (rate->count < AMP_BURST_MAX) ? rate->count : AMP_BURST_MAX;

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
        "\"limits.default\" is no rate and burst",
        "\"limits.catalog\" is no rate and burst",
        "\"limits.read\" is no rate and burst",
        "\"limits.write\" is no rate and burst",
        "\"limits.data\" is no rate and burst",
        "\"limits.secrets\" is no rate and burst"
    };

    limits = json_object_get(json, "limits");

    if (limits != NULL && !json_is_object(limits)) {
        return "\"limits\" is no object";
    }

    for (limit = 0; limit < AMP_LIMIT_COUNT; limit++) {
        rc = amp_tenant_read_limit(
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
        return "\"limits.concurrency\" is no number of requests";
    }

    t->concurrency = (uint32_t) n;

    t->rates.offset = (uint16_t) (start - (unsigned char *) t);
    t->rates.len = (uint16_t) (out->pos - start);

    return NULL;
}


/* Resolved here, so that a request has one bit to look at. */

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
        return "\"cache\" is no object";
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
            return "an item of \"cache\" is no time";
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


static const char *
amp_tenant_read(const json_t *json, amp_tenant_t *t, amp_buf_t *out)
{
    const char  *error;

    error = amp_tenant_read_identity(json, t, out);

    if (error == NULL) {
        error = amp_tenant_read_project(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_set_owner(t);
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
        error = amp_tenant_read_limits(json, t, out);
    }

    if (error == NULL) {
        error = amp_tenant_read_cache(json, t, out);
    }

    if (error == NULL && out->overflow) {
        error = "the record does not fit its block";
    }

    return error;
}


size_t
amp_tenant_decode(amp_span_t json, void *out, size_t cap, const char **error)
{
    json_t        *object;
    amp_buf_t      b;
    amp_tenant_t  *t = out;

    if (cap > AMP_TENANT_FLAT_MAX) {
        cap = AMP_TENANT_FLAT_MAX;
    }

    if (json.len > AMP_TENANT_JSON_MAX || cap < sizeof(*t)) {
        *error = "the record is too large";
        return 0;
    }

    object = amp_json_object(json, error);

    if (object == NULL) {
        return 0;
    }

    /* padding too: equal records are equal bytes */

    memset(t, 0, sizeof(*t));

    amp_buf_init(&b, out, cap);
    b.pos += sizeof(*t);

    *error = amp_tenant_read(object, t, &b);

    json_decref(object);

    if (*error != NULL) {
        return 0;
    }

    t->size = (uint32_t) amp_buf_written(&b).len;

    return t->size;
}


int
amp_tenant_rate(const amp_tenant_t *t, amp_limit_e limit, amp_rate_t *rate)
{
    uint32_t  bit = 1u << limit;
    size_t    before;

    if (!(t->limits & bit)) {
        return 0;
    }

    before = (size_t) __builtin_popcount(t->limits & (bit - 1));

    memcpy(rate, amp_tenant_field(t, t->rates).data + before * sizeof(*rate),
           sizeof(*rate));

    return 1;
}


int
amp_tenant_lifetime(const amp_tenant_t *t, unsigned index, uint32_t *seconds)
{
    size_t    i, before;
    uint64_t  bit = UINT64_C(1) << (index % 64);

    if (!(t->cached[index / 64] & bit)) {
        return 0;
    }

    before = (size_t) __builtin_popcountll(t->cached[index / 64] & (bit - 1));

    for (i = 0; i < index / 64; i++) {
        before += (size_t) __builtin_popcountll(t->cached[i]);
    }

    memcpy(seconds,
           amp_tenant_field(t, t->cache).data + before * sizeof(*seconds),
           sizeof(*seconds));

    return 1;
}


int
amp_tenant_has_group(const amp_tenant_t *t, amp_span_t group)
{
    unsigned              i;
    uint16_t              len;
    const unsigned char  *p = amp_tenant_field(t, t->groups).data;

    for (i = 0; i < t->ngroups; i++) {
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);

        if (amp_span_eq(amp_span_make(p, len), group)) {
            return 1;
        }

        p += len;
    }

    return 0;
}
