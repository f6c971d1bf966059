#include "amp_answer.h"
#include "amp_escape.h"
#include "amp_header.h"


/* What the gateway does with a field of an answer. */

typedef enum {
    AMP_ANSWER_PASSED = 0,
    AMP_ANSWER_REMOVED,
    AMP_ANSWER_CONNECTION,      /* nginx reads the last three, and writes     */
    AMP_ANSWER_LENGTH,          /* its own                                    */
    AMP_ANSWER_CODING
} amp_answer_field_e;


/* What was found in the fields of one head. */

typedef struct {
    amp_buf_t    connection;    /* what Connection lists                      */
    unsigned     length:1;      /* Content-Length                             */
    unsigned     coding:1;      /* Transfer-Encoding                          */
    unsigned     removed:1;     /* some line has to go                        */
    const char  *fault;
} amp_answer_fields_t;


static amp_answer_e
amp_answer_fault(amp_answer_t *answer, const char *text)
{
    answer->fault = text;

    return AMP_ANSWER_INVALID;
}


static int
amp_answer_among(unsigned char c, amp_span_t set)
{
    return memchr(set.data, c, set.len) != NULL;
}


static size_t
amp_answer_digits(amp_span_t text)
{
    size_t  n;

    for (n = 0; n < text.len; n++) {
        if (text.data[n] < '0' || text.data[n] > '9') {
            break;
        }
    }

    return n;
}


/* One or two digits.  0: there are none, or more. */

static size_t
amp_answer_version(amp_span_t bytes, size_t at)
{
    size_t  n;

    n = amp_answer_digits(amp_span_make(bytes.data + at, bytes.len - at));

    return n > 2 ? 0 : n;
}


/*
 * "HTTP/1.1 200", and the byte behind it.  Sets answer->status, and *at to that
 * byte.
 */

static amp_answer_e
amp_answer_status(amp_span_t bytes, amp_answer_t *answer, size_t *at)
{
    size_t            i, n;
    const amp_span_t  name = amp_span("HTTP/");

    n = bytes.len < name.len ? bytes.len : name.len;

    if (n == 0 || memcmp(bytes.data, name.data, n) != 0) {
        return n ? amp_answer_fault(answer, "no status line")
                 : AMP_ANSWER_PART;
    }

    i = name.len;

    if (bytes.len <= i) {
        return AMP_ANSWER_PART;
    }

    n = amp_answer_version(bytes, i);

    if (n == 0 || bytes.data[i] == '0') {
        return amp_answer_fault(answer, "malformed status line");
    }

    i += n;

    if (i == bytes.len) {
        return AMP_ANSWER_PART;
    }

    if (bytes.data[i++] != '.') {
        return amp_answer_fault(answer, "malformed status line");
    }

    if (i == bytes.len) {
        return AMP_ANSWER_PART;
    }

    n = amp_answer_version(bytes, i);

    if (n == 0) {
        return amp_answer_fault(answer, "malformed status line");
    }

    i += n;

    if (i < bytes.len && bytes.data[i] != ' ') {
        return amp_answer_fault(answer, "malformed status line");
    }

    while (i < bytes.len && bytes.data[i] == ' ') {
        i++;
    }

    answer->status = 0;

    for (n = 0; n < 3 && i < bytes.len; n++, i++) {
        if (bytes.data[i] < '0' || bytes.data[i] > '9') {
            return amp_answer_fault(answer, "malformed status line");
        }

        answer->status = answer->status * 10 + (bytes.data[i] - '0');
    }

    if (i == bytes.len) {
        return AMP_ANSWER_PART;
    }

    /* a point: Microsoft's "404.1" */

    if (!amp_answer_among(bytes.data[i], amp_span(" .\r\n"))) {
        return amp_answer_fault(answer, "malformed status line");
    }

    if (answer->status < 100 || answer->status > 599) {
        return amp_answer_fault(answer, "a status outside of 100 to 599");
    }

    if (answer->status == 101) {
        return amp_answer_fault(answer, "a change of protocol");
    }

    *at = i;

    return AMP_ANSWER_FINAL;
}


