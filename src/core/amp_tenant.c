#include "amp_json.h"
#include "amp_seal.h"
#include "amp_tenant.h"


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
amp_sealed_text_valid(amp_span_t sealed)
{
    return amp_word_valid(sealed, AMP_SEALED_MAX);
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

    if (limit == AMP_LIMIT_TOKEN) {
        return "token";
    }

    if (limit == AMP_LIMIT_PROJECT) {
        return "project";
    }

    if (limit == AMP_LIMIT_CONCURRENCY) {
        return "concurrency";
    }

    return amp_class_name((amp_class_e) (limit - AMP_LIMIT_CATALOG));
}


int
amp_tenant_rate(const amp_tenant_t *t, amp_limit_e limit, amp_rate_t *rate)
{
    size_t    before;
    uint32_t  bit = 1u << limit;

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
amp_list_has(amp_span_t list, unsigned n, amp_span_t text)
{
    unsigned              i;
    uint16_t              len;
    const unsigned char  *p = list.data;

    for (i = 0; i < n; i++) {
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);

        if (amp_span_eq(amp_span_make(p, len), text)) {
            return 1;
        }

        p += len;
    }

    return 0;
}


int
amp_tenant_has_group(const amp_tenant_t *t, amp_span_t group)
{
    return amp_list_has(amp_tenant_field(t, t->groups), t->ngroups, group);
}
