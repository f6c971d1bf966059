/*
 * A command of ampctl: its line in a table, and what it is given when it runs.
 * Its options are a table as well, which feeds both getopt_long() and --help.
 */

#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H


#include "../core/amp_seal.h"
#include "output.h"
#include "store.h"
#include "tenant_list.h"


#define CTL_MASTER_KEYS  8

/* The default of --master-key, and its directory. */

#define CTL_MASTER_KEY_DIR   "/etc/ampersand"
#define CTL_MASTER_KEY_FILE  CTL_MASTER_KEY_DIR "/master.key"


typedef struct ctl_s  ctl_t;


typedef struct {
    int          id;                /* from CTL_OPTION on, unique in a table  */
    const char  *name;              /* without "--"; NULL ends the table      */
    const char  *value;             /* its placeholder; NULL for a flag       */
    const char  *help;
    unsigned     many:1;            /* may be given more than once            */
} ctl_option_t;

#define CTL_OPTION  512

/* In the tables of commands that change something: what would they change? */

#define CTL_DRY_RUN  1024

#define CTL_OPTION_DRY_RUN                                                    \
    { CTL_DRY_RUN, "dry-run", NULL, "show the change, and make none", 0 }


typedef struct {
    const char          *noun;      /* NULL ends the table                    */
    const char          *verb;      /* NULL when the noun is the command      */
    const char          *args;      /* "ID [FILE]"; "" for none               */
    const char          *summary;
    const char          *note;      /* more for --help, or NULL               */
    const ctl_option_t  *options;   /* or NULL                                */

    /*
     * Returns the exit code after it has printed its document, or -1 with
     * ctl->error filled and nothing printed.
     */
    int                (*run)(ctl_t *ctl);
} ctl_command_t;


typedef struct {
    int          id;
    const char  *text;
} ctl_value_t;


struct ctl_s {
    unsigned              json:1;
    unsigned              timeout;  /* milliseconds                           */

    const char           *redis;
    const char           *redis_password_file;
    tls_options_t         redis_tls;
    const char           *prefix;
    const char           *upstream;
    const char           *master_keys[CTL_MASTER_KEYS];
    unsigned              nmaster_keys;

    const ctl_command_t  *command;
    char                **args;     /* as command->args says, then NULL       */
    ctl_value_t          *values;
    unsigned              nvalues;

    store_t              *store;    /* through ctl_store()                    */
    amp_keyring_t        *ring;     /* through ctl_ring()                     */
    json_t               *before;   /* with --dry-run: a tenant's record, ... */
    json_t               *after;    /* ... and what would become of it        */
    ctl_error_t           error;
};


/* The text of an option, or NULL when it was not given. */

const char *ctl_value(const ctl_t *ctl, int id);

/* The next text of a repeatable option, or NULL; *i is 0 at first. */

const char *ctl_value_next(const ctl_t *ctl, int id, unsigned *i);

/*
 * A duration: a number with ms, s, m, h, d or w ("90d"); a bare number is in
 * seconds.  Milliseconds, or -1 when the text is malformed or too large.
 */

int64_t ctl_duration(const char *text);

/* Redis, opened by the first call; NULL with ctl->error filled. */

store_t *ctl_store(ctl_t *ctl);

/* The master keys, read by the first call; NULL with ctl->error filled. */

amp_keyring_t *ctl_ring(ctl_t *ctl);

/*
 * The first argument as a tenant id.  0, or -1 with ctl->error filled when the
 * argument is malformed.
 */

int ctl_tenant_id(ctl_t *ctl, amp_span_t *id);

/*
 * The record of the tenant that the first argument names, the caller's to
 * release; *id is set.  NULL with ctl->error filled, also when no such tenant
 * exists.
 */

json_t *ctl_tenant_record(ctl_t *ctl, amp_span_t *id);

/*
 * The ids of all tenants or, where there is a first argument, the one that it
 * names, which has to exist.  0, or -1 with ctl->error filled.
 */

int ctl_tenants(ctl_t *ctl, tenant_ids_t *ids);

/*
 * Changes the record of the tenant that the first argument names, see
 * tenant_change().  0, or -1 with ctl->error filled, also when no such tenant
 * exists.
 */

int ctl_tenant_change(ctl_t *ctl, tenant_change_pt change, void *data);

/*
 * With --dry-run ctl_tenant_change() checks the change and writes nothing.
 * ctl_dry_run() says whether it was given; ctl_not_made() prints what would be
 * different, as "config import --dry-run" does, and returns CTL_DONE.
 */

int ctl_dry_run(const ctl_t *ctl);
int ctl_not_made(ctl_t *ctl);

/* Fills ctl->error for a text that is no tenant id; -1. */

int ctl_bad_tenant(ctl_t *ctl, const char *text);

/* Fills ctl->error for a tenant that does not exist; -1. */

int ctl_no_tenant(ctl_t *ctl, amp_span_t id);


static inline amp_span_t
ctl_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


#endif /* CTL_COMMAND_H */
