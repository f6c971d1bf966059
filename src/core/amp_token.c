#include "amp_json.h"
#include "amp_tenant.h"
#include "amp_token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>


#define AMP_TOKEN_PREFIX     "agw_"
#define AMP_TOKEN_CHECKED    (AMP_TOKEN_LEN - AMP_TOKEN_CHECKSUM)
#define AMP_TOKEN_CHECKSUM   6
#define AMP_BASE62_FAIR      248        /* 4 * 62: bytes below it are used    */


static const unsigned char  amp_base62_digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";


/* Four bits at a time: a table of 16 words fits in one cache line. */

static uint32_t
amp_crc32(const unsigned char *data, size_t len)
{
    static const uint32_t  table[] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
    };

    size_t    i;
    uint32_t  crc = 0xffffffff;

    for (i = 0; i < len; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }

    return crc ^ 0xffffffff;
}


/* Writes the checksum of a token: AMP_TOKEN_CHECKSUM characters. */

static void
amp_token_checksum(const unsigned char *token, unsigned char *out)
{
    size_t    i;
    uint32_t  crc;

    crc = amp_crc32(token, AMP_TOKEN_CHECKED);

    for (i = AMP_TOKEN_CHECKSUM; i > 0; i--) {
        out[i - 1] = amp_base62_digits[crc % 62];
        crc /= 62;
    }
}


static int
amp_base62_valid(const unsigned char *data, size_t len)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < len; i++) {
        c = data[i];

        if ((unsigned) (c - '0') > 9
            && (unsigned) ((c | 0x20) - 'a') > 'z' - 'a')
        {
            return 0;
        }
    }

    return 1;
}


int
amp_token_make(const unsigned char *random, size_t n,
    unsigned char token[AMP_TOKEN_LEN])
{
    size_t  prefix = sizeof(AMP_TOKEN_PREFIX) - 1;

    memcpy(token, AMP_TOKEN_PREFIX, prefix);

    if (amp_base62(random, n, token + prefix, AMP_TOKEN_RANDOM) != 0) {
        return -1;
    }

    amp_token_checksum(token, token + AMP_TOKEN_CHECKED);

    return 0;
}


int
amp_token_valid(amp_span_t token)
{
    size_t         prefix = sizeof(AMP_TOKEN_PREFIX) - 1;
    unsigned char  checksum[AMP_TOKEN_CHECKSUM];

    if (token.len != AMP_TOKEN_LEN
        || memcmp(token.data, AMP_TOKEN_PREFIX, prefix) != 0
        || !amp_base62_valid(token.data + prefix, AMP_TOKEN_RANDOM))
    {
        return 0;
    }

    amp_token_checksum(token.data, checksum);

    return memcmp(token.data + AMP_TOKEN_CHECKED, checksum,
                  AMP_TOKEN_CHECKSUM) == 0;
}


/*
 * Called for each request.  The EVP functions, which OpenSSL prefers, would
 * allocate, and take a third more time than the hash itself.
 */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

int
amp_token_digest(amp_span_t token, unsigned char digest[AMP_TOKEN_DIGEST])
{
    SHA256_CTX  ctx;

    /* SHA256_Final() wipes the context: SHA256_Init(3) */

    if (!SHA256_Init(&ctx) || !SHA256_Update(&ctx, token.data, token.len)
        || !SHA256_Final(digest, &ctx))
    {
        OPENSSL_cleanse(&ctx, sizeof(ctx));
        return -1;
    }

    return 0;
}

#pragma GCC diagnostic pop


int
amp_base62(const unsigned char *random, size_t n, unsigned char *out,
    size_t len)
{
    size_t  i, made;

    for (i = 0, made = 0; made < len; i++) {
        if (i == n) {
            return -1;
        }

        if (random[i] < AMP_BASE62_FAIR) {
            out[made++] = amp_base62_digits[random[i] % 62];
        }
    }

    return 0;
}


/* Reads a time of a record, where absent and null are 0: 0, or -1. */

static int
amp_token_time(const json_t *value, int64_t *time)
{
    uint64_t  n = 0;

    if (value != NULL && !json_is_null(value)
        && amp_json_count(value, &n) != 0)
    {
        return -1;
    }

    *time = (int64_t) n;

    return 0;
}


/*
 * NULL, or what is wrong with the record; *scope is its scope, or NULL.
 */

