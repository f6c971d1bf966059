/*
 * Error replies of Redis 6 to 8 and of Valkey 8 and 9: their class, and what of
 * their text may be shown.
 *
 * A script that fails or is refused has the error of the command that failed in
 * it in more words:
 *
 *   Redis 6          ERR Error running script (call to f_<SHA-1>): and one or
 *                    two locations "@user_script:12: ", "@user_script: 12: ",
 *                    then the error, with its "-" where Redis has refused the
 *                    command before running it
 *   Redis 7 on, Valkey 8
 *                    the error, then " script: <SHA-1>, on @user_script:12."
 *   Valkey 9         the error, then " script: on @user_script:12."
 *
 * and an error that has no code of its own there:
 *
 *   Redis 6, 7.0     The user executing the script can't run this command ...
 *   7.2 on, Valkey   ACL failure in script: User ... has no permissions ...
 */

#ifndef AMP_REDIS_ERROR_H
#define AMP_REDIS_ERROR_H


#include "amp_span.h"


typedef enum {
    AMP_REDIS_ERROR_OTHER = 0,
    AMP_REDIS_ERROR_NOAUTH,         /* a password is required                 */
    AMP_REDIS_ERROR_WRONGPASS,      /* wrong user or password, or a user that
                                       is disabled                            */
    AMP_REDIS_ERROR_NO_PASSWORD,    /* a password was sent and none is set    */
    AMP_REDIS_ERROR_NOPERM,         /* the ACL user may not do that           */
    AMP_REDIS_ERROR_PROTECTED,      /* no password is set, and the client is on
                                       another machine                        */
    AMP_REDIS_ERROR_MAX_CLIENTS,    /* maxclients is reached                  */
    AMP_REDIS_ERROR_READONLY,       /* a write to a replica                   */
    AMP_REDIS_ERROR_MASTERDOWN,     /* a replica that has lost its master     */
    AMP_REDIS_ERROR_LOADING,
    AMP_REDIS_ERROR_MISCONF,        /* no writes: the disk cannot be written  */
    AMP_REDIS_ERROR_NOREPLICAS,     /* no writes: too few replicas follow     */
    AMP_REDIS_ERROR_OOM,            /* no writes: maxmemory is reached        */
    AMP_REDIS_ERROR_BUSY,           /* a script runs for too long             */
    AMP_REDIS_ERROR_MOVED,          /* both: see amp_redirect_parse()         */
    AMP_REDIS_ERROR_ASK,
    AMP_REDIS_ERROR_TRYAGAIN,       /* keys are moving to another node        */
    AMP_REDIS_ERROR_CLUSTERDOWN,
    AMP_REDIS_ERROR_NO_CLUSTER,     /* the server is not in cluster mode      */
    AMP_REDIS_ERROR_NOSCRIPT,       /* EVALSHA of a script not loaded         */
    AMP_REDIS_ERROR_WRONGTYPE,
    AMP_REDIS_ERROR_UNKNOWN_COMMAND,
    AMP_REDIS_ERROR_DB_INDEX,       /* SELECT of a database that Redis lacks  */
    AMP_REDIS_ERROR_CLASSES         /* how many                               */
} amp_redis_error_e;


/*
 * The class of an error reply's text, without the "-" of RESP.  *script, unless
 * NULL, is set to 1 where the text says that the error comes from a script,
 * else to 0.
 */

amp_redis_error_e amp_redis_error_class(amp_span_t text, unsigned *script);

/*
 * Writes what may be logged or shown of the text: "?" for what is not printable
 * ASCII, and without the arguments of an unknown command, which Redis repeats
 * and which may be a password.  At most size bytes, no NUL; returns how many,
 * at least 1 ("?" for an empty text) where size > 0.
 */

size_t amp_redis_error_text(amp_span_t text, unsigned char *out, size_t size);


#endif /* AMP_REDIS_ERROR_H */
