/*
 * The status of all gateways that live, each read again with each call.
 */

#ifndef CTL_TOP_READ_H
#define CTL_TOP_READ_H


#include "store.h"


#define TOP_MINUTE  60              /* seconds of history that are read       */


typedef struct {
    json_t       *record;           /* of the registry                        */
    json_t       *answers;          /* of its status, oldest first, of the
                                       last minute; the last has its history  */
    int64_t       again;            /* when it is asked again                 */
    char          why[256];         /* why it could not be read, or ""        */
    char          remedy[256];
} top_gateway_t;


typedef struct {
    top_gateway_t  *list;           /* in the order of their ids              */
    size_t          n;
} top_gateways_t;


/*
 * Finds the gateways in the registry and reads the status of each; timeout is
 * that of one, in ms.  One that could not be read has answers as before, and a
 * reason.  0, or -1 with the error filled: the registry cannot be read, and the
 * gateways are those of before.
 */

int top_read(top_gateways_t *gateways, store_t *store, unsigned timeout,
    ctl_error_t *error);

void top_read_free(top_gateways_t *gateways);


#endif /* CTL_TOP_READ_H */
