/*
 * TLS to Redis, with nginx's own functions: TLS 1.2 or newer; the server's
 * certificate chain and its name or address are always verified.
 */

#ifndef NGX_AMPERSAND_TLS_H
#define NGX_AMPERSAND_TLS_H


#include "ngx_ampersand_compat.h"
#include <ngx_event.h>
#include <ngx_event_connect.h>


#define NGX_AMPERSAND_TLS_DEPTH  9      /* certificates of a chain            */


/* All texts are NUL-terminated. */

typedef struct {
    ngx_str_t   ca_file;        /* empty: the system's authorities            */
    ngx_str_t   cert_file;      /* the gateway's certificate, or empty        */
    ngx_str_t   key_file;       /* its private key                            */
    ngx_str_t   server_name;    /* to verify in place of the host, or empty   */
#if (NGX_SSL)
    ngx_ssl_t   ssl;
#endif
} ngx_ampersand_tls_t;


/*
 * Creates tls->ssl from the files; it is freed with cf->pool.  NGX_ERROR after
 * an emerg line of nginx's, or because nginx was built without TLS.
 */

ngx_int_t ngx_ampersand_tls_init(ngx_conf_t *cf, ngx_ampersand_tls_t *tls);

/*
 * Begins the handshake on a TCP connection with a pool; host is the name or the
 * address of the server, NUL-terminated.  When it is over, successfully or not,
 * the handler is called, perhaps before this function returns.  NGX_ERROR: it
 * failed at once, and the handler is not called.
 */

ngx_int_t ngx_ampersand_tls_handshake(ngx_ampersand_tls_t *tls,
    ngx_connection_t *c, const char *host, ngx_connection_handler_pt handler);

/* Did the handshake succeed? */

ngx_uint_t ngx_ampersand_tls_handshaked(ngx_connection_t *c);

/*
 * After a successful handshake: NULL, or why the server's certificate is not
 * accepted, a static text.
 */

const char *ngx_ampersand_tls_verify(ngx_ampersand_tls_t *tls,
    ngx_connection_t *c, const char *host);

/*
 * Frees the connection's TLS, if it has any, without telling the server or
 * waiting for it; the socket and the pool stay.
 */

void ngx_ampersand_tls_close(ngx_connection_t *c);


#endif /* NGX_AMPERSAND_TLS_H */
