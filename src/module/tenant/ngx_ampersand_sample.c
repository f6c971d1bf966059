#include "ngx_ampersand_sample.h"
#include "amp_keys.h"
#include "amp_tenant_key.h"


static void ngx_ampersand_sample_ids(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_sample_record(void *data, ngx_int_t rc,
    redisReply *reply);
static void ngx_ampersand_sample_open(ngx_ampersand_sample_t *sample,
    amp_span_t text);
static void ngx_ampersand_sample_end(ngx_ampersand_sample_t *sample);
static void ngx_ampersand_sample_set(ngx_ampersand_sample_t *sample);


void
ngx_ampersand_sample_init(ngx_ampersand_sample_t *sample)
{
    ngx_queue_init(&sample->waits);

    ngx_ampersand_zone_counters(sample->zone)->sample
                                                = NGX_AMPERSAND_SAMPLE_UNKNOWN;
}


ngx_ampersand_sample_e
ngx_ampersand_sample_state(ngx_ampersand_sample_t *sample)
{
    ngx_ampersand_counters_t  *counters;

    counters = ngx_ampersand_zone_counters(sample->zone);

    if (ngx_ampersand_zone_passed(counters->sampled)
        >= NGX_AMPERSAND_SAMPLE_TIME)
    {
        return NGX_AMPERSAND_SAMPLE_UNKNOWN;
    }

    return counters->sample;
}


ngx_int_t
ngx_ampersand_sample(ngx_ampersand_sample_t *sample,
    ngx_ampersand_sample_wait_t *wait)
{
    u_char      name[AMP_KEYS_MAX], number[NGX_INT_T_LEN];
    amp_buf_t   key;
    amp_span_t  argv[3];

    if (sample->pending == 0) {
        amp_buf_init(&key, name, sizeof(name));
        amp_keys_tenants(ngx_ampersand_span(*sample->prefix), &key);

        argv[0] = amp_span("SRANDMEMBER");
        argv[1] = amp_buf_written(&key);
        argv[2] = amp_span_make(number,
                                ngx_sprintf(number, "%d",
                                            NGX_AMPERSAND_SAMPLE_TENANTS)
                                - number);

        if (ngx_ampersand_redis_command(sample->redis, argv[1], 3, argv,
                                        ngx_ampersand_sample_ids, sample)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        sample->pending = 1;
        sample->failed = 0;
        sample->keys = 0;
        sample->opened = 0;
    }

    ngx_queue_insert_tail(&sample->waits, &wait->queue);

    return NGX_OK;
}


void
ngx_ampersand_sample_leave(ngx_ampersand_sample_wait_t *wait)
{
    ngx_queue_remove(&wait->queue);
}


static void
ngx_ampersand_sample_ids(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_sample_t *sample = data;

    size_t      i;
    u_char      name[AMP_KEYS_MAX];
    amp_buf_t   key;
    amp_span_t  argv[2], id;

    if (rc != NGX_OK) {
        sample->failed++;

    } else if (reply->type == REDIS_REPLY_ARRAY) {

        for (i = 0;
             i < reply->elements && i < NGX_AMPERSAND_SAMPLE_TENANTS;
             i++)
        {
            id = amp_span_make(reply->element[i]->str,
                               ngx_ampersand_reply_len(reply->element[i]));

            if (reply->element[i]->type != REDIS_REPLY_STRING
                || !amp_tenant_id_valid(id))
            {
                continue;
            }

            amp_buf_init(&key, name, sizeof(name));
            amp_keys_tenant(ngx_ampersand_span(*sample->prefix), id, &key);

            argv[0] = amp_span("GET");
            argv[1] = amp_buf_written(&key);

            if (ngx_ampersand_redis_command(sample->redis, argv[1], 2, argv,
                                            ngx_ampersand_sample_record,
                                            sample)
                == NGX_OK)
            {
                sample->pending++;

            } else {
                sample->failed++;
            }
        }
    }

    ngx_ampersand_sample_end(sample);
}


static void
ngx_ampersand_sample_record(void *data, ngx_int_t rc, redisReply *reply)
{
    ngx_ampersand_sample_t *sample = data;

    if (rc != NGX_OK) {
        sample->failed++;

    } else if (reply->type == REDIS_REPLY_STRING) {
        ngx_ampersand_sample_open(sample,
                                  amp_span_make(reply->str,
                                            ngx_ampersand_reply_len(reply)));
    }

    ngx_ampersand_sample_end(sample);
}


static void
ngx_ampersand_sample_open(ngx_ampersand_sample_t *sample, amp_span_t text)
{
    uint64_t       flat[AMP_TENANT_FLAT_MAX / sizeof(uint64_t)];
    const char    *error;
    amp_tenant_t  *tenant;

    if (amp_tenant_decode(text, flat, sizeof(flat), &error) == 0) {
        return;
    }

    tenant = (amp_tenant_t *) flat;

    if (tenant->disabled || tenant->sealed.len == 0) {
        return;
    }

    sample->keys++;
    sample->opened += amp_tenant_key_opens(sample->keyring, tenant);
}


/* A reply has come.  The last one is the end of the sample. */

static void
ngx_ampersand_sample_end(ngx_ampersand_sample_t *sample)
{
    ngx_queue_t                  *q;
    ngx_ampersand_sample_wait_t  *wait;

    if (--sample->pending) {
        return;
    }

    ngx_ampersand_sample_set(sample);

    while (!ngx_queue_empty(&sample->waits)) {
        q = ngx_queue_head(&sample->waits);
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);

        wait = ngx_queue_data(q, ngx_ampersand_sample_wait_t, queue);
        wait->handler(wait->data);
    }
}


static void
ngx_ampersand_sample_set(ngx_ampersand_sample_t *sample)
{
    ngx_ampersand_sample_e     state;
    ngx_ampersand_counters_t  *counters;

    if (sample->opened) {
        state = NGX_AMPERSAND_SAMPLE_OPENS;

    } else if (sample->failed) {
        return;

    } else {
        state = sample->keys ? NGX_AMPERSAND_SAMPLE_CLOSED
                             : NGX_AMPERSAND_SAMPLE_NONE;
    }

    counters = ngx_ampersand_zone_counters(sample->zone);

    counters->sample = state;
    counters->sampled = ngx_current_msec;
}
