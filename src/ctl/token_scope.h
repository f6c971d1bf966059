/*
 * What a token may do, if that is less than its tenant may: from the options of
 * "token issue" to the JSON of its record, and back to text.
 */

#ifndef CTL_TOKEN_SCOPE_H
#define CTL_TOKEN_SCOPE_H


#include "command.h"


enum {
    TOKEN_ALLOW = CTL_OPTION + 64,
    TOKEN_DENY,
    TOKEN_GROUP,
    TOKEN_RATE,
    TOKEN_BURST,
    TOKEN_ORIGIN
};

/* For the table of a command; token_scope_read() reads them. */

#define TOKEN_SCOPE_OPTIONS                                                   \
    { TOKEN_ALLOW, "allow", "X", "of what the tenant may use, only this "     \
      "class, tag or operationId", 1 },                                       \
    { TOKEN_DENY, "deny", "X", "all but this class, tag or operationId", 1 }, \
    { TOKEN_GROUP, "group", "G", "only requests that name this groupRef, or " \
      "another one that is given", 1 },                                       \
    { TOKEN_RATE, "rate", "R", "a limit of this token, e.g. 5/s, beside the " \
      "tenant's", 0 },                                                        \
    { TOKEN_BURST, "burst", "N", "requests at once of that limit", 0 },       \
    { TOKEN_ORIGIN, "origin", "URL", "only browsers on this origin, e.g. "    \
      "https://app.example.com", 1 }


/*
 * The scope that the options say, the caller's to free(), or NULL when they say
 * none.  0, or -1 with ctl->error filled.
 */

int token_scope_read(ctl_t *ctl, char **scope);

/*
 * Would a token of this tenant with these options be able to use what they
 * allow?  The tenant may lack it.  0, or -1 with ctl->error filled.
 */

int token_scope_within(ctl_t *ctl, const json_t *tenant);

/* The JSON of a record's scope; null when it has none. */

json_t *token_scope_json(amp_span_t scope);

/* Prints it, a line for each member. */

void token_scope_print(const json_t *scope);


#endif /* CTL_TOKEN_SCOPE_H */
