/*
 * TLS to Redis.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "secret.h"
#include "tls.h"


#define TLS_KEY_MAX  32768


struct tls_s {
    SSL_CTX     *ctx;
    const char  *server_name;
};


static int
tls_refused(ctl_error_t *error, const char *what, const char *file,
    const char *why, const char *remedy)
{
    ctl_error(error, CTL_REFUSED, "redis_tls", "%s \"%s\" cannot be used: %s",
              what, file, why);

    return ctl_remedy(error, "%s", remedy);
}


/* An encrypted key is refused; OpenSSL would ask for its passphrase. */

static int
tls_no_passphrase(char *buf, int size, int writing, void *data)
{
    (void) buf;
    (void) size;
    (void) writing;
    (void) data;

    return -1;
}


static int
tls_key(SSL_CTX *ctx, const char *file, ctl_error_t *error)
{
    BIO       *bio;
    char       text[TLS_KEY_MAX];
    ssize_t    n;
    EVP_PKEY  *key;

    static const secret_kind_t  kind = {
        "client key file", "redis_tls",
        "--redis-key FILE (AMPERSAND_REDIS_KEY) is the key of the client "
        "certificate"
    };

    n = secret_file(&kind, file, text, sizeof(text), error);

    if (n == -1) {
        return -1;
    }

    key = NULL;
    bio = n > 0 ? BIO_new_mem_buf(text, (int) n) : NULL;

    if (bio != NULL) {
        key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
        BIO_free(bio);
    }

    secret_clean(text, sizeof(text));

    if (key == NULL) {
        return tls_refused(error, kind.what, file, "it contains no key in PEM "
                           "format, or an encrypted one", "write the key in "
                           "PEM format, without a passphrase");
    }

    n = SSL_CTX_use_PrivateKey(ctx, key);

    EVP_PKEY_free(key);

    if (n != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return tls_refused(error, kind.what, file,
                           "it is not the key of the certificate",
                           "--redis-key has to be the key of --redis-cert");
    }

    return 0;
}


static int
tls_files(SSL_CTX *ctx, const tls_options_t *options, ctl_error_t *error)
{
    if (options->ca == NULL) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
            ctl_error(error, CTL_REFUSED, "redis_tls",
                      "the system's CAs cannot be read");
            return ctl_remedy(error, "install ca-certificates, or name a file "
                              "with --redis-ca FILE");
        }

    } else if (SSL_CTX_load_verify_locations(ctx, options->ca, NULL) != 1) {
        return tls_refused(error, "CA file", options->ca, access(options->ca,
                           R_OK) != 0 ? strerror(errno)
                                      : "it has no certificate in PEM format",
                           "--redis-ca FILE (AMPERSAND_REDIS_CA) is the "
                           "certificate of the CA that signed that of Redis");
    }

    if ((options->cert == NULL) != (options->key == NULL)) {
        ctl_error(error, CTL_USAGE, "usage",
                  "a client certificate is given without its key, or a key "
                  "without its certificate");
        return ctl_remedy(error, "give both --redis-cert FILE and --redis-key "
                          "FILE (AMPERSAND_REDIS_CERT, AMPERSAND_REDIS_KEY)");
    }

    if (options->cert == NULL) {
        return 0;
    }

    if (SSL_CTX_use_certificate_chain_file(ctx, options->cert) != 1) {
        return tls_refused(error, "client certificate file", options->cert,
                           access(options->cert, R_OK) != 0 ? strerror(errno)
                           : "it has no certificate in PEM format",
                           "--redis-cert FILE (AMPERSAND_REDIS_CERT) has "
                           "the certificate first, then the intermediate "
                           "ones");
    }

    return tls_key(ctx, options->key, error);
}


