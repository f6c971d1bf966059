/*
 * What ampctl says: errors with a remedy, one JSON document, aligned tables.
 * Human text of a refusal goes to standard error; with --json the refusal is
 * the one document on standard output.
 */

#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H


#include <stdint.h>
#include <jansson.h>


#define CTL_DONE     0
#define CTL_REFUSED  1              /* refused, or not found                  */
#define CTL_USAGE    2              /* wrong usage                            */
#define CTL_REACH    3              /* Redis or Ampersand out of reach        */

#define CTL_TIME_MAX  24


typedef struct {
    int          exit;              /* CTL_REFUSED, CTL_USAGE or CTL_REACH    */
    const char  *code;              /* one word for scripts, static           */
    char         message[512];
    char         remedy[512];       /* what to do; may be empty               */
} ctl_error_t;


/* Both fill a part of the error and answer -1; the first clears the remedy. */

int ctl_error(ctl_error_t *error, int code, const char *word, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
int ctl_remedy(ctl_error_t *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* { "code": ..., "message": ..., "remedy": ... }; a new reference. */

json_t *ctl_error_json(const ctl_error_t *error);

/* Prints the error where it belongs and answers its exit code. */

int output_error(const ctl_error_t *error, int json);

/* A line on standard error that changes nothing. */

void output_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints the document and releases it.  CTL_DONE. */

int output_json(json_t *doc);

/* Unix seconds as 2026-01-31T12:00:00Z; "-" for 0. */

const char *output_time(int64_t t, char text[CTL_TIME_MAX]);

/* "a, b, c" of an array of strings into text; "-" when it is empty. */

const char *output_words(const json_t *array, char *text, size_t size);


/*
 * A table: n columns with their heads, then rows of n texts (NULL prints as
 * "-").  Printing releases it.  Control bytes are shown as "?".
 */

typedef struct output_table_s  output_table_t;

output_table_t *output_table(unsigned n, const char *const *heads);
void output_row(output_table_t *table, ...);
void output_table_print(output_table_t *table);


#endif /* CTL_OUTPUT_H */
