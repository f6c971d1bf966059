#include "ngx_http_ampersand_cache_memory.h"
#include "ngx_http_ampersand_cache_body.h"
#include "ngx_http_ampersand_header_list.h"


/* The head of an entry's file, which says until when the entry is fresh. */

#define ngx_http_ampersand_cache_memory_head(c)                               \
    ((ngx_http_file_cache_header_t *) (c)->buf->start)

#define ngx_http_ampersand_cache_memory_valid(c)                              \
    (ngx_http_ampersand_cache_memory_head(c)->valid_sec)


static ngx_http_ampersand_cache_copy_t **ngx_http_ampersand_cache_memory_bucket(
    ngx_http_ampersand_cache_memory_t *memory, uint32_t hash);
static ngx_http_ampersand_cache_copy_t *ngx_http_ampersand_cache_memory_look(
    ngx_http_ampersand_cache_memory_t *memory, ngx_http_request_t *r,
    ngx_str_t *key, uint32_t hash);
static ngx_uint_t ngx_http_ampersand_cache_memory_copies(ngx_http_request_t *r);
static void ngx_http_ampersand_cache_memory_add(
    ngx_http_ampersand_cache_memory_t *memory, ngx_http_request_t *r,
    ngx_http_ampersand_cache_copy_t *copy);
static void ngx_http_ampersand_cache_memory_remove(
    ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_ampersand_cache_copy_t *copy);
static time_t ngx_http_ampersand_cache_memory_stamp(
    ngx_http_ampersand_cache_memory_t *memory, ngx_http_cache_t *c);
static ngx_uint_t ngx_http_ampersand_cache_memory_current(
    ngx_http_ampersand_cache_copy_t *copy);
static ngx_http_file_cache_node_t *ngx_http_ampersand_cache_memory_node(
    ngx_http_file_cache_t *cache, u_char *key);
static ngx_str_t *ngx_http_ampersand_cache_memory_encoding(
    ngx_http_request_t *r);


ngx_int_t
ngx_http_ampersand_cache_memory_init(ngx_http_ampersand_cache_memory_t *memory,
    ngx_cycle_t *cycle, ngx_ampersand_random_t *random)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    memory->most = ngx_min(NGX_HTTP_AMPERSAND_CACHE_MEMORY_WORKER,
                           NGX_HTTP_AMPERSAND_CACHE_MEMORY_ALL
                           / ngx_max(ccf->worker_processes, 1));
    memory->random = random;
    ngx_queue_init(&memory->queue);

    memory->buckets = ngx_pcalloc(cycle->pool,
                                  NGX_HTTP_AMPERSAND_CACHE_MEMORY_BUCKETS
                                  * sizeof(*memory->buckets));

    return memory->buckets ? NGX_OK : NGX_ERROR;
}


ngx_http_ampersand_cache_copy_t *
ngx_http_ampersand_cache_memory_find(ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_request_t *r, ngx_str_t *key)
{
    ngx_http_ampersand_cache_copy_t  *copy;

    copy = ngx_http_ampersand_cache_memory_look(memory, r, key,
                                  ngx_murmur_hash2(key->data, key->len));

    if (copy == NULL || copy->until < ngx_time()) {
        return NULL;
    }

    if (!ngx_http_ampersand_cache_memory_current(copy)) {
        ngx_http_ampersand_cache_memory_remove(memory, copy);
        return NULL;
    }

    /* once a second is enough, and each time costs its neighbours' memory */

    if (copy->used != ngx_time()) {
        copy->used = ngx_time();

        ngx_queue_remove(&copy->queue);
        ngx_queue_insert_head(&memory->queue, &copy->queue);
    }

    return copy;
}


static ngx_http_ampersand_cache_copy_t **
ngx_http_ampersand_cache_memory_bucket(
    ngx_http_ampersand_cache_memory_t *memory, uint32_t hash)
{
    return &memory->buckets[hash
                            & (NGX_HTTP_AMPERSAND_CACHE_MEMORY_BUCKETS - 1)];
}


/* Locations differ in the headers that they pass on. */

static ngx_http_ampersand_cache_copy_t *
ngx_http_ampersand_cache_memory_look(ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_request_t *r, ngx_str_t *key, uint32_t hash)
{
    ngx_str_t                        *encoding;
    ngx_http_ampersand_cache_copy_t  *copy;

    copy = *ngx_http_ampersand_cache_memory_bucket(memory, hash);

    for ( /* void */ ; copy; copy = copy->next) {

        if (copy->hash != hash || copy->location != r->loc_conf
            || copy->key.len != key->len
            || ngx_memcmp(copy->key.data, key->data, key->len) != 0)
        {
            continue;
        }

        if (!copy->varies) {
            return copy;
        }

        encoding = ngx_http_ampersand_cache_memory_encoding(r);

        if (encoding && copy->encoding.len == encoding->len
            && ngx_memcmp(copy->encoding.data, encoding->data, encoding->len)
               == 0)
        {
            return copy;
        }
    }

    return NULL;
}