tls_t *
tls_create(const tls_options_t *options, ctl_error_t *error)
{
    tls_t  *tls;

    tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        abort();
    }

    tls->server_name = options->server_name;
    tls->ctx = SSL_CTX_new(TLS_client_method());

    if (tls->ctx == NULL
        || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1)
    {
        ctl_error(error, CTL_REFUSED, "redis_tls",
                  "OpenSSL cannot set up TLS 1.2");
        ctl_remedy(error, "check its configuration (OPENSSL_CONF)");
        tls_free(tls);
        return NULL;
    }

    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_AUTO_RETRY);

    if (tls_files(tls->ctx, options, error) != 0) {
        tls_free(tls);
        return NULL;
    }

    return tls;
}


void
tls_free(tls_t *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->ctx);
        free(tls);
    }
}


BIO *
tls_filter(tls_t *tls, const char *host)
{
    BIO                *filter;
    SSL                *ssl;
    X509_VERIFY_PARAM  *param;

    filter = BIO_new_ssl(tls->ctx, 1);
    if (filter == NULL) {
        return NULL;
    }

    if (tls->server_name != NULL) {
        host = tls->server_name;
    }

    BIO_get_ssl(filter, &ssl);
    param = SSL_get0_param(ssl);

    /* a certificate names addresses apart from names; SNI has names only */

    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
        return filter;
    }

    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);

    if (X509_VERIFY_PARAM_set1_host(param, host, 0) != 1
        || SSL_set_tlsext_host_name(ssl, host) != 1)
    {
        BIO_free(filter);
        return NULL;
    }

    return filter;
}


int
tls_fault(BIO *filter, const char *who, ctl_error_t *error)
{
    int            reason;
    SSL           *ssl;
    long           verified;
    unsigned long  code;

    BIO_get_ssl(filter, &ssl);

    verified = SSL_get_verify_result(ssl);
    code = ERR_peek_last_error();
    reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

    if (verified == X509_V_ERR_HOSTNAME_MISMATCH
        || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
    {
        ctl_error(error, CTL_REACH, "redis_tls",
                  "certificate verification failed: %s has a certificate for "
                  "another name or address", who);
        ctl_remedy(error, "write the name in its certificate into the URL, or "
                   "--redis-server-name NAME (AMPERSAND_REDIS_SERVER_NAME)");

    } else if (verified != X509_V_OK) {
        ctl_error(error, CTL_REACH, "redis_tls",
                  "certificate verification failed: that of %s cannot be "
                  "trusted: %s", who,
                  X509_verify_cert_error_string(verified));
        ctl_remedy(error, "--redis-ca FILE (AMPERSAND_REDIS_CA) names the CA "
                   "that signed it");

    } else if (reason >= SSL_AD_REASON_OFFSET) {
        ctl_error(error, CTL_REACH, "redis_tls",
                  "%s refused the TLS connection: %s", who,
                  ERR_reason_error_string(code));
        ctl_remedy(error, "Redis may require a client certificate that its CA "
                   "signed: --redis-cert FILE and --redis-key FILE "
                   "(AMPERSAND_REDIS_CERT, AMPERSAND_REDIS_KEY)");

    } else if (reason != 0
               && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING)
    {
        ctl_error(error, CTL_REACH, "redis_tls", "the TLS handshake with "
                  "%s failed: %s", who, ERR_reason_error_string(code));
        ctl_remedy(error, "does it speak TLS (1.2 or newer) on this port? "
                   "Without TLS the URL begins with redis, not rediss");

    } else {
        return 0;
    }

    return 1;
}


void
tls_describe(BIO *filter, char *text, size_t size, int *days)
{
    int    seconds;
    SSL   *ssl;
    X509  *cert;

    BIO_get_ssl(filter, &ssl);

    snprintf(text, size, "%s, %s", SSL_get_version(ssl),
             SSL_get_cipher_name(ssl));

    *days = 0;
    cert = SSL_get_peer_certificate(ssl);

    if (cert != NULL) {
        (void) ASN1_TIME_diff(days, &seconds, NULL, X509_get0_notAfter(cert));
        X509_free(cert);
    }
}
