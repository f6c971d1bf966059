/*
 * TLS to Redis, by nginx's own: made once, when the configuration is read.
 * TLS 1.2 or newer; the server's chain and its name or address are verified
 * always.
 */

#ifndef NGX_AMPERSAND_TLS_H
#define NGX_AMPERSAND_TLS_H


#include "ngx_ampersand_compat.h"
#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_AMPERSAND_TLS_DEPTH  9              /* of the chain               */


typedef struct {
    ngx_str_t   ca_file;        /* empty: what the system trusts              */
    ngx_str_t   cert_file;      /* the client's, empty: none                  */
    ngx_str_t   key_file;
    ngx_str_t   server_name;    /* instead of the host's                      */
#if (NGX_SSL)
    ngx_ssl_t   ssl;
#endif
} ngx_ampersand_tls_t;


/* Reads the files; freed with the configuration's pool.  NGX_ERROR: logged. */

ngx_int_t ngx_ampersand_tls_init(ngx_conf_t *cf, ngx_ampersand_tls_t *tls);

/*
 * Begins a handshake with the host, a name or an address, NUL-terminated; c
 * has to have a pool.  As ngx_ssl_handshake(): after NGX_AGAIN
 * c->ssl->handler, to be set by the caller, is called.
 */

ngx_int_t ngx_ampersand_tls_handshake(ngx_ampersand_tls_t *tls,
    ngx_connection_t *c, const char *host);

/*
 * After the handshake: NULL when the server is who it should be, else why not,
 * a static text.
 */

const char *ngx_ampersand_tls_verify(ngx_ampersand_tls_t *tls,
    ngx_connection_t *c, const char *host);

/* Frees what belongs to TLS, without waiting for the other side. */

void ngx_ampersand_tls_close(ngx_connection_t *c);


#endif /* NGX_AMPERSAND_TLS_H */
