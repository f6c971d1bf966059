/*
 * ampctl: the command-line tool of the gateway.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/amp_tenant.h"
#include "ampctl.h"
#include "options.h"
#include "secret.h"
#include "tenant_store.h"


const ctl_command_t *const  ctl_commands[] = {
    ctl_masterkey_commands,
    ctl_tenant_commands,
    ctl_token_commands,
    ctl_key_commands,
    ctl_limit_commands,
    ctl_grant_commands,
    ctl_cache_commands,
    ctl_operations_commands,
    ctl_doctor_commands,
    NULL
};


const char *
ctl_value(const ctl_t *ctl, int id)
{
    unsigned  i;

    i = 0;

    return ctl_value_next(ctl, id, &i);
}


const char *
ctl_value_next(const ctl_t *ctl, int id, unsigned *i)
{
    while (*i < ctl->nvalues) {
        if (ctl->values[(*i)++].id == id) {
            return ctl->values[*i - 1].text;
        }
    }

    return NULL;
}


store_t *
ctl_store(ctl_t *ctl)
{
    store_options_t  options;

    if (ctl->store == NULL) {
        options.url = ctl->redis;
        options.password_file = ctl->redis_password_file;
        options.tls = ctl->redis_tls;
        options.prefix = ctl->prefix;
        options.timeout = ctl->timeout;

        ctl->store = store_open(&options, &ctl->error);
    }

    return ctl->store;
}


amp_keyring_t *
ctl_ring(ctl_t *ctl)
{
    unsigned        i;
    amp_keyring_t  *ring;

    if (ctl->ring != NULL) {
        return ctl->ring;
    }

    if (ctl->nmaster_keys == 0) {
        ctl_error(&ctl->error, CTL_USAGE, "usage",
                  "no master key file: \"" CTL_MASTER_KEY_FILE "\" does not "
                  "exist, and neither --master-key nor "
                  "AMPERSAND_MASTER_KEY_FILE names a file");
        ctl_remedy(&ctl->error, "name the gateway's master key file with "
                   "--master-key; for a new gateway, make one: ampctl "
                   "masterkey new " CTL_MASTER_KEY_FILE);
        return NULL;
    }

    ring = amp_keyring_create();
    if (ring == NULL) {
        ctl_error(&ctl->error, CTL_REFUSED, "no_cipher",
                  "OpenSSL has no AES-256-GCM");
        return NULL;
    }

    for (i = 0; i < ctl->nmaster_keys; i++) {
        if (secret_master_key(ring, ctl->master_keys[i], &ctl->error) != 0) {
            amp_keyring_free(ring);
            return NULL;
        }
    }

    ctl->ring = ring;

    return ring;
}


int
ctl_tenant_id(ctl_t *ctl, amp_span_t *id)
{
    *id = ctl_span(ctl->args[0]);

    if (amp_tenant_id_valid(*id)) {
        return 0;
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%s\" is no tenant id",
              ctl->args[0]);

    return ctl_remedy(&ctl->error, "give 1 to %d of A-Z a-z 0-9 . _ -, a "
                      "letter or digit first, e.g. acme or team-7",
                      AMP_TENANT_ID_MAX);
}


json_t *
ctl_tenant_record(ctl_t *ctl, amp_span_t *id)
{
    int      rc;
    json_t  *record;

    if (ctl_tenant_id(ctl, id) != 0 || ctl_store(ctl) == NULL) {
        return NULL;
    }

    rc = tenant_load(ctl->store, &ctl->error, *id, &record);
    if (rc == 1) {
        return record;
    }

    if (rc == 0) {
        (void) ctl_no_tenant(ctl, *id);
    }

    return NULL;
}


int
ctl_no_tenant(ctl_t *ctl, amp_span_t id)
{
    ctl_error(&ctl->error, CTL_REFUSED, "not_found", "there is no tenant "
              "\"%.*s\"", (int) id.len, id.data);

    return ctl_remedy(&ctl->error, "ampctl tenant list shows those there are; "
                      "ampctl tenant add makes one");
}


static int
ctl_print(ctl_t *ctl, const char *name, const char *text)
{
    if (ctl->json) {
        return output_json(json_pack("{s:s}", name, text));
    }

    fputs(text, stdout);

    return CTL_DONE;
}


static int
ctl_run(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    char        *help;
    const char  *noun;

    switch (options_read(ctl, argc, argv, &noun)) {

    case OPTIONS_RUN:
        return ctl->command->run(ctl);

    case OPTIONS_HELP:
        help = options_help(ctl->command, noun);
        rc = ctl_print(ctl, "help", help);
        free(help);
        return rc;

    case OPTIONS_VERSION:
        return ctl_print(ctl, "version", ctl->json ? AMPCTL_VERSION
                         : "ampctl " AMPCTL_VERSION "\n");

    default:
        return -1;
    }
}


int
main(int argc, char **argv)
{
    int    rc;
    ctl_t  ctl;

    /* a peer that hangs up is an answer to a write, not the end of us */

    signal(SIGPIPE, SIG_IGN);

    memset(&ctl, 0, sizeof(ctl));

    rc = ctl_run(&ctl, argc, argv);
    if (rc == -1) {
        rc = output_error(&ctl.error, ctl.json);
    }

    store_close(ctl.store);
    amp_keyring_free(ctl.ring);
    free(ctl.values);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ampctl: the answer could not be written to standard "
                "output\n");
        return rc == CTL_DONE ? CTL_REFUSED : rc;
    }

    return rc;
}
