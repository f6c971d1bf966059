/*
 * ampctl config: all tenants as a file.
 */

#include "ampctl.h"
#include "config_export.h"
#include "config_import.h"


const ctl_command_t  ctl_config_commands[] = {

    { "config", "export", "[FILE]", "write all tenants and tokens to a file",
      "The file has no secret in plain text: digests of tokens, and keys as a\n"
      "master key has sealed them. It is for backups, for review and for\n"
      "ampctl config import. For example:\n"
      "  ampctl config export tenants.json",
      NULL, config_export },

    { "config", "import", "FILE", "make tenants and tokens as a file says",
      "Adds what is missing, and changes what differs; what the file does\n"
      "not name stays, unless --prune is given. All of the file is checked\n"
      "first: a mistake changes nothing. An import that was interrupted can\n"
      "be run again. Keys of another master key are sealed anew where both\n"
      "are given:\n"
      "--master-key NEW --master-key OLD. For example:\n"
      "  ampctl config import tenants.json --prune --dry-run\n"
      "\n"
      "--replay LOG tries a change of policy on the requests of an access log\n"
      "in the format of ampersand/log.conf. Exit code 1: some would newly\n"
      "fail. Limits, and what the log does not have, are not tried:\n"
      "  ampctl config import tenants.json --replay access.log",
      config_import_options, config_import },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
