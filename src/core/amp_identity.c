#include "amp_identity.h"
#include "amp_json.h"


#define AMP_IDENTITY_SHA1    40         /* hex digits                         */
#define AMP_IDENTITY_SHA256  64


static const char *const  amp_identity_kinds[] = {
    [AMP_IDENTITY_TENANT] = NULL,
    [AMP_IDENTITY_FINGERPRINT] = "fingerprint:",
    [AMP_IDENTITY_SUBJECT] = "subject:",
    [AMP_IDENTITY_CLAIM] = "claim:"
};


/* A letter, a digit, "." or "-". */

static int
amp_identity_letter(unsigned char c)
{
    c = amp_lower(c);

    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'
           || c == '-';
}


static const char *
amp_identity_fingerprint(amp_span_t value, amp_buf_t *out)
{
    size_t         i, n;
    unsigned char  c;

    n = 0;

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        /* 5E:2C:..., as openssl prints it */

        if (c == ':' && n != 0 && n % 2 == 0 && value.data[i - 1] != ':'
            && i + 1 < value.len)
        {
            continue;
        }

        c = amp_lower(c);

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            n = 0;
            break;
        }

        amp_buf_byte(out, c);
        n++;
    }

    return n == AMP_IDENTITY_SHA1 || n == AMP_IDENTITY_SHA256 ? NULL
           : "a fingerprint has 40 or 64 hex digits (SHA-1, which nginx has in"
             " $ssl_client_fingerprint, or SHA-256)";
}


static const char *
amp_identity_text(amp_span_t value, amp_buf_t *out)
{
    if (value.len == 0 || value.len > AMP_IDENTITY_VALUE_MAX
        || !amp_json_printable(value))
    {
        return "it has to be printable text of 1 to 512 bytes";
    }

    amp_buf_span(out, value);

    return NULL;
}


static const char *
amp_identity_subject(amp_span_t value, amp_buf_t *out)
{
    size_t  i;

    for (i = 0; i < value.len; i++) {
        if (!amp_identity_letter(value.data[i])) {
            break;
        }
    }

    if (i == 0 || i == value.len || value.data[i] != '=') {
        return "a subject is written as nginx has it in $ssl_client_s_dn, e.g."
               " CN=billing,O=Example (openssl x509 -noout -subject -nameopt"
               " RFC2253)";
    }

    return amp_identity_text(value, out);
}


int
amp_identity_claim_valid(amp_span_t claim)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < claim.len; i++) {
        c = claim.data[i];

        if (!amp_identity_letter(c) && c != '_' && c != ':' && c != '/') {
            return 0;
        }
    }

    return claim.len != 0 && claim.len <= AMP_IDENTITY_CLAIM_MAX;
}


const char *
amp_identity_name(amp_identity_e kind, amp_span_t claim, amp_span_t value,
    amp_buf_t *out)
{
    amp_buf_put(out, amp_identity_kinds[kind],
                strlen(amp_identity_kinds[kind]));

    switch (kind) {

    case AMP_IDENTITY_FINGERPRINT:
        return amp_identity_fingerprint(value, out);

    case AMP_IDENTITY_SUBJECT:
        return amp_identity_subject(value, out);

    default: /* AMP_IDENTITY_CLAIM */

        if (!amp_identity_claim_valid(claim)) {
            return "a claim is written NAME=VALUE; NAME has 1 to 64 letters,"
                   " digits and . - _ : /";
        }

        amp_buf_span(out, claim);
        amp_buf_byte(out, '=');

        return amp_identity_text(value, out);
    }
}


const char *
amp_identity_parse(amp_span_t text, amp_buf_t *out)
{
    size_t                i, len;
    amp_span_t            claim, value;
    amp_identity_e        kind;
    const unsigned char  *equals;

    len = 0;

    for (i = AMP_IDENTITY_FINGERPRINT; i <= AMP_IDENTITY_CLAIM; i++) {
        len = strlen(amp_identity_kinds[i]);

        if (text.len >= len && memcmp(text.data, amp_identity_kinds[i], len)
                               == 0)
        {
            break;
        }
    }

    if (i > AMP_IDENTITY_CLAIM) {
        return "it begins with fingerprint:, subject: or claim:";
    }

    kind = (amp_identity_e) i;
    claim = amp_span_null;
    value = amp_span_make(text.data + len, text.len - len);

    if (kind == AMP_IDENTITY_CLAIM) {
        equals = value.len ? memchr(value.data, '=', value.len) : NULL;

        if (equals != NULL) {
            claim = amp_span_make(value.data, (size_t) (equals - value.data));
            value = amp_span_make(equals + 1, value.len - claim.len - 1);
        }
    }

    return amp_identity_name(kind, claim, value, out);
}


int
amp_identity_digest(amp_span_t name, unsigned char digest[AMP_TOKEN_DIGEST])
{
    amp_buf_t      text;
    unsigned char  buf[1 + AMP_IDENTITY_MAX];

    amp_buf_init(&text, buf, sizeof(buf));
    amp_buf_byte(&text, '\0');
    amp_buf_span(&text, name);

    return text.overflow ? -1 : amp_token_digest(amp_buf_written(&text),
                                                 digest);
}
