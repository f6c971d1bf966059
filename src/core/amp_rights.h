/*
 * The rights that gateway and ampctl need in Redis: commands, and the keys and
 * the channel that they are used on.  One list: the rules of the ACL user, what
 * ampctl doctor tries, and the line in docs/redis.md are made of it.
 */

#ifndef AMP_RIGHTS_H
#define AMP_RIGHTS_H


#include "amp_span.h"


#define AMP_RIGHTS_ACL_MAX   768    /* bytes of the rules, and the user's     */
#define AMP_RIGHTS_CALL_MAX  256    /* bytes of a call                        */


/* What a command is used on: families of keys, or the channel; a bit set. */

typedef enum {
    AMP_RIGHTS_TOKEN = 0,
    AMP_RIGHTS_TOKENS,
    AMP_RIGHTS_TENANT,
    AMP_RIGHTS_TENANTS,
    AMP_RIGHTS_GEN,
    AMP_RIGHTS_LIMIT,
    AMP_RIGHTS_COOLDOWN,
    AMP_RIGHTS_GATEWAY,
    AMP_RIGHTS_GATEWAYS,
    AMP_RIGHTS_AUDIT,
    AMP_RIGHTS_USAGE,
    AMP_RIGHTS_USED,
    AMP_RIGHTS_FROZEN,
    AMP_RIGHTS_DOCTOR,
    AMP_RIGHTS_EVENTS,              /* the channel                            */
    AMP_RIGHTS_NAMES
} amp_rights_name_e;


/* Where a command is needed; 0: everywhere. */

#define AMP_RIGHTS_CLUSTER   0x1
#define AMP_RIGHTS_SENTINEL  0x2
#define AMP_RIGHTS_DATABASE  0x4    /* with a database in the URL             */


typedef struct {
    const char  *command;           /* as ACL SETUSER takes it: "get",
                                       "cluster|slots"                        */
    const char  *arguments;         /* of a call that changes nothing, or only
                                       the key of the doctor; "%" is the name */
    unsigned     names;             /* 1 << amp_rights_name_e, or 0           */
    unsigned     where;
} amp_right_t;


/* All rights, in the order of the alphabet. */

const amp_right_t *amp_rights(size_t *n);

/*
 * Appends a call of the command: words with one blank between them, such as
 * "GET amp:token:doctor".  name is one of right->names, or AMP_RIGHTS_NAMES for
 * a command without one.  node replaces the family "doctor": a key of
 * the node that is asked, empty for any.
 */

void amp_rights_call(const amp_right_t *right, amp_rights_name_e name,
    amp_span_t prefix, amp_span_t node, amp_buf_t *out);

/* Appends a family of keys, "amp:token:*", or the channel. */

void amp_rights_name(amp_rights_name_e name, amp_span_t prefix,
    amp_buf_t *out);

/*
 * Appends the command that gives a user all rights: "ACL SETUSER <user>
 * ~<prefix>* &<prefix>events +get ...".  (Redis 6.0 has no rules for channels.)
 */

void amp_rights_acl(amp_span_t user, amp_span_t prefix, amp_buf_t *out);


#endif /* AMP_RIGHTS_H */
