/*
 * Where Redis is, as text:
 *
 *   redis://[user[:password]@]host[:port][/db]
 *   unix:PATH[?db=N]
 */

#ifndef CTL_REDIS_URL_H
#define CTL_REDIS_URL_H


#include "output.h"


#define REDIS_URL_TEXT  256


typedef struct {
    int       port;
    unsigned  db;
    char      host[REDIS_URL_TEXT];     /* empty for a socket                 */
    char      path[REDIS_URL_TEXT];     /* of the socket                      */
    char      user[REDIS_URL_TEXT];
    char      password[REDIS_URL_TEXT]; /* the caller's to wipe               */
    char      shown[REDIS_URL_TEXT * 2];    /* the same without credentials   */
} redis_url_t;


/*
 * 0, or -1 with the error filled.  The error never repeats the text: it may
 * hold a password.
 */

int redis_url_parse(const char *text, redis_url_t *url, ctl_error_t *error);


#endif /* CTL_REDIS_URL_H */
