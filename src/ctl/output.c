/*
 * Errors, JSON documents, tables and times as ampctl prints them.
 */

#define _GNU_SOURCE                 /* vasprintf() under -std=gnu99 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"


struct output_table_s {
    unsigned   columns;
    size_t     ncells;
    size_t     size;
    size_t    *widths;              /* once the first rows are printed        */
    char     **cells;               /* the heads are the first row            */
};


/*
 * The bytes of the control character at p, 0 where there is none: C0, DEL, C1
 * (U+009B begins a command of a terminal), line separators, and what changes
 * the direction of the text around it.
 */

static size_t
output_control(const char *text)
{
    const unsigned char  *p = (const unsigned char *) text;

    if (p[0] < 0x20 || p[0] == 0x7f) {
        return 1;
    }

    if ((p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
        || (p[0] == 0xd8 && p[1] == 0x9c))
    {
        return 2;
    }

    if (p[0] == 0xe2
        && ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f
                              || (p[2] >= 0xa8 && p[2] <= 0xae)))
            || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
    {
        return 3;
    }

    return 0;
}


/* Each control character becomes "?", but those of keep stay. */

static void
output_clean(char *text, const char *keep)
{
    char    *p, *to;
    size_t   len;
    json_t  *probe;

    for (p = text, to = text; *p != '\0'; p += len) {
        len = output_control(p);

        if (len != 0 && strchr(keep, *p) == NULL) {
            *to++ = '?';
        } else {
            len = 1;
            *to++ = *p;
        }
    }

    *to = '\0';

    /* an argument may hold any bytes, a JSON document only UTF-8 */

    probe = json_string(text);
    if (probe != NULL) {
        json_decref(probe);
        return;
    }

    for (p = text; *p != '\0'; p++) {
        if ((unsigned char) *p >= 0x80) {
            *p = '?';
        }
    }
}


void
output(const char *fmt, ...)
{
    char     *text;
    va_list   args;

    va_start(args, fmt);

    if (vasprintf(&text, fmt, args) < 0) {
        abort();
    }

    va_end(args);

    output_clean(text, "\n");
    output_progress(NULL, 0, 0);
    fputs(text, stdout);
    free(text);
}


int
ctl_error(ctl_error_t *error, int code, const char *word, const char *fmt, ...)
{
    va_list  args;

    error->exit = code;
    error->code = word;
    error->remedy[0] = '\0';

    va_start(args, fmt);
    vsnprintf(error->message, sizeof(error->message), fmt, args);
    va_end(args);

    output_clean(error->message, "");

    return -1;
}


int
ctl_remedy(ctl_error_t *error, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(error->remedy, sizeof(error->remedy), fmt, args);
    va_end(args);

    output_clean(error->remedy, "");

    return -1;
}


json_t *
ctl_error_json(const ctl_error_t *error)
{
    return json_pack("{s:s, s:s, s:s}", "code", error->code,
                     "message", error->message, "remedy", error->remedy);
}


/* Terminals only; https://no-color.org: NO_COLOR that is not empty. */

static int
output_coloured(FILE *out)
{
    const char  *no, *term;

    no = getenv("NO_COLOR");
    term = getenv("TERM");

    return isatty(fileno(out)) && (no == NULL || *no == '\0')
           && term != NULL && strcmp(term, "dumb") != 0;
}


static void
output_paint(FILE *out, const char *text, output_colour_e colour)
{
    if (output_coloured(out)) {
        fprintf(out, "\033[%dm%s\033[0m", (int) colour, text);
    } else {
        fputs(text, out);
    }
}


void
output_word(const char *word, output_colour_e colour)
{
    output_paint(stdout, word, colour);
}


int
output_error(const ctl_error_t *error, int json)
{
    if (json) {
        output_json(json_pack("{s:o}", "error", ctl_error_json(error)));
        return error->exit;
    }

    fflush(stdout);
    output_paint(stderr, "ampctl:", OUTPUT_RED);
    fprintf(stderr, " %s\n", error->message);

    if (error->remedy[0] != '\0') {
        fprintf(stderr, "  %s\n", error->remedy);
    }

    return error->exit;
}


void
output_warning(const char *fmt, ...)
{
    char     text[512];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    output_clean(text, "");
    output_paint(stderr, "ampctl: warning:", OUTPUT_YELLOW);
    fprintf(stderr, " %s\n", text);
}


/*
 * Writes a part of a JSON document: control characters of a text, which JSON
 * permits there as they are, become "\\uXXXX".  jansson cuts no character.
 */

static int
output_json_part(const char *part, size_t size, void *data)
{
    char        last[3];
    size_t      i, len;
    unsigned    c;

    for (i = 0; i < size; i++) {
        memset(last, 0, sizeof(last));
        memcpy(last, part + i, size - i < 3 ? size - i : 3);

        len = output_control(last);

        if (len < 2) {
            putchar(part[i]);
            continue;
        }

        c = (unsigned char) last[0] & (len == 2 ? 0x1f : 0x0f);
        c = c << 6 | ((unsigned char) last[1] & 0x3f);
        c = len == 2 ? c : (c << 6 | ((unsigned char) last[2] & 0x3f));

        printf("\\u%04x", c);
        i += len - 1;
    }

    return 0;
}


