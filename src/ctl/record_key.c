/*
 * The Ampersand keys of a tenant record.
 */

#include <stdio.h>
#include <string.h>

#include "record.h"
#include "record_key.h"
#include "secret.h"


/* If several keys are active, the first counts, as in amp_tenant_decode(). */

json_t *
record_active_key(const json_t *record)
{
    size_t   i;
    json_t  *key;

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        if (strcmp(record_text(key, "state"), "active") == 0) {
            return key;
        }
    }

    return NULL;
}


static json_t *
record_key(const json_t *record, const char *id)
{
    size_t   i;
    json_t  *key;

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        if (strcmp(record_text(key, "id"), id) == 0) {
            return key;
        }
    }

    return NULL;
}


static void
record_next_key_id(const json_t *record, char id[AMP_KEY_ID_MAX + 1])
{
    size_t       i;
    json_t      *key;
    unsigned     n, last;
    const char  *text;

    last = 0;

    json_array_foreach(json_object_get(record, "keys"), i, key) {
        text = record_text(key, "id");

        if (sscanf(text, "k%9u", &n) == 1 && n > last) {
            last = n;
        }
    }

    snprintf(id, AMP_KEY_ID_MAX + 1, "k%u", last + 1);
}


/* Seals with the first master key.  A new string, or NULL with the error. */

static json_t *
record_seal(const json_t *record, const char *id, amp_keyring_t *ring,
    amp_span_t secret, ctl_error_t *error)
{
    amp_buf_t      sealed;
    unsigned char  nonce[AMP_NONCE_LEN], text[AMP_SEALED_MAX];

    if (secret_random(nonce, sizeof(nonce), error) != 0) {
        return NULL;
    }

    amp_buf_init(&sealed, text, sizeof(text));

    if (amp_seal(ring, record_span(record_text(record, "id")), record_span(id),
                 secret, nonce, &sealed)
        != 0)
    {
        ctl_error(error, CTL_REFUSED, "no_cipher",
                  "OpenSSL could not seal the key with AES-256-GCM");
        ctl_remedy(error, "check OpenSSL's configuration (OPENSSL_CONF)");
        return NULL;
    }

    return json_stringn((char *) text, amp_buf_written(&sealed).len);
}


int
record_key_add(json_t *record, amp_keyring_t *ring, amp_span_t secret,
    ctl_error_t *error)
{
    char     id[AMP_KEY_ID_MAX + 1];
    size_t   i;
    json_t  *key, *keys, *sealed;

    record_next_key_id(record, id);

    sealed = record_seal(record, id, ring, secret, error);
    if (sealed == NULL) {
        return -1;
    }

    keys = json_object_get(record, "keys");
    if (keys == NULL) {
        keys = json_array();
        json_object_set_new(record, "keys", keys);
    }

    json_array_foreach(keys, i, key) {
        if (strcmp(record_text(key, "state"), "active") == 0) {
            json_object_set_new(key, "state", json_string("retired"));
        }
    }

    json_array_insert_new(keys, 0, json_pack("{s:s, s:o, s:s}", "id", id,
                          "sealed", sealed, "state", "active"));

    return 0;
}


int
record_key_reseal(const json_t *record, json_t *key, amp_keyring_t *ring,
    ctl_error_t *error)
{
    int             len;
    json_t         *sealed;
    unsigned char   secret[AMP_SECRET_MAX];

    len = record_key_open(record, key, ring, secret, error);
    if (len == -1) {
        return -1;
    }

    sealed = record_seal(record, record_text(key, "id"), ring,
                         amp_span_make(secret, (size_t) len), error);

    secret_clean(secret, sizeof(secret));

    if (sealed == NULL) {
        return -1;
    }

    json_object_set_new(key, "sealed", sealed);

    return 0;
}


/* Whether a text is sealed with the first master key. */

static int
record_sealed_first(const json_t *sealed, amp_keyring_t *ring)
{
    const char  *text;

    text = json_string_value(sealed);

    return text != NULL && amp_span_eq(amp_keyring_id(ring, 0),
                                       amp_seal_master_id(record_span(text)));
}


json_t *
record_key_sealed(const json_t *record, const char *id, amp_keyring_t *ring,
    amp_span_t secret, json_t *given, ctl_error_t *error)
{
    int             len;
    json_t         *key, *sealed;
    unsigned        same;
    unsigned char   own[AMP_SECRET_MAX];

    key = record_key(record, id);
    sealed = json_object_get(key, "sealed");

    if (record_sealed_first(sealed, ring)) {
        len = record_key_open(record, key, ring, own, error);
        same = len != -1 && amp_span_eq(secret, amp_span_make(own, len));
        secret_clean(own, sizeof(own));

        if (same) {
            return json_incref(sealed);
        }
    }

    return record_sealed_first(given, ring)
           ? json_incref(given) : record_seal(record, id, ring, secret, error);
}


int
record_key_drop(json_t *record, const char *id, ctl_error_t *error)
{
    size_t       i;
    json_t      *key, *keys;
    const char  *tenant;

    tenant = record_text(record, "id");
    keys = json_object_get(record, "keys");
    key = record_key(record, id);

    if (key == NULL) {
        ctl_error(error, CTL_REFUSED, "not_found",
                  "tenant \"%s\" has no key \"%s\"", tenant, id);
        return ctl_remedy(error, "list its keys: ampctl key list %s", tenant);
    }

    if (key == record_active_key(record)) {
        ctl_error(error, CTL_REFUSED, "key_active",
                  "key \"%s\" is the active key of tenant \"%s\"", id, tenant);
        return ctl_remedy(error, "set another key first: ampctl key set %s "
                          "--key-file FILE; or disable the tenant: ampctl "
                          "tenant disable %s", tenant, tenant);
    }

    for (i = json_array_size(keys); i-- > 0; /* void */ ) {
        if (json_array_get(keys, i) == key) {
            json_array_remove(keys, i);
            break;
        }
    }

    return 0;
}


int
record_key_open(const json_t *record, const json_t *key, amp_keyring_t *ring,
    unsigned char *secret, ctl_error_t *error)
{
    int          len;
    const char  *id, *tenant;
    amp_span_t   sealed, master;

    id = record_text(key, "id");
    tenant = record_text(record, "id");
    sealed = record_span(record_text(key, "sealed"));

    len = amp_seal_open(ring, record_span(tenant), record_span(id), sealed,
                        secret);
    if (len > 0) {
        return len;
    }

    if (len == -2) {
        master = amp_seal_master_id(sealed);
        ctl_error(error, CTL_REFUSED, "master_key",
                  "key \"%s\" of tenant \"%s\" is sealed with master key %.*s, "
                  "which was not given", id, tenant, (int) master.len,
                  master.data);
        return ctl_remedy(error, "add the file of that master key: "
                          "--master-key FILE");
    }

    ctl_error(error, CTL_REFUSED, "bad_seal", "key \"%s\" of tenant \"%s\" "
              "cannot be opened: %s", id, tenant, len == -1
              ? "its sealed text is malformed" : "its sealed text was changed, "
              "or is that of another tenant or key");

    return ctl_remedy(error, "set the key again: ampctl key set %s --key-file "
                      "FILE", tenant);
}
