#include "amp_json.h"


#define AMP_JSON_NUMBER_MAX  20         /* decimal digits of UINT64_MAX       */


json_t *
amp_json_object(amp_span_t text, const char **error)
{
    json_t        *object;
    json_error_t   e;

    object = json_loadb((const char *) text.data, text.len,
                        JSON_REJECT_DUPLICATES, &e);

    /* e.text may quote the input: only its code is used */

    if (object == NULL) {
        *error = (json_error_code(&e) == json_error_duplicate_key)
                 ? "a JSON object has a duplicate member"
                 : "not valid JSON";
        return NULL;
    }

    if (!json_is_object(object)) {
        json_decref(object);
        *error = "not a JSON object";
        return NULL;
    }

    return object;
}


amp_span_t
amp_json_text(const json_t *value)
{
    if (!json_is_string(value)) {
        return amp_span_null;
    }

    return amp_span_make(json_string_value(value), json_string_length(value));
}


int
amp_json_count(const json_t *value, uint64_t *n)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return -1;
    }

    *n = (uint64_t) json_integer_value(value);

    return 0;
}


/* Bytes of the UTF-8 character (RFC 3629) at the start of s; 0: invalid. */

static size_t
amp_json_utf8(amp_span_t s)
{
    size_t         i, n;
    unsigned char  c, low = 0x80, high = 0xbf;

    if (s.len == 0) {
        return 0;
    }

    c = s.data[0];

    if (c < 0x80) {
        return 1;
    }

    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    n = (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;

    if (s.len < n) {
        return 0;
    }

    /* excludes overlong forms, surrogates and > U+10FFFF */

    switch (c) {

    case 0xe0:
        low = 0xa0;
        break;

    case 0xed:
        high = 0x9f;
        break;

    case 0xf0:
        low = 0x90;
        break;

    case 0xf4:
        high = 0x8f;
        break;
    }

    if (s.data[1] < low || s.data[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


/* Appends the escape sequence of a character. */

static void
amp_json_escape(unsigned char c, amp_buf_t *out)
{
    static const unsigned char  hex[] = "0123456789abcdef";

    unsigned char  text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

    switch (c) {

    case '"':
    case '\\':
        text[1] = c;
        break;

    case '\b':
        text[1] = 'b';
        break;

    case '\f':
        text[1] = 'f';
        break;

    case '\n':
        text[1] = 'n';
        break;

    case '\r':
        text[1] = 'r';
        break;

    case '\t':
        text[1] = 't';
        break;
    }

    amp_buf_put(out, text, (text[1] == 'u') ? 6 : 2);
}


void
amp_json_string(amp_span_t s, amp_buf_t *out)
{
    size_t         i, n;
    unsigned char  c;

    amp_buf_byte(out, '"');

    for (i = 0; i < s.len; i += n) {
        c = s.data[i];
        n = amp_json_utf8(amp_span_make(s.data + i, s.len - i));

        if (n == 0) {
            amp_buf_text(out, "\xef\xbf\xbd");
            n = 1;

        } else if (c < 0x20 || c == '"' || c == '\\') {
            amp_json_escape(c, out);

        } else {
            amp_buf_put(out, s.data + i, n);
        }
    }

    amp_buf_byte(out, '"');
}


void
amp_json_number(uint64_t n, amp_buf_t *out)
{
    size_t         i = AMP_JSON_NUMBER_MAX;
    unsigned char  text[AMP_JSON_NUMBER_MAX];

    do {
        text[--i] = (unsigned char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    amp_buf_put(out, text + i, AMP_JSON_NUMBER_MAX - i);
}


int
amp_json_printable(amp_span_t s)
{
    size_t         i, n;
    unsigned char  c;

    for (i = 0; i < s.len; i += n) {
        c = s.data[i];
        n = amp_json_utf8(amp_span_make(s.data + i, s.len - i));

        if (n == 0 || c < 0x20 || c == 0x7f
            || (c == 0xc2 && s.data[i + 1] < 0xa0))
        {
            return 0;
        }
    }

    return 1;
}
