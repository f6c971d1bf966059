/*
 * ampctl version: which build this is, and of what.
 */

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>

#include "../core/amp_version.h"
#include "ampctl.h"

/* made by the build: CTL_BUILD_COMMIT, CTL_BUILD_NGINX */
#include "ctl_build_text.h"


#define VERSION_TEXT(x)     VERSION_STRING(x)
#define VERSION_STRING(x)   #x


#ifdef __clang__
#define VERSION_COMPILER  "clang " __clang_version__
#else
#define VERSION_COMPILER  "gcc " __VERSION__
#endif


static int
version_run(ctl_t *ctl)
{
    const char                   *ssl;
    curl_version_info_data       *curl;

    static const char *const  hiredis = VERSION_TEXT(HIREDIS_MAJOR) "."
                              VERSION_TEXT(HIREDIS_MINOR) "."
                              VERSION_TEXT(HIREDIS_PATCH);

    curl = curl_version_info(CURLVERSION_NOW);
    ssl = OpenSSL_version(OPENSSL_VERSION);

    if (ctl->json) {
        return output_json(json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, "
                                     "s:s}}",
                           "version", AMP_VERSION,
                           "commit", CTL_BUILD_COMMIT,
                           "compiler", VERSION_COMPILER,
                           "nginx", CTL_BUILD_NGINX,
                           "libraries",
                           "hiredis", hiredis,
                           "jansson", JANSSON_VERSION,
                           "curl", curl->version,
                           "openssl", ssl));
    }

    output("ampctl    %s%s%s\n", AMP_VERSION,
           *CTL_BUILD_COMMIT ? ", commit " : "", CTL_BUILD_COMMIT);
    output("compiler  %s\n", VERSION_COMPILER);
    output("nginx     %s (the module of this build)\n", CTL_BUILD_NGINX);
    output("hiredis   %s\njansson   %s\n", hiredis, JANSSON_VERSION);
    output("curl      %s\n", curl->version);
    output("openssl   %s\n", ssl);

    return CTL_DONE;
}


const ctl_command_t  ctl_version_commands[] = {

    { "version", NULL, "", "print the versions of ampctl and its libraries",
      "Of curl and OpenSSL the version that is in use, of the others the one\n"
      "that ampctl was built with; nginx is the one that the module of the\n"
      "same build is for. ampctl gateway list shows the versions of gateways.\n"
      "For example:\n"
      "  ampctl version --json",
      NULL, version_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
