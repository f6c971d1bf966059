#include "amp_secret_file.h"


static const amp_secret_refusal_t  amp_secret_file_stranger = {
    "belongs to another user",
    "chown it to the user who reads it, or to root" };

static const amp_secret_refusal_t  amp_secret_file_open = {
    "may be read or written by other users",
    "chmod 600 it (640 where it belongs to root)" };

static const amp_secret_refusal_t  amp_secret_file_empty = {
    "is empty", "write the secret into it, and nothing else" };

static const amp_secret_refusal_t  amp_secret_file_long = {
    "is too long", "write the secret into it, and nothing else" };

static const amp_secret_refusal_t  amp_secret_file_mark = {
    "begins with a byte order mark", "save it as plain text without one" };

static const amp_secret_refusal_t  amp_secret_file_control = {
    "has more than one line, or control characters",
    "write the secret into it on one line, and nothing else" };


const amp_secret_refusal_t *
amp_secret_file_access(unsigned mode, unsigned long owner,
    unsigned long reader)
{
    if (owner != 0 && owner != reader) {
        return &amp_secret_file_stranger;
    }

    return (mode & (owner == 0 ? 0037 : 0077)) ? &amp_secret_file_open : NULL;
}


static int
amp_secret_file_begins(amp_span_t text, amp_span_t mark)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    return text.len >= mark.len && memcmp(text.data, mark.data, mark.len) == 0;
}


const amp_secret_refusal_t *
amp_secret_file_line(amp_span_t text, amp_span_t *secret)
{
    size_t  i;

    if (amp_secret_file_begins(text, amp_span("\xef\xbb\xbf"))
        || amp_secret_file_begins(text, amp_span("\xff\xfe"))
        || amp_secret_file_begins(text, amp_span("\xfe\xff")))
    {
        return &amp_secret_file_mark;
    }

    while (text.len != 0 && (text.data[text.len - 1] == '\n'
                             || text.data[text.len - 1] == '\r'))
    {
        text.len--;
    }

    if (text.len == 0) {
        return &amp_secret_file_empty;
    }

    if (text.len > AMP_SECRET_LINE_MAX) {
        return &amp_secret_file_long;
    }

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return &amp_secret_file_control;
        }
    }

    *secret = text;

    return NULL;
}
