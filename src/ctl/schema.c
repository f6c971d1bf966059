/*
 * Checks JSON with a JSON Schema.
 */

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_schema_text.h"
#include "schema.h"


#define SCHEMA_PATTERNS  32


struct schema_s {
    json_t         *root;
    unsigned        n;
    const json_t   *nodes[SCHEMA_PATTERNS];     /* of the patterns            */
    regex_t         patterns[SCHEMA_PATTERNS];
};


static int schema_value(schema_t *schema, const json_t *rule,
    const json_t *value, schema_fault_t *fault);


schema_t *
schema_config(void)
{
    schema_t  *schema;

    schema = calloc(1, sizeof(*schema));
    if (schema == NULL) {
        abort();
    }

    schema->root = json_loads(CTL_SCHEMA_TEXT, 0, NULL);
    if (schema->root == NULL) {
        abort();
    }

    return schema;
}


void
schema_free(schema_t *schema)
{
    unsigned  i;

    if (schema != NULL) {
        for (i = 0; i < schema->n; i++) {
            regfree(&schema->patterns[i]);
        }

        json_decref(schema->root);
        free(schema);
    }
}


void
schema_at(schema_fault_t *fault, const char *name)
{
    size_t  len;

    len = strlen(fault->pointer);

    if (len + 1 < sizeof(fault->pointer)) {
        fault->pointer[len++] = '/';
    }

    for ( /* void */ ; *name != '\0' && len + 2 < sizeof(fault->pointer);
          name++)
    {
        if (*name == '~' || *name == '/') {
            fault->pointer[len++] = '~';
            fault->pointer[len++] = *name == '~' ? '0' : '1';

        } else {
            fault->pointer[len++] = *name;
        }
    }

    fault->pointer[len] = '\0';
}


/* A member of a value or an element: the pointer is as before afterwards. */

static int
schema_part(schema_t *schema, const json_t *rule, const json_t *value,
    const char *name, schema_fault_t *fault)
{
    size_t  len;

    len = strlen(fault->pointer);
    schema_at(fault, name);

    if (schema_value(schema, rule, value, fault) != 0) {
        return -1;
    }

    fault->pointer[len] = '\0';

    return 0;
}


static const char *
schema_text(const json_t *rule, const char *name)
{
    return json_string_value(json_object_get(rule, name));
}


static int
schema_type_is(const char *type, const json_t *value)
{
    return (strcmp(type, "object") == 0 && json_is_object(value))
           || (strcmp(type, "array") == 0 && json_is_array(value))
           || (strcmp(type, "string") == 0 && json_is_string(value))
           || (strcmp(type, "integer") == 0 && json_is_integer(value))
           || (strcmp(type, "boolean") == 0 && json_is_boolean(value))
           || (strcmp(type, "null") == 0 && json_is_null(value));
}


static int
schema_type(const json_t *types, const json_t *value)
{
    size_t   i;
    json_t  *type;

    if (json_is_string(types)) {
        return schema_type_is(json_string_value(types), value);
    }

    json_array_foreach(types, i, type) {
        if (schema_type_is(json_string_value(type), value)) {
            return 1;
        }
    }

    return types == NULL;
}


static regex_t *
schema_pattern(schema_t *schema, const json_t *node)
{
    unsigned  i;

    for (i = 0; i < schema->n; i++) {
        if (schema->nodes[i] == node) {
            return &schema->patterns[i];
        }
    }

    if (i == SCHEMA_PATTERNS
        || regcomp(&schema->patterns[i], json_string_value(node),
                   REG_EXTENDED|REG_NOSUB)
           != 0)
    {
        abort();
    }

    schema->nodes[i] = node;
    schema->n++;

    return &schema->patterns[i];
}


