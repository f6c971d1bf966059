/*
 * ampctl doctor: whether Redis, master key, tenants and Ampersand are as the
 * gateway needs them.  Each check adds lines to the report: ok, warn or fail,
 * what was found, what to do.
 */

#include <string.h>

#include "ampctl.h"
#include "doctor_gateways.h"
#include "doctor_redis.h"
#include "doctor_scan.h"
#include "doctor_tenants.h"
#include "doctor_upstream.h"


static void
doctor_master_key(doctor_t *doctor)
{
    amp_span_t  id;

    if (ctl_ring(doctor->ctl) == NULL) {
        doctor_error(doctor, "master key");
        return;
    }

    id = amp_keyring_id(doctor->ctl->ring, 0);

    doctor_add(doctor, "master key", DOCTOR_OK, "", "%.*s seals; master "
               "keys given: %u", (int) id.len, id.data,
               doctor->ctl->nmaster_keys);
}


static int
doctor_run(ctl_t *ctl)
{
    doctor_t  doctor;

    memset(&doctor, 0, sizeof(doctor));
    doctor.ctl = ctl;
    doctor.checks = json_array();

    doctor_master_key(&doctor);

    if (doctor_redis(&doctor) == 0) {
        doctor_tenants(&doctor);
        doctor_scan(&doctor);
        doctor_gateways(&doctor);
    }

    doctor_upstream(&doctor);

    return doctor_report(&doctor);
}


const ctl_command_t  ctl_doctor_commands[] = {

    { "doctor", NULL, "", "check Redis, master key, tenants and Ampersand",
      "Each check prints ok, warn or fail, and what to do. With warnings only\n"
      "the exit code is 0, so that a monitor can run it. For example:\n"
      "  ampctl doctor --json",
      NULL, doctor_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
