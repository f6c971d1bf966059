#include "ngx_ampersand_tls.h"


#if (NGX_SSL)


#include <openssl/x509v3.h>


static ngx_uint_t ngx_ampersand_tls_is_address(const char *host);


ngx_int_t
ngx_ampersand_tls_init(ngx_conf_t *cf, ngx_ampersand_tls_t *tls)
{
    ngx_pool_cleanup_t  *cln;

    tls->ssl.log = cf->log;

    if (ngx_ssl_create(&tls->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(&tls->ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = &tls->ssl;

    /* a pipeline can reallocate bytes that SSL_write() has not sent yet */

    SSL_CTX_set_mode(tls->ssl.ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (ngx_ssl_trusted_certificate(cf, &tls->ssl, &tls->ca_file,
                                    NGX_AMPERSAND_TLS_DEPTH)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (tls->ca_file.len == 0
        && SSL_CTX_set_default_verify_paths(tls->ssl.ctx) == 0)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    if (tls->cert_file.len == 0) {
        return NGX_OK;
    }

    return ngx_ssl_certificate(cf, &tls->ssl, &tls->cert_file, &tls->key_file,
                               NULL);
}


ngx_int_t
ngx_ampersand_tls_handshake(ngx_ampersand_tls_t *tls, ngx_connection_t *c,
    const char *host, ngx_connection_handler_pt handler)
{
    ngx_int_t  rc;

    if (ngx_ssl_create_connection(&tls->ssl, c, NGX_SSL_CLIENT) != NGX_OK) {
        return NGX_ERROR;
    }

    if (tls->server_name.len) {
        host = (const char *) tls->server_name.data;
    }

    /* a server name in the handshake is never an IP address (RFC 6066, 3) */

    if (!ngx_ampersand_tls_is_address(host)
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) host) == 0)
    {
        return NGX_ERROR;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = handler;
        return NGX_OK;
    }

    if (rc == NGX_OK) {
        handler(c);
    }

    return rc;
}


ngx_uint_t
ngx_ampersand_tls_handshaked(ngx_connection_t *c)
{
    return c->ssl->handshaked;
}


const char *
ngx_ampersand_tls_verify(ngx_ampersand_tls_t *tls, ngx_connection_t *c,
    const char *host)
{
    int         rc;
    long        result;
    X509       *cert;
    ngx_str_t   name;

    result = SSL_get_verify_result(c->ssl->connection);

    if (result != X509_V_OK) {
        return X509_verify_cert_error_string(result);
    }

    if (tls->server_name.len) {
        host = (const char *) tls->server_name.data;
    }

    if (!ngx_ampersand_tls_is_address(host)) {
        name.data = (u_char *) host;
        name.len = ngx_strlen(host);

        return ngx_ssl_check_host(c, &name) == NGX_OK
               ? NULL : "the certificate is for another host";
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return "the server has no certificate";
    }

    rc = X509_check_ip_asc(cert, host, 0);

    X509_free(cert);

    return rc == 1 ? NULL : "the certificate is for another address";
}


void
ngx_ampersand_tls_close(ngx_connection_t *c)
{
    if (c->ssl == NULL) {
        return;
    }

    c->ssl->no_wait_shutdown = 1;
    c->ssl->no_send_shutdown = 1;

    (void) ngx_ssl_shutdown(c);
}


static ngx_uint_t
ngx_ampersand_tls_is_address(const char *host)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];

    if (ngx_inet6_addr((u_char *) host, ngx_strlen(host), addr) == NGX_OK) {
        return 1;
    }
#endif

    return ngx_inet_addr((u_char *) host, ngx_strlen(host)) != INADDR_NONE;
}


#else


ngx_int_t
ngx_ampersand_tls_init(ngx_conf_t *cf, ngx_ampersand_tls_t *tls)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "this nginx was built without TLS, write redis:// "
                       "instead of rediss://");
    return NGX_ERROR;
}


ngx_int_t
ngx_ampersand_tls_handshake(ngx_ampersand_tls_t *tls, ngx_connection_t *c,
    const char *host, ngx_connection_handler_pt handler)
{
    return NGX_ERROR;
}


ngx_uint_t
ngx_ampersand_tls_handshaked(ngx_connection_t *c)
{
    return 0;
}


const char *
ngx_ampersand_tls_verify(ngx_ampersand_tls_t *tls, ngx_connection_t *c,
    const char *host)
{
    return "nginx was built without TLS";
}


void
ngx_ampersand_tls_close(ngx_connection_t *c)
{
}


#endif
