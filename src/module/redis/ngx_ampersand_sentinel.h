/*
 * Where the master is, from Sentinels.  One link asks, SENTINEL
 * GET-MASTER-ADDR-BY-NAME, and goes on to the next Sentinel when it fails; and
 * one to each Sentinel is subscribed to +switch-master: the one that is asked
 * may be cut off, together with a master that the others have replaced.  In a
 * fail-over that was ordered +promoted-slave comes up to a second earlier, and
 * all that time the old master takes writes that will be lost.
 *
 *   a link to the master connects   the Sentinel is asked; ROLE has to say
 *                                   "master" (the link's greeting)
 *   a message                       the links go where it says, and
 *                                   that Sentinel is asked from now on
 *   subscribed (again)              the Sentinel is asked: a message may have
 *                                   been missed; the links go where it says
 *   a Sentinel answers (again)      the links that wait try at once
 *
 * Sentinels that are out of reach do no harm while the master is there.
 */

#ifndef NGX_AMPERSAND_SENTINEL_H
#define NGX_AMPERSAND_SENTINEL_H


#include "ngx_ampersand_link.h"


#define NGX_AMPERSAND_SENTINEL_FOLLOWERS  2     /* commands and events        */


typedef struct ngx_ampersand_sentinel_s  ngx_ampersand_sentinel_t;


/* NULL without memory. */

ngx_ampersand_sentinel_t *ngx_ampersand_sentinel_create(
    ngx_ampersand_links_t *links);

/*
 * Makes a link to the master, as opts says but for locate and master, which
 * are set here.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_sentinel_follow(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts);

/* Closes its own links; those to the master have to be closed before. */

void ngx_ampersand_sentinel_close(ngx_ampersand_sentinel_t *sentinel);


#endif /* NGX_AMPERSAND_SENTINEL_H */
