/*
 * When tokens were used last: the days that gateways write to Redis, see
 * module/tenant/ngx_ampersand_last_use.h.
 *
 * A token without a day was not used since it was issued, since gateways write
 * days, or within AMP_USAGE_KEPT, after which Redis forgets a day: since the
 * latest of the three.
 */

#ifndef CTL_TOKEN_USE_H
#define CTL_TOKEN_USE_H


#include "../core/amp_usage.h"
#include "token_index.h"


#define TOKEN_USE_TEXT  32          /* bytes                                  */


/* Days are since 1970; -1: unknown. */

typedef struct {
    int64_t   today;
    int64_t   since;                /* since when gateways write days         */
} token_uses_t;


typedef struct {
    int64_t   day;                  /* of the last use, or -1                 */
    int64_t   unused;               /* since when it was not used             */
    unsigned  never:1;
} token_use_t;


/*
 * Reads what holds for all tokens; now is Redis' clock, Unix seconds.  0, or -1
 * with the error filled.
 */

int token_uses(store_t *store, ctl_error_t *error, int64_t now,
    token_uses_t *uses);

/*
 * Reads the day of the last use of n tokens, or -1.  0, or -1 with the error
 * filled.
 */

int token_use_days(store_t *store, ctl_error_t *error,
    const token_entry_t *entries, size_t n, int64_t *days);

/* What that day says of a token; created: Unix seconds, 0: unknown. */

token_use_t token_use(const token_uses_t *uses, int64_t created, int64_t day);

/*
 * Sets the members "last_use" (a date, "never" or null) and "unused_since" (a
 * date or null) of a row; and the text for people of a row that has them: a
 * date, "never", "not since DATE" or "unknown".
 */

void token_use_members(const token_use_t *use, json_t *row);
const char *token_use_text(const json_t *row, char text[TOKEN_USE_TEXT]);

/* A date, or null for -1. */

json_t *token_use_date(int64_t day);

/* Forgets the last use of a token that is gone.  0, or -1. */

int token_use_forget(store_t *store, ctl_error_t *error, const char *digest);


#endif /* CTL_TOKEN_USE_H */
