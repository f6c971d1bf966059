/*
 * A pass over the document of ampctl config import: each tenant of it, with
 * what Redis has of that tenant.
 */

#ifndef CTL_CONFIG_PASS_H
#define CTL_CONFIG_PASS_H


#include "config_diff.h"
#include "config_file.h"
#include "config_record.h"
#include "tenant_list.h"


/* A tenant of the document, and what Redis has of it. */

typedef struct {
    json_t         *doc;
    long            start;          /* its place in the file                  */
    size_t          n;
    json_t         *record;         /* or NULL                                */
    json_t         *tokens;
} import_tenant_t;


typedef struct import_s  import_t;

struct import_s {
    ctl_t            *ctl;          /* these are the caller's to set          */
    config_file_t     file;
    char              directory[2048];
    int64_t           now;          /* Redis' clock, Unix seconds             */
    unsigned          prune:1;
    config_diff_t     diff;

    tenant_ids_t      ids;          /* of the document                        */
    tenant_ids_t      digests;
    json_t           *projects;     /* an object: the ids of its tenants'     */

    size_t            n;            /* of this part                           */
    char             *names[TENANT_BATCH];
    import_tenant_t   tenants[TENANT_BATCH];
    const char       *unreadable;

    void             *data;         /* for run()                              */
    int             (*run)(import_t *im, import_tenant_t *tenant);
};


/*
 * Calls run() for each tenant, with progress (what: "checked") on a terminal.
 * 0, or -1 with ctl->error filled by run() or here.
 */

int import_pass(import_t *im, const char *what,
    int (*run)(import_t *im, import_tenant_t *tenant));

/* An error in a tenant of the document, see config_fault().  -1. */

int import_fault(import_t *im, const import_tenant_t *tenant,
    const schema_fault_t *fault);

/*
 * The record that the document makes of the one in Redis, the caller's to
 * release.  NULL with ctl->error filled.
 */

json_t *import_merged(import_t *im, const import_tenant_t *tenant);

/* The token with an id, or NULL. */

json_t *import_find(const json_t *tokens, const char *id);


#endif /* CTL_CONFIG_PASS_H */