void
ngx_http_ampersand_cache_memory_keep(ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_request_t *r, ngx_str_t *key)
{
    time_t                            stamp;
    uint32_t                          hash;
    ngx_str_t                        *encoding;
    ngx_http_cache_t                 *c;
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_ampersand_cache_copy_t  *copy;

    if (!ngx_http_ampersand_cache_memory_copies(r)) {
        return;
    }

    encoding = ngx_http_ampersand_cache_memory_encoding(r);

    if (encoding == NULL) {
        return;
    }

    c = r->cache;
    stamp = ngx_http_ampersand_cache_memory_stamp(memory, c);

    if (stamp == 0) {
        return;
    }

    hash = ngx_murmur_hash2(key->data, key->len);
    copy = ngx_http_ampersand_cache_memory_look(memory, r, key, hash);

    /* a 304 of upstream changes the times in the file */

    if (copy && (copy->stamp != stamp || copy->uniq != c->uniq
                 || ngx_http_ampersand_cache_memory_valid(&copy->cache)
                    != ngx_http_ampersand_cache_memory_valid(c)))
    {
        ngx_http_ampersand_cache_memory_remove(memory, copy);
        copy = NULL;
    }

    if (copy == NULL) {
        copy = ngx_http_ampersand_cache_copy(r, key, encoding);
        if (copy == NULL) {
            return;
        }

        copy->hash = hash;
        copy->stamp = stamp;

        ngx_http_ampersand_cache_memory_add(memory, r, copy);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    copy->until = ngx_min(ngx_http_ampersand_cache_memory_valid(c),
                          ngx_time() + clcf->open_file_cache_valid);
}


/* May the answer be copied, and does the buffer have all of its file? */

static ngx_uint_t
ngx_http_ampersand_cache_memory_copies(ngx_http_request_t *r)
{
    ngx_http_cache_t              *c;
    ngx_http_file_cache_header_t  *h;

    static ngx_str_t  encoding = ngx_string("accept-encoding");

    c = r->cache;

    if (r != r->main || r->method != NGX_HTTP_GET
        || r->upstream->cache_status != NGX_HTTP_CACHE_HIT
        || r->upstream->headers_in.x_accel_limit_rate
        || c->node == NULL || c->header_start >= c->body_start
        || c->length > NGX_HTTP_AMPERSAND_CACHE_BODY_MAX
        || c->buf->pos != c->buf->start
        || c->buf->last - c->buf->pos != c->length)
    {
        return 0;
    }

    /* a variant with a key of its own is valid while that of its main key is */

    if (ngx_memcmp(c->key, c->main, NGX_HTTP_CACHE_KEY_LEN) != 0) {
        return 0;
    }

    /* the file has what the entry varies by, c->vary what upstream said */

    h = ngx_http_ampersand_cache_memory_head(c);

    return h->vary_len == 0
           || (h->vary_len == encoding.len
               && ngx_strncasecmp(h->vary, encoding.data, encoding.len) == 0);
}


static void
ngx_http_ampersand_cache_memory_add(ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_request_t *r, ngx_http_ampersand_cache_copy_t *copy)
{
    ngx_queue_t                       *last;
    ngx_http_ampersand_cache_copy_t  **bucket;

    while (memory->size + copy->size > memory->most
           && !ngx_queue_empty(&memory->queue))
    {
        last = ngx_queue_last(&memory->queue);

        ngx_http_ampersand_cache_memory_remove(memory,
                 ngx_queue_data(last, ngx_http_ampersand_cache_copy_t, queue));
    }

    copy->varies = (ngx_http_ampersand_cache_memory_head(r->cache)->vary_len
                    != 0);
    copy->location = r->loc_conf;
    copy->file_cache = r->cache->file_cache;
    copy->uniq = r->cache->uniq;
    ngx_memcpy(copy->cache.key, r->cache->key, NGX_HTTP_CACHE_KEY_LEN);

    bucket = ngx_http_ampersand_cache_memory_bucket(memory, copy->hash);

    copy->next = *bucket;
    *bucket = copy;

    ngx_queue_insert_head(&memory->queue, &copy->queue);
    memory->size += copy->size;
}


static void
ngx_http_ampersand_cache_memory_remove(
    ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_ampersand_cache_copy_t *copy)
{
    ngx_http_ampersand_cache_copy_t  **link;

    link = ngx_http_ampersand_cache_memory_bucket(memory, copy->hash);

    while (*link != copy) {
        link = &(*link)->next;
    }

    *link = copy->next;

    ngx_queue_remove(&copy->queue);
    memory->size -= copy->size;

    ngx_http_ampersand_cache_copy_release(copy);
}


/* The node's stamp, perhaps a new one; 0: the file is not the node's. */

static time_t
ngx_http_ampersand_cache_memory_stamp(ngx_http_ampersand_cache_memory_t *memory,
    ngx_http_cache_t *c)
{
    time_t                       stamp;
    const u_char                *bytes;
    ngx_http_file_cache_node_t  *node;

    bytes = ngx_ampersand_random(memory->random, sizeof(stamp));
    if (bytes == NULL) {
        return 0;
    }

    ngx_memcpy(&stamp, bytes, sizeof(stamp));

    /* negative: a time that nginx knows to be over */

    if (stamp >= 0) {
        stamp = -1 - stamp;
    }

    node = c->node;

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    if (!node->exists || node->error || node->uniq != c->uniq) {
        stamp = 0;

    } else if (node->valid_sec) {
        stamp = node->valid_sec;

    } else {
        node->valid_sec = stamp;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);

    return stamp;
}


/*
 * Is what was copied what nginx would read?  If so, the node was used now, as
 * ngx_http_file_cache_exists() has it, but for less than a second.
 */

static ngx_uint_t
ngx_http_ampersand_cache_memory_current(ngx_http_ampersand_cache_copy_t *copy)
{
    time_t                       expire;
    ngx_uint_t                   current;
    ngx_http_file_cache_t       *cache;
    ngx_http_file_cache_node_t  *node;

    cache = copy->file_cache;
    expire = ngx_time() + cache->inactive;

    ngx_shmtx_lock(&cache->shpool->mutex);

    node = ngx_http_ampersand_cache_memory_node(cache, copy->cache.key);

    current = (node && node->exists && node->error == 0
               && node->uniq == copy->uniq && node->valid_sec == copy->stamp);

    if (current && node->expire != expire) {
        node->expire = expire;

        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&cache->sh->queue, &node->queue);
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    return current;
}


/* As ngx_http_file_cache_lookup(), which is nginx's own. */

static ngx_http_file_cache_node_t *
ngx_http_ampersand_cache_memory_node(ngx_http_file_cache_t *cache, u_char *key)
{
    ngx_int_t                    rc;
    ngx_rbtree_key_t             node_key;
    ngx_rbtree_node_t           *node, *sentinel;
    ngx_http_file_cache_node_t  *fcn;

    ngx_memcpy(&node_key, key, sizeof(node_key));

    node = cache->sh->rbtree.root;
    sentinel = cache->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (node_key != node->key) {
            node = (node_key < node->key) ? node->left : node->right;
            continue;
        }

        fcn = (ngx_http_file_cache_node_t *) node;

        rc = ngx_memcmp(&key[sizeof(node_key)], fcn->key,
                        NGX_HTTP_CACHE_KEY_LEN - sizeof(node_key));

        if (rc == 0) {
            return fcn;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


void
ngx_http_ampersand_cache_memory_stored(ngx_http_request_t *r)
{
    ngx_http_cache_t            *c;
    ngx_http_file_cache_node_t  *node;

    c = r->cache;

    if (c == NULL || !c->updated) {
        return;
    }

    ngx_shmtx_lock(&c->file_cache->shpool->mutex);

    node = ngx_http_ampersand_cache_memory_node(c->file_cache, c->key);

    if (node && node->error == 0) {
        node->valid_sec = 0;
    }

    ngx_shmtx_unlock(&c->file_cache->shpool->mutex);
}


/* Accept-Encoding; NULL: the request has it twice. */

static ngx_str_t *
ngx_http_ampersand_cache_memory_encoding(ngx_http_request_t *r)
{
    ngx_str_t                  *encoding;
    ngx_table_elt_t            *h;
    ngx_http_ampersand_walk_t   walk;

    static ngx_str_t  none = ngx_string("");

    encoding = &none;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_ampersand_next(&walk)) != NULL) {

        if (ngx_http_ampersand_is(h, "accept-encoding")) {

            if (encoding != &none) {
                return NULL;
            }

            encoding = &h->value;
        }
    }

    return encoding;
}
