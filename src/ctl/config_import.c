/*
 * ampctl config import.
 *
 * The document is read twice.  The first time everything is checked, and
 * nothing written.  The second time, with --dry-run the differences are shown;
 * else they are made, in an order in which no step grants more than the state
 * before or after the import does:
 *
 *   1  tenants that are not in the document are removed (--prune)
 *   2  limits of projects are written
 *   3  for each tenant: tokens that are not in the document are revoked
 *      (--prune), the record is written at once, tokens are written
 *   4  limits of its tenants' projects that are not in the document are removed
 *      (--prune)
 *
 * A record is merged with the one that is in Redis when it is written, so a
 * change of somebody else in between is not lost.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "config_import.h"
#include "config_pass.h"
#include "config_replay.h"
#include "project_limit.h"
#include "record.h"
#include "tenant_keys.h"
#include "token_store.h"


enum {
    IMPORT_PRUNE = CTL_OPTION,
    IMPORT_REPLAY
};


const ctl_option_t  config_import_options[] = {

    { IMPORT_PRUNE, "prune", NULL,
      "remove tenants, tokens and limits that are not in the file", 0 },

    { IMPORT_REPLAY, "replay", "LOG",
      "change nothing; say which requests of this access log (- for standard "
      "input) would newly fail or pass", 0 },

    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


/* What becomes of a token of the document. */

static int
import_token_differs(import_t *im, const import_tenant_t *tenant,
    const json_t *token, const json_t **old)
{
    size_t   i;
    int64_t  expires;

    static const char *const  members[] = {
        "digest", "label", "created", "scope"
    };

    expires = json_integer_value(json_object_get(token, "expires"));
    *old = import_find(tenant->tokens, record_text(token, "id"));

    if (expires != 0 && expires <= im->now) {
        return 0;
    }

    for (i = 0; *old != NULL && i < sizeof(members) / sizeof(members[0]); i++) {
        if (json_object_get(token, members[i]) != NULL
            && !json_equal(json_object_get(token, members[i]),
                           json_object_get(*old, members[i])))
        {
            return 1;
        }
    }

    return *old == NULL
           || (json_object_get(token, "expires") != NULL
               && expires != json_integer_value(json_object_get(*old,
                                                                "expires")));
}


/*
 * Calls each() for the differences of tokens: those to revoke, or the others.
 */

typedef int (*import_token_pt)(import_t *im, const import_tenant_t *tenant,
    const json_t *token, config_change_e change);


static int
import_tokens(import_t *im, const import_tenant_t *tenant, unsigned revoke,
    import_token_pt each)
{
    int            rc;
    size_t         i;
    json_t        *tokens, *token;
    const json_t  *old;

    rc = 0;
    tokens = json_object_get(tenant->doc, "tokens");

    if (revoke && im->prune && tokens != NULL) {
        json_array_foreach(tenant->tokens, i, token) {
            if (rc == 0
                && import_find(tokens, record_text(token, "id")) == NULL)
            {
                rc = each(im, tenant, token, CONFIG_REMOVED);
            }
        }
    }

    if (!revoke) {
        json_array_foreach(tokens, i, token) {
            if (rc == 0 && import_token_differs(im, tenant, token, &old)) {
                rc = each(im, tenant, token,
                          old ? CONFIG_CHANGED : CONFIG_ADDED);
            }
        }
    }

    return rc;
}


static int
import_show_token(import_t *im, const import_tenant_t *tenant,
    const json_t *token, config_change_e change)
{
    config_diff_token(&im->diff, change, record_text(token, "id"), NULL);

    return 0;
}


static int
import_show(import_t *im, import_tenant_t *tenant)
{
    json_t  *record;

    record = import_merged(im, tenant);
    if (record == NULL) {
        return -1;
    }

    config_diff_tenant(&im->diff, record_text(tenant->doc, "id"),
                       tenant->record, record);
    json_decref(record);

    return import_tokens(im, tenant, 1, import_show_token)
           || import_tokens(im, tenant, 0, import_show_token) ? -1 : 0;
}


