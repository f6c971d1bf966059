/*
 * ampctl doctor: is everything in place for the gateway?
 *
 * Each check adds one line: ok, warn or fail, what was found, what to do.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ampersand.h"
#include "doctor.h"
#include "record.h"
#include "secret.h"
#include "tenant_store.h"
#include "token_store.h"



static const char *const  doctor_words[] = { "ok", "warn", "fail" };


/* Did another node say so already? */

static int
doctor_said(const doctor_t *doctor, const char *name, const char *text)
{
    size_t   i;
    json_t  *check;

    json_array_foreach(doctor->checks, i, check) {
        if (strcmp(record_text(check, "check"), name) == 0
            && strcmp(record_text(check, "message"), text) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
{
    char     text[1024];
    size_t   len;
    json_t  *check;
    va_list  args;

    len = 0;

    if (doctor->node != NULL && state != DOCTOR_OK) {
        len = (size_t) snprintf(text, sizeof(text), "%s: ", doctor->node);
    }

    va_start(args, fmt);
    vsnprintf(text + len, sizeof(text) - len, fmt, args);
    va_end(args);

    if (doctor_said(doctor, name, text)) {
        return;
    }

    check = json_pack("{s:s, s:s, s:s, s:s}", "check", name,
                      "status", doctor_words[state], "message", text,
                      "remedy", state == DOCTOR_OK ? "" : remedy);
    if (check != NULL) {
        json_array_append_new(doctor->checks, check);
    }

    if (state > doctor->worst) {
        doctor->worst = state;
    }
}


void
doctor_error(doctor_t *doctor, const char *name)
{
    const char   *node;
    ctl_error_t  *error;

    error = &doctor->ctl->error;

    /* the message names the node by itself */

    node = doctor->node;
    doctor->node = NULL;

    doctor_add(doctor, name, DOCTOR_FAIL, error->remedy, "%s", error->message);

    doctor->node = node;

    if (error->exit == CTL_REACH) {
        doctor->reach = 1;
    }
}


static void
doctor_master_key(doctor_t *doctor)
{
    amp_span_t  id;

    if (ctl_ring(doctor->ctl) == NULL) {
        doctor_error(doctor, "master key");
        return;
    }

    id = amp_keyring_id(doctor->ctl->ring, 0);

    doctor_add(doctor, "master key", DOCTOR_OK, "", "%.*s seals, %u given",
               (int) id.len, id.data, doctor->ctl->nmaster_keys);
}


static void
doctor_name(doctor_group_t *group, const char *id)
{
    size_t  len;

    len = strlen(group->names);

    if (group->n++ < DOCTOR_NAMES) {
        snprintf(group->names + len, sizeof(group->names) - len, "%s%s",
                 len ? ", " : "", id);

    } else if (group->n == DOCTOR_NAMES + 1) {
        snprintf(group->names + len, sizeof(group->names) - len, ", ...");
    }
}


static void
doctor_tenant(const char *id, json_t *record, const char *why, void *data)
{
    int             len;
    json_t         *key;
    doctor_t       *doctor = data;
    unsigned char   secret[AMP_SECRET_MAX];

    doctor->tenants++;

    if (record == NULL) {
        doctor_name(&doctor->unreadable, id);
        return;
    }

    key = record_active_key(record);

    if (key == NULL) {
        doctor_name(&doctor->keyless, id);
        return;
    }

    if (doctor->ctl->ring == NULL) {
        return;
    }

    len = record_key_open(record, key, doctor->ctl->ring, secret,
                          &doctor->ctl->error);
    secret_clean(secret, sizeof(secret));

    if (len == -1) {
        doctor_name(&doctor->sealed, id);
    } else {
        doctor->opened++;
    }
}


static void
doctor_group(doctor_t *doctor, const char *name, doctor_e state,
    const doctor_group_t *group, const char *what, const char *remedy)
{
    if (group->n != 0) {
        doctor_add(doctor, name, state, remedy, "%u %s: %s", group->n, what,
                   group->names);
    }
}


/* Which tenants nobody can call: one look at each index of tokens. */

static int
doctor_tokens(doctor_t *doctor)
{
    size_t         i;
    ctl_t         *ctl;
    token_list_t   tokens;
    tenant_ids_t   ids;

    ctl = doctor->ctl;

    if (tenant_ids(ctl->store, &ctl->error, &ids) != 0) {
        return -1;
    }

    for (i = 0; i < ids.n; i++) {
        if (token_list(ctl->store, &ctl->error, ctl_span(ids.ids[i]), &tokens)
            != 0)
        {
            tenant_ids_free(&ids);
            return -1;
        }

        if (tokens.n == 0) {
            doctor_name(&doctor->tokenless, ids.ids[i]);
        }

        token_list_free(&tokens);
    }

    tenant_ids_free(&ids);

    return 0;
}


static void
doctor_tenants(doctor_t *doctor)
{
    ctl_t  *ctl;

    ctl = doctor->ctl;

    if (tenant_each(ctl->store, &ctl->error, doctor_tenant, doctor) != 0
        || doctor_tokens(doctor) != 0)
    {
        doctor_error(doctor, "tenants");
        return;
    }

    doctor_add(doctor, "tenants", doctor->tenants ? DOCTOR_OK : DOCTOR_WARN,
               "ampctl tenant add ID --project PROJECT_ID",
               "%u, %u with an active key that opens", doctor->tenants,
               doctor->opened);

    doctor_group(doctor, "records", DOCTOR_FAIL, &doctor->unreadable,
                 "cannot be read", "mend them in Redis, or ampctl tenant "
                 "remove and add them again");

    doctor_group(doctor, "sealed keys", DOCTOR_FAIL, &doctor->sealed,
                 "have an active key that does not open with the master keys "
                 "given", "add the master key with --master-key FILE, or "
                 "ampctl key set ID --key-file FILE");

    doctor_group(doctor, "keys", DOCTOR_WARN, &doctor->keyless,
                 "have no active key", "ampctl key set ID --key-file FILE");

    doctor_group(doctor, "tokens", DOCTOR_WARN, &doctor->tokenless,
                 "have no token", "ampctl token issue ID, or ampctl tenant "
                 "remove ID");
}


static void
doctor_upstream(doctor_t *doctor)
{
    ctl_t  *ctl;

    ctl = doctor->ctl;

    if (ampersand_reach(ctl->upstream, ctl->timeout, &ctl->error) != 0) {
        doctor_error(doctor, "ampersand");
        return;
    }

    doctor_add(doctor, "ampersand", DOCTOR_OK, "", "reached at %s",
               ctl->upstream ? ctl->upstream : "api.withampersand.com");
}


static int
doctor_report(doctor_t *doctor)
{
    size_t        i;
    json_t       *check;
    const char   *remedy;

    if (doctor->ctl->json) {
        output_json(json_pack("{s:b, s:o}", "ok", doctor->worst < DOCTOR_FAIL,
                              "checks", doctor->checks));

    } else {
        json_array_foreach(doctor->checks, i, check) {
            remedy = record_text(check, "remedy");

            printf("%-4s  %s: %s\n", record_text(check, "status"),
                   record_text(check, "check"), record_text(check, "message"));

            if (*remedy != '\0') {
                printf("      %s\n", remedy);
            }
        }

        json_decref(doctor->checks);
    }

    return doctor->reach ? CTL_REACH
           : doctor->worst == DOCTOR_FAIL ? CTL_REFUSED : CTL_DONE;
}


static int
doctor_run(ctl_t *ctl)
{
    doctor_t  doctor;

    memset(&doctor, 0, sizeof(doctor));
    doctor.ctl = ctl;
    doctor.checks = json_array();

    doctor_master_key(&doctor);

    if (doctor_redis(&doctor) == 0) {
        doctor_tenants(&doctor);
    }

    doctor_upstream(&doctor);

    return doctor_report(&doctor);
}


const ctl_command_t  ctl_doctor_commands[] = {

    { "doctor", NULL, "", "check Redis, master key, tenants and Ampersand",
      "Each check says ok, warn or fail, and what to do. A warning alone\n"
      "leaves the exit code 0.",
      NULL, doctor_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
