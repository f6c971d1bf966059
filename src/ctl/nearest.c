/*
 * The nearest word: Damerau's distance, where neighbours may also be swapped,
 * without regard to case.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_span.h"
#include "nearest.h"


#define NEAREST_WORD  48            /* a longer one is near to none           */


void
nearest_begin(nearest_t *nearest, const char *word)
{
    nearest->word = word;
    nearest->best = NULL;
    nearest->distance = 0;
}


static unsigned
nearest_least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}


/* Optimal string alignment, row by row; two rows before are kept. */

static unsigned
nearest_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t          i, j;
    unsigned        cost, *row, *last, *before;
    unsigned        rows[3][NEAREST_WORD + 1];
    unsigned char   x, y;

    for (j = 0; j <= nb; j++) {
        rows[0][j] = (unsigned) j;
    }

    for (i = 1; i <= na; i++) {
        row = rows[i % 3];
        last = rows[(i + 2) % 3];
        before = rows[(i + 1) % 3];
        row[0] = (unsigned) i;

        for (j = 1; j <= nb; j++) {
            x = amp_lower((unsigned char) a[i - 1]);
            y = amp_lower((unsigned char) b[j - 1]);
            cost = (x != y);

            row[j] = nearest_least(nearest_least(last[j], row[j - 1]) + 1,
                                   last[j - 1] + cost);

            if (i > 1 && j > 1
                && x == amp_lower((unsigned char) b[j - 2])
                && y == amp_lower((unsigned char) a[i - 2]))
            {
                row[j] = nearest_least(row[j], before[j - 2] + 1);
            }
        }
    }

    return rows[na % 3][nb];
}


void
nearest_try(nearest_t *nearest, const char *candidate)
{
    size_t    n, len;
    unsigned  distance;

    n = strlen(nearest->word);
    len = strlen(candidate);

    if (n == 0 || n > NEAREST_WORD || len > NEAREST_WORD) {
        return;
    }

    distance = nearest_distance(nearest->word, n, candidate, len);

    /* what was cut short is nearer than what is spelt otherwise */

    if (n >= 3 && n < len
        && amp_span_caseeq(amp_span_make(nearest->word, n),
                           amp_span_make(candidate, n)))
    {
        distance = 1;
    }

    if (distance * 3 > n + 1) {
        return;
    }

    if (nearest->best == NULL || distance < nearest->distance) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}


const char *
nearest_text(const nearest_t *nearest, char text[NEAREST_MAX])
{
    text[0] = '\0';

    if (nearest->best != NULL) {
        snprintf(text, NEAREST_MAX, ", did you mean \"%s\"?", nearest->best);
    }

    return text;
}
