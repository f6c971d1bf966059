/*
 * What ampctl config import checks before it changes anything.
 */

#ifndef CTL_CONFIG_CHECK_H
#define CTL_CONFIG_CHECK_H


#include "config_pass.h"


/*
 * Checks a tenant, and notes its id and its digests; to be run by
 * import_pass().
 */

int import_check(import_t *im, import_tenant_t *tenant);

/*
 * Checks that no id and no digest is there twice, and that no two ids differ
 * only in case, with those in Redis; sorts them.  0, or -1 with ctl->error
 * filled.
 */

int import_check_once(import_t *im);


#endif /* CTL_CONFIG_CHECK_H */
