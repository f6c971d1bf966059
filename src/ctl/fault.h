/*
 * Error replies of Redis as errors of ampctl: a message, and what to do.
 */

#ifndef CTL_FAULT_H
#define CTL_FAULT_H


#include <hiredis/hiredis.h>

#include "../core/amp_redis_error.h"
#include "output.h"


/* The class of an error reply; AMP_REDIS_ERROR_OTHER for any other reply. */

amp_redis_error_e fault_class(const redisReply *reply);

/*
 * Sets the error from an error reply of the server who, such as "Redis at
 * 127.0.0.1:6379".  -1.
 */

int fault_reply(ctl_error_t *error, const char *who, const redisReply *reply);


#endif /* CTL_FAULT_H */
