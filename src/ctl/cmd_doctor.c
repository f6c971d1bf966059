/*
 * ampctl doctor: is everything in place for the gateway?
 *
 * Each check adds one line: ok, warn or fail, what was found, what to do.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "ampctl.h"
#include "ampersand.h"
#include "record.h"
#include "secret.h"
#include "tenant_store.h"
#include "token_store.h"


#define DOCTOR_NAMES       5            /* tenants named in one line          */
#define DOCTOR_SKEW_WARN   2000         /* ms                                 */
#define DOCTOR_SKEW_FAIL   30000


typedef enum {
    DOCTOR_OK = 0,
    DOCTOR_WARN,
    DOCTOR_FAIL
} doctor_e;


/* Tenants with one thing amiss. */

typedef struct {
    unsigned  n;
    char      names[(AMP_TENANT_ID_MAX + 2) * DOCTOR_NAMES + 8];
} doctor_group_t;


typedef struct {
    ctl_t           *ctl;
    json_t          *checks;
    doctor_e         worst;
    unsigned         reach:1;           /* something is out of reach          */
    unsigned         tenants;
    unsigned         opened;
    doctor_group_t   unreadable;
    doctor_group_t   keyless;
    doctor_group_t   tokenless;
    doctor_group_t   sealed;            /* active key does not open           */
} doctor_t;


static void doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));


static const char *const  doctor_words[] = { "ok", "warn", "fail" };


static void
doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
{
    char     text[1024];
    json_t  *check;
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

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


static void
doctor_error(doctor_t *doctor, const char *name)
{
    ctl_error_t  *error;

    error = &doctor->ctl->error;

    doctor_add(doctor, name, DOCTOR_FAIL, error->remedy, "%s", error->message);

    if (error->exit == CTL_REACH) {
        doctor->reach = 1;
    }
}


/* A field of INFO; empty when there is none. */

static const char *
doctor_info(const redisReply *info, const char *name, char *value, size_t size)
{
    size_t       len;
    const char  *p;

    len = strlen(name);
    value[0] = '\0';

    for (p = info->str; p != NULL; p = strchr(p, '\n')) {
        p += (*p == '\n');

        if (strncmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            snprintf(value, size, "%.*s", (int) strcspn(p, "\r\n"), p);
            break;
        }
    }

    return value;
}


static void
doctor_version(doctor_t *doctor, const redisReply *info)
{
    int          valkey;
    char         value[64];
    const char  *version;

    version = doctor_info(info, "valkey_version", value, sizeof(value));
    valkey = (*version != '\0');

    if (!valkey) {
        version = doctor_info(info, "redis_version", value, sizeof(value));
    }

    doctor_add(doctor, "redis version", (valkey || atoi(version) >= 6)
               ? DOCTOR_OK : DOCTOR_FAIL,
               "use Redis 6 or later, or Valkey", "%s %s",
               valkey ? "Valkey" : "Redis", *version ? version : "unknown");
}


static void
doctor_role(doctor_t *doctor, const redisReply *info)
{
    char         value[64];
    const char  *role;

    role = doctor_info(info, "role", value, sizeof(value));

    doctor_add(doctor, "redis role", strcmp(role, "slave") == 0
               ? DOCTOR_FAIL : DOCTOR_OK,
               "point --redis (AMPERSAND_REDIS) at the primary", "%s",
               strcmp(role, "slave") == 0 ? "a replica, which takes no writes"
                                          : "takes writes");
}


static void
doctor_memory(doctor_t *doctor, const redisReply *info)
{
    char         max[64], policy[64];
    doctor_e     state;

    doctor_info(info, "maxmemory", max, sizeof(max));
    doctor_info(info, "maxmemory_policy", policy, sizeof(policy));

    state = (strcmp(policy, "noeviction") == 0 || *policy == '\0')
            ? DOCTOR_OK : DOCTOR_WARN;

    doctor_add(doctor, "redis memory", state,
               "CONFIG SET maxmemory-policy noeviction: another policy may "
               "drop tenants, tokens or the state of their rates",
               "maxmemory %s, policy %s",
               strcmp(max, "0") == 0 ? "unlimited" : max,
               *policy ? policy : "unknown");
}


static void
doctor_persistence(doctor_t *doctor, const redisReply *info)
{
    int          rdb;
    char         aof[16], save[16], rewrite[16];
    redisReply  *reply;

    doctor_info(info, "aof_enabled", aof, sizeof(aof));
    doctor_info(info, "rdb_last_bgsave_status", save, sizeof(save));
    doctor_info(info, "aof_last_write_status", rewrite, sizeof(rewrite));

    if (strcmp(save, "err") == 0 || strcmp(rewrite, "err") == 0) {
        doctor_add(doctor, "redis persistence", DOCTOR_FAIL,
                   "free disk space or mend the directory of Redis; its log "
                   "says why", "the last save to disk failed");
        return;
    }

    if (strcmp(aof, "1") == 0) {
        doctor_add(doctor, "redis persistence", DOCTOR_OK, "",
                   "append-only file");
        return;
    }

    /* managed services and ACLs often refuse CONFIG: then nothing is known */

    reply = store_command(doctor->ctl->store, &doctor->ctl->error,
                          "CONFIG GET save");
    if (reply == NULL) {
        doctor_add(doctor, "redis persistence", DOCTOR_WARN,
                   "see to it that Redis saves to disk, best with appendonly "
                   "yes", "no append-only file; snapshots are not known, "
                   "CONFIG GET is refused");
        return;
    }

    rdb = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
          && reply->element[1]->len != 0;

    freeReplyObject(reply);

    doctor_add(doctor, "redis persistence", DOCTOR_WARN,
               "set appendonly yes in Redis: a crash then loses at most a "
               "second", rdb ? "snapshots only: a crash loses what came after "
               "the last one" : "none: a restart loses every tenant and token");
}


static void
doctor_clock(doctor_t *doctor)
{
    int64_t         before, after, redis, skew;
    struct timeval  tv;

    gettimeofday(&tv, NULL);
    before = (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000;

    if (store_time(doctor->ctl->store, &doctor->ctl->error, &redis) != 0) {
        doctor_error(doctor, "clock");
        return;
    }

    gettimeofday(&tv, NULL);
    after = (int64_t) tv.tv_sec * 1000 + tv.tv_usec / 1000;

    skew = redis / 1000 - (before + after) / 2;
    skew = skew < 0 ? -skew : skew;

    doctor_add(doctor, "clock", skew >= DOCTOR_SKEW_FAIL ? DOCTOR_FAIL
               : skew >= DOCTOR_SKEW_WARN ? DOCTOR_WARN : DOCTOR_OK,
               "run NTP here and on the host of Redis: tokens expire and rates "
               "count by the clock", "%lld ms from the clock of Redis",
               (long long) skew);
}


/* 0 when Redis can be asked further. */

static int
doctor_redis(doctor_t *doctor)
{
    ctl_t       *ctl;
    redisReply  *info;

    ctl = doctor->ctl;

    if (ctl_store(ctl) == NULL) {
        doctor_error(doctor, "redis");
        return -1;
    }

    doctor_add(doctor, "redis", DOCTOR_OK, "", "reached at %s",
               store_address(ctl->store));

    info = store_command(ctl->store, &ctl->error, "INFO");

    if (info == NULL) {
        doctor_error(doctor, "redis version");

    } else {
        doctor_version(doctor, info);
        doctor_role(doctor, info);
        doctor_memory(doctor, info);
        doctor_persistence(doctor, info);
        freeReplyObject(info);
    }

    doctor_clock(doctor);

    return 0;
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
