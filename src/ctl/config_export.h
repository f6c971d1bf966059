/*
 * ampctl config export: all tenants as one document.
 */

#ifndef CTL_CONFIG_EXPORT_H
#define CTL_CONFIG_EXPORT_H


#include "command.h"


/* The command's run(). */

int config_export(ctl_t *ctl);


#endif /* CTL_CONFIG_EXPORT_H */
