/*
 * The texts of --help.
 */

#define _GNU_SOURCE                 /* open_memstream() under -std=gnu99 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "options.h"


static void
help_table(FILE *out, const ctl_option_t *option)
{
    char  text[64];

    for ( /* void */ ; option->name != NULL; option++) {
        snprintf(text, sizeof(text), "--%s%s%s", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        fprintf(out, "  %-27s  %s%s\n", text, option->help,
                option->many ? " (repeatable)" : "");
    }
}


static void
help_line(FILE *out, const ctl_command_t *command)
{
    char  text[64];

    snprintf(text, sizeof(text), "%s%s%s%s%s", command->noun,
             command->verb ? " " : "", command->verb ? command->verb : "",
             *command->args ? " " : "", command->args);
    fprintf(out, "  %-27s  %s\n", text, command->summary);
}


static void
help_command(FILE *out, const ctl_command_t *command)
{
    fprintf(out, "usage: ampctl %s%s%s%s%s%s\n\n%s\n", command->noun,
            command->verb ? " " : "", command->verb ? command->verb : "",
            *command->args ? " " : "", command->args,
            command->options ? " [OPTION]..." : "", command->summary);

    if (command->note != NULL) {
        fprintf(out, "\n%s\n", command->note);
    }

    if (command->options != NULL) {
        fprintf(out, "\noptions:\n");
        help_table(out, command->options);
    }
}


char *
help_text(const ctl_command_t *const *commands, const ctl_command_t *command,
    const char *noun)
{
    FILE                 *out;
    char                 *text;
    size_t                size;
    unsigned              i;
    const ctl_command_t  *line;

    text = NULL;

    out = open_memstream(&text, &size);
    if (out == NULL) {
        abort();
    }

    if (command != NULL) {
        help_command(out, command);

    } else {
        fprintf(out, "usage: ampctl %s ...\n\ncommands:\n",
                noun ? noun : "COMMAND");

        for (i = 0; commands[i] != NULL; i++) {
            for (line = commands[i]; line->noun != NULL; line++) {
                if (noun == NULL || strcmp(line->noun, noun) == 0) {
                    help_line(out, line);
                }
            }
        }

        fprintf(out, "\nEvery command has its own --help.\n");
    }

    fprintf(out, "\nglobal options, anywhere:\n");
    help_table(out, options_globals);

    fprintf(out, "\nexit codes: 0 done, 1 refused or not found, 2 wrong usage, "
            "3 Redis or Ampersand\nout of reach\n");

    fclose(out);

    return text;
}
