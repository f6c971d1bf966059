/*
 * Completion in shells.
 *
 * What may stand where a placeholder stands follows from its name, in args of a
 * command and in options: FILE, X, C, A, F and so on.
 */

#include <stdio.h>
#include <string.h>

#include "../core/amp_tenant.h"
#include "complete.h"
#include "options.h"


typedef struct {
    const ctl_command_t *const  *commands;
    const char                  *noun;      /* or NULL, so far                */
    const ctl_command_t         *command;   /* or NULL                        */
    unsigned                     nargs;
    const char                  *last;      /* the incomplete word            */
    const char                  *head;      /* "--name=" in front of it       */
    int                          nhead;
} complete_t;


static void
complete_offer(const complete_t *c, const char *word, const char *about)
{
    if (strncmp(word, c->last, strlen(c->last)) == 0) {
        printf("%.*s%s\t%s\n", c->nhead, c->head, word, about);
    }
}


static void
complete_operations(const complete_t *c, unsigned lifetimes)
{
    size_t                  i, n;
    const amp_operation_t  *ops;

    ops = amp_operations(&n);

    for (i = 0; i < n; i++) {
        if (ops[i].class != AMP_CLASS_NONE && (!lifetimes || ops[i].ttl != 0)) {
            complete_offer(c, ops[i].id, ops[i].tag);
        }
    }
}


static void
complete_classes(const complete_t *c)
{
    int  i;

    for (i = 0; i < AMP_CLASS_COUNT; i++) {
        complete_offer(c, amp_class_name((amp_class_e) i), "class");
    }
}


static void
complete_families(const complete_t *c)
{
    int  i;

    for (i = AMP_FAMILY_ALL + 1; i < AMP_FAMILY_COUNT; i++) {
        complete_offer(c, amp_family_name((amp_family_e) i), "family");
    }
}


static void
complete_apis(const complete_t *c)
{
    int  i;

    for (i = 0; i < AMP_API_COUNT; i++) {
        complete_offer(c, amp_api_name((amp_api_e) i),
                       amp_api_host((amp_api_e) i));
    }
}


static void
complete_methods(const complete_t *c)
{
    int  i;

    for (i = 0; i < AMP_METHOD_ANY; i++) {
        complete_offer(c, amp_method_name((amp_method_e) i), "method");
    }
}


/* The words of a placeholder, of which some have none: ID, RATE, TIME... */

static void
complete_value(const complete_t *c, const char *name, size_t len)
{
    amp_span_t  value;

    value = amp_span_make(name, len);

    if (amp_span_eq(value, amp_span("FILE"))
        || amp_span_eq(value, amp_span("LOG")))
    {
        printf(":file\n");

    } else if (amp_span_eq(value, amp_span("X"))) {
        complete_offer(c, "default", "every class but secrets");
        complete_offer(c, "none", "nothing");
        complete_classes(c);
        complete_operations(c, 0);

    } else if (amp_span_eq(value, amp_span("WHAT"))) {
        complete_classes(c);
        complete_operations(c, 1);

    } else if (amp_span_eq(value, amp_span("C"))) {
        complete_classes(c);

    } else if (amp_span_eq(value, amp_span("F"))) {
        complete_families(c);

    } else if (amp_span_eq(value, amp_span("A"))) {
        complete_apis(c);

    } else if (amp_span_eq(value, amp_span("METHOD"))) {
        complete_methods(c);

    } else if (amp_span_eq(value, amp_span("SHELL"))) {
        complete_offer(c, "bash", "a script for bash");
        complete_offer(c, "fish", "a script for fish");
        complete_offer(c, "zsh", "a script for zsh");
    }
}


static const ctl_option_t *
complete_find(const ctl_option_t *option, const char *word)
{
    size_t  len;

    len = strcspn(word, "=");

    for ( /* void */ ; option != NULL && option->name != NULL; option++) {
        if (strlen(option->name) == len
            && strncmp(option->name, word, len) == 0)
        {
            return option;
        }
    }

    return NULL;
}


/* The option "--name" or "--name=value" as far as the command is known. */

