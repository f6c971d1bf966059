/*
 * "Did you mean": the word of a list that is nearest to one that is not in it.
 */

#ifndef CTL_NEAREST_H
#define CTL_NEAREST_H


#include <stddef.h>


#define NEAREST_MAX  96


typedef struct {
    const char  *word;              /* what was given                         */
    const char  *best;              /* or NULL                                */
    unsigned     distance;
} nearest_t;


/* The words must live as long as the search. */

void nearest_begin(nearest_t *nearest, const char *word);
void nearest_try(nearest_t *nearest, const char *candidate);

/*
 * ", did you mean "word"?" in text, which is returned; empty where no word is
 * near: one in three letters may differ, be missing, be too many, or stand in
 * the other order; and a word may be cut short after three letters.
 */

const char *nearest_text(const nearest_t *nearest, char text[NEAREST_MAX]);


#endif /* CTL_NEAREST_H */
