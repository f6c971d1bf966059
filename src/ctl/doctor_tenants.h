/*
 * The checks of all tenants: records, keys and tokens.
 */

#ifndef CTL_DOCTOR_TENANTS_H
#define CTL_DOCTOR_TENANTS_H


#include "doctor.h"


/* Needs ctl->store; opens the tenants' keys when ctl->ring is set. */

void doctor_tenants(doctor_t *doctor);


#endif /* CTL_DOCTOR_TENANTS_H */
