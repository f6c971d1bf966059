/*
 * The checks of Redis: how it is reached, then each server that takes writes.
 */

#ifndef CTL_DOCTOR_REDIS_H
#define CTL_DOCTOR_REDIS_H


#include "doctor.h"


/* 0 when tenants can be read, or -1. */

int doctor_redis(doctor_t *doctor);


#endif /* CTL_DOCTOR_REDIS_H */
