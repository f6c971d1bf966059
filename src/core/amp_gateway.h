/*
 * The registry: which gateways live.  Each gateway calls register.lua and
 * writes its record every AMP_GATEWAY_BEAT ms; both are forgotten
 * AMP_GATEWAY_LIFE ms after the last time.
 *
 * A record, <prefix>gateway:<id>, one JSON object:
 *
 *   { "v": 1, "id": "<16 hex>", "version": "0.1.0", "start": 1764378000,
 *     "status": "http://10.0.0.5:8080/-/status", "clock": -3600000,
 *     "event": { "v": 1, "type": "tenant", "tenant": "acme", "rev": 8 },
 *     "applied": 1764378123, "marks": [ 4711 ] }
 *
 * start: when the gateway began, Unix seconds.  status: where it answers with
 * its status; absent without ampersand_status.  clock: how many ms its clock is
 * ahead of that of Redis, or less than 0; absent until it is known.  event: the
 * last message on amp:events that the gateway has applied, see amp_event.h, and
 * when; absent before the first.  marks: those that it has received, the last
 * AMP_GATEWAY_MARKS in any order, for "ampctl gateway wait"; absent before the
 * first.
 */

#ifndef AMP_GATEWAY_H
#define AMP_GATEWAY_H


#include "amp_event.h"


#define AMP_GATEWAY_LIFE    10000                   /* ms                     */
#define AMP_GATEWAY_BEAT    2000                    /* ms                     */
#define AMP_GATEWAY_STATUS  256                     /* bytes of the address   */
#define AMP_GATEWAY_MARKS   16
#define AMP_GATEWAY_MAX     (AMP_EVENT_MAX + 6 * AMP_GATEWAY_STATUS           \
                             + 21 * AMP_GATEWAY_MARKS + 256)


typedef struct {
    amp_span_t           id;
    amp_span_t           version;
    amp_span_t           status;        /* or empty                           */
    uint64_t             start;         /* Unix seconds                       */
    int64_t              clock;         /* ms ahead of Redis, ...             */
    unsigned             timed:1;       /* ... if known                       */
    uint64_t             applied;       /* Unix seconds, 0: no event so far   */
    const amp_event_t   *event;
    const uint64_t      *marks;
    size_t               nmarks;
} amp_gateway_t;


/* Appends the record; AMP_GATEWAY_MAX bytes are enough. */

void amp_gateway_write(const amp_gateway_t *gateway, amp_buf_t *out);


#endif /* AMP_GATEWAY_H */
