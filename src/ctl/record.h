/*
 * The tenant record as JSON, without Redis.
 */

#ifndef CTL_RECORD_H
#define CTL_RECORD_H


#include <string.h>

#include <jansson.h>

#include "../core/amp_span.h"


/*
 * A record with all members of version 1 and the default grants.  The texts
 * must be UTF-8.  The caller's to release.
 */

json_t *record_new(const char *id, const char *project, const char *name);

/*
 * The grants of a record that has none: a list of every class but secrets.  The
 * caller's to release.
 */

json_t *record_default_grants(void);

/* The text of a member; empty when the member is missing or no text. */

const char *record_text(const json_t *object, const char *name);

/*
 * A record as ampctl prints it: without "v", each key with the id of its master
 * key in place of its sealed text.  The caller's to release.
 */

json_t *record_view(const json_t *record);


static inline amp_span_t
record_span(const char *text)
{
    return amp_span_make(text, strlen(text));
}


/*
 * Where two values differ: [ { place, before, after } ], the caller's to
 * release; place is a JSON pointer, what is not there is null.
 */

json_t *record_differences(const json_t *before, const json_t *after);


#endif /* CTL_RECORD_H */
