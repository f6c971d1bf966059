/*
 * An identity that a command names.
 */

#include <string.h>

#include "../core/amp_escape.h"
#include "identity.h"


int
identity_read(ctl_t *ctl, const char *text, identity_t *identity)
{
    amp_buf_t       name;
    const char     *why;
    unsigned char   digest[AMP_TOKEN_DIGEST];

    memset(identity, 0, sizeof(*identity));
    amp_buf_init(&name, identity->name, AMP_IDENTITY_MAX);

    why = amp_identity_parse(ctl_span(text), &name);

    if (why == NULL
        && (name.overflow || amp_identity_digest(amp_buf_written(&name), digest)
                             != 0))
    {
        why = "it cannot be hashed";
    }

    if (why != NULL) {
        ctl_error(&ctl->error, CTL_USAGE, "usage", "\"%.700s\" is not the name "
                  "of an identity: %s", text, why);
        return ctl_remedy(&ctl->error, "give fingerprint:HEX, subject:DN or "
                          "claim:NAME=VALUE, e.g. "
                          "subject:CN=billing,O=Example");
    }

    amp_hex(digest, sizeof(digest), (unsigned char *) identity->entry.digest);

    return 0;
}


int
identity_state(store_t *store, ctl_error_t *error, const identity_t *identity,
    token_state_t *state)
{
    return token_state_of(store, error, &identity->entry, state);
}