/* Takes the next line, with its end, off rest.  0: rest has no line end. */

static int
amp_answer_line(amp_span_t *rest, amp_span_t *line)
{
    const unsigned char  *lf;

    lf = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (lf == NULL) {
        return 0;
    }

    *line = amp_span_make(rest->data, (size_t) (lf - rest->data) + 1);
    *rest = amp_span_make(lf + 1, rest->len - line->len);

    return 1;
}


/* The line that ends a head? */

static int
amp_answer_empty(amp_span_t line)
{
    return line.len == 1 || (line.len == 2 && line.data[0] == '\r');
}


static int
amp_answer_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}


/* What follows the name and its colon, without white space around it. */

static amp_span_t
amp_answer_value(amp_span_t line, amp_span_t name)
{
    amp_span_t  value;

    value = amp_span_make(line.data + name.len, line.len - name.len);

    if (value.data[0] == ':') {
        value.data++;
        value.len--;
    }

    while (value.len
           && (amp_answer_blank(value.data[value.len - 1])
               || value.data[value.len - 1] == '\r'
               || value.data[value.len - 1] == '\n'))
    {
        value.len--;
    }

    while (value.len && amp_answer_blank(value.data[0])) {
        value.data++;
        value.len--;
    }

    return value;
}


amp_answer_e
amp_answer_read(amp_span_t bytes, amp_answer_t *answer)
{
    size_t        at, i;
    amp_span_t    rest, line;
    amp_answer_e  rc;

    answer->fault = NULL;
    at = 0;

    rc = amp_answer_status(bytes, answer, &at);

    if (rc != AMP_ANSWER_FINAL) {
        return rc;
    }

    rest = amp_span_make(bytes.data + at, bytes.len - at);

    /* the rest of the status line: nginx takes a CR in it for HTTP/0.9 */

    if (!amp_answer_line(&rest, &line)) {
        return AMP_ANSWER_PART;
    }

    line.len -= (line.len > 1 && line.data[line.len - 2] == '\r') ? 2 : 1;

    for (i = 0; i < line.len; i++) {
        if (amp_char_is(line.data[i], AMP_CONTROL) && line.data[i] != '\t') {
            return amp_answer_fault(answer, "malformed status line");
        }
    }

    do {
        if (!amp_answer_line(&rest, &line)) {
            return AMP_ANSWER_PART;
        }

    } while (!amp_answer_empty(line));

    answer->len = (size_t) (rest.data - bytes.data);

    return answer->status < 200 ? AMP_ANSWER_INTERIM : AMP_ANSWER_FINAL;
}


#define amp_answer_is(name, text)  amp_span_caseeq(name, amp_span(text))

#define amp_answer_begins(name, text)                                         \
    ((name).len >= sizeof(text) - 1                                           \
     && amp_answer_is(amp_span_make((name).data, sizeof(text) - 1), text))


/*
 * Fields of one connection (RFC 9110, section 7.6.1; Trailer, since nginx does
 * not forward trailers), and those in which upstream speaks for its own origin
 * (Alt-Svc: RFC 7838; Strict-Transport-Security: RFC 6797; ...).
 */

