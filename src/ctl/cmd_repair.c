/*
 * ampctl repair: mends what ampctl doctor finds in Redis.
 */

#include <string.h>

#include "ampctl.h"
#include "record.h"
#include "repair.h"


static void
repair_print(const repair_t *repair)
{
    size_t       i;
    json_t      *entry;
    const char  *would;

    would = repair->dry ? "would be " : "";

    json_array_foreach(repair->moved, i, entry) {
        output("%smoved aside: %s, a %s and not a %s, to %s\n", would,
               record_text(entry, "key"), record_text(entry, "type"),
               record_text(entry, "expected"), record_text(entry, "to"));

        if (*record_text(entry, "remedy") != '\0') {
            output("  %s\n", record_text(entry, "remedy"));
        }
    }

    json_array_foreach(repair->renamed, i, entry) {
        output("%srenamed back: tenant %s, whose record was found as that of "
               "%s\n", would, record_text(entry, "tenant"),
               record_text(entry, "found_as"));
    }

    json_array_foreach(repair->tenants, i, entry) {
        output("%slisted again: tenant %s\n", would, json_string_value(entry));
    }

    json_array_foreach(repair->tokens, i, entry) {
        output("%slisted again: token %s\n", would, json_string_value(entry));
    }

    json_array_foreach(repair->left, i, entry) {
        output("left: %s, a %s and not a %s\n  %s\n",
               record_text(entry, "key"), record_text(entry, "type"),
               record_text(entry, "expected"), record_text(entry, "remedy"));
    }

    if (json_array_size(repair->moved) != 0 && !repair->dry) {
        output("look at what was moved aside, then delete it (redis-cli "
               "UNLINK KEY)\n");
    }

    if (json_array_size(repair->moved) + json_array_size(repair->renamed)
        + json_array_size(repair->tenants) + json_array_size(repair->tokens)
        + json_array_size(repair->left) == 0)
    {
        output("there is nothing to repair\n");
    }
}


static int
repair_run(ctl_t *ctl)
{
    int       rc;
    repair_t  state;

    if (ctl_store(ctl) == NULL) {
        return -1;
    }

    memset(&state, 0, sizeof(state));
    state.ctl = ctl;
    state.dry = (unsigned) ctl_dry_run(ctl);

    rc = repair(&state);

    if (rc == 0) {
        rc = json_array_size(state.left) != 0 ? CTL_REFUSED : CTL_DONE;

        if (ctl->json) {
            (void) output_json(json_pack("{s:b, s:O, s:O, s:O, s:O, s:O}",
                                         "dry_run", (int) state.dry,
                                         "moved", state.moved,
                                         "renamed", state.renamed,
                                         "tenants", state.tenants,
                                         "tokens", state.tokens,
                                         "left", state.left));
        } else {
            repair_print(&state);
        }
    }

    repair_free(&state);

    return rc;
}


static const ctl_option_t  repair_options[] = {
    CTL_OPTION_DRY_RUN,
    { 0, NULL, NULL, NULL, 0 }
};


const ctl_command_t  ctl_repair_commands[] = {

    { "repair", NULL, "", "mend the keys in Redis that doctor names",
      "Moves keys of another type aside, lists tenants and tokens again that\n"
      "no index names, and takes back a tenant's record that stands under the\n"
      "name of another one. Records of another type are left, with what to\n"
      "do, and the exit code is 1. For example:\n"
      "  ampctl repair --dry-run",
      repair_options, repair_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
