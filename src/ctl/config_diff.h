/*
 * What a command changes: shown with --dry-run, and counted.  An import changes
 * any number of tenants and tokens, other commands one or two.
 */

#ifndef CTL_CONFIG_DIFF_H
#define CTL_CONFIG_DIFF_H


#include "output.h"


typedef enum {
    CONFIG_SAME = 0,
    CONFIG_ADDED,
    CONFIG_CHANGED,
    CONFIG_REMOVED,
    CONFIG_CHANGES
} config_change_e;


typedef struct {
    unsigned   json:1;
    unsigned   show:1;
    size_t     items;
    unsigned   tenants[CONFIG_CHANGES];
    unsigned   tokens[CONFIG_CHANGES];
    unsigned   projects[CONFIG_CHANGES];    /* their limits                   */
} config_diff_t;


void config_diff_begin(config_diff_t *diff, unsigned json, unsigned show);

/* Shows and counts a tenant: before is NULL for a new one. */

void config_diff_tenant(config_diff_t *diff, const char *id,
    const json_t *before, const json_t *after);

void config_diff_removed(config_diff_t *diff, const char *id);

/*
 * id NULL: that of a token that is still to be made.  The list is NULL, or as
 * of record_differences(); it is released.
 */

void config_diff_token(config_diff_t *diff, config_change_e change,
    const char *id, json_t *differences);

/* The limit of a project; a limit is NULL where there is none. */

void config_diff_project(config_diff_t *diff, const char *id,
    json_t *before, json_t *after);

/* Counts only. */

void config_diff_count(config_diff_t *diff, config_change_e change);
void config_diff_count_token(config_diff_t *diff, config_change_e change);

/* Prints the sums and returns CTL_DONE. */

int config_diff_end(config_diff_t *diff);

/* Ends the document with an error instead: what run() of a command returns. */

int config_diff_cut(config_diff_t *diff, const ctl_error_t *error);


#endif /* CTL_CONFIG_DIFF_H */
