/*
 * What the checks of ampctl doctor share.
 */

#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H


#include "ampctl.h"


#define DOCTOR_NAMES  5             /* tenants named in one line              */


typedef enum {
    DOCTOR_OK = 0,
    DOCTOR_WARN,
    DOCTOR_FAIL
} doctor_e;


/* Tenants with one thing amiss. */

typedef struct {
    unsigned  n;
    char      names[(AMP_TENANT_ID_MAX + 2) * DOCTOR_NAMES + 8];
} doctor_group_t;


typedef struct {
    ctl_t           *ctl;
    json_t          *checks;
    const char      *node;              /* of several, that is looked at      */
    doctor_e         worst;
    unsigned         reach:1;           /* something is out of reach          */
    unsigned         tenants;
    unsigned         opened;
    doctor_group_t   unreadable;
    doctor_group_t   keyless;
    doctor_group_t   tokenless;
    doctor_group_t   sealed;            /* active key does not open           */
} doctor_t;


/*
 * A line of the report.  One that says what another node's said already is
 * left out; one that is not ok begins with its node.
 */

void doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* A failed check, from the error of the last command. */

void doctor_error(doctor_t *doctor, const char *name);

/* Everything about Redis.  0 when tenants can be read, or -1. */

int doctor_redis(doctor_t *doctor);


#endif /* CTL_DOCTOR_H */
