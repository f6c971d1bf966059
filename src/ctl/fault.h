/*
 * What Redis refuses, what that means, and what to do about it.
 */

#ifndef CTL_FAULT_H
#define CTL_FAULT_H


#include <hiredis/hiredis.h>

#include "output.h"


/* Is the reply an error that begins with this word? */

int fault_is(const redisReply *reply, const char *word);

/*
 * Fills the error from an error reply; who is "Redis at 127.0.0.1:6379".  -1.
 */

int fault_reply(ctl_error_t *error, const char *who, const redisReply *reply);


#endif /* CTL_FAULT_H */