static const ctl_option_t *
complete_option(const complete_t *c, const char *word)
{
    const ctl_option_t  *option;

    if (strncmp(word, "--", 2) != 0) {
        return NULL;
    }

    option = complete_find(options_globals, word + 2);

    if (option == NULL && c->command != NULL) {
        option = complete_find(c->command->options, word + 2);
    }

    return option;
}


static void
complete_options(const complete_t *c, const ctl_option_t *option)
{
    char  name[64];

    for ( /* void */ ; option != NULL && option->name != NULL; option++) {
        snprintf(name, sizeof(name), "--%s", option->name);
        complete_offer(c, name, option->help);
    }
}


static void
complete_argument(complete_t *c, const char *word)
{
    unsigned              i;
    const ctl_command_t  *line;

    if (c->command != NULL) {
        c->nargs++;
        return;
    }

    for (i = 0; c->commands[i] != NULL; i++) {
        for (line = c->commands[i]; line->noun != NULL; line++) {

            if (c->noun == NULL && strcmp(line->noun, word) == 0) {
                c->noun = line->noun;
                c->command = line->verb == NULL ? line : NULL;
                return;
            }

            if (c->noun != NULL && strcmp(line->noun, c->noun) == 0
                && line->verb != NULL && strcmp(line->verb, word) == 0)
            {
                c->command = line;
                return;
            }
        }
    }
}


/* Nouns, verbs of the noun, or what the next argument of the command is. */

static void
complete_next(const complete_t *c)
{
    unsigned              i, n;
    const char           *p;
    const ctl_command_t  *line;

    if (c->command != NULL) {
        for (p = c->command->args, n = c->nargs; n != 0 && *p != '\0'; n--) {
            p += strcspn(p, " ");
            p += strspn(p, " ");
        }

        p += strspn(p, "[");
        complete_value(c, p, strcspn(p, " ]"));
        return;
    }

    for (i = 0; c->commands[i] != NULL; i++) {
        line = c->commands[i];

        if (c->noun == NULL) {
            complete_offer(c, line->noun, line->verb ? "" : line->summary);
            continue;
        }

        for ( /* void */ ; line->noun != NULL; line++) {
            if (strcmp(line->noun, c->noun) == 0 && line->verb != NULL) {
                complete_offer(c, line->verb, line->summary);
            }
        }
    }
}


int
complete_words(const ctl_command_t *const *commands, unsigned n,
    char *const *words)
{
    unsigned             i, only;
    complete_t           c;
    const char          *value;
    const ctl_option_t  *option;

    memset(&c, 0, sizeof(c));
    c.commands = commands;
    c.last = n != 0 ? words[n - 1] : "";
    c.head = c.last;

    option = NULL;
    only = 0;

    for (i = 0; i + 1 < n; i++) {

        /* bash makes three words of --name=value */

        if (strcmp(words[i], "=") == 0) {
            continue;
        }

        if (option != NULL) {
            option = NULL;

        } else if (!only && strcmp(words[i], "--") == 0) {
            only = 1;

        } else if (only || words[i][0] != '-') {
            complete_argument(&c, words[i]);

        } else {
            option = complete_option(&c, words[i]);

            if (option != NULL && (option->value == NULL
                                   || strchr(words[i], '=') != NULL))
            {
                option = NULL;
            }
        }
    }

    if (option != NULL) {
        c.last = strcmp(c.last, "=") == 0 ? "" : c.last;
        complete_value(&c, option->value, strlen(option->value));
        return CTL_DONE;
    }

    if (only || c.last[0] != '-') {
        complete_next(&c);
        return CTL_DONE;
    }

    value = strchr(c.last, '=');
    option = complete_option(&c, c.last);

    if (value != NULL && option != NULL && option->value != NULL) {
        c.last = value + 1;
        c.nhead = (int) (c.last - c.head);
        complete_value(&c, option->value, strlen(option->value));
        return CTL_DONE;
    }

    complete_options(&c, options_globals);
    complete_options(&c, c.command ? c.command->options : NULL);

    return CTL_DONE;
}
