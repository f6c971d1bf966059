#include "amp_gateway.h"
#include "amp_json.h"


void
amp_gateway_write(const amp_gateway_t *gateway, amp_buf_t *out)
{
    size_t    i;
    uint64_t  clock;

    amp_buf_text(out, "{\"v\":1,\"id\":");
    amp_json_string(gateway->id, out);
    amp_buf_text(out, ",\"version\":");
    amp_json_string(gateway->version, out);
    amp_buf_text(out, ",\"start\":");
    amp_json_number(gateway->start, out);

    if (gateway->status.len) {
        amp_buf_text(out, ",\"status\":");
        amp_json_string(gateway->status, out);
    }

    if (gateway->timed) {
        clock = (uint64_t) gateway->clock;
        amp_buf_text(out, ",\"clock\":");

        if (gateway->clock < 0) {
            amp_buf_byte(out, '-');
            clock = 0 - clock;
        }

        amp_json_number(clock, out);
    }

    if (gateway->applied) {
        amp_buf_text(out, ",\"event\":");
        amp_event_write(gateway->event, out);
        amp_buf_text(out, ",\"applied\":");
        amp_json_number(gateway->applied, out);
    }

    if (gateway->nmarks) {
        amp_buf_text(out, ",\"marks\":");

        for (i = 0; i < gateway->nmarks; i++) {
            amp_buf_byte(out, i ? ',' : '[');
            amp_json_number(gateway->marks[i], out);
        }

        amp_buf_byte(out, ']');
    }

    amp_buf_byte(out, '}');
}
