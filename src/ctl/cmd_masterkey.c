/*
 * ampctl masterkey: the key that seals the Ampersand keys.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/amp_escape.h"
#include "ampctl.h"
#include "audit.h"
#include "record.h"
#include "record_key.h"
#include "secret.h"
#include "tenant_list.h"


typedef struct {
    amp_keyring_t  *ring;
    int             dry;            /* nothing is written                     */
    unsigned        resealed;       /* keys of the current record             */
    unsigned        already;        /* and those that need no new seal        */
    json_t         *failed;         /* [ { tenant, key, error } ], or NULL    */
} rewrap_t;


/* Of all tenants. */

typedef struct {
    unsigned        resealed;
    unsigned        already;
    json_t         *failed;
} rewrap_sum_t;


static int
masterkey_write(int fd, const unsigned char *text, size_t len)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < len; done += n) {
        n = write(fd, text + done, len - done);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            return -1;
        }
    }

    return fsync(fd);
}


/*
 * Makes a new file with these bytes, mode 0600 whatever the umask, and for the
 * default file its directory.  0, or -1 with the error filled.
 */

static int
masterkey_create(const char *file, const unsigned char *text, size_t len,
    ctl_error_t *error)
{
    int  fd, code;

    /* other missing directories may be misspelt names */

    if (strcmp(file, CTL_MASTER_KEY_FILE) == 0
        && mkdir(CTL_MASTER_KEY_DIR, 0700) != 0 && errno != EEXIST)
    {
        ctl_error(error, CTL_REFUSED, "master_key",
                  "cannot make directory \"" CTL_MASTER_KEY_DIR "\": %s",
                  strerror(errno));
        return ctl_remedy(error, "run ampctl as root, or name a file in a "
                          "directory that you may write to");
    }

    fd = open(file, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW, 0600);

    if (fd == -1 && errno == EEXIST) {
        ctl_error(error, CTL_REFUSED, "exists", "file \"%s\" exists "
                  "already", file);
        return ctl_remedy(error, "name another file: the keys that an old "
                          "master key has sealed are lost without it");
    }

    if (fd != -1) {
        if (fchmod(fd, 0600) == 0 && masterkey_write(fd, text, len) == 0
            && close(fd) == 0)
        {
            return 0;
        }

        code = errno;
        close(fd);
        unlink(file);
        errno = code;
    }

    ctl_error(error, CTL_REFUSED, "master_key", "cannot write \"%s\": %s", file,
              strerror(errno));

    return ctl_remedy(error, "name a file in a directory that exists and that "
                      "you may write to");
}


static int
masterkey_new(ctl_t *ctl)
{
    int             rc;
    const char     *why;
    amp_span_t      id;
    unsigned char   key[AMP_MASTER_KEY_LEN], text[AMP_MASTER_KEY_TEXT];

    /* a ring with only this key, for the key's id */

    ctl->ring = amp_keyring_create();
    if (ctl->ring == NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "no_cipher",
                  "OpenSSL has no AES-256-GCM");
        return ctl_remedy(&ctl->error, "check OpenSSL's configuration "
                          "(OPENSSL_CONF)");
    }

    if (secret_random(key, sizeof(key), &ctl->error) != 0) {
        return -1;
    }

    amp_hex(key, sizeof(key), text);
    text[sizeof(text) - 1] = '\n';

    rc = amp_keyring_add(ctl->ring, amp_span_make(text, sizeof(text)), &why);

    if (rc != 0) {
        ctl_error(&ctl->error, CTL_REFUSED, "master_key", "%s", why);
    } else {
        rc = masterkey_create(ctl->args[0], text, sizeof(text), &ctl->error);
    }

    secret_clean(key, sizeof(key));
    secret_clean(text, sizeof(text));

    if (rc != 0) {
        return -1;
    }

    id = amp_keyring_id(ctl->ring, 0);

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s%}", "file", ctl->args[0],
                                     "id", id.data, id.len));
    }

    output("master key %.*s written to %s\n"
           "keep a copy outside of Redis: without the master key no sealed key "
           "can be opened\n",
           (int) id.len, id.data, ctl->args[0]);

    if (strcmp(ctl->args[0], CTL_MASTER_KEY_FILE) != 0) {
        output("next: export AMPERSAND_MASTER_KEY_FILE=%s\n", ctl->args[0]);
    }

    return CTL_DONE;
}


static int
rewrap_record(json_t *record, void *data, ctl_error_t *error)
{
    size_t      i;
    json_t     *key;
    rewrap_t   *rewrap = data;
    amp_span_t  first;

    rewrap->resealed = 0;
    rewrap->already = 0;
    json_decref(rewrap->failed);
    rewrap->failed = NULL;

    first = amp_keyring_id(rewrap->ring, 0);

    json_array_foreach(json_object_get(record, "keys"), i, key) {

        if (amp_span_eq(first, amp_seal_master_id(record_span(
                                   record_text(key, "sealed")))))
        {
            rewrap->already++;

        } else if (record_key_reseal(record, key, rewrap->ring, error) == 0) {
            rewrap->resealed++;

        } else {
            if (rewrap->failed == NULL) {
                rewrap->failed = json_array();
            }

            json_array_append_new(rewrap->failed, json_pack("{s:s, s:s, s:o}",
                                  "tenant", record_text(record, "id"),
                                  "key", record_text(key, "id"),
                                  "error", ctl_error_json(error)));
        }
    }

    return rewrap->resealed == 0 ? 1 : rewrap->dry ? 2 : 0;
}


