/*
 * ampctl: the command-line tool of the gateway.
 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/amp_version.h"
#include "ampctl.h"
#include "complete.h"
#include "help.h"
#include "options.h"
#include "rights.h"


static const ctl_command_t *const  commands[] = {
    ctl_masterkey_commands,
    ctl_tenant_commands,
    ctl_token_commands,
    ctl_identity_commands,
    ctl_key_commands,
    ctl_limit_commands,
    ctl_grant_commands,
    ctl_cache_commands,
    ctl_audit_commands,
    ctl_config_commands,
    ctl_cooldown_commands,
    ctl_freeze_commands,
    ctl_thaw_commands,
    ctl_gateway_commands,
    ctl_top_commands,
    ctl_events_commands,
    ctl_operations_commands,
    ctl_usage_commands,
    ctl_explain_commands,
    ctl_doctor_commands,
    ctl_repair_commands,
    ctl_completion_commands,
    ctl_version_commands,
    NULL
};


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

    switch (options_read(ctl, commands, argc, argv, &noun)) {

    case OPTIONS_RUN:
        return ctl->command->run(ctl);

    case OPTIONS_HELP:
        help = help_text(commands, ctl->command, noun);
        rc = ctl_print(ctl, "help", help);
        free(help);
        return rc;

    case OPTIONS_VERSION:
        return ctl_print(ctl, "version", ctl->json ? AMP_VERSION
                         : "ampctl " AMP_VERSION "\n");

    default:
        return -1;
    }
}


/* Whether standard output is a pipe that nobody reads any more: "| head". */

static int
ctl_reader_left(void)
{
    struct pollfd  out;

    out.fd = STDOUT_FILENO;
    out.events = POLLOUT;

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}


int
main(int argc, char **argv)
{
    int    rc;
    ctl_t  ctl;

    /* a write to a closed connection is to fail, not to end the process */

    signal(SIGPIPE, SIG_IGN);

    memset(&ctl, 0, sizeof(ctl));

    if (argc > 1 && strcmp(argv[1], COMPLETE_COMMAND) == 0) {
        return complete_words(commands, (unsigned) argc - 2, argv + 2);
    }

    rc = ctl_run(&ctl, argc, argv);
    if (rc == -1) {
        rights_remedy(&ctl);
        rc = output_error(&ctl.error, ctl.json);
    }

    store_close(ctl.store);
    amp_keyring_free(ctl.ring);
    json_decref(ctl.before);
    json_decref(ctl.after);
    free(ctl.values);

    if ((fflush(stdout) != 0 || ferror(stdout)) && !ctl_reader_left()) {
        fprintf(stderr, "ampctl: writing to standard output failed\n"
                "  check the disk, or the program that reads the output; the "
                "command itself was run\n");
        return rc == CTL_DONE ? CTL_REFUSED : rc;
    }

    return rc;
}
