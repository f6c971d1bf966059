/*
 * amp_fault_find() and amp_fault_body().  Input: one byte for the API, one for
 * tenant, token and headers, then method, path, query, group, Origin and body,
 * each up to a line end, the body up to the end.
 *
 * Each refusal has a cause: a sentence, which ends within its room, shows no
 * byte of the path and no value of the query, and makes a valid document.
 */

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "amp_fault.h"


#define RECORD(rest)                                                          \
    "{\"v\":1,\"rev\":1,\"id\":\"acme\",\"project\":{\"id\":\"p-1\","         \
    "\"name\":\"alpha\"}" rest "}"

#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)


static uint64_t  tenants[2][AMP_TENANT_FLAT_MAX / 8];
static uint64_t  scopes[2][AMP_TOKEN_SCOPE_MAX / 8];


static void
init(void)
{
    const char  *error;

    amp_path_init();

    check(amp_tenant_decode(amp_span(RECORD(",\"groups\":[\"g1\"]")),
                            tenants[0], sizeof(tenants[0]), &error) != 0);
    check(amp_tenant_decode(amp_span(RECORD("")), tenants[1],
                            sizeof(tenants[1]), &error) != 0);

    check(amp_token_scope_decode(amp_span("{\"groups\":[\"g2\"],"
                                          "\"grants\":{\"allow\":[\"read\"]}}"),
                                 amp_span("acme.0123456789"), scopes[0],
                                 sizeof(scopes[0]), &error)
          != 0);
    check(amp_token_scope_decode(amp_span("{\"origins\":[\"https://a\"]}"),
                                 amp_span("acme.0123456789"), scopes[1],
                                 sizeof(scopes[1]), &error)
          != 0);
}


/* The next line, in memory of its own, so that a read beyond it is found. */

static amp_span_t
line(const uint8_t **data, size_t *size, int last)
{
    size_t          len;
    const uint8_t  *end;
    unsigned char  *copy;

    end = last ? NULL : memchr(*data, '\n', *size);
    len = (end != NULL) ? (size_t) (end - *data) : *size;

    copy = malloc(len ? len : 1);

    if (len != 0) {
        memcpy(copy, *data, len);
    }

    *data += len;
    *size -= len;

    if (end != NULL) {
        *data += 1;
        *size -= 1;
    }

    return amp_span_make(copy, len);
}


static int
within(amp_span_t part, amp_span_t whole)
{
    return part.len != 0 && part.data >= whole.data
           && part.data < whole.data + whole.len;
}


static void
check_document(amp_reason_e reason, const amp_fault_t *fault)
{
    size_t                len;
    json_t               *json, *causes;
    amp_buf_t             out;
    const char           *text;
    unsigned char        *document;
    amp_problem_facts_t   facts;

    memset(&facts, 0, sizeof(facts));
    facts.fault = *fault;

    document = malloc(AMP_PROBLEM_MAX);
    amp_buf_init(&out, document, AMP_PROBLEM_MAX);
    amp_problem_write(reason, &facts, &out);
    check(!out.overflow);

    json = json_loadb((char *) document, amp_buf_written(&out).len,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    causes = json_object_get(json, "causes");
    check(json_array_size(causes) == 1);

    text = json_string_value(json_array_get(causes, 0));
    len = json_string_length(json_array_get(causes, 0));
    check(len > 10 && text[len - 1] == '.');

    json_decref(json);
    free(document);
}


static void
check_body(const amp_tenant_t *t, const amp_request_t *request,
    const amp_operation_t *op, amp_span_t body)
{
    amp_span_t    sent;
    amp_fault_t   fault;
    amp_reason_e  reason;

    reason = amp_scope_body(t, request->scope, op, body, &sent);
    free((void *) sent.data);

    if (reason == AMP_OK) {
        return;
    }

    amp_fault_body(reason, t, request->scope, op, body, &fault);

    check(fault.text != NULL || reason == AMP_TOO_LARGE);
    check(!within(fault.name, body));
    check_document(reason, &fault);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t              bits;
    amp_span_t           body;
    amp_fault_t          fault;
    amp_reason_e         reason;
    amp_request_t        request;
    unsigned char       *scratch;
    amp_decision_t       decision;
    const amp_tenant_t  *t;

    if (size < 2) {
        return 0;
    }

    if (tenants[0][0] == 0) {
        init();
    }

    memset(&request, 0, sizeof(request));
    memset(&decision, 0, sizeof(decision));

    bits = data[1];
    t = (const amp_tenant_t *) tenants[bits & 1];
    request.api = data[0] % AMP_API_COUNT;
    request.scope = (bits & 2) ? (const amp_token_scope_t *) scopes[bits >> 2
                                                                    & 1]
                               : NULL;
    request.installation = bits >> 3 & 1;
    request.has_group = bits >> 4 & 1;
    request.project = (bits >> 5 & 1) ? amp_span("p-2") : amp_span_null;

    data += 2;
    size -= 2;

    request.method = line(&data, &size, 0);
    request.path = line(&data, &size, 0);
    request.query = line(&data, &size, 0);
    request.group = line(&data, &size, 0);
    request.origin = line(&data, &size, 0);
    body = line(&data, &size, 1);

    scratch = malloc(amp_decide_scratch(request.path.len, request.query.len)
                     + 1);

    reason = amp_decide(&request, t, scratch, &decision);

    if (reason != AMP_OK) {
        amp_fault_find(reason, &request, t, &decision, &fault);

        check(fault.text != NULL || reason == AMP_NO_OPERATION);
        check(!within(fault.name, request.path));
        check(!within(fault.name, request.query)
              || memchr(fault.name.data, '=', fault.name.len) == NULL);
        check_document(reason, &fault);

    } else {
        check_body(t, &request, decision.op, body);
    }

    free(scratch);
    free((void *) request.method.data);
    free((void *) request.path.data);
    free((void *) request.query.data);
    free((void *) request.group.data);
    free((void *) request.origin.data);
    free((void *) body.data);

    return 0;
}
