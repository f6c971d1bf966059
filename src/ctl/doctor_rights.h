/*
 * The check of the ACL user: may it make each call that gateway and ampctl
 * make, on their keys and their channel.
 */

#ifndef CTL_DOCTOR_RIGHTS_H
#define CTL_DOCTOR_RIGHTS_H


#include "doctor.h"


/*
 * Checks the user at one server.  own: a key of the doctor's in a slot of this
 * server.  The connection may be subscribed afterwards, so it has to be closed.
 */

void doctor_rights(doctor_t *doctor, connection_t *c, amp_span_t own);


#endif /* CTL_DOCTOR_RIGHTS_H */