static const char *
amp_token_record_read(const json_t *json, amp_token_record_t *record,
    json_t **scope)
{
    uint64_t       v;
    const json_t  *label;

    *scope = json_object_get(json, "scope");

    if (amp_json_count(json_object_get(json, "v"), &v) != 0 || v == 0 || v > 2)
    {
        return "\"v\" is neither 1 nor 2";
    }

    /* also in version 1: what is there was meant to restrict the token */

    if (*scope != NULL ? !json_is_object(*scope) : v != 1) {
        return "\"scope\" is not an object";
    }

    record->tenant = amp_json_text(json_object_get(json, "tenant"));

    if (!amp_tenant_id_valid(record->tenant)) {
        return "\"tenant\" is not a tenant id";
    }

    record->id = amp_json_text(json_object_get(json, "id"));

    if (!amp_span_eq(amp_token_id_tenant(record->id), record->tenant)) {
        return "\"id\" is not a token id of this tenant";
    }

    label = json_object_get(json, "label");
    record->label = amp_json_text(label);

    if ((label != NULL && !json_is_string(label))
        || record->label.len > AMP_TOKEN_LABEL_MAX
        || !amp_json_printable(record->label))
    {
        return "\"label\" is not printable text of at most 128 bytes";
    }

    record->identity = amp_json_text(json_object_get(json, "identity"));

    if (!amp_json_printable(record->identity)) {
        return "\"identity\" is not printable";
    }

    if (amp_token_time(json_object_get(json, "created"), &record->created)) {
        return "\"created\" is not a time in Unix seconds";
    }

    if (amp_token_time(json_object_get(json, "expires"), &record->expires)) {
        return "\"expires\" is not a time in Unix seconds";
    }

    return NULL;
}


/* Copies a text that belongs to the JSON to the caller's buffer. */

static void
amp_token_keep(amp_span_t *s, amp_buf_t *out)
{
    const unsigned char  *data = out->pos;

    amp_buf_span(out, *s);
    s->data = data;
}


/* Writes the scope to the caller's buffer.  0, or -1 when it does not fit. */

static int
amp_token_keep_scope(const json_t *scope, amp_span_t *s, amp_buf_t *out)
{
    size_t  len, room;

    room = (size_t) (out->end - out->pos);
    len = json_dumpb(scope, (char *) out->pos, room, JSON_COMPACT);

    if (len == 0 || len > room) {
        return -1;
    }

    *s = amp_span_make(out->pos, len);
    out->pos += len;

    return 0;
}


int
amp_token_record_decode(amp_span_t json, void *buf, size_t cap,
    amp_token_record_t *record, const char **error)
{
    json_t     *object, *scope;
    amp_buf_t   out;

    memset(record, 0, sizeof(*record));

    if (json.len > AMP_TOKEN_RECORD_MAX) {
        *error = "the record is too large";
        return -1;
    }

    object = amp_json_object(json, error);

    if (object == NULL) {
        return -1;
    }

    *error = amp_token_record_read(object, record, &scope);

    if (*error == NULL) {
        amp_buf_init(&out, buf, cap);

        amp_token_keep(&record->tenant, &out);
        amp_token_keep(&record->id, &out);
        amp_token_keep(&record->label, &out);
        amp_token_keep(&record->identity, &out);

        if (out.overflow
            || (scope != NULL
                && amp_token_keep_scope(scope, &record->scope, &out) != 0))
        {
            *error = "the record is too large";
        }
    }

    json_decref(object);

    if (*error != NULL) {
        memset(record, 0, sizeof(*record));
        return -1;
    }

    return 0;
}


void
amp_token_record_write(const amp_token_record_t *record, amp_buf_t *out)
{
    if (record->scope.len == 0) {
        amp_buf_text(out, "{\"v\":1,\"tenant\":");

    } else {
        amp_buf_text(out, "{\"v\":2,\"tenant\":");
    }

    amp_json_string(record->tenant, out);
    amp_buf_text(out, ",\"id\":");
    amp_json_string(record->id, out);
    amp_buf_text(out, ",\"label\":");
    amp_json_string(record->label, out);
    amp_buf_text(out, ",\"created\":");
    amp_json_number((uint64_t) record->created, out);
    amp_buf_text(out, ",\"expires\":");

    if (record->expires == 0) {
        amp_buf_text(out, "null");

    } else {
        amp_json_number((uint64_t) record->expires, out);
    }

    if (record->identity.len != 0) {
        amp_buf_text(out, ",\"identity\":");
        amp_json_string(record->identity, out);
    }

    if (record->scope.len != 0) {
        amp_buf_text(out, ",\"scope\":");
        amp_buf_span(out, record->scope);
    }

    amp_buf_byte(out, '}');
}


amp_span_t
amp_token_id_tenant(amp_span_t id)
{
    amp_span_t            tenant;
    const unsigned char  *tail;

    if (id.len <= AMP_TOKEN_ID_RANDOM + 1) {
        return amp_span_null;
    }

    tenant = amp_span_make(id.data, id.len - AMP_TOKEN_ID_RANDOM - 1);
    tail = id.data + tenant.len;

    if (*tail != '.' || !amp_base62_valid(tail + 1, AMP_TOKEN_ID_RANDOM)
        || !amp_tenant_id_valid(tenant))
    {
        return amp_span_null;
    }

    return tenant;
}