static int
schema_string(schema_t *schema, const json_t *rule, const json_t *value)
{
    size_t       n;
    json_t      *pattern, *most;
    const char  *p;

    p = json_string_value(value);

    if (strlen(p) != json_string_length(value)) {
        return 0;
    }

    pattern = json_object_get(rule, "pattern");

    if (pattern != NULL
        && regexec(schema_pattern(schema, pattern), p, 0, NULL, 0) != 0)
    {
        return 0;
    }

    for (n = 0; *p != '\0'; p++) {
        n += (((unsigned char) *p & 0xc0) != 0x80);
    }

    most = json_object_get(rule, "maxLength");

    return (json_int_t) n >= json_integer_value(json_object_get(rule,
                                                                "minLength"))
           && (most == NULL || (json_int_t) n <= json_integer_value(most));
}


static int
schema_number(const json_t *rule, const json_t *value)
{
    json_t      *least, *most;
    json_int_t   n;

    n = json_integer_value(value);
    least = json_object_get(rule, "minimum");
    most = json_object_get(rule, "maximum");

    return (least == NULL || n >= json_integer_value(least))
           && (most == NULL || n <= json_integer_value(most));
}


static int
schema_array(schema_t *schema, const json_t *rule, const json_t *value,
    schema_fault_t *fault)
{
    char     name[24];
    size_t   i;
    json_t  *items, *item, *most;

    items = json_object_get(rule, "items");
    most = json_object_get(rule, "maxItems");

    if (most != NULL
        && (json_int_t) json_array_size(value) > json_integer_value(most))
    {
        return -1;
    }

    json_array_foreach(value, i, item) {
        snprintf(name, sizeof(name), "%lu", (unsigned long) i);

        if (items != NULL
            && schema_part(schema, items, item, name, fault) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
schema_object(schema_t *schema, const json_t *rule, const json_t *value,
    schema_fault_t *fault)
{
    size_t       i;
    json_t      *properties, *property, *other, *member, *required;
    const char  *name;

    properties = json_object_get(rule, "properties");
    other = json_object_get(rule, "additionalProperties");

    json_object_foreach((json_t *) value, name, member) {
        property = json_object_get(properties, name);
        property = property != NULL ? property : other;

        if (json_is_false(property)) {
            schema_at(fault, name);
            snprintf(fault->expected, sizeof(fault->expected),
                     "no member of this name, but %s",
                     schema_text(rule, "description"));
            return -1;
        }

        if (property != NULL
            && schema_part(schema, property, member, name, fault) != 0)
        {
            return -1;
        }
    }

    json_array_foreach(json_object_get(rule, "required"), i, required) {
        if (json_object_get(value, json_string_value(required)) == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
schema_value(schema_t *schema, const json_t *rule, const json_t *value,
    schema_fault_t *fault)
{
    int          rc;
    size_t       i;
    json_t      *list, *one;
    const char  *ref;

    ref = schema_text(rule, "$ref");

    if (ref != NULL) {
        rule = json_object_get(json_object_get(schema->root, "$defs"),
                               strrchr(ref, '/') + 1);
    }

    fault->expected[0] = '\0';
    list = json_object_get(rule, "enum");
    rc = schema_type(json_object_get(rule, "type"), value)
         && (list == NULL) ? 0 : -1;

    json_array_foreach(list, i, one) {
        rc = json_equal(one, value) ? 0 : rc;
    }

    if (rc == 0 && json_is_string(value)) {
        rc = schema_string(schema, rule, value) ? 0 : -1;

    } else if (rc == 0 && json_is_integer(value)) {
        rc = schema_number(rule, value) ? 0 : -1;

    } else if (rc == 0 && json_is_array(value)) {
        rc = schema_array(schema, rule, value, fault);

    } else if (rc == 0 && json_is_object(value)) {
        rc = schema_object(schema, rule, value, fault);
    }

    /* set already where a part is wrong */

    if (rc != 0 && fault->expected[0] == '\0') {
        snprintf(fault->expected, sizeof(fault->expected), "%s",
                 schema_text(rule, "description"));
    }

    return rc;
}


int
schema_check(schema_t *schema, const char *def, const json_t *value,
    schema_fault_t *fault)
{
    return schema_value(schema,
                        json_object_get(json_object_get(schema->root, "$defs"),
                                        def),
                        value, fault);
}
