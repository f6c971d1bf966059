/*
 * ampctl tenant add: a record from the command line, and its first token.
 */

#ifndef CTL_TENANT_ADD_H
#define CTL_TENANT_ADD_H


#include "command.h"


extern const ctl_option_t  tenant_add_options[];

/* The command's run(). */

int tenant_add(ctl_t *ctl);


#endif /* CTL_TENANT_ADD_H */
