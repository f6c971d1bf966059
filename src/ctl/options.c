/*
 * The command line.
 */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_keys.h"
#include "ampersand.h"
#include "nearest.h"
#include "options.h"


#define OPTIONS_MAX      32
#define OPTIONS_TIMEOUT  5000
#define OPTIONS_REDIS    "redis://127.0.0.1:6379/0"


enum {
    OPTION_HELP = 256,
    OPTION_VERSION,
    OPTION_JSON,
    OPTION_REDIS,
    OPTION_PASSWORD_FILE,
    OPTION_CA,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_SERVER_NAME,
    OPTION_PREFIX,
    OPTION_MASTER_KEY,
    OPTION_UPSTREAM,
    OPTION_TIMEOUT
};


const ctl_option_t  options_globals[] = {

    { OPTION_JSON, "json", NULL,
      "print one JSON document, for errors too", 0 },

    { OPTION_REDIS, "redis", "URL",
      "URL of Redis (AMPERSAND_REDIS), default " OPTIONS_REDIS, 0 },

    { OPTION_PASSWORD_FILE, "redis-password-file", "FILE",
      "password for Redis (AMPERSAND_REDIS_PASSWORD_FILE)", 0 },

    { OPTION_CA, "redis-ca", "FILE",
      "CA certificates for Redis (AMPERSAND_REDIS_CA)", 0 },

    { OPTION_CERT, "redis-cert", "FILE",
      "client certificate for Redis (AMPERSAND_REDIS_CERT)", 0 },

    { OPTION_KEY, "redis-key", "FILE",
      "its private key (AMPERSAND_REDIS_KEY)", 0 },

    { OPTION_SERVER_NAME, "redis-server-name", "NAME",
      "name in the certificate of Redis (AMPERSAND_REDIS_SERVER_NAME)", 0 },

    { OPTION_PREFIX, "prefix", "P",
      "prefix of all keys in Redis, default " AMP_KEYS_PREFIX, 0 },

    { OPTION_MASTER_KEY, "master-key", "FILE",
      "master key (AMPERSAND_MASTER_KEY_FILE), default " CTL_MASTER_KEY_FILE
      "; the first seals keys, all open them", 1 },

    { OPTION_UPSTREAM, "upstream", "URL",
      "base URL in place of Ampersand's hosts (AMPERSAND_UPSTREAM)", 0 },

    { OPTION_TIMEOUT, "timeout", "TIME",
      "time limit for Redis and Ampersand, e.g. 500ms, default 5s", 0 },

    { OPTION_HELP, "help", NULL, "print this help", 0 },
    { OPTION_VERSION, "version", NULL, "print the version", 0 },

    { 0, NULL, NULL, NULL, 0 }
};


/* What the command line may hold, and which options it has held so far. */

typedef struct {
    const ctl_command_t *const  *commands;
    struct option                names[OPTIONS_MAX + 1];
    const ctl_option_t          *options[OPTIONS_MAX];
    unsigned                     n;
    const char                  *given[OPTIONS_MAX];  /* text, "", or NULL    */
} options_table_t;


static void
options_add(options_table_t *table, const ctl_option_t *option)
{
    struct option  *name;

    for ( /* void */ ; option != NULL && option->name != NULL; option++) {
        if (table->n == OPTIONS_MAX) {
            abort();
        }

        name = &table->names[table->n];
        name->name = option->name;
        name->has_arg = option->value ? required_argument : no_argument;
        name->val = option->id;

        table->options[table->n++] = option;
    }
}


