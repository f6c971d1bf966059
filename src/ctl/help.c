/*
 * The texts of --help.
 */

#define _GNU_SOURCE                 /* open_memstream() under -std=gnu99 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "options.h"


#define HELP_COLUMN  31             /* where the second column begins         */
#define HELP_WIDTH   80


/* A line of two columns; the second is wrapped between words. */

static void
help_columns(FILE *out, const char *left, const char *right)
{
    int     column;
    size_t  len;

    column = fprintf(out, "  %-*s", HELP_COLUMN - 3, left);

    for ( /* void */ ; *right != '\0'; right += len) {
        right += strspn(right, " ");
        len = strcspn(right, " ");

        if (column + 1 + (int) len > HELP_WIDTH) {
            column = fprintf(out, "\n%*s", HELP_COLUMN - 1, "") - 1;
        }

        column += fprintf(out, " %.*s", (int) len, right);
    }

    fputc('\n', out);
}


static void
help_options(FILE *out, const ctl_option_t *option)
{
    char  left[64], right[256];

    for ( /* void */ ; option->name != NULL; option++) {
        snprintf(left, sizeof(left), "--%s%s%s", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        snprintf(right, sizeof(right), "%s%s", option->help,
                 option->many ? " (repeatable)" : "");
        help_columns(out, left, right);
    }
}


static void
help_summary(FILE *out, const ctl_command_t *command)
{
    char  left[64];

    snprintf(left, sizeof(left), "%s%s%s%s%s", command->noun,
             command->verb ? " " : "", command->verb ? command->verb : "",
             *command->args ? " " : "", command->args);
    help_columns(out, left, command->summary);
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
        help_options(out, command->options);
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
        fprintf(out, "usage: ampctl %s%s [ARGUMENT]... [OPTION]...\n\n"
                "commands:\n", noun ? noun : "COMMAND",
                noun ? " SUBCOMMAND" : "");

        for (i = 0; commands[i] != NULL; i++) {
            for (line = commands[i]; line->noun != NULL; line++) {
                if (noun == NULL || strcmp(line->noun, noun) == 0) {
                    help_summary(out, line);
                }
            }
        }

        fprintf(out, "\nampctl COMMAND --help describes a command.\n");
    }

    fprintf(out, "\noptions of every command (and environment variables):\n");
    help_options(out, options_globals);

    fprintf(out, "\nexit codes: 0 done, 1 refused or not found, 2 wrong usage, "
            "3 Redis or Ampersand\nout of reach\n");

    fclose(out);

    return text;
}
