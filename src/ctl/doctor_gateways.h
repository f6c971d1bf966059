/*
 * The check of the gateways that live: do they use addresses that DNS still
 * names?
 */

#ifndef CTL_DOCTOR_GATEWAYS_H
#define CTL_DOCTOR_GATEWAYS_H


#include "doctor.h"


/*
 * Reads the status of each gateway in the registry, and compares the addresses
 * that its nginx took when it started with those that its hosts have now.  A
 * gateway whose status this machine may not read is a warning.
 */

void doctor_gateways(doctor_t *doctor);


#endif /* CTL_DOCTOR_GATEWAYS_H */
