#include "amp_redis_error.h"


typedef struct {
    const char         *text;
    amp_redis_error_e   class;
    unsigned            script;
} amp_redis_error_words_t;


/* The first word of an error. */

static const amp_redis_error_words_t  amp_redis_error_codes[] = {
    { "NOAUTH", AMP_REDIS_ERROR_NOAUTH, 0 },
    { "WRONGPASS", AMP_REDIS_ERROR_WRONGPASS, 0 },
    { "NOPERM", AMP_REDIS_ERROR_NOPERM, 0 },
    { "READONLY", AMP_REDIS_ERROR_READONLY, 0 },
    { "MASTERDOWN", AMP_REDIS_ERROR_MASTERDOWN, 0 },
    { "LOADING", AMP_REDIS_ERROR_LOADING, 0 },
    { "MISCONF", AMP_REDIS_ERROR_MISCONF, 0 },
    { "OOM", AMP_REDIS_ERROR_OOM, 0 },
    { "BUSY", AMP_REDIS_ERROR_BUSY, 0 },
    { "MOVED", AMP_REDIS_ERROR_MOVED, 0 },
    { "ASK", AMP_REDIS_ERROR_ASK, 0 },
    { "TRYAGAIN", AMP_REDIS_ERROR_TRYAGAIN, 0 },
    { "CLUSTERDOWN", AMP_REDIS_ERROR_CLUSTERDOWN, 0 },
    { "NOSCRIPT", AMP_REDIS_ERROR_NOSCRIPT, 0 },
    { "WRONGTYPE", AMP_REDIS_ERROR_WRONGTYPE, 0 },
    { NULL, AMP_REDIS_ERROR_OTHER, 0 }
};


/* How an error begins that has the code "ERR", or in a script no code. */

static const amp_redis_error_words_t  amp_redis_error_phrases[] = {

    { "invalid password", AMP_REDIS_ERROR_WRONGPASS, 0 },
    { "Client sent AUTH, but no password is set",
      AMP_REDIS_ERROR_NO_PASSWORD, 0 },
    { "AUTH <password> called without any password configured",
      AMP_REDIS_ERROR_NO_PASSWORD, 0 },

    { "unknown command", AMP_REDIS_ERROR_UNKNOWN_COMMAND, 0 },
    { "Unknown Redis command called from",
      AMP_REDIS_ERROR_UNKNOWN_COMMAND, 1 },
    { "Unknown command called from script",
      AMP_REDIS_ERROR_UNKNOWN_COMMAND, 1 },

    { "DB index is out of range", AMP_REDIS_ERROR_DB_INDEX, 0 },
    { "This instance has cluster support disabled",
      AMP_REDIS_ERROR_NO_CLUSTER, 0 },

    { "ACL failure in script", AMP_REDIS_ERROR_NOPERM, 1 },
    { "The user executing the script ", AMP_REDIS_ERROR_NOPERM, 1 },

    { "Script attempted to execute a command while the cluster is down",
      AMP_REDIS_ERROR_CLUSTERDOWN, 1 },
    { "Script attempted to execute a write command while the cluster is down",
      AMP_REDIS_ERROR_CLUSTERDOWN, 1 },
    { "Script attempted to access a slot not served",
      AMP_REDIS_ERROR_CLUSTERDOWN, 1 },

    { NULL, AMP_REDIS_ERROR_OTHER, 0 }
};


static const amp_span_t  amp_redis_error_wrapper =
    amp_span("ERR Error running script");
static const amp_span_t  amp_redis_error_suffix =
    amp_span(", on @user_script:");
static const amp_span_t  amp_redis_error_args = amp_span(", with args");


static int amp_redis_error_find(amp_span_t text, amp_span_t what, size_t *at);
static amp_span_t amp_redis_error_unwrap(amp_span_t text);
static unsigned amp_redis_error_location(amp_span_t *text);


static unsigned
amp_redis_error_begins(amp_span_t text, amp_span_t what)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    return text.len >= what.len && memcmp(text.data, what.data, what.len) == 0;
}


static amp_span_t
amp_redis_error_from(amp_span_t text, size_t at)
{
    return amp_span_make(text.data + at, text.len - at);
}


amp_redis_error_e
amp_redis_error_class(amp_span_t text, unsigned *script)
{
    size_t                          at;
    unsigned                        dummy;
    amp_span_t                      code;
    const amp_redis_error_words_t  *words;

    if (script == NULL) {
        script = &dummy;
    }

    *script = (amp_redis_error_find(text, amp_redis_error_suffix, &at) == 0);

    if (amp_redis_error_begins(text, amp_redis_error_wrapper)) {
        *script = 1;
        text = amp_redis_error_unwrap(text);
    }

    for (at = 0; at < text.len && text.data[at] > ' '; at++) { /* void */ }

    code = amp_span_make(text.data, at);

    for (words = amp_redis_error_codes; words->text != NULL; words++) {
        if (amp_span_eq(code, amp_span_make(words->text,
                                            strlen(words->text))))
        {
            return words->class;
        }
    }

    if (amp_redis_error_begins(text, amp_span("ERR "))) {
        text = amp_redis_error_from(text, 4);
    }

    for (words = amp_redis_error_phrases; words->text != NULL; words++) {
        if (amp_redis_error_begins(text, amp_span_make(words->text,
                                                       strlen(words->text))))
        {
            *script |= words->script;
            return words->class;
        }
    }

    return AMP_REDIS_ERROR_OTHER;
}


size_t
amp_redis_error_text(amp_span_t text, unsigned char *out, size_t size)
{
    size_t         i, n;
    unsigned char  c;

    if (amp_redis_error_find(text, amp_redis_error_args, &n) != 0) {
        n = text.len;
    }

    if (n > size) {
        n = size;
    }

    for (i = 0; i < n; i++) {
        c = text.data[i];
        out[i] = (c < 0x20 || c > 0x7e) ? '?' : c;
    }

    if (n == 0 && size > 0) {
        out[n++] = '?';
    }

    return n;
}


/* The first place of what in text.  0, or -1 where it is not in it. */

static int
amp_redis_error_find(amp_span_t text, amp_span_t what, size_t *at)
{
    for (*at = 0; *at + what.len <= text.len; (*at)++) {
        if (memcmp(text.data + *at, what.data, what.len) == 0) {
            return 0;
        }
    }

    return -1;
}


/* The error within "ERR Error running script (call to f_...): ...". */

static amp_span_t
amp_redis_error_unwrap(amp_span_t text)
{
    size_t  at;

    if (amp_redis_error_find(text, amp_span("): "), &at) != 0) {
        return amp_span_null;
    }

    text = amp_redis_error_from(text, at + 3);

    while (amp_redis_error_location(&text)) { /* void */ }

    if (text.len && text.data[0] == '-') {
        text = amp_redis_error_from(text, 1);
    }

    return text;
}


/* Drops "@user_script:12: " or "@user_script: 12: "; 0 where there is none. */

static unsigned
amp_redis_error_location(amp_span_t *text)
{
    size_t      i, digits;
    amp_span_t  place;

    place = amp_span("@user_script:");

    if (!amp_redis_error_begins(*text, place)) {
        return 0;
    }

    i = place.len;

    if (i < text->len && text->data[i] == ' ') {
        i++;
    }

    for (digits = i;
         i < text->len && text->data[i] >= '0' && text->data[i] <= '9';
         i++)
    {
        /* void */
    }

    if (i == digits
        || !amp_redis_error_begins(amp_redis_error_from(*text, i),
                                   amp_span(": ")))
    {
        return 0;
    }

    *text = amp_redis_error_from(*text, i + 2);

    return 1;
}
