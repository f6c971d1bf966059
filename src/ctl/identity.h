/*
 * An identity (core/amp_identity.h) that a command names, and its record.
 */

#ifndef CTL_IDENTITY_H
#define CTL_IDENTITY_H


#include "../core/amp_identity.h"
#include "command.h"
#include "token_record.h"


typedef struct {
    char           name[AMP_IDENTITY_MAX + 1];  /* the canonical one          */
    token_entry_t  entry;                       /* its digest, and no id      */
} identity_t;


/* From an argument.  0, or -1 with ctl->error filled. */

int identity_read(ctl_t *ctl, const char *text, identity_t *identity);

/* Whose it is: 1, 0 when no tenant has it, -1 with the error filled. */

int identity_state(store_t *store, ctl_error_t *error,
    const identity_t *identity, token_state_t *state);


#endif /* CTL_IDENTITY_H */
