/*
 * The texts of --help, made from the tables of commands and options.
 */

#ifndef CTL_HELP_H
#define CTL_HELP_H


#include "command.h"


/*
 * The help of a command; with command NULL, of all commands of a noun; with
 * both NULL, of all commands.  commands ends with NULL.  The text is the
 * caller's to free().
 */

char *help_text(const ctl_command_t *const *commands,
    const ctl_command_t *command, const char *noun);


#endif /* CTL_HELP_H */
