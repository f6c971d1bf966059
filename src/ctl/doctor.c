/*
 * The report of ampctl doctor.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "record.h"
#include "rights.h"


static const char *const  doctor_words[] = { "ok", "warn", "fail" };

static const output_colour_e  doctor_colours[] = {
    OUTPUT_GREEN, OUTPUT_YELLOW, OUTPUT_RED
};


/* Whether the report has this line already, from another node. */

static int
doctor_has(const doctor_t *doctor, const char *name, const char *text)
{
    size_t   i;
    json_t  *check;

    json_array_foreach(doctor->checks, i, check) {
        if (strcmp(record_text(check, "check"), name) == 0
            && strcmp(record_text(check, "message"), text) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
doctor_add(doctor_t *doctor, const char *name, doctor_e state,
    const char *remedy, const char *fmt, ...)
{
    char     text[1024];
    size_t   len;
    json_t  *check;
    va_list  args;

    len = 0;

    if (doctor->node != NULL && state != DOCTOR_OK) {
        len = (size_t) snprintf(text, sizeof(text), "%s: ", doctor->node);
    }

    va_start(args, fmt);
    vsnprintf(text + len, sizeof(text) - len, fmt, args);
    va_end(args);

    if (doctor_has(doctor, name, text)) {
        return;
    }

    check = json_pack("{s:s, s:s, s:s, s:s}", "check", name,
                      "status", doctor_words[state], "message", text,
                      "remedy", state == DOCTOR_OK ? "" : remedy);
    if (check != NULL) {
        json_array_append_new(doctor->checks, check);
    }

    if (state > doctor->worst) {
        doctor->worst = state;
    }
}


void
doctor_error(doctor_t *doctor, const char *name)
{
    const char   *node;
    ctl_error_t  *error;

    error = &doctor->ctl->error;
    rights_remedy(doctor->ctl);

    /* the message of the error names the node already */

    node = doctor->node;
    doctor->node = NULL;

    doctor_add(doctor, name, DOCTOR_FAIL, error->remedy, "%s", error->message);

    doctor->node = node;

    if (error->exit == CTL_REACH) {
        doctor->reach = 1;
    }
}


static doctor_e
doctor_state(const char *word)
{
    doctor_e  state;

    for (state = DOCTOR_OK; state < DOCTOR_FAIL; state++) {
        if (strcmp(doctor_words[state], word) == 0) {
            break;
        }
    }

    return state;
}


int
doctor_report(doctor_t *doctor)
{
    size_t        i;
    json_t       *check;
    doctor_e      state;
    const char   *remedy;

    if (doctor->ctl->json) {
        output_json(json_pack("{s:b, s:o}", "ok", doctor->worst < DOCTOR_FAIL,
                              "checks", doctor->checks));

    } else {
        json_array_foreach(doctor->checks, i, check) {
            remedy = record_text(check, "remedy");

            state = doctor_state(record_text(check, "status"));
            output_word(doctor_words[state], doctor_colours[state]);

            output("%*s  %s: %s\n", 4 - (int) strlen(doctor_words[state]), "",
                   record_text(check, "check"), record_text(check, "message"));

            if (*remedy != '\0') {
                output("      %s\n", remedy);
            }
        }

        json_decref(doctor->checks);
    }

    return doctor->reach ? CTL_REACH
           : doctor->worst == DOCTOR_FAIL ? CTL_REFUSED : CTL_DONE;
}
