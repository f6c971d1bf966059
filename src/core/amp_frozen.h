/*
 * What is frozen: the classes of operations that the gateways refuse for a
 * while, of one tenant or of all.  A set of bits, 1 << amp_class_e.
 *
 * In a tenant record it is "frozen", an array of classes.  That of all tenants
 * is a record of its own, amp:frozen:
 *   { "v": 1, "rev": 1796000000000, "classes": [ "write" ] }
 */

#ifndef AMP_FROZEN_H
#define AMP_FROZEN_H


#include "amp_operations.h"


#define AMP_FROZEN_ALL  ((1u << AMP_CLASS_COUNT) - 1)

struct json_t;

/*
 * Reads an array of classes, or NULL, which is none.  0 with *classes filled,
 * or -1 when it is no array of strings.  A class that is unknown is passed
 * over: a newer ampctl has written it.
 */

int amp_frozen_read(const struct json_t *list, unsigned *classes);

/* Decodes the record of all tenants: 0 with *classes filled, or -1. */

int amp_frozen_decode(amp_span_t json, unsigned *classes);

/* Appends the array. */

void amp_frozen_write(unsigned classes, amp_buf_t *out);


#endif /* AMP_FROZEN_H */