static void
output_json_dump(json_t *doc)
{
    json_dump_callback(doc, output_json_part, NULL,
                       JSON_COMPACT|JSON_PRESERVE_ORDER|JSON_ENCODE_ANY);
    json_decref(doc);
}


void
output_item(size_t *n, json_t *item)
{
    output_progress(NULL, 0, 0);
    putchar((*n)++ == 0 ? '[' : ',');
    output_json_dump(item);
}


void
output_items_end(size_t n)
{
    fputs(n == 0 ? "[]\n" : "]\n", stdout);
}


void
output_progress(const char *what, size_t done, size_t all)
{
    struct timespec  now;

    static int     shown;
    static time_t  last;

    if (what == NULL) {
        if (shown) {
            fputs("\r\033[K", stderr);
            shown = 0;
        }

        return;
    }

    if (!isatty(STDERR_FILENO)) {
        return;
    }

    clock_gettime(CLOCK_MONOTONIC, &now);

    if (last == 0) {
        last = now.tv_sec;

    } else if (now.tv_sec != last) {
        last = now.tv_sec;
        shown = 1;
        fprintf(stderr, "\r%s: %lu of %lu", what, (unsigned long) done,
                (unsigned long) all);
    }
}


int
output_json(json_t *doc)
{
    output_json_dump(doc);
    putchar('\n');

    return CTL_DONE;
}


const char *
output_time(int64_t t, char text[CTL_TIME_MAX])
{
    time_t     seconds;
    struct tm  tm;

    seconds = (time_t) t;

    if (t == 0 || gmtime_r(&seconds, &tm) == NULL
        || strftime(text, CTL_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
    {
        return "-";
    }

    return text;
}


const char *
output_words(const json_t *array, char *text, size_t size)
{
    int          n;
    size_t       i, len;
    const char  *word;

    len = 0;
    text[0] = '\0';

    for (i = 0; i < json_array_size(array); i++) {
        word = json_string_value(json_array_get(array, i));
        if (word == NULL) {
            continue;
        }

        n = snprintf(text + len, size - len, "%s%s", len ? ", " : "", word);
        if (n < 0 || (size_t) n >= size - len) {
            break;
        }

        len += n;
    }

    return len ? text : "-";
}


static void
output_cell(output_table_t *table, const char *text)
{
    char   *copy, **cells;
    size_t  size;

    if (table->ncells == table->size) {
        size = table->size ? table->size * 2 : 64;

        cells = realloc(table->cells, size * sizeof(*cells));
        if (cells == NULL) {
            abort();
        }

        table->cells = cells;
        table->size = size;
    }

    copy = strdup(text != NULL && *text != '\0' ? text : "-");
    if (copy == NULL) {
        abort();
    }

    output_clean(copy, "");
    table->cells[table->ncells++] = copy;
}


output_table_t *
output_table(unsigned n, const char *const *heads)
{
    unsigned         i;
    output_table_t  *table;

    table = calloc(1, sizeof(*table));
    if (table == NULL) {
        abort();
    }

    table->columns = n;

    for (i = 0; i < n; i++) {
        output_cell(table, heads[i]);
    }

    return table;
}


/* The width on a terminal, about: code points. */

static size_t
output_width(const char *text)
{
    size_t  n;

    for (n = 0; *text != '\0'; text++) {
        if (((unsigned char) *text & 0xc0) != 0x80) {
            n++;
        }
    }

    return n;
}


static size_t
output_column_width(const output_table_t *table, unsigned column)
{
    size_t  i, width, max;

    max = 0;

    for (i = column; i < table->ncells; i += table->columns) {
        width = output_width(table->cells[i]);
        if (width > max) {
            max = width;
        }
    }

    return max;
}


/* Prints the rows that are there, and forgets them. */

static void
output_rows(output_table_t *table)
{
    int     pad;
    size_t  i, column;

    if (table->widths == NULL) {
        table->widths = calloc(table->columns, sizeof(*table->widths));
        if (table->widths == NULL) {
            abort();
        }

        for (i = 0; i < table->columns; i++) {
            table->widths[i] = output_column_width(table, i);
        }
    }

    output_progress(NULL, 0, 0);

    for (i = 0; i < table->ncells; i++) {
        fputs(table->cells[i], stdout);
        column = i % table->columns;

        if (column + 1 == table->columns) {
            putchar('\n');

        } else {
            pad = (int) table->widths[column]
                  - (int) output_width(table->cells[i]);
            printf("%*s", (pad > 0 ? pad : 0) + 2, "");
        }

        free(table->cells[i]);
    }

    table->ncells = 0;
}


void
output_row(output_table_t *table, ...)
{
    va_list   args;
    unsigned  i;

    va_start(args, table);

    for (i = 0; i < table->columns; i++) {
        output_cell(table, va_arg(args, const char *));
    }

    va_end(args);

    if (table->ncells >= (size_t) table->columns * OUTPUT_ROWS) {
        output_rows(table);
    }
}


void
output_table_print(output_table_t *table)
{
    output_rows(table);

    free(table->widths);
    free(table->cells);
    free(table);
}
