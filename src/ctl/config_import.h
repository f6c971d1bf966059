/*
 * ampctl config import: makes tenants and tokens as a document says.
 */

#ifndef CTL_CONFIG_IMPORT_H
#define CTL_CONFIG_IMPORT_H


#include "command.h"


extern const ctl_option_t  config_import_options[];

/* The command's run(). */

int config_import(ctl_t *ctl);


#endif /* CTL_CONFIG_IMPORT_H */