static amp_answer_field_e
amp_answer_known(amp_span_t name)
{
    int  removed;

    removed = 0;

    switch (name.data[0] | 0x20) {

    case 'a':
        removed = amp_answer_is(name, "alt-svc")
                  || amp_answer_is(name, "accept-ch")
                  || amp_answer_begins(name, "access-control-");
        break;

    case 'c':
        if (amp_answer_is(name, "content-length")) {
            return AMP_ANSWER_LENGTH;
        }

        if (amp_answer_is(name, "connection")) {
            return AMP_ANSWER_CONNECTION;
        }

        removed = amp_answer_is(name, "clear-site-data")
                  || amp_answer_is(name, "critical-ch");
        break;

    case 'e':
        removed = amp_answer_is(name, "expect-ct");
        break;

    case 'h':
        removed = amp_answer_is(name, "http2-settings");
        break;

    case 'k':
        removed = amp_answer_is(name, "keep-alive");
        break;

    case 'n':
        removed = amp_answer_is(name, "nel");
        break;

    case 'p':
        removed = amp_answer_is(name, "proxy-connection")
                  || amp_answer_is(name, "proxy-authenticate")
                  || amp_answer_is(name, "proxy-authorization")
                  || amp_answer_is(name, "proxy-authentication-info")
                  || amp_answer_is(name, "public-key-pins")
                  || amp_answer_is(name, "public-key-pins-report-only");
        break;

    case 'r':
        removed = amp_answer_is(name, "report-to")
                  || amp_answer_is(name, "reporting-endpoints");
        break;

    case 's':
        removed = amp_answer_is(name, "strict-transport-security")
                  || amp_answer_is(name, "set-cookie2");
        break;

    case 't':
        if (amp_answer_is(name, "transfer-encoding")) {
            return AMP_ANSWER_CODING;
        }

        removed = amp_answer_is(name, "te") || amp_answer_is(name, "trailer");
        break;

    case 'u':
        removed = amp_answer_is(name, "upgrade");
        break;
    }

    return removed ? AMP_ANSWER_REMOVED : AMP_ANSWER_PASSED;
}


int
amp_answer_passes(amp_span_t name)
{
    return name.len != 0 && amp_answer_known(name) == AMP_ANSWER_PASSED;
}


static int
amp_answer_ends_name(unsigned char c)
{
    return c == ':' || c == '\r' || c == '\n';
}


/*
 * Sets the name of the line's field: nginx reads a line without a colon as a
 * name, too.  A name that is no token (RFC 9110, section 5.1) is removed, but
 * for one with white space or a control byte: nginx refuses that answer, or
 * passes over the line where it is a repeated status line.
 */

static amp_answer_field_e
amp_answer_field_of(amp_span_t line, amp_span_t *name)
{
    size_t              n;
    amp_answer_field_e  field;

    for (n = 0; amp_char_is(line.data[n], AMP_TOKEN); n++) { /* void */ }

    *name = amp_span_make(line.data, n);

    if (amp_answer_ends_name(line.data[n])) {
        return n ? amp_answer_known(*name) : AMP_ANSWER_PASSED;
    }

    field = AMP_ANSWER_REMOVED;

    for ( /* void */ ; !amp_answer_ends_name(line.data[n]); n++) {
        if (line.data[n] <= 0x20 || line.data[n] == 0x7f) {
            field = AMP_ANSWER_PASSED;
        }
    }

    name->len = n;

    return field;
}


/* Notes what the line says about the body and the connection. */

static void
amp_answer_field(amp_answer_fields_t *fields, amp_span_t line)
{
    amp_span_t  name, value;

    switch (amp_answer_field_of(line, &name)) {

    case AMP_ANSWER_PASSED:
        return;

    case AMP_ANSWER_REMOVED:
        fields->removed = 1;
        return;

    case AMP_ANSWER_CONNECTION:
        amp_buf_span(&fields->connection, amp_answer_value(line, name));
        amp_buf_byte(&fields->connection, ',');

        if (fields->connection.overflow) {
            fields->fault = "too much in Connection";
        }

        return;

    case AMP_ANSWER_LENGTH:
        value = amp_answer_value(line, name);

        if (fields->length || fields->coding) {
            fields->fault = "more than one length of the body";
        }

        fields->length = 1;

        /* as many digits as an off_t has */

        if (value.len == 0 || value.len > 18
            || amp_answer_digits(value) != value.len)
        {
            fields->fault = "malformed Content-Length";
        }

        return;

    case AMP_ANSWER_CODING:
        value = amp_answer_value(line, name);

        if (fields->length || fields->coding) {
            fields->fault = "more than one length of the body";
        }

        fields->coding = 1;

        if (!amp_span_caseeq(value, amp_span("chunked"))) {
            fields->fault = "unknown Transfer-Encoding";
        }
    }
}


