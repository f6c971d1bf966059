/*
 * How a tenant record is written, for the files that change, add and remove
 * tenants.
 */

#ifndef CTL_TENANT_WRITE_H
#define CTL_TENANT_WRITE_H


#include "../core/amp_event.h"
#include "../core/amp_keys.h"
#include "../core/amp_tenant.h"
#include "store.h"


/* How often a command tries when others change the tenant at the same time. */

#define TENANT_TRIES  32

/* Room for amp_tenant_decode(). */

typedef union {
    uint64_t       aligned;
    unsigned char  bytes[AMP_TENANT_FLAT_MAX];
} tenant_flat_t;

/* The key and the arguments of the script that writes a record. */

typedef struct {
    amp_span_t      key;
    amp_span_t      args[4];
    unsigned char   key_buf[AMP_KEYS_MAX];
    unsigned char   channel_buf[AMP_KEYS_MAX];
    unsigned char   message_buf[AMP_EVENT_MAX];
} tenant_script_t;

/*
 * The script that writes the text of a record with revision rev, or deletes the
 * record when text is NULL, and publishes an event with rev.
 */

void tenant_script(store_t *store, amp_span_t id, const char *expected,
    const char *text, uint64_t rev, tenant_script_t *script);

/*
 * Runs it: 1, 0 when Redis has another revision than the expected, -1 with the
 * error filled.
 */

int tenant_write(store_t *store, ctl_error_t *error, amp_span_t id,
    const char *expected, const char *text, uint64_t rev);

/*
 * The record as text, with "rev" set, the caller's to free().  NULL with the
 * error filled when the gateway could not read it.
 */

char *tenant_text(ctl_error_t *error, amp_span_t id, json_t *record,
    uint64_t rev);

/* The clock of the Redis that holds the record, in milliseconds.  0, or -1. */

int tenant_time(store_t *store, ctl_error_t *error, amp_span_t id,
    uint64_t *now);

uint64_t tenant_rev(const json_t *record);

/* Fills the error for a tenant that others have changed TENANT_TRIES times. */

int tenant_conflict(ctl_error_t *error, amp_span_t id);

/* The line of the audit stream; before is a view already, or NULL. */

void tenant_audit(store_t *store, const char *change, amp_span_t id,
    const json_t *before, const json_t *record);


#endif /* CTL_TENANT_WRITE_H */