static int
import_write_token(import_t *im, const import_tenant_t *tenant,
    const json_t *token, config_change_e change)
{
    int                  rc;
    char                *scope;
    ctl_t               *ctl;
    json_t              *old, *whole;
    amp_token_record_t   record;

    ctl = im->ctl;

    if (change == CONFIG_REMOVED) {
        rc = token_revoke(ctl->store, &ctl->error,
                          record_span(record_text(token, "id")));
        rc = rc == -1 ? -1 : 0;

    } else {

        /* what the document leaves out of a token stays as it is */

        old = import_find(tenant->tokens, record_text(token, "id"));
        whole = old ? json_copy(old) : json_object();
        json_object_update(whole, (json_t *) token);

        if (json_object_get(whole, "created") == NULL) {
            json_object_set_new(whole, "created",
                                json_integer((json_int_t) im->now));
        }

        config_token(whole, record_text(tenant->doc, "id"), &record, &scope);
        rc = token_restore(ctl->store, &ctl->error,
                           record_text(whole, "digest"), &record);
        json_decref(whole);
        free(scope);

        if (rc == 0) {
            (void) ctl_no_tenant(ctl, ctl_span(record_text(tenant->doc, "id")));
        }

        rc = rc == 1 ? 0 : -1;
    }

    if (rc == 0) {
        config_diff_count_token(&im->diff, change);
    }

    return rc;
}


typedef struct {
    import_t         *im;
    import_tenant_t  *tenant;
    unsigned          changed;
} import_change_t;


static int
import_change(json_t *record, void *data, ctl_error_t *error)
{
    int               rc;
    json_t           *before;
    schema_fault_t    fault;
    import_change_t  *change = data;

    before = json_deep_copy(record);
    fault.pointer[0] = '\0';

    rc = config_merge(change->im->ctl, change->tenant->doc,
                      change->im->directory, change->im->prune, record, &fault);

    if (rc != 0) {
        (void) import_fault(change->im, change->tenant, &fault);

    } else {
        change->changed = !json_equal(before, record);
        rc = change->changed ? 0 : 1;
    }

    json_decref(before);

    return rc;
}


/* 0, or -1 with ctl->error filled. */

static int
import_write_record(import_t *im, import_tenant_t *tenant)
{
    int               rc;
    ctl_t            *ctl;
    json_t           *record;
    unsigned          try;
    amp_span_t        id;
    import_change_t   change;

    ctl = im->ctl;
    id = ctl_span(record_text(tenant->doc, "id"));
    change.im = im;
    change.tenant = tenant;

    /* another command may add or remove it in between */

    for (try = 0; try < 8; try++) {

        if (tenant->record != NULL || try != 0) {
            rc = tenant_change(ctl->store, &ctl->error, id, import_change,
                               &change);
            if (rc == 1) {
                config_diff_count(&im->diff, change.changed ? CONFIG_CHANGED
                                                            : CONFIG_SAME);
            }

            if (rc != 0) {
                return rc == 1 ? 0 : -1;
            }

            json_decref(tenant->record);
            tenant->record = NULL;
        }

        record = import_merged(im, tenant);
        if (record == NULL) {
            return -1;
        }

        rc = tenant_create(ctl->store, &ctl->error, id, record);
        json_decref(record);

        if (rc == 1) {
            config_diff_count(&im->diff, CONFIG_ADDED);
        }

        if (rc != 0) {
            return rc == 1 ? 0 : -1;
        }
    }

    ctl_error(&ctl->error, CTL_REFUSED, "conflict", "tenant \"%.*s\" is added "
              "and removed by other commands again and again", (int) id.len,
              id.data);

    return ctl_remedy(&ctl->error, "run the command again");
}


static int
import_write(import_t *im, import_tenant_t *tenant)
{
    return import_tokens(im, tenant, 1, import_write_token)
           || import_write_record(im, tenant)
           || import_tokens(im, tenant, 0, import_write_token) ? -1 : 0;
}


/* Removes tenants that are not in the document, or shows them.  0, or -1. */

static int
import_prune(import_t *im, unsigned show)
{
    int            rc;
    ctl_t         *ctl;
    size_t         i;
    unsigned       tokens;
    tenant_ids_t   all;

    ctl = im->ctl;

    if (!im->prune) {
        return 0;
    }

    if (tenant_ids(ctl->store, &ctl->error, &all) != 0) {
        return -1;
    }

    for (rc = 0, i = 0; rc != -1 && i < all.n; i++) {
        if (tenant_ids_has(&im->ids, all.ids[i])) {
            continue;
        }

        if (show) {
            config_diff_removed(&im->diff, all.ids[i]);
            continue;
        }

        rc = tenant_remove(ctl->store, &ctl->error, ctl_span(all.ids[i]),
                           &tokens);
        if (rc == 1) {
            config_diff_count(&im->diff, CONFIG_REMOVED);
        }
    }

    tenant_ids_free(&all);

    return rc == -1 ? -1 : 0;
}


/* Sets the limit of a project, or shows what that would change.  0, or -1. */

