/*
 * The Lua scripts that run in Redis.  Each src/core/NAME.lua is amp_script_NAME
 * here; its comment says what the script does, takes and returns.  Every
 * script has exactly one key, so that a cluster can run it; check_rights, which
 * each server runs, has none, and lookup reads other keys too where there is no
 * cluster.
 *
 * Callers send EVALSHA with the SHA-1, and EVAL with the text where Redis
 * answers NOSCRIPT.
 */

#ifndef AMP_SCRIPT_H
#define AMP_SCRIPT_H


#include "amp_span.h"


typedef struct {
    amp_span_t  text;           /* NUL behind it, and none inside             */
    amp_span_t  sha;            /* of the text: 40 hex digits; NUL behind it  */
} amp_script_t;


extern const amp_script_t  amp_script_check_rights;
extern const amp_script_t  amp_script_check_writes;
extern const amp_script_t  amp_script_invalidate;
extern const amp_script_t  amp_script_lease;
extern const amp_script_t  amp_script_lookup;
extern const amp_script_t  amp_script_register;
extern const amp_script_t  amp_script_usage;
extern const amp_script_t  amp_script_write_tenant;
extern const amp_script_t  amp_script_write_token;
extern const amp_script_t  amp_script_write_limit;


#endif /* AMP_SCRIPT_H */
