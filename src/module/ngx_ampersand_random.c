#include "ngx_ampersand_random.h"
#include <openssl/rand.h>


const u_char *
ngx_ampersand_random(ngx_ampersand_random_t *random, size_t n)
{
    if (random->left < n) {

        random->left = 0;

        if (RAND_bytes(random->bytes, sizeof(random->bytes)) != 1) {
            return NULL;
        }

        random->left = sizeof(random->bytes);
    }

    random->left -= n;

    return random->bytes + random->left;
}
