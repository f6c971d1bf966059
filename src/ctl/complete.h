/*
 * Completion in shells: what may stand at a place of the command line.  It
 * reads the tables of commands and options that --help reads, and those of the
 * core.
 */

#ifndef CTL_COMPLETE_H
#define CTL_COMPLETE_H


#include "command.h"


/* The command that the scripts of "ampctl completion" call. */

#define COMPLETE_COMMAND  "__complete"

/*
 * Prints what may stand in place of the last word, which is incomplete and may
 * be empty, after the others: lines of a word, a tab and its description, or
 * ":file" where it is the name of a file.  Returns CTL_DONE.
 */

int complete_words(const ctl_command_t *const *commands, unsigned n,
    char *const *words);


#endif /* CTL_COMPLETE_H */
