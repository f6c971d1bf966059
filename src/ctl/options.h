/*
 * The command line: global options anywhere, a noun and a verb, the command's
 * own options and arguments, all through getopt_long().
 */

#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H


#include "command.h"


#define OPTIONS_RUN      0          /* run ctl->command                       */
#define OPTIONS_HELP     1          /* print help, see help_text()            */
#define OPTIONS_VERSION  2          /* print the version                      */


/* The options of every command. */

extern const ctl_option_t  options_globals[];


/*
 * Reads argv and the environment into ctl; commands is a list of tables that
 * ends with NULL.  Returns OPTIONS_RUN with ctl->command set; OPTIONS_HELP with
 * ctl->command or *noun set when the command line names one; OPTIONS_VERSION;
 * or -1 with ctl->error filled.
 */

int options_read(ctl_t *ctl, const ctl_command_t *const *commands, int argc,
    char **argv, const char **noun);


#endif /* CTL_OPTIONS_H */
