/*
 * The commands of ampctl, one table for each noun.
 *
 * Includes and calls go one way, from a line to the lines below it:
 *
 *     ampctl             main(): the list of tables, then one command
 *     cmd_*              one noun each; doctor_* are the checks of "doctor",
 *                        config_* and schema what "config" does, explain_*
 *                        what "explain" does, repair* what "repair" does
 *     policy             "show" and "set" of limits, grants and cache lifetimes
 *     help, complete,    the texts of --help; completion in shells; the
 *     options, nearest   command line; "did you mean"
 *     command            what a command is given: options, store, master keys
 *     inventory          what "doctor" and "repair" find in Redis
 *     record_*, tenant_*, token_*, project_limit
 *                        the tenant record as JSON; tenants, tokens and limits
 *                        of projects in Redis
 *     ampersand, store   Ampersand's API; Redis
 *     route              the server that a command is sent to, then: sentinel,
 *                        cluster; nodes; connection; tls, fault
 *     secret, output     secrets from files; documents, tables, errors
 */

#ifndef CTL_AMPCTL_H
#define CTL_AMPCTL_H


#include "command.h"


extern const ctl_command_t  ctl_masterkey_commands[];
extern const ctl_command_t  ctl_tenant_commands[];
extern const ctl_command_t  ctl_token_commands[];
extern const ctl_command_t  ctl_identity_commands[];
extern const ctl_command_t  ctl_key_commands[];
extern const ctl_command_t  ctl_limit_commands[];
extern const ctl_command_t  ctl_grant_commands[];
extern const ctl_command_t  ctl_cache_commands[];
extern const ctl_command_t  ctl_audit_commands[];
extern const ctl_command_t  ctl_config_commands[];
extern const ctl_command_t  ctl_cooldown_commands[];
extern const ctl_command_t  ctl_freeze_commands[];
extern const ctl_command_t  ctl_thaw_commands[];
extern const ctl_command_t  ctl_gateway_commands[];
extern const ctl_command_t  ctl_top_commands[];
extern const ctl_command_t  ctl_events_commands[];
extern const ctl_command_t  ctl_operations_commands[];
extern const ctl_command_t  ctl_usage_commands[];
extern const ctl_command_t  ctl_explain_commands[];
extern const ctl_command_t  ctl_doctor_commands[];
extern const ctl_command_t  ctl_repair_commands[];
extern const ctl_command_t  ctl_completion_commands[];
extern const ctl_command_t  ctl_version_commands[];


#endif /* CTL_AMPCTL_H */
