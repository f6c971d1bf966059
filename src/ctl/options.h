/*
 * The command line: global options anywhere, a noun and a verb, the command's
 * own options and arguments, all through getopt_long(); and the texts of
 * --help, from the same tables.
 */

#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H


#include "ampctl.h"


#define OPTIONS_RUN   0             /* ctl->command is to be run              */
#define OPTIONS_HELP  1             /* the help of what was named is wanted   */
#define OPTIONS_VERSION  2


/* All tables of commands, ended by NULL. */

extern const ctl_command_t *const  ctl_commands[];


/*
 * Reads argv and the environment into ctl.  One of the above with ctl->command
 * set where one was named (for help *noun may be set instead), or -1 with
 * ctl->error filled.
 */

int options_read(ctl_t *ctl, int argc, char **argv, const char **noun);

/* The help of a command; of a noun; of everything.  malloc()ed. */

char *options_help(const ctl_command_t *command, const char *noun);

/*
 * A length of time: a number with ms, s, m, h, d or w ("90d"); a bare number
 * counts in seconds.  Milliseconds, or -1.
 */

int64_t options_time(const char *text);


#endif /* CTL_OPTIONS_H */
