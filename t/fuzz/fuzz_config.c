/*
 * Any bytes as the document of ampctl config import.  It is read as a whole
 * twice, as an import does: both times the same tenants come out, or the same
 * error, which names a place and says what was expected.
 *
 * Byte 0 chooses whether the input is the whole document, is the list of
 * tenants, or is one tenant.
 */

#include <stdlib.h>
#include <string.h>

#include "../../src/ctl/config_file.h"


static const struct {
    const char  *head;
    const char  *tail;
} frames[] = {
    { "", "" },
    { "{\"version\":1,\"tenants\":[", "]}" },
    { "{\"version\":1,\"tenants\":[{\"id\":\"a\",\"project\":{\"id\":\"p\"},",
      "}]}" }
};


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


/* The number of tenants, or -1 with the error filled. */

static long
pass(config_file_t *file, ctl_error_t *error)
{
    int      rc;
    long     n;
    json_t  *tenant;

    memset(error, 0, sizeof(*error));

    if (config_rewind(file, error) != 0) {
        return -1;
    }

    for (n = 0; (rc = config_next(file, &tenant, error)) == 1; n++) {
        check(json_is_string(json_object_get(tenant, "id")));
        check(file->start >= 0);
        json_decref(tenant);
    }

    return rc == 0 ? n : -1;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char          *text;
    long           n;
    size_t         frame, len;
    ctl_error_t    first, second;
    config_file_t  file;

    static schema_t  *schema;

    if (size == 0) {
        return 0;
    }

    if (schema == NULL) {
        schema = schema_config();
    }

    frame = data[0] % 3;
    len = strlen(frames[frame].head) + size - 1 + strlen(frames[frame].tail);
    text = malloc(len + 1);
    check(text != NULL);

    strcpy(text, frames[frame].head);
    memcpy(text + strlen(frames[frame].head), data + 1, size - 1);
    strcpy(text + strlen(frames[frame].head) + size - 1, frames[frame].tail);

    memset(&file, 0, sizeof(file));
    file.name = "fuzz";
    file.schema = schema;
    file.f = len != 0 ? fmemopen(text, len, "r") : fopen("/dev/null", "r");
    check(file.f != NULL);

    n = pass(&file, &first);
    check(pass(&file, &second) == n);
    check(strcmp(first.message, second.message) == 0);

    if (n == -1) {
        check(first.exit == CTL_REFUSED && strstr(first.message, "fuzz") != NULL
              && first.remedy[0] != '\0');
    }

    fclose(file.f);
    free(text);

    return 0;
}
