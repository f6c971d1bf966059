/*
 * The checks of the way to Ampersand: DNS, connections and TLS.
 */

#ifndef CTL_DOCTOR_UPSTREAM_H
#define CTL_DOCTOR_UPSTREAM_H


#include "doctor.h"


/*
 * Connects to the host of each API as a gateway does, or to --upstream in its
 * place, and asks Ampersand once.  All connections are tried at the same time,
 * within --timeout.
 */

void doctor_upstream(doctor_t *doctor);


#endif /* CTL_DOCTOR_UPSTREAM_H */
