/*
 * ampctl token list: the tokens of a tenant, or those that nobody uses.
 */

#ifndef CTL_TOKEN_LISTING_H
#define CTL_TOKEN_LISTING_H


#include "command.h"


extern const ctl_option_t  token_listing_options[];

/* As ctl_command_t.run. */

int token_listing_command(ctl_t *ctl);


#endif /* CTL_TOKEN_LISTING_H */
