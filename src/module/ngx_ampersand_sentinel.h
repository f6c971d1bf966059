/*
 * Where the master is, from Sentinels.  Two links to the same Sentinel: one
 * answers SENTINEL GET-MASTER-ADDR-BY-NAME, one is subscribed to
 * +switch-master.  When one of them fails both go on to the next Sentinel.
 *
 *   a link to the master connects   the Sentinel is asked; ROLE has to say
 *                                   "master" (the link's greeting)
 *   +switch-master                  the links go where the message says
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
    ngx_ampersand_redis_conf_t *conf, ngx_log_t *log,
    ngx_ampersand_redis_counters_t *counters);

/*
 * Makes a link to the master, as opts says but for locate and master, which
 * are set here.  NGX_ERROR: no memory.
 */

ngx_int_t ngx_ampersand_sentinel_follow(ngx_ampersand_sentinel_t *sentinel,
    ngx_ampersand_link_t **link, ngx_ampersand_link_opts_t *opts);

/* Closes its own links; those to the master have to be closed before. */

void ngx_ampersand_sentinel_close(ngx_ampersand_sentinel_t *sentinel);


#endif /* NGX_AMPERSAND_SENTINEL_H */
