/*
 * The checks of the gateways that live: their versions and clocks, and whether
 * they use addresses that DNS still names.
 */

#ifndef CTL_DOCTOR_GATEWAYS_H
#define CTL_DOCTOR_GATEWAYS_H


#include "doctor.h"


/*
 * Looks at each gateway in the registry, reads its status, and compares the
 * addresses that its nginx took when it started with those that its hosts have
 * now.  A gateway whose status this machine may not read is a warning.
 */

void doctor_gateways(doctor_t *doctor);


#endif /* CTL_DOCTOR_GATEWAYS_H */
