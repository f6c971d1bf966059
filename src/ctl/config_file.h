/*
 * The document of ampctl config: written and read one tenant at a time, so that
 * it may be larger than memory.  docs/config.schema.json describes it.
 */

#ifndef CTL_CONFIG_FILE_H
#define CTL_CONFIG_FILE_H


#include <stdio.h>

#include "output.h"
#include "schema.h"


typedef struct {
    FILE          *f;
    const char    *name;            /* for messages                           */
    long           start;           /* of the last tenant                     */
    size_t         n;               /* tenants that were read                 */
    int            version;         /* 1, or 0: it was not read yet           */
    unsigned       tenants:1;       /* their array has begun                  */
    json_t        *projects;        /* an array, or NULL: not read so far     */
    schema_t      *schema;
} config_file_t;


/*
 * Opens a file to read, or standard input for "-".  0, or -1 with the error
 * filled; to be closed in any case.
 */

int config_open(config_file_t *file, const char *name, ctl_error_t *error);

void config_close(config_file_t *file);

/* Begins at the first tenant.  0, or -1 with the error filled. */

int config_rewind(config_file_t *file, ctl_error_t *error);

/*
 * The next tenant, the caller's to release; the schema holds for it.  1, 0 at
 * the end, -1 with the error filled.
 */

int config_next(config_file_t *file, json_t **tenant, ctl_error_t *error);

/*
 * An error at a place in a tenant: that of config_next() last, or of the one
 * that began at start.  The fault's pointer is that from the tenant on.  -1.
 */

int config_fault(config_file_t *file, long start, size_t n,
    const schema_fault_t *fault, ctl_error_t *error);

/* The same for the array of projects, from which on the pointer is.  -1. */

int config_projects_fault(config_file_t *file, const schema_fault_t *fault,
    ctl_error_t *error);


#endif /* CTL_CONFIG_FILE_H */
