#include "ngx_http_ampersand_ready.h"
#include "ngx_http_ampersand_text.h"
#include "request/ngx_http_ampersand_conf.h"
#include "zone/ngx_ampersand_records.h"
#include "amp_tenant_key.h"


#define NGX_HTTP_AMPERSAND_READY_KNOWN  8   /* records of the zone, tried     */
#define NGX_HTTP_AMPERSAND_READY_SIZE   512


/* A request that waits for a sample. */

typedef struct {
    ngx_http_request_t           *request;
    ngx_ampersand_sample_wait_t   wait;
    ngx_uint_t                    waits;
} ngx_http_ampersand_ready_t;


static ngx_int_t ngx_http_ampersand_ready_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ampersand_ready_known(
    ngx_http_ampersand_main_conf_t *amcf);
static ngx_uint_t ngx_http_ampersand_ready_redis(
    ngx_http_ampersand_main_conf_t *amcf);
static ngx_int_t ngx_http_ampersand_ready_wait(ngx_http_request_t *r,
    ngx_http_ampersand_main_conf_t *amcf);
static void ngx_http_ampersand_ready_leave(void *data);
static void ngx_http_ampersand_ready_sampled(void *data);
static ngx_int_t ngx_http_ampersand_ready_state(ngx_http_request_t *r,
    ngx_ampersand_sample_e state);
static ngx_int_t ngx_http_ampersand_ready_send(ngx_http_request_t *r,
    amp_reason_e reason);


char *
ngx_http_ampersand_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_ampersand_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ampersand_module);

    if (amcf->zone == NULL) {
        return "needs \"ampersand_zone 16m;\" before it, in http{}";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ampersand_ready_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ampersand_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_ampersand_sample_e           state;
    ngx_http_ampersand_main_conf_t  *amcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    /* without a gateway location there is no Redis, and nobody to be served */

    if (amcf->worker == NULL) {
        return ngx_http_ampersand_ready_send(r, AMP_STORE_DOWN);
    }

    if (ngx_http_ampersand_ready_known(amcf)) {
        return ngx_http_ampersand_ready_send(r, AMP_OK);
    }

    if (!ngx_http_ampersand_ready_redis(amcf)) {
        return ngx_http_ampersand_ready_send(r, AMP_STORE_DOWN);
    }

    state = ngx_ampersand_sample_state(&amcf->worker->sample);

    if (state != NGX_AMPERSAND_SAMPLE_UNKNOWN) {
        return ngx_http_ampersand_ready_state(r, state);
    }

    return ngx_http_ampersand_ready_wait(r, amcf);
}


/* Whether a tenant in the zone may be served, and its key opens. */

static ngx_uint_t
ngx_http_ampersand_ready_known(ngx_http_ampersand_main_conf_t *amcf)
{
    uint64_t       flat[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];
    ngx_uint_t     i;
    amp_tenant_t  *tenant;

    tenant = (amp_tenant_t *) flat;

    for (i = 0; i < NGX_HTTP_AMPERSAND_READY_KNOWN; i++) {

        if (ngx_ampersand_records_recent(amcf->zone, i, tenant) != NGX_OK) {
            break;
        }

        if (amp_tenant_key_opens(amcf->keyring, tenant)) {
            return 1;
        }
    }

    return 0;
}


/* Whether any worker has its link; a cluster may have lost a part. */

static ngx_uint_t
ngx_http_ampersand_ready_redis(ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_uint_t                 i, max;
    ngx_core_conf_t           *ccf;
    ngx_ampersand_counters_t  *counters;

    counters = ngx_ampersand_zone_counters(amcf->zone);

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);
    max = ngx_min((ngx_uint_t) ccf->worker_processes, NGX_AMPERSAND_WORKERS);

    for (i = 0; i < max; i++) {
        if (counters->up[i] == NGX_AMPERSAND_REDIS_UP
            || (counters->up[i] == NGX_AMPERSAND_REDIS_DEGRADED
                && amcf->redis_conf->form == AMP_REDIS_CLUSTER))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_ampersand_ready_wait(ngx_http_request_t *r,
    ngx_http_ampersand_main_conf_t *amcf)
{
    ngx_http_cleanup_t          *cln;
    ngx_http_ampersand_ready_t  *ready;

    cln = ngx_http_cleanup_add(r, sizeof(*ready));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ready = cln->data;
    ready->request = r;
    ready->wait.handler = ngx_http_ampersand_ready_sampled;
    ready->wait.data = ready;
    ready->waits = 0;

    cln->handler = ngx_http_ampersand_ready_leave;

    if (ngx_ampersand_sample(&amcf->worker->sample, &ready->wait) != NGX_OK) {
        return ngx_http_ampersand_ready_send(r, AMP_STORE_DOWN);
    }

    ready->waits = 1;
    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_ampersand_ready_leave(void *data)
{
    ngx_http_ampersand_ready_t *ready = data;

    if (ready->waits) {
        ready->waits = 0;
        ngx_ampersand_sample_leave(&ready->wait);
    }
}


static void
ngx_http_ampersand_ready_sampled(void *data)
{
    ngx_http_ampersand_ready_t *ready = data;

    ngx_connection_t                *c;
    ngx_http_request_t              *r;
    ngx_ampersand_sample_e           state;
    ngx_http_ampersand_main_conf_t  *amcf;

    ready->waits = 0;

    r = ready->request;
    c = r->connection;
    amcf = ngx_http_get_module_main_conf(r, ngx_http_ampersand_module);

    r->read_event_handler = ngx_http_block_reading;

    state = ngx_ampersand_sample_state(&amcf->worker->sample);

    ngx_http_finalize_request(r, ngx_http_ampersand_ready_state(r, state));
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ampersand_ready_state(ngx_http_request_t *r,
    ngx_ampersand_sample_e state)
{
    switch (state) {

    case NGX_AMPERSAND_SAMPLE_UNKNOWN:
        return ngx_http_ampersand_ready_send(r, AMP_STORE_DOWN);

    case NGX_AMPERSAND_SAMPLE_CLOSED:
        return ngx_http_ampersand_ready_send(r, AMP_NO_KEY);

    default: /* OPENS, NONE */
        return ngx_http_ampersand_ready_send(r, AMP_OK);
    }
}


static ngx_int_t
ngx_http_ampersand_ready_send(ngx_http_request_t *r, amp_reason_e reason)
{
    const char                 *detail, *remedy;
    ngx_http_ampersand_text_t   text;

    ngx_http_ampersand_text_init(&text, r);

    if (reason == AMP_OK) {
        ngx_http_ampersand_text(&text, "{\"ready\":true}\n");

        return ngx_http_ampersand_text_send(&text, NGX_HTTP_OK,
                                            "application/json");
    }

    detail = "Redis is out of reach, and no tenant is known here";
    remedy = "run ampctl doctor on this machine; the error log says why";

    if (reason == AMP_NO_KEY) {
        detail = "no tenant's key opens with the gateway's master keys";
        remedy = "give the gateway the master key that sealed them "
                 "(ampersand_master_key, AMPERSAND_MASTER_KEY_FILE)";
    }

    ngx_http_ampersand_text(&text, "{\"ready\":false,\"reason\":\"%s\","
                                   "\"detail\":\"%s\",\"remedy\":\"%s\"}\n",
                            amp_problem(reason)->name, detail, remedy);

    return ngx_http_ampersand_text_send(&text, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "application/json");
}
