/*
 * The head of an answer (status line and fields), as the bytes that upstream
 * sent, before nginx parses them: which bytes are an answer, and which fields
 * of it may reach a client or the cache.
 */

#ifndef AMP_ANSWER_H
#define AMP_ANSWER_H


#include "amp_span.h"


/* All interim answers (1xx) in front of one final answer, in bytes. */

#define AMP_ANSWER_INTERIM_MAX     32768

/* What Connection may list in one answer, in bytes. */

#define AMP_ANSWER_CONNECTION_MAX  512


typedef enum {
    AMP_ANSWER_PART = 0,        /* more bytes are needed                      */
    AMP_ANSWER_INTERIM,         /* a whole head with a status 1xx, but 101    */
    AMP_ANSWER_FINAL,           /* a whole head with a status from 200 to 599 */
    AMP_ANSWER_INVALID          /* no answer of HTTP/1                        */
} amp_answer_e;


typedef struct {
    size_t       len;           /* of a whole head, with its empty line       */
    unsigned     status;        /* 100 to 599 of a whole head                 */
    const char  *fault;         /* AMP_ANSWER_INVALID: why, for the log       */
} amp_answer_t;


/*
 * What do the bytes begin with?  The status line is read as nginx reads it
 * (ngx_http_parse_status_line()), a line ends with LF or CR LF, and the head
 * with an empty line.  An answer without a status line (HTTP/0.9), a 101 (no
 * upgrade is ever asked for) and a status that RFC 9110, section 15, does not
 * define are invalid; the first bytes tell it.
 */

amp_answer_e amp_answer_read(amp_span_t bytes, amp_answer_t *answer);

/*
 * Removes from a whole final head of len bytes, in place, the lines of fields
 * that concern only the connection to upstream (RFC 9110, section 7.6.1: also
 * those that Connection lists), and of fields in which upstream speaks for its
 * own origin, which is not the client's.  Connection, Transfer-Encoding and
 * Content-Length stay: nginx reads them, and passes its own to the client.
 * Returns the length that is left.  0: the fields contradict each other about
 * the length of the body, or are malformed; *fault says which, for the log.
 *
 * The rules about the length are those of nginx 1.23 and newer
 * (ngx_http_upstream_process_content_length(), _process_transfer_encoding()).
 */

size_t amp_answer_clean(unsigned char *head, size_t len, const char **fault);


/*
 * Removes from a cleaned head, in place, what describes neither the resource
 * nor the message: limits and ids of who asked (RateLimit, X-Request-Id, ...).
 * For an answer that several tenants share.  Returns the length that is left.
 */

size_t amp_answer_share(unsigned char *head, size_t len);


/* 1 when amp_answer_clean() leaves fields of this name where they are. */

int amp_answer_passes(amp_span_t name);


/*
 * Is this Content-Type that of an event stream (text/event-stream)?  Such an
 * answer may never end, and each part of it is meant for now.
 */

int amp_answer_streams(amp_span_t type);


#endif /* AMP_ANSWER_H */
