/*
 * The output of ampctl: errors with a remedy, one JSON document, aligned
 * tables.  An error is text on standard error; with --json it is the document
 * on standard output.
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
    const char  *code;              /* a word for scripts; static             */
    char         message[1536];
    char         remedy[1280];      /* what to do; may be empty               */
} ctl_error_t;


/*
 * ctl_error() fills all but the remedy, which it clears; ctl_remedy() fills the
 * remedy.  Both return -1.  Here and in all other output, control characters
 * (C0, C1, line separators, marks of direction) become "?", and so do bytes
 * that are not UTF-8.
 */

int ctl_error(ctl_error_t *error, int code, const char *word, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
int ctl_remedy(ctl_error_t *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* { "code": ..., "message": ..., "remedy": ... }, the caller's to release. */

json_t *ctl_error_json(const ctl_error_t *error);

/* Prints the error and returns its exit code. */

int output_error(const ctl_error_t *error, int json);

/* Prints a warning on standard error; the exit code stays as it is. */

void output_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* As printf(), but of control characters only the line feed is printed. */

void output(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Prints a word, which has no control character, in colour where standard
 * output is a terminal that has colours, and NO_COLOR is not set.
 */

typedef enum {
    OUTPUT_RED = 31,
    OUTPUT_GREEN = 32,
    OUTPUT_YELLOW = 33
} output_colour_e;

void output_word(const char *word, output_colour_e colour);

/*
 * Shows how much is done, on standard error where that is a terminal, once a
 * second from the second one on.  what is NULL: takes the line away again, as
 * whatever is printed does first.
 */

void output_progress(const char *what, size_t done, size_t all);

/*
 * A long JSON array, one element at a time; *n, zero at first, counts them.
 * Each element is released.
 */

void output_item(size_t *n, json_t *item);
void output_items_end(size_t n);

/*
 * Prints the document, releases it and returns CTL_DONE.  Control characters
 * are escaped, so they reach no terminal and are not lost.
 */

int output_json(json_t *doc);

/* Unix seconds as 2026-01-31T12:00:00Z; "-" for 0. */

const char *output_time(int64_t t, char text[CTL_TIME_MAX]);

/*
 * Writes an array of strings into text as "a, b, c", cut to size.  Returns
 * text, or "-" for an empty array.
 */

const char *output_words(const json_t *array, char *text, size_t size);


/*
 * A table of n columns with their heads; then rows of n texts each (const char
 * *), of which NULL and "" print as "-".  Printing releases the table.  The
 * width of a column is that of its first OUTPUT_ROWS rows; a longer table is
 * printed as it comes.
 */

#define OUTPUT_ROWS  1000

typedef struct output_table_s  output_table_t;

output_table_t *output_table(unsigned n, const char *const *heads);
void output_row(output_table_t *table, ...);
void output_table_print(output_table_t *table);


#endif /* CTL_OUTPUT_H */
