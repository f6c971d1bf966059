/*
 * Random bytes that nobody can guess, from OpenSSL; a worker takes many at
 * once, since each call costs more than the bytes.
 */

#ifndef NGX_AMPERSAND_RANDOM_H
#define NGX_AMPERSAND_RANDOM_H


#include "ngx_ampersand_compat.h"


#define NGX_AMPERSAND_RANDOM  768       /* bytes at once                      */


/* A worker's, zeroed: made after fork(), so that no two workers share bytes. */

typedef struct {
    size_t  left;
    u_char  bytes[NGX_AMPERSAND_RANDOM];
} ngx_ampersand_random_t;


/*
 * n random bytes, at most NGX_AMPERSAND_RANDOM, valid until the next call;
 * nobody gets them again.  NULL: OpenSSL has none.
 */

const u_char *ngx_ampersand_random(ngx_ampersand_random_t *random, size_t n);


#endif /* NGX_AMPERSAND_RANDOM_H */
