/*
 * JSON as the core reads and writes it: strict objects in (jansson), escaped
 * text out (no allocation).
 */

#ifndef AMP_JSON_H
#define AMP_JSON_H


#include <jansson.h>

#include "amp_span.h"


/*
 * One whole JSON object: UTF-8, no member twice at any depth, nothing after
 * it.  The caller json_decref()s it.  NULL with *error set to a static text
 * that echoes nothing of the input.
 */

json_t *amp_json_object(amp_span_t text, const char **error);

/*
 * The bytes of a JSON string, valid while the value lives; a null span when
 * the value is NULL or no string.
 */

amp_span_t amp_json_text(const json_t *value);

/* A whole number >= 0: 0 and *n filled, else -1. */

int amp_json_count(const json_t *value, uint64_t *n);


/*
 * Appends s as a JSON string with its quotes.  Every byte that is no part of
 * valid UTF-8 becomes U+FFFD.  At most 6 bytes for one, and the quotes.
 */

void amp_json_string(amp_span_t s, amp_buf_t *out);

/* Appends a number. */

void amp_json_number(uint64_t n, amp_buf_t *out);

/* Valid UTF-8 without control characters (C0, DEL, C1)? */

int amp_json_printable(amp_span_t s);


#endif /* AMP_JSON_H */
