/*
 * The version of the module, of ampctl and of the package.
 */

#ifndef AMP_VERSION_H
#define AMP_VERSION_H


#define AMP_VERSION  "0.1.0"


#endif /* AMP_VERSION_H */
