/*
 * JSON: reading strict objects with jansson, writing escaped text without
 * allocations.
 */

#ifndef AMP_JSON_H
#define AMP_JSON_H


#include <jansson.h>

#include "amp_span.h"


/*
 * Reads one JSON object: UTF-8, no duplicate member at any depth, nothing after
 * it.  The caller json_decref()s it.  NULL with *error set to a static text,
 * which contains nothing of the input.
 */

json_t *amp_json_object(amp_span_t text, const char **error);

/*
 * The bytes of a JSON string, valid as long as the value; a null span when the
 * value is NULL or not a string.
 */

amp_span_t amp_json_text(const json_t *value);

/* Reads a whole number >= 0: 0 with *n filled, or -1. */

int amp_json_count(const json_t *value, uint64_t *n);


/*
 * Appends s as a JSON string with its quotes.  Each byte that is not part of
 * valid UTF-8 becomes U+FFFD.  A byte takes at most 6 bytes.
 */

void amp_json_string(amp_span_t s, amp_buf_t *out);

/* Appends a number in decimal digits. */

void amp_json_number(uint64_t n, amp_buf_t *out);

/* 1 when s is valid UTF-8 without control characters (C0, DEL, C1). */

int amp_json_printable(amp_span_t s);


#endif /* AMP_JSON_H */
