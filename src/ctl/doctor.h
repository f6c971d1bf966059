/*
 * The report of ampctl doctor, to which each check adds lines.
 */

#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H


#include "command.h"


typedef enum {
    DOCTOR_OK = 0,
    DOCTOR_WARN,
    DOCTOR_FAIL
} doctor_e;


typedef struct {
    ctl_t       *ctl;
    json_t      *checks;
    const char  *node;              /* the node that is checked, when Redis
                                       has several; else NULL                 */
    doctor_e     worst;
    unsigned     reach:1;           /* Redis or Ampersand is out of reach     */
} doctor_t;


/*
 * Adds a line; remedy is left out when the state is DOCTOR_OK.  A line that is
 * not ok begins with the node.  A line that repeats an earlier one, of another
 * node, is left out.
 */

void doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds a failed check with the message and remedy of ctl->error. */

void doctor_error(doctor_t *doctor, const char *name);

/* Prints the report, releases the checks and returns the exit code. */

int doctor_report(doctor_t *doctor);


#endif /* CTL_DOCTOR_H */
