/*
 * A tenant of the document of ampctl config, and its record and tokens in
 * Redis.
 */

#ifndef CTL_CONFIG_RECORD_H
#define CTL_CONFIG_RECORD_H


#include "command.h"
#include "schema.h"
#include "token_store.h"


/*
 * The tenant of the document that a record and its tokens (an array as in the
 * document) make; tokens is taken over.  The caller's to release.
 */

json_t *config_tenant(const json_t *record, json_t *tokens);

/*
 * The tokens of n tenants, at most TENANT_BATCH, each an array as in the
 * document, the caller's to release; without those that have expired.  0, or -1
 * with ctl->error filled.
 */

int config_tokens(ctl_t *ctl, char *const *ids, size_t n, json_t **tokens);

/*
 * Changes a record to what a tenant of the document says.  What the document
 * leaves out stays as it is, or with prune becomes what it is in a new tenant.
 * Without a list of keys they stay in any case; a key that is not in the list
 * is retired, or with prune dropped.  directory: of the files of keys.  0, or
 * -1 with the fault set.
 */

int config_merge(ctl_t *ctl, const json_t *tenant, const char *directory,
    unsigned prune, json_t *record, schema_fault_t *fault);

/*
 * A token of the document; the texts stay the document's, but the caller has to
 * free() the one in *scope.
 */

void config_token(const json_t *token, const char *tenant,
    amp_token_record_t *record, char **scope);


#endif /* CTL_CONFIG_RECORD_H */
