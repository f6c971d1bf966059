/*
 * Mends what is in Redis:
 *
 *   keys of another type   moved aside, see amp_keys_broken(): gateways make
 *                          limits, generations, usage and the registry anew,
 *                          the audit stream begins again, indexes are filled
 *                          as below
 *   tenant records         listed in the set of tenants; one under another
 *                          tenant's name is written under its own, if that is
 *                          free
 *   token records          listed in the index of their tenant
 *
 * A record of another type (tenant, token, what is frozen) stays where it is:
 * gateways serve what they knew before, until an operator decides.
 */

#ifndef CTL_REPAIR_H
#define CTL_REPAIR_H


#include "command.h"
#include "inventory.h"


typedef struct {
    ctl_t        *ctl;
    unsigned      dry;              /* find all, change nothing               */
    int64_t       now;              /* Unix seconds                           */
    inventory_t   inventory;

    json_t       *moved;            /* { key, type, expected, to, remedy }    */
    json_t       *renamed;          /* { tenant, found_as }                   */
    json_t       *tenants;          /* ids that are listed again              */
    json_t       *tokens;           /* ids that are listed again              */
    json_t       *left;             /* { key, type, expected, remedy }        */
} repair_t;


/*
 * Does all of it, in an order in which it can be killed and run again.  0, or
 * -1 with ctl->error filled.  repair_free() in any case.
 */

int repair(repair_t *repair);

void repair_free(repair_t *repair);

/*
 * The tokens that no index names, as a part of repair(); not those of tenants
 * without a record, which gateways refuse.
 */

int repair_tokens(repair_t *repair);


#endif /* CTL_REPAIR_H */
