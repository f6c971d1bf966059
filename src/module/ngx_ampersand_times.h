/*
 * Where the time of a request goes.  A request is in one part at a time; what
 * passes between two changes is the time of the part that ends.
 *
 * The clock is monotonic, and finer than nginx's own, which stands still while
 * a worker handles events and has milliseconds.
 */

#ifndef NGX_AMPERSAND_TIMES_H
#define NGX_AMPERSAND_TIMES_H


#include "ngx_ampersand_compat.h"


typedef enum {
    NGX_AMPERSAND_IN_GATEWAY = 0,  /* the gateway works                  */
    NGX_AMPERSAND_IN_UPSTREAM,     /* until the head of the answer       */
    NGX_AMPERSAND_IN_LOOKUP,       /* waits for a tenant's record        */
    NGX_AMPERSAND_IN_LEASE,        /* waits for units of a limit         */
    NGX_AMPERSAND_IN_COLD_KEY,     /* waits for another request's answer */
    NGX_AMPERSAND_IN_PARTS,        /* the parts that are measured        */
    NGX_AMPERSAND_IN_BODY,         /* the client sends the body          */
    NGX_AMPERSAND_IN_ANSWER        /* the client reads the answer        */
} ngx_ampersand_part_e;


typedef struct {
    uint64_t                   since;   /* us, of the clock                   */
    ngx_ampersand_part_e  part;
    ngx_uint_t                 seen;    /* 1 << part: it was in it            */
    uint64_t                   spent[NGX_AMPERSAND_IN_ANSWER]; /* us    */
} ngx_ampersand_times_t;


/* The clock. */

uint64_t ngx_ampersand_times_now(void);

/* Begins in IN_GATEWAY; *times is zeroed. */

void ngx_ampersand_times_begin(ngx_ampersand_times_t *times);

/* Ends the part, and begins the next one. */

void ngx_ampersand_times_enter(ngx_ampersand_times_t *times,
    ngx_ampersand_part_e part);


#endif /* NGX_AMPERSAND_TIMES_H */