static int
rewrap_report(ctl_t *ctl, const rewrap_sum_t *sum)
{
    size_t       i, n;
    json_t      *item;
    amp_span_t   id;

    n = json_array_size(sum->failed);
    id = amp_keyring_id(ctl->ring, 0);

    if (ctl->json) {
        output_json(json_pack("{s:s%, s:i, s:i, s:O, s:o*}", "master", id.data,
                              id.len, "resealed", (int) sum->resealed,
                              "already", (int) sum->already, "failed",
                              sum->failed, "dry_run", ctl_dry_run(ctl)
                              ? json_true() : NULL));

    } else {
        output("%skeys sealed again with master key %.*s: %u; sealed with it "
               "before: %u\n", ctl_dry_run(ctl) ? "without --dry-run: " : "",
               (int) id.len, id.data, sum->resealed, sum->already);

        json_array_foreach(sum->failed, i, item) {
            fprintf(stderr, "ampctl: %s\n",
                    record_text(json_object_get(item, "error"), "message"));
        }

        if (n != 0) {
            fprintf(stderr, "  keep the old master keys: these keys still need "
                    "them\n");
        }
    }

    return n ? CTL_REFUSED : CTL_DONE;
}


/* 0, or -1 where Redis is out of reach. */

static int
rewrap_tenants(ctl_t *ctl, char *const *ids, size_t n, rewrap_sum_t *sum)
{
    int       rc, done[TENANT_BATCH];
    size_t    i;
    rewrap_t  rewraps[TENANT_BATCH];

    memset(rewraps, 0, sizeof(rewraps));

    for (i = 0; i < n; i++) {
        rewraps[i].ring = ctl->ring;
        rewraps[i].dry = ctl_dry_run(ctl);
    }

    tenant_change_many(ctl->store, ids, n, rewrap_record, rewraps,
                       sizeof(rewraps[0]), done);

    for (rc = 0, i = 0; i < n; i++) {

        if (rc == 0 && done[i] == -1) {
            done[i] = tenant_change(ctl->store, &ctl->error, ctl_span(ids[i]),
                                    rewrap_record, &rewraps[i]);

            if (done[i] == -1 && ctl->error.exit == CTL_REACH) {
                rc = -1;

            } else if (done[i] == -1) {
                json_array_append_new(sum->failed, json_pack("{s:s, s:n, s:o}",
                                      "tenant", ids[i], "key", "error",
                                      ctl_error_json(&ctl->error)));
            }
        }

        if (done[i] == 1) {
            sum->resealed += rewraps[i].resealed;
            sum->already += rewraps[i].already;
            json_array_extend(sum->failed, rewraps[i].failed);
        }

        json_decref(rewraps[i].failed);
    }

    return rc;
}


static int
masterkey_rewrap(ctl_t *ctl)
{
    int            rc;
    size_t         i, n;
    json_t        *after;
    rewrap_sum_t   sum;
    tenant_ids_t   ids;

    if (ctl_ring(ctl) == NULL || ctl_store(ctl) == NULL
        || tenant_ids(ctl->store, &ctl->error, &ids) != 0)
    {
        return -1;
    }

    memset(&sum, 0, sizeof(sum));
    sum.failed = json_array();

    for (rc = 0, i = 0; rc == 0 && i < ids.n; i += n) {
        n = ids.n - i < TENANT_BATCH ? ids.n - i : TENANT_BATCH;

        output_progress("tenants", i, ids.n);
        rc = rewrap_tenants(ctl, ids.ids + i, n, &sum);
    }

    output_progress(NULL, 0, 0);

    /* one line for all: a seal changes nothing of what a tenant may do */

    if (sum.resealed != 0 && !ctl_dry_run(ctl)) {
        after = json_pack("{s:i}", "resealed", (int) sum.resealed);
        audit_add(ctl->store, "keys sealed anew", amp_span_null, NULL, after);
        json_decref(after);
    }

    if (rc == 0) {
        rc = rewrap_report(ctl, &sum);
    }

    json_decref(sum.failed);
    tenant_ids_free(&ids);

    return rc;
}


static const ctl_option_t  masterkey_rewrap_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


const ctl_command_t  ctl_masterkey_commands[] = {

    { "masterkey", "new", "FILE", "make a master key file (mode 0600)",
      "Does not overwrite a file. The gateway reads the file that the\n"
      "directive ampersand_master_key names; ampctl reads that of\n"
      "--master-key or AMPERSAND_MASTER_KEY_FILE, by default\n"
      CTL_MASTER_KEY_FILE ", whose directory is made if missing.\n"
      "For example:\n"
      "  ampctl masterkey new new.key",
      NULL, masterkey_new },

    { "masterkey", "rewrap", "", "seal all keys with the first master key",
      "To change the master key: configure both files in the gateways, the\n"
      "new one first; run this command with --master-key NEW --master-key\n"
      "OLD; then remove the old file from the gateways. An interrupted rewrap\n"
      "can be run again. For example:\n"
      "  ampctl masterkey rewrap --master-key new.key --master-key old.key",
      masterkey_rewrap_options, masterkey_rewrap },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
