/*
 * Configuration: what http{}, server{} and location{} say.  Directives fill it,
 * ngx_http_ampersand_defaults.c creates and merges it.
 */

#ifndef NGX_HTTP_AMPERSAND_CONF_H
#define NGX_HTTP_AMPERSAND_CONF_H


#include "ngx_ampersand_random.h"
#include <ngx_http.h>
#include "cache/ngx_ampersand_cache_invalidate.h"
#include "cache/ngx_http_ampersand_cache_files.h"
#include "cache/ngx_http_ampersand_cache_lock.h"
#include "cache/ngx_http_ampersand_cache_memory.h"
#include "limit/ngx_ampersand_registry.h"
#include "limit/ngx_ampersand_usage_report.h"
#include "limit/ngx_http_ampersand_limit.h"
#include "limit/ngx_http_ampersand_limit_headers.h"
#include "tenant/ngx_ampersand_freeze.h"
#include "tenant/ngx_ampersand_last_use.h"
#include "tenant/ngx_ampersand_sample.h"
#include "tenant/ngx_http_ampersand_lookup.h"
#include "zone/ngx_ampersand_breaker.h"
#include "zone/ngx_ampersand_metrics.h"
#include "amp_identity.h"


#define NGX_HTTP_AMPERSAND_OFF  AMP_API_COUNT   /* ampersand off;             */
#define NGX_HTTP_AMPERSAND_ID   32              /* bytes of a request id      */


/* What a worker owns; made in init_process, see ngx_http_ampersand_worker.c. */

typedef struct {
    ngx_ampersand_redis_t            *redis;
    ngx_http_ampersand_lookups_t      lookups;
    ngx_http_ampersand_limits_t       limits;
    ngx_http_ampersand_policies_t     policies;
    ngx_ampersand_invalidator_t       invalidator;
    ngx_ampersand_registry_t          registry;
    ngx_ampersand_usage_reporter_t          usage;
    ngx_ampersand_freeze_t            freeze;
    ngx_ampersand_last_use_t          last_use;
    ngx_ampersand_sample_t            sample;
    ngx_http_ampersand_cache_lock_t   cache_lock;
    ngx_http_ampersand_cache_memory_t cache_memory;
    time_t                            logged;   /* see ngx_ampersand_log.h    */
    time_t                            answers_logged;
    ngx_ampersand_random_t            random;
    u_char                            id[NGX_HTTP_AMPERSAND_ID + 1];
                                                /* the last request's         */
} ngx_http_ampersand_worker_t;


/* An upstream without a block, and its own peer.init. */

typedef struct {
    ngx_http_upstream_srv_conf_t   *upstream;
    ngx_http_upstream_init_peer_pt  init;
} ngx_http_ampersand_implicit_t;


/* http{} */

typedef struct {
    ngx_shm_zone_t                 *shm_zone;
    ngx_ampersand_zone_t           *zone;
    ngx_ampersand_redis_conf_t     *redis_conf;
    amp_keyring_t                  *keyring;
    ngx_msec_t                      tenant_ttl;
    ngx_msec_t                      tenant_grace;
    ngx_http_ampersand_limit_conf_t limit;
    ngx_ampersand_metrics_t        *metrics;
    ngx_int_t                       status_tenants;
    ngx_uint_t                      used;       /* some location is a gateway */
    ngx_array_t                    *upstreams;  /* loc_confs, to be checked   */
    ngx_http_core_srv_conf_t       *status_server; /* of ampersand_status, or
                                                   NULL                       */
    ngx_str_t                       status_path;
    ngx_uint_t                      unresolved; /* an ampersand_server found no
                                                   resolver                   */
    ngx_array_t                     implicit;   /* ..._implicit_t             */
    ngx_array_t                    *logs;       /* see ..._log.h              */
    ngx_http_ampersand_cache_files_t  cache_files;
    ngx_str_t                       status_address; /* for the registry, or
                                                   empty                      */
    ngx_int_t                       otel_trace; /* indexes of $otel_trace_id, */
    ngx_int_t                       otel_span;  /* ... $otel_span_id; negative:
                                                   nothing defines them       */
    ngx_str_t                       gateways;   /* the file with their number */
    ngx_http_ampersand_worker_t    *worker;     /* NULL in the master         */
} ngx_http_ampersand_main_conf_t;


/* server{}; and upstream{}, since nginx gives each a srv_conf of its own */

typedef struct {
    ngx_uint_t                      gateway;    /* it has a gateway location  */
    ngx_uint_t                      rootless;   /* and no "root"              */
    ngx_http_upstream_init_peer_pt  init_peer;  /* the upstream{}'s own       */
    ngx_uint_t                      apis;       /* 1 << amp_api_e: those that
                                                   the upstream{} stands for  */
} ngx_http_ampersand_srv_conf_t;


/* A line of ampersand_cache_ttl. */

typedef struct {
    ngx_str_t                       name;       /* see amp_lifetime.h, or 404 */
    ngx_uint_t                      missing;    /* 404                        */
    time_t                          ttl;
} ngx_http_ampersand_ttl_t;


/* ampersand_identity */

typedef struct {
    ngx_http_complex_value_t        value;
    amp_identity_e                  kind;
    ngx_str_t                       claim;
} ngx_http_ampersand_identity_t;


/* location{} */

typedef struct {
    ngx_uint_t                      api;        /* amp_api_e or _OFF          */
    ngx_str_t                       upstream;   /* "https://name"; "https://"
                                                   before merging: the host   */
    ngx_str_t                       address;    /* of proxy_pass, as written  */
    size_t                          schema;     /* the length of "https://"   */
    ngx_str_t                       cache_key;  /* of proxy_cache_key         */
    ngx_uint_t                      memory;     /* hits may come out of memory*/
    ngx_http_upstream_srv_conf_t   *target;     /* the upstream{}             */
    ngx_ampersand_breaker_t        *breaker;    /* of target, in a worker;
                                                   NULL: never suspended      */
    ngx_http_upstream_conf_t       *confs[AMP_CLASS_COUNT + 1][2]; /* nginx's,
                                                   with the time-out of a class
                                                   or its own, and without or
                                                   with stale answers; in a
                                                   worker                     */
    ngx_http_ampersand_identity_t  *identity;
    ngx_array_t                    *cors;       /* ngx_str_t, origins; NULL:
                                                   off                        */
    ngx_flag_t                      observe;
    ngx_flag_t                      suspend;
    ngx_flag_t                      limit_hits;
    ngx_uint_t                      limit_headers;
    off_t                           body_max;
    ngx_array_t                    *ttls;       /* ngx_http_ampersand_ttl_t   */
    uint32_t                       *ttl;        /* by operation, seconds      */
    time_t                          ttl_missing; /* of a 404, 0: not stored   */
    time_t                          stale;      /* see cache_terms_t          */
    time_t                          stale_error;
    size_t                          skip;       /* bytes before the API's path,
                                                   see ..._location.h         */
    ngx_uint_t                      host;       /* which is that of its host  */
    ngx_uint_t                      own;        /* "ampersand" stands in it   */
    ngx_uint_t                      rewrites;   /* so does "rewrite", perhaps
                                                   in an "if"                 */
    void                          **settings;   /* of all modules, for this
                                                   location                   */
    u_char                         *file;       /* where "ampersand" stands   */
    ngx_uint_t                      line;
} ngx_http_ampersand_loc_conf_t;


extern ngx_module_t  ngx_http_ampersand_module;


#endif /* NGX_HTTP_AMPERSAND_CONF_H */
