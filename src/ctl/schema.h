/*
 * Checks JSON with a JSON Schema, so far as docs/config.schema.json needs one:
 * type, const, enum, pattern (an extended regular expression), minLength,
 * maxLength, minimum, maximum, items, maxItems, properties, required,
 * additionalProperties, and $ref to $defs.
 */

#ifndef CTL_SCHEMA_H
#define CTL_SCHEMA_H


#include <jansson.h>


typedef struct schema_s  schema_t;


/* Where a value is wrong, and what was expected there. */

typedef struct {
    char  pointer[512];             /* JSON pointer                           */
    char  expected[640];
} schema_fault_t;


/* The schema of the document of ampctl config; it is right, or abort(). */

schema_t *schema_config(void);

void schema_free(schema_t *schema);

/*
 * Checks a value with one of the schema's $defs.  0, or -1 with the fault set;
 * its pointer begins with the text that it has.
 */

int schema_check(schema_t *schema, const char *def, const json_t *value,
    schema_fault_t *fault);

/* Appends a name to the fault's pointer. */

void schema_at(schema_fault_t *fault, const char *name);


#endif /* CTL_SCHEMA_H */