/* Has the line to go?  Connection cannot list what frames the answer. */

static int
amp_answer_removed(amp_span_t connection, amp_span_t line)
{
    amp_span_t  name;

    switch (amp_answer_field_of(line, &name)) {

    case AMP_ANSWER_REMOVED:
        return 1;

    case AMP_ANSWER_PASSED:
        return amp_header_listed(connection, name);

    default:
        return 0;
    }
}


/* Does Connection list more than what nginx itself knows? */

static int
amp_answer_lists(amp_span_t connection)
{
    amp_span_t  word;

    while ((word = amp_header_word(&connection)).len) {
        if (!amp_span_caseeq(word, amp_span("close"))
            && !amp_span_caseeq(word, amp_span("keep-alive")))
        {
            return 1;
        }
    }

    return 0;
}


size_t
amp_answer_clean(unsigned char *head, size_t len, const char **fault)
{
    amp_span_t           rest, line, connection;
    unsigned char       *out, room[AMP_ANSWER_CONNECTION_MAX];
    amp_answer_fields_t  fields;

    memset(&fields, 0, sizeof(fields));
    amp_buf_init(&fields.connection, room, sizeof(room));

    rest = amp_span_make(head, len);
    line = amp_span_null;

    (void) amp_answer_line(&rest, &line);
    out = head + line.len;

    while (amp_answer_line(&rest, &line) && !amp_answer_empty(line)) {
        amp_answer_field(&fields, line);
    }

    if (fields.fault) {
        *fault = fields.fault;
        return 0;
    }

    connection = amp_buf_written(&fields.connection);

    if (!fields.removed && !amp_answer_lists(connection)) {
        return len;
    }

    rest = amp_span_make(out, len - (size_t) (out - head));

    while (amp_answer_line(&rest, &line)) {
        if (!amp_answer_removed(connection, line)) {
            memmove(out, line.data, line.len);
            out += line.len;
        }
    }

    return (size_t) (out - head);
}


/*
 * Names, and prefixes that end with "-".  Set-Cookie stays, since nginx does
 * not store an answer that has it, and does not pass it on.
 */

static int
amp_answer_shared(amp_span_t name)
{
    size_t  i, len;

    static const char *const  shared[] = {
        "content-", "cache-control", "connection",
        "transfer-encoding", "date", "expires", "age", "pragma", "warning",
        "etag", "last-modified", "vary", "link", "accept-ranges", "allow",
        "location", "retry-after", "set-cookie", "www-authenticate",
        "x-content-type-options", "deprecation", "sunset"
    };

    for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        len = strlen(shared[i]);

        if (name.len == len || (name.len > len && shared[i][len - 1] == '-')) {
            if (amp_span_caseeq(amp_span_make(name.data, len),
                                amp_span_make(shared[i], len)))
            {
                return 1;
            }
        }
    }

    return 0;
}


size_t
amp_answer_share(unsigned char *head, size_t len)
{
    amp_span_t      rest, line, name;
    unsigned char  *out;

    rest = amp_span_make(head, len);
    line = amp_span_null;

    (void) amp_answer_line(&rest, &line);
    out = head + line.len;

    while (amp_answer_line(&rest, &line)) {

        if (!amp_answer_empty(line)
            && amp_answer_field_of(line, &name) == AMP_ANSWER_PASSED
            && !amp_answer_shared(name))
        {
            continue;
        }

        memmove(out, line.data, line.len);
        out += line.len;
    }

    return (size_t) (out - head);
}


int
amp_answer_streams(amp_span_t type)
{
    const unsigned char  *end;

    end = type.len ? memchr(type.data, ';', type.len) : NULL;

    if (end) {
        type.len = (size_t) (end - type.data);
    }

    while (type.len && amp_answer_blank(type.data[type.len - 1])) {
        type.len--;
    }

    return amp_span_caseeq(type, amp_span("text/event-stream"));
}
