/*
 * The access log that conf/ampersand/log.conf writes, as counts: how often
 * which tenant has made which request.
 */

#ifndef CTL_REPLAY_LOG_H
#define CTL_REPLAY_LOG_H


#include <jansson.h>

#include "output.h"


/* What the log says of a request, besides its operation. */

typedef enum {
    REPLAY_PLAIN = 0,               /* nothing                                */
    REPLAY_SECRET,                  /* a parameter asks for secrets           */
    REPLAY_CHANGE,                  /* a parameter changes state              */
    REPLAY_OTHER,                   /* another project, or another group      */
    REPLAY_ORIGIN,                  /* not an origin of the token             */
    REPLAY_TOKEN,                   /* more than the token may: operation, or
                                       parameter                              */
    REPLAY_KINDS
} replay_kind_e;


typedef struct {
    json_t              *tenants;   /* { id: { token id: { use: n } } }       */
    unsigned long long   lines;
    unsigned long long   requests;  /* those that are in tenants              */
    unsigned long long   nobody;    /* without a tenant                       */
    unsigned long long   unmatched; /* without an operation                   */
    unsigned long long   malformed; /* refused for what the request says, and
                                       so whatever the tenant may do          */
    unsigned long long   other;     /* lines of another format                */
} replay_log_t;


/*
 * Reads a log from a file, or from standard input for "-".  0, or -1 with the
 * error filled, also when no line is of the format; to be freed in any case.
 */

int replay_log_read(replay_log_t *log, const char *file, ctl_error_t *error);

void replay_log_free(replay_log_t *log);

/*
 * A use is its kind, a digit, and the operationId; that is empty for a request
 * of a disabled tenant, or from an origin that the token is not for.  The token
 * id is empty for a request without a token.
 */

replay_kind_e replay_use_kind(const char *use);
const char *replay_use_operation(const char *use);


#endif /* CTL_REPLAY_LOG_H */
