/*
 * The limit of a project in Redis, see core/amp_project.h.
 */

#ifndef CTL_PROJECT_LIMIT_H
#define CTL_PROJECT_LIMIT_H


#include "../core/amp_project.h"
#include "store.h"


typedef struct {
    amp_rate_t   rate;              /* count 0: none                          */
    char        *text;              /* as Redis has it                        */
    size_t       len;               /* 0: Redis has none                      */
    unsigned     malformed:1;       /* no gateway can read it                 */
} project_limit_t;


/* Reads it, to be released.  0, or -1 with the error filled. */

int project_limit_load(store_t *store, ctl_error_t *error, const char *project,
    project_limit_t *limit);

void project_limit_free(project_limit_t *limit);

/*
 * Reads the limits of many projects, the names of an object's members, and
 * calls each() for those that Redis has.  0, or -1 with the error filled.
 */

typedef void (*project_limit_pt)(const char *project,
    const project_limit_t *limit, void *data);

int project_limit_each(store_t *store, ctl_error_t *error,
    const json_t *projects, project_limit_pt each, void *data);

/*
 * Sets it, count 0 removes it; before is what was read.  1, 0 when another
 * command was faster, -1 with the error filled.  Also a line of the audit
 * stream, where it changes.
 */

int project_limit_write(store_t *store, ctl_error_t *error,
    const char *project, const project_limit_t *before, const amp_rate_t *rate);

/*
 * { "rate": "50/s", "burst": 100 }, the caller's to release; NULL where the
 * count is 0.
 */

json_t *project_limit_json(const amp_rate_t *rate);


#endif /* CTL_PROJECT_LIMIT_H */
