/*
 * The address of the master, from Sentinels.
 *
 * One link asks a Sentinel (SENTINEL GET-MASTER-ADDR-BY-NAME), and the next
 * Sentinel when it fails.  Besides it there is a subscription to each Sentinel:
 * the Sentinel that is asked may be cut off from the others, together with a
 * master that the others have replaced.  The channels are +switch-master, and
 * +promoted-slave, which comes up to a second earlier in a fail-over that was
 * ordered: for that second the old master takes writes that are lost.
 *
 *   a link to the master connects   the Sentinel is asked; the server that it
 *                                   names has to answer "master" to ROLE (in
 *                                   the link's handshake)
 *   a message names a new master    the links are moved there, and the Sentinel
 *                                   that sent it is asked from now on
 *   a subscription is (again) up    the Sentinel is asked, since a message may
 *                                   have been missed; the links are moved where
 *                                   it says
 *   the Sentinel is (again) up      links that wait for their next attempt try
 *                                   at once
 *
 * While the master can be reached, Sentinels out of reach have no effect.
 */

#ifndef NGX_AMPERSAND_SENTINEL_H
#define NGX_AMPERSAND_SENTINEL_H


#include "ngx_ampersand_link.h"


#define NGX_AMPERSAND_SENTINEL_FOLLOWERS  2     /* commands and events        */


typedef struct ngx_ampersand_sentinel_s  ngx_ampersand_sentinel_t;


/*
 * Connects to the Sentinels of links->conf; links have to outlive the result.
 * NULL: no memory.
 */

ngx_ampersand_sentinel_t *ngx_ampersand_sentinel_create(
    ngx_ampersand_links_t *links);

/*
 * Makes a link to the master, with these options (copied) but for locate and
 * master, which are set here.  NGX_ERROR: no memory, or one link more than
 * NGX_AMPERSAND_SENTINEL_FOLLOWERS.
 */

ngx_int_t ngx_ampersand_sentinel_follow(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts);

/*
 * Closes the links to the Sentinels and frees all.  The links to the master
 * belong to the caller, who has to close them before.
 */

void ngx_ampersand_sentinel_close(ngx_ampersand_sentinel_t *sentinel);


#endif /* NGX_AMPERSAND_SENTINEL_H */
