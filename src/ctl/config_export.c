/*
 * ampctl config export.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_export.h"
#include "config_record.h"
#include "project_limit.h"
#include "record.h"
#include "tenant_list.h"


typedef struct {
    ctl_t         *ctl;
    FILE          *out;
    size_t         tenants;
    size_t         tokens;

    char *const   *ids;             /* of this part                           */
    json_t        *records[TENANT_BATCH];
    const char    *unreadable;      /* a tenant, or NULL                      */

    json_t        *projects;        /* an object: the ids of its tenants'     */
    json_t        *limits;          /* as in the document                     */
    const char    *bad_limit;       /* a project, or NULL                     */
} export_t;


static void
export_record(const char *id, json_t *record, const char *why, void *data)
{
    size_t     i;
    export_t  *export = data;

    for (i = 0; export->ids[i] != id; i++) { /* void */ }

    export->records[i] = json_incref(record);

    if (record == NULL) {
        export->unreadable = id;
    }
}


static void
export_tenant(export_t *export, const json_t *record, json_t *tokens)
{
    json_t  *tenant;

    tenant = config_tenant(record, tokens);
    json_object_set_new(export->projects,
                        record_text(json_object_get(record, "project"), "id"),
                        json_true());

    fputs(export->tenants++ ? ",\n" : "\n", export->out);
    export->tokens += json_array_size(tokens);

    json_dumpf(tenant, export->out, JSON_INDENT(2)|JSON_ENSURE_ASCII);
    json_decref(tenant);
}


/* A part of the tenants.  0, or -1 with ctl->error filled. */

static int
export_part(export_t *export, size_t n)
{
    int      rc;
    ctl_t   *ctl;
    size_t   i;
    json_t  *tokens[TENANT_BATCH];

    ctl = export->ctl;
    memset(export->records, 0, sizeof(export->records));

    rc = tenant_read(ctl->store, &ctl->error, export->ids, n, export_record,
                     export);

    if (rc == 0 && export->unreadable != NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "bad_record", "the record of "
                  "tenant \"%s\" cannot be read", export->unreadable);
        rc = ctl_remedy(&ctl->error, "repair the record in Redis, or remove "
                        "the tenant (ampctl tenant remove %s); ampctl doctor "
                        "names all such tenants", export->unreadable);
    }

    if (rc == 0) {
        rc = config_tokens(ctl, export->ids, n, tokens);
    }

    output_progress(NULL, 0, 0);

    for (i = 0; i < n; i++) {
        if (rc == 0 && export->records[i] != NULL) {
            export_tenant(export, export->records[i], tokens[i]);

        } else if (rc == 0) {
            json_decref(tokens[i]);
        }

        json_decref(export->records[i]);
    }

    return rc;
}


static void
export_limit(const char *project, const project_limit_t *limit, void *data)
{
    export_t *export = data;

    if (limit->malformed) {
        export->bad_limit = project;
        return;
    }

    json_array_append_new(export->limits, json_pack("{s:s, s:o*}", "id",
                          project, "limit", project_limit_json(&limit->rate)));
}


/* The limits of the tenants' projects.  0, or -1 with ctl->error filled. */

static int
export_projects(export_t *export)
{
    ctl_t  *ctl;

    ctl = export->ctl;

    if (project_limit_each(ctl->store, &ctl->error, export->projects,
                           export_limit, export)
        != 0)
    {
        return -1;
    }

    if (export->bad_limit != NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "bad_record", "the limit of "
                  "project \"%s\" cannot be read", export->bad_limit);
        return ctl_remedy(&ctl->error, "set it again: ampctl limit set "
                          "--project %s --rate 50/s --burst 100",
                          export->bad_limit);
    }

    if (json_array_size(export->limits) != 0) {
        fputs(",\n\"projects\": ", export->out);
        json_dumpf(export->limits, export->out, JSON_INDENT(2));
    }

    return 0;
}


static int
export_all(export_t *export)
{
    int            rc;
    ctl_t         *ctl;
    size_t         i, n;
    tenant_ids_t   ids;

    ctl = export->ctl;

    if (tenant_ids(ctl->store, &ctl->error, &ids) != 0) {
        return -1;
    }

    fputs("{\n\"version\": 1,\n\"tenants\": [", export->out);

    for (rc = 0, i = 0; rc == 0 && i < ids.n && !ferror(export->out); i += n) {
        n = ids.n - i < TENANT_BATCH ? ids.n - i : TENANT_BATCH;
        export->ids = ids.ids + i;

        output_progress("tenants", i, ids.n);
        rc = export_part(export, n);
    }

    output_progress(NULL, 0, 0);
    tenant_ids_free(&ids);

    if (rc == 0) {
        fputs(export->tenants ? "\n]" : "]", export->out);
        rc = export_projects(export);
    }

    if (rc == 0) {
        fputs("\n}\n", export->out);
    }

    return rc;
}


static int
export_failed(ctl_t *ctl, const char *name)
{
    ctl_error(&ctl->error, CTL_REFUSED, "file", "cannot write %s: %s", name,
              strerror(errno));

    return ctl_remedy(&ctl->error, "name a file in a directory that you may "
                      "write to");
}


/* The file is there with all of its content, or as it was before. */

static int
export_file(export_t *export, const char *name)
{
    int     fd, rc;
    char    temporary[4096];
    ctl_t  *ctl;

    ctl = export->ctl;
    snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long) getpid());

    fd = open(temporary, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    export->out = fd == -1 ? NULL : fdopen(fd, "w");

    if (export->out == NULL) {
        return export_failed(ctl, name);
    }

    rc = export_all(export);

    if (rc == 0 && (fflush(export->out) != 0 || ferror(export->out)
                    || fsync(fd) != 0 || rename(temporary, name) != 0))
    {
        rc = export_failed(ctl, name);
    }

    fclose(export->out);

    if (rc != 0) {
        (void) unlink(temporary);
        return -1;
    }

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:I, s:I}", "file", name,
                                     "tenants", (json_int_t) export->tenants,
                                     "tokens", (json_int_t) export->tokens));
    }

    output("%lu tenants with %lu tokens are in %s\n",
           (unsigned long) export->tenants, (unsigned long) export->tokens,
           name);

    return CTL_DONE;
}


static int
export_stdout(export_t *export)
{
    export->out = stdout;

    if (export_all(export) == 0) {
        return CTL_DONE;
    }

    /* what was written is no document, nor is it with an error behind it */

    if (export->tenants != 0) {
        return output_error(&export->ctl->error, 0);
    }

    return -1;
}


int
config_export(ctl_t *ctl)
{
    int          rc;
    export_t     export;
    const char  *name;

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    memset(&export, 0, sizeof(export));
    export.ctl = ctl;
    export.projects = json_object();
    export.limits = json_array();

    name = ctl->args[0];
    rc = name != NULL && strcmp(name, "-") != 0 ? export_file(&export, name)
                                                : export_stdout(&export);
    json_decref(export.projects);
    json_decref(export.limits);

    return rc;
}
