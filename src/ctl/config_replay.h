/*
 * ampctl config import --replay: which requests of an access log would fail, or
 * pass, after the import that did the other before.
 */

#ifndef CTL_CONFIG_REPLAY_H
#define CTL_CONFIG_REPLAY_H


#include "config_pass.h"


/*
 * After import_check() of all tenants: reads the log, prints the list, changes
 * nothing.  Returns CTL_REFUSED where a request would newly fail, CTL_DONE, or
 * -1 with ctl->error filled.
 */

int config_replay(import_t *im, const char *log);


#endif /* CTL_CONFIG_REPLAY_H */
