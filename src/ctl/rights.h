/*
 * What to do about a missing right: the command that gives the user of the URL
 * all rights.
 */

#ifndef CTL_RIGHTS_H
#define CTL_RIGHTS_H


#include "command.h"


/* The name of the user in the URL of Redis. */

const char *rights_user(ctl_t *ctl);

/* Fills the remedy of ctl->error where a right is missing. */

void rights_remedy(ctl_t *ctl);


#endif /* CTL_RIGHTS_H */
