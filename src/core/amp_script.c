#include "amp_script.h"
#include "amp_script_text.h"    /* made by tools/lua-header from *.lua        */


#define amp_script_span(text)                                                 \
    { sizeof(text) - 1, (const unsigned char *) (text) }

#define amp_script(NAME)                                                      \
    { amp_script_span(AMP_SCRIPT_##NAME),                                     \
      amp_script_span(AMP_SCRIPT_##NAME##_SHA) }


const amp_script_t  amp_script_check_rights = amp_script(CHECK_RIGHTS);
const amp_script_t  amp_script_check_writes = amp_script(CHECK_WRITES);
const amp_script_t  amp_script_invalidate = amp_script(INVALIDATE);
const amp_script_t  amp_script_lease = amp_script(LEASE);
const amp_script_t  amp_script_lookup = amp_script(LOOKUP);
const amp_script_t  amp_script_register = amp_script(REGISTER);
const amp_script_t  amp_script_usage = amp_script(USAGE);
const amp_script_t  amp_script_write_tenant = amp_script(WRITE_TENANT);
const amp_script_t  amp_script_write_token = amp_script(WRITE_TOKEN);
const amp_script_t  amp_script_write_limit = amp_script(WRITE_LIMIT);
