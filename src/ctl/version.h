/*
 * The version of ampctl, also that of the package.
 */

#ifndef CTL_VERSION_H
#define CTL_VERSION_H


#define AMPCTL_VERSION  "0.1.0"


#endif /* CTL_VERSION_H */