static int
options_usage(ctl_t *ctl, const char *noun, const char *fmt, const char *what)
{
    const char  *verb;

    verb = NULL;

    if (ctl->command != NULL) {
        noun = ctl->command->noun;
        verb = ctl->command->verb;
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", fmt, what);

    return ctl_remedy(&ctl->error, "see: ampctl %s%s%s%s--help",
                      noun ? noun : "", noun ? " " : "",
                      verb ? verb : "", verb ? " " : "");
}


/* A word that is none of the table, with the nearest one that is. */

static int
options_unknown(ctl_t *ctl, const char *noun, const char *what,
    const nearest_t *nearest)
{
    char  text[256], near[NEAREST_MAX];

    snprintf(text, sizeof(text), "unknown %s \"%%s\"%s", what,
             nearest_text(nearest, near));

    return options_usage(ctl, noun, text, nearest->word);
}


static int
options_unknown_noun(ctl_t *ctl, const options_table_t *table,
    const char *noun)
{
    unsigned   i;
    nearest_t  nearest;

    nearest_begin(&nearest, noun);

    for (i = 0; table->commands[i] != NULL; i++) {
        nearest_try(&nearest, table->commands[i]->noun);
    }

    return options_unknown(ctl, NULL, "command", &nearest);
}


static int
options_unknown_verb(ctl_t *ctl, const options_table_t *table,
    const char *noun, const char *verb)
{
    unsigned              i;
    nearest_t             nearest;
    const ctl_command_t  *line;

    nearest_begin(&nearest, verb);

    for (i = 0; table->commands[i] != NULL; i++) {
        for (line = table->commands[i]; line->noun != NULL; line++) {
            if (strcmp(line->noun, noun) == 0 && line->verb != NULL) {
                nearest_try(&nearest, line->verb);
            }
        }
    }

    return options_unknown(ctl, noun, "subcommand", &nearest);
}


static int
options_unknown_option(ctl_t *ctl, const options_table_t *table,
    const char *noun, const char *name)
{
    char       names[OPTIONS_MAX][64];
    unsigned   i;
    nearest_t  nearest;

    nearest_begin(&nearest, name);

    for (i = 0; i < table->n; i++) {
        snprintf(names[i], sizeof(names[i]), "--%s", table->options[i]->name);

        /* "--" is no likeness */

        if (strlen(name) > 3) {
            nearest_try(&nearest, names[i]);
        }
    }

    return options_unknown(ctl, noun, "option", &nearest);
}


static int
options_timeout(ctl_t *ctl, const char *text)
{
    int64_t  ms;

    ms = ctl_duration(text);

    if (ms < 1 || ms > 3600 * 1000) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "\"%s\" is not a timeout", text);
        return ctl_remedy(&ctl->error,
                          "give 1ms to 1h, e.g. --timeout 500ms or 10s");
    }

    ctl->timeout = (unsigned) ms;

    return 0;
}


static int
options_global(ctl_t *ctl, int id, const char *text)
{
    switch (id) {

    case OPTION_JSON:
        ctl->json = 1;
        return 0;

    case OPTION_REDIS:
        ctl->redis = text;
        return 0;

    case OPTION_PASSWORD_FILE:
        ctl->redis_password_file = text;
        return 0;

    case OPTION_CA:
        ctl->redis_tls.ca = text;
        return 0;

    case OPTION_CERT:
        ctl->redis_tls.cert = text;
        return 0;

    case OPTION_KEY:
        ctl->redis_tls.key = text;
        return 0;

    case OPTION_SERVER_NAME:
        ctl->redis_tls.server_name = text;
        return 0;

    case OPTION_PREFIX:
        if (!amp_keys_prefix_valid(ctl_span(text))) {
            ctl_error(&ctl->error, CTL_USAGE, "usage",
                      "\"%s\" is not a prefix", text);
            return ctl_remedy(&ctl->error, "give 1 to %d characters of A-Z "
                              "a-z 0-9 . _ : -, e.g. --prefix staging:",
                              AMP_KEYS_PREFIX_MAX);
        }

        ctl->prefix = text;
        return 0;

    case OPTION_MASTER_KEY:
        if (ctl->nmaster_keys == CTL_MASTER_KEYS) {
            ctl_error(&ctl->error, CTL_USAGE, "usage",
                      "--master-key is given more than %d times",
                      CTL_MASTER_KEYS);
            return ctl_remedy(&ctl->error, "seal all keys with one master key: "
                              "ampctl masterkey rewrap");
        }

        ctl->master_keys[ctl->nmaster_keys++] = text;
        return 0;

    case OPTION_UPSTREAM:
        ctl->upstream = text;
        return 0;

    default: /* OPTION_TIMEOUT */
        return options_timeout(ctl, text);
    }
}


static int
options_value(ctl_t *ctl, options_table_t *table, int id, const char *text)
{
    unsigned      i;
    ctl_value_t  *value;

    /* getopt_long() returns only ids of the table */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    for (i = 0; table->options[i]->id != id; i++) { /* void */ }

    if (table->given[i] != NULL && text != NULL && !table->options[i]->many) {
        return options_usage(ctl, NULL, "--%s is given twice",
                             table->options[i]->name);
    }

    table->given[i] = text ? text : "";

    if (id < CTL_OPTION) {
        return options_global(ctl, id, text);
    }

    value = &ctl->values[ctl->nvalues++];
    value->id = id;
    value->text = text ? text : "";

    return 0;
}


