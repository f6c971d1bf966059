/*
 * What "ampctl top" shows: the figures of all gateways that could be read,
 * added up.
 *
 *   { "gateways": [{ "id", "version", "status", "read": true, "why": "" }],
 *     "requestsPerSecond": 12.5, "fromCache": 0.5, "refused": 0.1,
 *     "latency": { "gateway": { "p50", "p95", "p99" }, "upstream": ... },
 *     "refusals": { "rate": 3 },
 *     "tenants": [{ "id", "requestsPerSecond", "requests", "fromCache",
 *                   "refused", "refusals": { "rate": 3 }, "refusalsEver",
 *                   "limit": { "name", "rate", "burst", "used" },
 *                   "budget": 36.2 }],
 *     "upstream": [{ "api", "suspended", "requestsPerSecond", "errors" }],
 *     "redis": { "links", "up", "subscribed", "limitsHeldWithoutRedis" } }
 *
 * requestsPerSecond of all is of the last 10 seconds; fromCache, refused,
 * latency (in seconds) and refusals are of the last minute; what tenants and
 * upstream have is of the time between two answers of their gateways, at most
 * a minute.  null: there were no such requests, or there is one answer
 * only.  refusalsEver is since the gateways began to count; limit is that of
 * which most is used; budget is what the tenant's project has, learned from
 * Ampersand's 429s, in requests a second, 0: nothing was learned.
 */

#ifndef CTL_TOP_SUM_H
#define CTL_TOP_SUM_H


#include "top_read.h"


/* The document, the caller's to release. */

json_t *top_sum(const top_gateways_t *gateways);


#endif /* CTL_TOP_SUM_H */
