/*
 * From a request target to an operation, and from an operation to the target
 * that is sent upstream.  Matching works on decoded segments; the upstream
 * target is composed from the template and the decoded values, never edited.
 *
 * Gateway prefixes: platform "/v1", read "/read/v1", write "/write/v1",
 * search "/search/v1", proxy "/proxy".  Upstream: "/v1/..." for the four,
 * "/..." for proxy.
 */

#ifndef AMP_PATH_H
#define AMP_PATH_H


#include "amp_match.h"


/*
 * Builds the index of the table of operations.  Must be called before the first
 * match; another call does nothing.  Not thread-safe.
 */

void amp_path_init(void);

/* In the proxy API a byte may become three: "|" is "%7C". */

#define AMP_PATH_SCRATCH(raw_len)  (3 * (raw_len))


/*
 * Matches method and raw path (the target up to "?", percent-encoded, as the
 * client sent it) against the operations of one API.  Both spellings match:
 * the full one and the one without "projects/{projectIdOrName}/"; "/v1" alone
 * is the short spelling of getProject and updateProject.
 *
 * scratch has at least AMP_PATH_SCRATCH(raw.len) bytes; the caller keeps raw
 * and scratch as long as m.
 *
 * AMP_OK            m is filled
 * AMP_BAD_PATH      no leading slash, dot segment in any encoding (also before
 *                   ";", as in "..;x"), encoded slash or backslash, raw
 *                   backslash, NUL or control byte, overlong UTF-8, "%" not
 *                   followed by two hex digits, double encoding of what
 *                   structures a path ("%252f"; a value may contain "%41"),
 *                   empty inner segment, raw byte that is neither pchar (RFC
 *                   3986) nor amp_unescaped(), a segment that ends in one of
 *                   the API's colon verbs with an encoded colon, longer than
 *                   AMP_PATH_MAX.
 *                   Proxy: provider paths keep "%2F", empty segments and "%25";
 *                   dot segments, NUL, control bytes and backslash in any
 *                   encoding (up to four deep; deeper is refused) stay refused
 * AMP_NO_OPERATION  no line of this API has this path: also a trailing slash
 *                   (but in the proxy API) and an unencoded colon in a value
 * AMP_NO_METHOD     the path exists, but not with this method; m->allow is
 *                   filled
 */

amp_reason_e amp_path_match(amp_api_e api, amp_span_t method, amp_span_t raw,
    unsigned char *scratch, amp_match_t *m);

/*
 * 1 when the path of an operation of this API, with the gateway's prefix, can
 * begin with this text, which is not encoded; 0 when none can.
 */

int amp_path_begins(amp_api_e api, amp_span_t text);

/*
 * Appends the upstream path: "/v1" and the template with the project's id and
 * the escaped parameters (all but the unreserved characters of RFC 3986 are
 * %XX, upper case).  listProjects gets the path of getProject: the upstream's
 * answer is the tenant's own project, which the module makes an array.
 *
 * Proxy: "/" + rest.  Reserved characters and their %XX are not equivalent in
 * a provider's path (RFC 3986, 2.2), so rest is the client's path normalised
 * as by RFC 3986, 6.2.2: unreserved characters decoded, any other %XX kept in
 * upper case, raw pchar as it came.
 *
 * project_id is valid (amp_project_id_valid()): nothing in it needs escaping.
 * When the operation needs a project and project_id is empty, out->overflow is
 * set, as when out is too small.
 */

void amp_path_compose(const amp_match_t *m, amp_span_t project_id,
    amp_buf_t *out);

/*
 * The number of bytes at the start of a composed path that are the same for all
 * requests of one operation and one project: those before the first parameter.
 * project_len: bytes of the project's id.
 */

size_t amp_path_fixed(const amp_operation_t *op, size_t project_len);

/*
 * Bytes that are enough for a composed path and query, given the lengths of the
 * raw ones and of the project's id.
 */

#define amp_target_size(path_len, query_len, project_len)                     \
    (3 * ((path_len) + (query_len)) + (project_len) + 64)


#endif /* AMP_PATH_H */