/*
 * Whether an option was written in full.  getopt_long() takes abbreviations;
 * "--key=SECRET" for "--key-file" would make a file name of a secret.
 */

static int
options_exact(char **argv, const char *name)
{
    const char  *text;

    text = argv[optind - 1];

    if (optarg != NULL && optarg == text) {
        text = argv[optind - 2];
    }

    return strncmp(text, "--", 2) == 0
           /* every option has a name */
           /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
           && strcspn(text + 2, "=") == strlen(name);
}


/*
 * Reads the options before the first argument (order "+") or between all
 * arguments ("").  0, OPTIONS_HELP, OPTIONS_VERSION, or -1 with the error
 * filled.
 */

static int
options_scan(ctl_t *ctl, options_table_t *table, const char *noun,
    const char *order, int argc, char **argv)
{
    int   id, index;
    char  shorts[8], name[64];

    snprintf(shorts, sizeof(shorts), "%s:h", order);

    for ( ;; ) {
        id = getopt_long(argc, argv, shorts, table->names, &index);

        if (id >= 256 && !options_exact(argv, table->names[index].name)) {
            id = '?';
            optopt = 0;
            optind -= (optarg != NULL && optarg == argv[optind - 1]);
        }

        switch (id) {

        case -1:
            return 0;

        case 'h':
        case OPTION_HELP:
            return OPTIONS_HELP;

        case OPTION_VERSION:
            return OPTIONS_VERSION;

        case ':':
            snprintf(name, sizeof(name), "%s", argv[optind - 1]);
            return options_usage(ctl, noun, "%s needs a value", name);

        case '?':

            /* the text after "=" may be a secret */

            if (optopt > 0 && optopt < 256) {
                snprintf(name, sizeof(name), "-%c", optopt);
            } else {
                snprintf(name, sizeof(name), "%s", argv[optind - 1]);
                name[strcspn(name, "=")] = '\0';
            }

            return optopt >= 256
                   ? options_usage(ctl, noun, "%s takes no value", name)
                   : options_unknown_option(ctl, table, noun, name);

        default:
            if (options_value(ctl, table, id, optarg) != 0) {
                return -1;
            }
        }
    }
}


static int
options_is_noun(const options_table_t *table, const char *noun)
{
    unsigned  i;

    for (i = 0; table->commands[i] != NULL; i++) {
        if (strcmp(table->commands[i]->noun, noun) == 0) {
            return 1;
        }
    }

    return 0;
}


static const ctl_command_t *
options_command(const options_table_t *table, const char *noun,
    const char *verb)
{
    unsigned              i;
    const ctl_command_t  *command;

    for (i = 0; table->commands[i] != NULL; i++) {
        command = table->commands[i];

        for ( /* void */ ; command->noun != NULL; command++) {
            if (strcmp(command->noun, noun) == 0
                && (command->verb == NULL
                    || (verb != NULL && strcmp(command->verb, verb) == 0)))
            {
                return command;
            }
        }
    }

    return NULL;
}


/* How many arguments a command takes, at least and at most: "ID [FILE]". */

static void
options_words(const ctl_command_t *command, unsigned *least, unsigned *most)
{
    const char  *p;

    *least = 0;
    *most = 0;

    for (p = command->args; *p != '\0'; p += strspn(p, " ")) {
        *least += (*p != '[');
        (*most)++;
        p += strcspn(p, " ");
    }
}


/* "ampctl help [NOUN [VERB]]" */

static int
options_help_words(ctl_t *ctl, const options_table_t *table, int argc,
    char **argv, const char **noun)
{
    if (optind == argc) {
        return OPTIONS_HELP;
    }

    *noun = argv[optind];

    if (!options_is_noun(table, *noun)) {
        return options_unknown_noun(ctl, table, *noun);
    }

    ctl->command = options_command(table, *noun, argv[optind + 1]);

    if (ctl->command == NULL && argv[optind + 1] != NULL) {
        return options_unknown_verb(ctl, table, *noun, argv[optind + 1]);
    }

    return OPTIONS_HELP;
}


/* Finds the command: a noun and a verb, with global options in between. */

