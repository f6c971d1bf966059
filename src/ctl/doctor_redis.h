/*
 * The checks of Redis: how it is reached, then each server that takes writes.
 */

#ifndef CTL_DOCTOR_REDIS_H
#define CTL_DOCTOR_REDIS_H


#include "doctor.h"


/* 0 when tenants can be read, or -1. */

int doctor_redis(doctor_t *doctor);

/* Whether a server takes writes: a cluster's with slots, Sentinel's master. */

int doctor_redis_serves(doctor_t *doctor, unsigned node);


#endif /* CTL_DOCTOR_REDIS_H */
