/*
 * The terminal of "ampctl top": a screen of its own, keys one by one, and what
 * was there before when it ends, by whatever signal.
 */

#ifndef CTL_TOP_TERMINAL_H
#define CTL_TOP_TERMINAL_H


#include <stddef.h>
#include <stdint.h>


#define TOP_KEY_NONE    0           /* the time is over                       */
#define TOP_KEY_RESIZE  (-1)        /* or the program was continued           */
#define TOP_KEY_END     (-2)        /* a signal, or the terminal has gone     */


/* Are standard input and output terminals that can do more than print lines? */

int top_terminal_usable(void);

/* 0, or -1 where the terminal cannot be set. */

int top_terminal_begin(void);

/*
 * The next key, waited for until the deadline (connection_clock()): a byte, or
 * one of the above.
 */

int top_terminal_key(int64_t deadline);

/* Columns and lines, 80 and 24 where it does not say. */

void top_terminal_size(unsigned *columns, unsigned *lines);

/* Writes a screen. */

void top_terminal_draw(const char *text, size_t len);

/*
 * As it was before; where a signal has ended the program, it takes effect now.
 */

void top_terminal_end(void);


#endif /* CTL_TOP_TERMINAL_H */