static int
import_project(import_t *im, unsigned show, const char *id,
    const amp_rate_t *rate)
{
    int               rc;
    ctl_t            *ctl;
    json_t           *before, *after;
    unsigned          try;
    project_limit_t   limit;

    ctl = im->ctl;

    for (try = 0, rc = 0; rc == 0 && try < 8; try++) {

        if (project_limit_load(ctl->store, &ctl->error, id, &limit) != 0) {
            return -1;
        }

        rc = show ? 1 : project_limit_write(ctl->store, &ctl->error, id, &limit,
                                            rate);
        project_limit_free(&limit);
    }

    if (rc == -1) {
        return -1;
    }

    if (rc == 0) {
        ctl_error(&ctl->error, CTL_REFUSED, "conflict", "the limit of project "
                  "\"%s\" is changed by other commands again and again", id);
        return ctl_remedy(&ctl->error, "run the command again");
    }

    before = project_limit_json(&limit.rate);
    after = project_limit_json(rate);
    config_diff_project(&im->diff, id, before, after);
    json_decref(before);
    json_decref(after);

    return 0;
}


static int
import_projects(import_t *im, unsigned show)
{
    int          rc;
    size_t       i;
    json_t      *project;
    amp_rate_t   rate;

    rc = 0;

    json_array_foreach(im->file.projects, i, project) {
        if (rc == 0) {
            (void) amp_project_limit(json_object_get(project, "limit"), &rate);
            rc = import_project(im, show, record_text(project, "id"), &rate);
        }
    }

    return rc;
}


typedef struct {
    import_t  *im;
    json_t    *gone;                /* ids                                    */
} import_gone_t;


static void
import_project_gone(const char *project, const project_limit_t *limit,
    void *data)
{
    import_gone_t *gone = data;

    if (import_find(gone->im->file.projects, project) == NULL) {
        json_array_append_new(gone->gone, json_string(project));
    }
}


/* Removes limits that are not in the document, or shows them.  0, or -1. */

static int
import_prune_projects(import_t *im, unsigned show)
{
    int            rc;
    size_t         i;
    json_t        *id;
    import_gone_t  gone;

    static const amp_rate_t  none;

    if (!im->prune) {
        return 0;
    }

    gone.im = im;
    gone.gone = json_array();

    rc = project_limit_each(im->ctl->store, &im->ctl->error, im->projects,
                            import_project_gone, &gone);

    json_array_foreach(gone.gone, i, id) {
        if (rc == 0) {
            rc = import_project(im, show, json_string_value(id), &none);
        }
    }

    json_decref(gone.gone);

    return rc;
}


static int
import_run(import_t *im)
{
    ctl_t       *ctl;
    int64_t      now;
    unsigned     show;
    const char  *log;

    ctl = im->ctl;

    if (store_time(ctl->store, &ctl->error, store_prefix(ctl->store), &now)
        != 0)
    {
        return -1;
    }

    im->now = now / 1000000;

    if (import_pass(im, "checked", import_check) != 0
        || import_check_once(im) != 0)
    {
        return -1;
    }

    log = ctl_value(ctl, IMPORT_REPLAY);

    if (log != NULL) {
        return config_replay(im, log);
    }

    show = ctl_dry_run(ctl) != 0;
    config_diff_begin(&im->diff, ctl->json, show);

    if (import_prune(im, show) != 0
        || import_projects(im, show) != 0
        || import_pass(im, "imported", show ? import_show : import_write) != 0
        || import_prune_projects(im, show) != 0)
    {
        return config_diff_cut(&im->diff, &ctl->error);
    }

    return config_diff_end(&im->diff);
}


int
config_import(ctl_t *ctl)
{
    int        rc;
    char      *slash;
    import_t  *im;

    /* with a master key, keys are opened; without one they stay sealed */

    if (ctl_store(ctl) == NULL
        || (ctl->nmaster_keys != 0 && ctl_ring(ctl) == NULL))
    {
        return -1;
    }

    im = calloc(1, sizeof(*im));
    if (im == NULL) {
        abort();
    }

    im->ctl = ctl;
    im->projects = json_object();
    im->prune = ctl_value(ctl, IMPORT_PRUNE) != NULL;

    snprintf(im->directory, sizeof(im->directory), "%s", ctl->args[0]);
    slash = strrchr(im->directory, '/');
    im->directory[slash ? slash + 1 - im->directory : 0] = '\0';

    rc = config_open(&im->file, ctl->args[0], &ctl->error);

    if (rc == 0) {
        rc = import_run(im);
    }

    config_close(&im->file);
    tenant_ids_free(&im->ids);
    tenant_ids_free(&im->digests);
    json_decref(im->projects);
    free(im);

    return rc;
}
