#include "amp_redis_error.h"


typedef enum {
    AMP_REDIS_WORDS_CODE = 0,       /* the first word of an error             */
    AMP_REDIS_WORDS_TEXT,           /* how an error begins that has the code
                                       "ERR", or in a script no code          */
    AMP_REDIS_WORDS_SCRIPT          /* the same, of an error that only a script
                                       can get                                */
} amp_redis_words_e;


typedef struct {
    const char         *text;
    amp_redis_error_e   class;
    amp_redis_words_e   words;
} amp_redis_error_words_t;


#define amp_redis_code(text, class)                                           \
    { text, AMP_REDIS_ERROR_ ## class, AMP_REDIS_WORDS_CODE }
#define amp_redis_text(text, class)                                           \
    { text, AMP_REDIS_ERROR_ ## class, AMP_REDIS_WORDS_TEXT }
#define amp_redis_script(text, class)                                         \
    { text, AMP_REDIS_ERROR_ ## class, AMP_REDIS_WORDS_SCRIPT }


/*
 * Each wording of each version.  t/replies has the replies of real servers; a
 * comment names versions where not all word it so.
 */

static const amp_redis_error_words_t  amp_redis_errors[] = {

    amp_redis_code("NOAUTH", NOAUTH),
    amp_redis_code("WRONGPASS", WRONGPASS),
    amp_redis_text("invalid password", WRONGPASS),          /* Redis 5        */
    amp_redis_text("Client sent AUTH, but no password is set",
                   NO_PASSWORD),                            /* Redis 5        */
    amp_redis_text("AUTH <password> called without any password configured",
                   NO_PASSWORD),

    amp_redis_code("NOPERM", NOPERM),
    amp_redis_script("The user executing the script ",
                     NOPERM),                               /* Redis 6, 7.0   */
    amp_redis_script("ACL failure in script", NOPERM),      /* later, Valkey  */

    amp_redis_code("DENIED", PROTECTED),
    amp_redis_text("max number of clients reached", MAX_CLIENTS),
    amp_redis_text("max number of clients + cluster connections reached",
                   MAX_CLIENTS),                            /* cluster nodes  */

    amp_redis_code("READONLY", READONLY),
    amp_redis_code("MASTERDOWN", MASTERDOWN),
    amp_redis_code("LOADING", LOADING),
    amp_redis_code("MISCONF", MISCONF),
    amp_redis_code("NOREPLICAS", NOREPLICAS),
    amp_redis_code("OOM", OOM),
    amp_redis_code("BUSY", BUSY),

    amp_redis_code("MOVED", MOVED),
    amp_redis_code("ASK", ASK),
    amp_redis_code("TRYAGAIN", TRYAGAIN),
    amp_redis_code("CLUSTERDOWN", CLUSTERDOWN),
    amp_redis_script("Lua script attempted to execute a command while the "
                     "cluster is down", CLUSTERDOWN),       /* Redis 6        */
    amp_redis_script("Lua script attempted to execute a write command while "
                     "the cluster is down", CLUSTERDOWN),   /* Redis 6        */
    amp_redis_script("Script attempted to execute a command while the "
                     "cluster is down", CLUSTERDOWN),
    amp_redis_script("Script attempted to execute a write command while the "
                     "cluster is down", CLUSTERDOWN),
    amp_redis_script("Script attempted to access a slot not served",
                     CLUSTERDOWN),
    amp_redis_script("Can not execute a command '", CLUSTERDOWN), /* Valkey 9 */
    amp_redis_script("Can not execute a write command '",
                     CLUSTERDOWN),                          /* Valkey 9       */
    amp_redis_text("This instance has cluster support disabled", NO_CLUSTER),

    amp_redis_code("NOSCRIPT", NOSCRIPT),
    amp_redis_code("WRONGTYPE", WRONGTYPE),
    amp_redis_text("unknown command", UNKNOWN_COMMAND),
    amp_redis_script("Unknown Redis command called from",
                     UNKNOWN_COMMAND),                      /* Redis          */
    amp_redis_script("Unknown command called from script",
                     UNKNOWN_COMMAND),                      /* Valkey         */
    amp_redis_text("DB index is out of range", DB_INDEX),
    amp_redis_text("SELECT is not allowed in cluster mode", DB_INDEX)
};


static const amp_span_t  amp_redis_error_wrapper =
    amp_span("ERR Error running script");
static const amp_span_t  amp_redis_error_suffix =
    amp_span(" on @user_script:");
static const amp_span_t  amp_redis_error_args = amp_span(", with args");


static unsigned amp_redis_error_matches(const amp_redis_error_words_t *words,
    amp_span_t code, amp_span_t text);
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
    size_t                          i, n, at;
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

    if (amp_redis_error_begins(text, amp_span("ERR "))) {
        text = amp_redis_error_from(text, 4);
    }

    n = sizeof(amp_redis_errors) / sizeof(amp_redis_errors[0]);

    for (i = 0; i < n; i++) {
        words = &amp_redis_errors[i];

        if (amp_redis_error_matches(words, code, text)) {
            *script |= (words->words == AMP_REDIS_WORDS_SCRIPT);
            return words->class;
        }
    }

    return AMP_REDIS_ERROR_OTHER;
}


static unsigned
amp_redis_error_matches(const amp_redis_error_words_t *words, amp_span_t code,
    amp_span_t text)
{
    amp_span_t  wanted;

    wanted = amp_span_make(words->text, strlen(words->text));

    if (words->words == AMP_REDIS_WORDS_CODE) {
        return amp_span_eq(code, wanted);
    }

    return amp_redis_error_begins(text, wanted);
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
