/*
 * The document of ampctl config.
 *
 * jansson reads whole values only, so the object around the tenants is read
 * here.  Its members are few: "$schema", "version", "projects" and "tenants".
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_file.h"


/* The number of the line at an offset. */

static unsigned long
config_line(config_file_t *file, long offset)
{
    int            c;
    long           here;
    unsigned long  line;

    here = ftell(file->f);
    rewind(file->f);

    for (line = 1; offset > 0 && (c = getc(file->f)) != EOF; offset--) {
        line += (c == '\n');
    }

    (void) fseek(file->f, here, SEEK_SET);

    return line;
}


static int
config_expected(config_file_t *file, long offset, const char *expected,
    ctl_error_t *error)
{
    ctl_error(error, CTL_REFUSED, "bad_file", "%s, line %lu: expected %s",
              file->name, config_line(file, offset), expected);

    return ctl_remedy(error, "nothing was changed; ampctl config export writes "
                      "such a file, docs/config.schema.json describes it");
}


/* The next byte that is no white space, or EOF. */

static int
config_byte(config_file_t *file)
{
    int  c;

    do {
        c = getc(file->f);
    } while (c != EOF && isspace(c));

    return c;
}


static int
config_word(config_file_t *file, int byte, const char *expected,
    ctl_error_t *error)
{
    int  c;

    c = config_byte(file);

    return c == byte ? 0 : config_expected(file, ftell(file->f) - (c != EOF),
                                           expected, error);
}


/*
 * A value at the file's place, which it is behind afterwards.  NULL with the
 * error filled.
 */

static json_t *
config_value(config_file_t *file, ctl_error_t *error)
{
    json_t        *value;
    json_error_t   e;

    e.position = 0;
    value = json_loadf(file->f, JSON_DECODE_ANY|JSON_DISABLE_EOF_CHECK
                       |JSON_REJECT_DUPLICATES, &e);

    if (value == NULL) {

        /* e.text may quote a secret */

        (void) config_expected(file, ftell(file->f),
                               json_error_code(&e) == json_error_duplicate_key
                               ? "each member of an object once"
                               : "valid JSON", error);
    }

    return value;
}


/* Behind the object.  0, or -1. */

static int
config_end(config_file_t *file, ctl_error_t *error)
{
    if (!file->tenants || file->version == 0) {
        return config_expected(file, ftell(file->f), file->tenants
                               ? "the member \"version\", which is 1"
                               : "the member \"tenants\"", error);
    }

    return config_word(file, EOF, "the end of the file", error);
}


int
config_open(config_file_t *file, const char *name, ctl_error_t *error)
{
    int  c;

    memset(file, 0, sizeof(*file));
    file->name = name;
    file->schema = schema_config();

    if (strcmp(name, "-") != 0) {
        file->f = fopen(name, "r");

    } else {
        file->name = "standard input";
        file->f = tmpfile();            /* it is read twice */

        while (file->f != NULL && (c = getchar()) != EOF) {
            putc(c, file->f);
        }
    }

    if (file->f != NULL && !ferror(file->f)
        && fseek(file->f, 0, SEEK_SET) == 0)
    {
        return 0;
    }

    ctl_error(error, CTL_REFUSED, "bad_file", "cannot read %s: %s", file->name,
              strerror(errno));

    return ctl_remedy(error, "name a regular file, or - for standard input");
}


void
config_close(config_file_t *file)
{
    if (file->f != NULL) {
        fclose(file->f);
    }

    json_decref(file->projects);
    schema_free(file->schema);
}


/* 0, or -1 with the error filled. */

static int
config_projects(config_file_t *file, ctl_error_t *error)
{
    size_t           i;
    json_t          *project, *ids;
    schema_fault_t   fault;

    file->projects = config_value(file, error);
    if (file->projects == NULL) {
        return -1;
    }

    fault.pointer[0] = '\0';

    if (schema_check(file->schema, "projects", file->projects, &fault) != 0) {
        return config_projects_fault(file, &fault, error);
    }

    ids = json_object();

    json_array_foreach(file->projects, i, project) {
        json_object_set_new(ids, json_string_value(json_object_get(project,
                                                                   "id")),
                            json_true());
    }

    i = json_object_size(ids);
    json_decref(ids);

    if (i != json_array_size(file->projects)) {
        snprintf(fault.expected, sizeof(fault.expected), "each project once");
        return config_projects_fault(file, &fault, error);
    }

    return 0;
}