static int
options_find(ctl_t *ctl, options_table_t *table, int argc, char **argv,
    const char **noun)
{
    int  rc;

    rc = options_scan(ctl, table, NULL, "+", argc, argv);
    if (rc != 0) {
        return rc;
    }

    if (optind == argc) {
        return OPTIONS_HELP;
    }

    *noun = argv[optind++];

    if (strcmp(*noun, "help") == 0) {
        *noun = NULL;
        return options_help_words(ctl, table, argc, argv, noun);
    }

    if (!options_is_noun(table, *noun)) {
        rc = options_unknown_noun(ctl, table, *noun);
        *noun = NULL;
        return rc;
    }

    ctl->command = options_command(table, *noun, NULL);
    if (ctl->command != NULL) {
        return 0;
    }

    rc = options_scan(ctl, table, *noun, "+", argc, argv);
    if (rc != 0) {
        return rc;
    }

    if (optind == argc) {
        return options_usage(ctl, *noun, "\"%s\" needs a subcommand", *noun);
    }

    ctl->command = options_command(table, *noun, argv[optind]);
    if (ctl->command == NULL) {
        return options_unknown_verb(ctl, table, *noun, argv[optind]);
    }

    optind++;

    return 0;
}


/* Fills what no option has set; an empty variable counts as unset. */

static void
options_variable(const char **value, const char *name)
{
    const char  *text;

    text = getenv(name);

    if (*value == NULL && text != NULL && *text != '\0') {
        *value = text;
    }
}


static int
options_environment(ctl_t *ctl)
{
    options_variable(&ctl->master_keys[0], "AMPERSAND_MASTER_KEY_FILE");

    /* a file that may not be read is an error of its own, with a remedy */

    if (ctl->master_keys[0] == NULL
        && (access(CTL_MASTER_KEY_FILE, F_OK) == 0 || errno == EACCES))
    {
        ctl->master_keys[0] = CTL_MASTER_KEY_FILE;
    }

    if (ctl->nmaster_keys == 0 && ctl->master_keys[0] != NULL) {
        ctl->nmaster_keys = 1;
    }

    /* the variables belong to AMPERSAND_REDIS, not to the URL of --redis */

    if (ctl->redis == NULL) {
        options_variable(&ctl->redis, "AMPERSAND_REDIS");
        options_variable(&ctl->redis_password_file,
                         "AMPERSAND_REDIS_PASSWORD_FILE");
        options_variable(&ctl->redis_tls.ca, "AMPERSAND_REDIS_CA");
        options_variable(&ctl->redis_tls.cert, "AMPERSAND_REDIS_CERT");
        options_variable(&ctl->redis_tls.key, "AMPERSAND_REDIS_KEY");
        options_variable(&ctl->redis_tls.server_name,
                         "AMPERSAND_REDIS_SERVER_NAME");
    }

    if (ctl->redis == NULL) {
        ctl->redis = OPTIONS_REDIS;
    }

    options_variable(&ctl->upstream, "AMPERSAND_UPSTREAM");

    if (ctl->upstream != NULL && !ampersand_upstream_valid(ctl->upstream)) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "the upstream is not a base URL");
        return ctl_remedy(&ctl->error, "give --upstream (AMPERSAND_UPSTREAM) a "
                          "scheme and a host, e.g. http://127.0.0.1:8099");
    }

    return 0;
}


int
options_read(ctl_t *ctl, const ctl_command_t *const *commands, int argc,
    char **argv, const char **noun)
{
    int              i, rc, done;
    unsigned         words, least, most;
    options_table_t  table;

    opterr = 0;
    *noun = NULL;

    ctl->prefix = AMP_KEYS_PREFIX;
    ctl->timeout = OPTIONS_TIMEOUT;

    /* an error in an option before --json is a JSON document too */

    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            ctl->json = 1;
        }
    }

    ctl->values = calloc((size_t) argc + 1, sizeof(*ctl->values));
    if (ctl->values == NULL) {
        abort();
    }

    memset(&table, 0, sizeof(table));
    table.commands = commands;
    options_add(&table, options_globals);

    rc = options_find(ctl, &table, argc, argv, noun);
    if (rc != 0) {
        return rc;
    }

    options_add(&table, ctl->command->options);

    /* glibc decides once, at optind 0, in which order arguments may stand */

    done = optind - 1;
    argc -= done;
    argv += done;
    optind = 0;

    rc = options_scan(ctl, &table, *noun, "", argc, argv);
    if (rc != 0) {
        return rc;
    }

    options_words(ctl->command, &least, &most);
    words = (unsigned) (argc - optind);

    if (words < least || words > most) {
        return options_usage(ctl, *noun, most
                             ? "wrong number of arguments: the command takes %s"
                             : "wrong number of arguments: the command takes "
                               "none%s", ctl->command->args);
    }

    ctl->args = argv + optind;

    return options_environment(ctl);
}
