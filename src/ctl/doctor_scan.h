/*
 * The check of what is in Redis: keys of another type, and records that no
 * index names.
 */

#ifndef CTL_DOCTOR_SCAN_H
#define CTL_DOCTOR_SCAN_H


#include "doctor.h"


/*
 * Looks for keys of another type than their name says, and for tenant records
 * that the set of tenants does not name: ampctl tenant list does not show them,
 * and their tokens are valid.  Looks at the keys of a
 * server for as long as one command may take (--timeout), and says so where
 * there are more.
 */

void doctor_scan(doctor_t *doctor);


#endif /* CTL_DOCTOR_SCAN_H */
