#include "ngx_ampersand_compat.h"


/*
 * nginx loads only modules that were built for its own version and options, and
 * says no more than "version 1022001 instead of 1026003".  The function below
 * runs before that test, inside dlopen(), and says what to do.  It touches only
 * what is the same in all versions since nginx has dynamic modules: the head of
 * ngx_module_t, the head of ngx_cycle_t, ngx_log_error_core().
 *
 * A module that needs a function which this nginx does not have is not loaded,
 * and nginx names that function.
 */


#define NGX_AMPERSAND_VERSION  sizeof("999.999.999")


extern ngx_module_t  ngx_http_ampersand_module;


_Static_assert(offsetof(ngx_module_t, version)
               == 4 * sizeof(ngx_uint_t) + sizeof(char *)
               && offsetof(ngx_module_t, signature)
                  == 5 * sizeof(ngx_uint_t) + sizeof(char *),
               "nginx has changed the head of ngx_module_t");

_Static_assert(offsetof(ngx_cycle_t, log) == 2 * sizeof(void *),
               "nginx has changed the head of ngx_cycle_t");


static void ngx_ampersand_load(void) __attribute__((constructor));
static u_char *ngx_ampersand_load_version(u_char *text, ngx_uint_t version);


static void
ngx_ampersand_load(void)
{
    u_char         built[NGX_AMPERSAND_VERSION], running[NGX_AMPERSAND_VERSION];
    ngx_module_t  *nginx, *own;

    nginx = &ngx_core_module;
    own = &ngx_http_ampersand_module;

    if (ngx_cycle == NULL || ngx_cycle->log == NULL) {
        return;
    }

    if (own->version != nginx->version) {
        ngx_log_error_core(NGX_LOG_EMERG, ngx_cycle->log, 0,
                           "ampersand: the module was built for nginx %s, and "
                           "this is nginx %s: install the package "
                           "libnginx-mod-http-ampersand that was built for it, "
                           "or run \"make && make install\" with the headers "
                           "of this nginx (Debian: nginx-dev)",
                           ngx_ampersand_load_version(built, own->version),
                           ngx_ampersand_load_version(running,
                                                      nginx->version));

    } else if (ngx_strcmp(own->signature, nginx->signature) != 0) {
        ngx_log_error_core(NGX_LOG_EMERG, ngx_cycle->log, 0,
                           "ampersand: the module was built for an nginx %s "
                           "with other options of configure than this one: "
                           "install the package libnginx-mod-http-ampersand "
                           "that was built for it, or run \"make && make "
                           "install\" with the headers and options of this "
                           "nginx (Debian: nginx-dev)",
                           ngx_ampersand_load_version(built, own->version));
    }
}


/* 1022001 is 1.22.1 */

static u_char *
ngx_ampersand_load_version(u_char *text, ngx_uint_t version)
{
    *ngx_snprintf(text, NGX_AMPERSAND_VERSION - 1, "%ui.%ui.%ui",
                  version / 1000000, version / 1000 % 1000, version % 1000)
        = '\0';

    return text;
}