/* The number behind "version", or the text behind "$schema".  0, or -1. */

static int
config_member(config_file_t *file, const char *name, long start,
    ctl_error_t *error)
{
    json_t  *text;

    if (strcmp(name, "version") == 0 && file->version == 0
        && fscanf(file->f, " %9d", &file->version) == 1 && file->version == 1)
    {
        return 0;
    }

    if (strcmp(name, "$schema") == 0) {
        text = config_value(file, error);
        json_decref(text);

        return text != NULL ? 0 : -1;
    }

    if (strcmp(name, "projects") == 0 && file->projects == NULL) {
        return config_projects(file, error);
    }

    return config_expected(file, start, "\"version\": 1, \"tenants\", perhaps "
                           "\"projects\", and no other member", error);
}


/*
 * Reads members up to the first tenant, or with the tenants behind it to the
 * end of the document.  0, or -1 with the error filled.
 */

static int
config_members(config_file_t *file, ctl_error_t *error)
{
    int           c, rc;
    long          start;
    json_t       *name;
    const char   *text;

    do {
        start = ftell(file->f);
        name = config_value(file, error);

        if (name == NULL) {
            return -1;
        }

        text = json_string_value(name);
        rc = config_word(file, ':', "the name of a member and a colon", error);

        if (rc == 0 && text != NULL && strcmp(text, "tenants") == 0
            && !file->tenants)
        {
            json_decref(name);
            file->tenants = 1;

            return config_word(file, '[', "an array of tenants", error);
        }

        if (rc == 0) {
            rc = config_member(file, text ? text : "", start, error);
        }

        json_decref(name);

        if (rc != 0) {
            return -1;
        }

        c = config_byte(file);

    } while (c == ',');

    ungetc(c, file->f);

    return config_word(file, '}', file->tenants ? "the end of the object"
                                                : "the member \"tenants\"",
                       error)
           || config_end(file, error) ? -1 : 0;
}


int
config_rewind(config_file_t *file, ctl_error_t *error)
{
    rewind(file->f);
    file->n = 0;
    file->version = 0;
    file->tenants = 0;
    json_decref(file->projects);
    file->projects = NULL;

    if (config_word(file, '{', "an object with version and tenants", error)
        != 0)
    {
        return -1;
    }

    return config_members(file, error);
}


int
config_next(config_file_t *file, json_t **tenant, ctl_error_t *error)
{
    int             c;
    schema_fault_t  fault;

    c = config_byte(file);

    if (c == ']') {
        c = config_byte(file);

        if (c == ',') {
            return config_members(file, error);
        }

        ungetc(c, file->f);

        return config_word(file, '}', "the end of the object", error)
               || config_end(file, error) ? -1 : 0;
    }

    if (file->n == 0 && c != EOF) {
        ungetc(c, file->f);

    } else if (c != ',') {
        return config_expected(file, ftell(file->f), "a comma or ]", error);
    }

    /* the place of the tenant, not of the white space before it */

    c = config_byte(file);
    ungetc(c, file->f);
    file->start = ftell(file->f);

    *tenant = config_value(file, error);
    if (*tenant == NULL) {
        return -1;
    }

    file->n++;
    fault.pointer[0] = '\0';

    if (schema_check(file->schema, "tenant", *tenant, &fault) != 0) {
        json_decref(*tenant);
        return config_fault(file, file->start, file->n, &fault, error);
    }

    return 1;
}


int
config_fault(config_file_t *file, long start, size_t n,
    const schema_fault_t *fault, ctl_error_t *error)
{
    ctl_error(error, CTL_REFUSED, "bad_file", "%s, in the tenant that begins "
              "in line %lu, /tenants/%lu%s: expected %s", file->name,
              config_line(file, start), (unsigned long) n - 1, fault->pointer,
              fault->expected);

    return ctl_remedy(error, "nothing was changed; docs/config.schema.json "
                      "describes the file");
}


int
config_projects_fault(config_file_t *file, const schema_fault_t *fault,
    ctl_error_t *error)
{
    ctl_error(error, CTL_REFUSED, "bad_file", "%s, /projects%s: expected %s",
              file->name, fault->pointer, fault->expected);

    return ctl_remedy(error, "nothing was changed; docs/config.schema.json "
                      "describes the file");
}
