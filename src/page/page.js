(() => {

'use strict';

const HISTORY = 900;            // seconds, as much as the gateway has
const APIS = ['platform', 'read', 'write', 'search', 'proxy'];
const SOURCES = ['gateway', 'upstream', 'cache'];
const SHOWN = 100;              // rows of a table
const NEAR = 0.8;               // of a limit: the tenant is near it
const SOON = 7 * 86400;         // seconds: a token expires soon
const FEW = 10;                 // requests: fewer say nothing of latency
const FAILING = 0.05;           // of the requests to an API

// p95 in seconds: slow in any case, as in the alerts; worth a line where it is twice what is usual

const SLOW = { gateway: 0.01, upstream: 5 };
const NOTABLE = { gateway: 0.002, upstream: 0.1 };
const SLOW_REDIS = 0.05;

const $ = id => document.getElementById(id);
const sum = list => list.reduce((a, b) => a + b, 0);
const all = counts => sum(SOURCES.map(source => counts[source]));

// What was counted between two answers; a gateway that was restarted, and a
// tenant that got a place again, count from 0.

const grown = (now, before) => now >= (before || 0) ? now - (before || 0) : now;


// Numbers as text

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

const rate = n => n >= 100 ? number.format(n) : fine.format(n);
const share = (part, whole) => whole ? fine.format(100 * part / whole) + ' %' : '–';

function duration(seconds) {
    return seconds === null ? '–'
        : seconds < 0.001 ? fine.format(seconds * 1e6) + ' µs'
        : seconds < 1 ? fine.format(seconds * 1e3) + ' ms'
        : fine.format(seconds) + ' s';
}

const causes = counts => Object.entries(counts).filter(c => c[1]).sort((a, b) => b[1] - a[1])
    .map(([name, n]) => `${name} ${number.format(n)}`).join(', ');


// A quantile of a histogram, as Prometheus' histogram_quantile() has it.

function quantile(bounds, counts, q) {
    const total = sum(counts);
    let left = q * total;
    if (!total) {
        return null;
    }
    for (let i = 0; i < counts.length; i++) {
        if (counts[i] && left <= counts[i]) {
            const low = i ? bounds[i - 1] : 0;
            return bounds[i] === null ? low : low + (bounds[i] - low) * left / counts[i];
        }
        left -= counts[i];
    }
    return bounds[bounds.length - 2];
}

const add = (into, counts, sign = 1) => counts.forEach((n, i) => { into[i] = (into[i] || 0) + sign * n; });


// The elements of a table or a list are kept: only what changed is written, and
// only as text.

function write(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

function rows(id, list, textColumns = []) {
    const body = $(id).tBodies[0];
    while (body.rows.length > list.length) {
        body.deleteRow(-1);
    }
    list.forEach((cells, i) => {
        const row = body.rows[i] || body.insertRow();
        cells.forEach((cell, j) => {
            let element = row.cells[j];
            if (!element) {
                element = row.appendChild(document.createElement(j ? 'td' : 'th'));
                if (!j) {
                    element.scope = 'row';
                }
            }
            const { text, bad, part } = cell.text === undefined ? { text: cell } : cell;
            write(part === undefined ? element : bar(element, part), String(text));
            element.className = (bad ? 'bad' : '') + (textColumns.includes(j) ? ' text' : '');
        });
    });
}

// A part of a whole as a bar; the text beside it says the same.

function bar(element, part) {
    if (!element.querySelector('meter')) {
        const meter = document.createElement('meter');
        meter.setAttribute('aria-hidden', 'true');
        element.replaceChildren(meter, document.createElement('span'));
    }
    Object.assign(element.firstChild, { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: part });
    return element.lastChild;
}

function terms(id, list) {
    const dl = $(id);
    list.forEach(([name, text, bad, note], i) => {
        let box = dl.children[i];
        if (!box) {
            box = dl.appendChild(document.createElement('div'));
            box.append(document.createElement('dt'), document.createElement('dd'));
        }
        write(box.firstChild, name);
        write(box.children[1], text);
        box.children[1].className = bad ? 'bad' : '';
        if (note && !box.children[2]) {
            box.append(document.createElement('dd'));
        }
        if (box.children[2]) {
            write(box.children[2], note || '');
            box.children[2].className = bad ? 'beside bad' : 'beside';
        }
    });
}


// Charts

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name);
const clock = t => new Date(t * 1000).toTimeString().slice(0, 5);

function chart(title, names, options) {
    const figure = document.createElement('figure');
    const caption = figure.appendChild(document.createElement('figcaption'));
    caption.textContent = title;
    $('charts').append(figure);

    const axis = () => ({ stroke: () => css('--soft'), grid: { stroke: () => css('--grid'), width: 1 },
                          ticks: { stroke: () => css('--grid'), width: 1 } });
    const plot = new uPlot({
        width: figure.clientWidth, height: 190,
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: true }, y: options.scale },
        axes: [
            { ...axis(), values: (u, splits) => splits.map(clock) },
            { ...axis(), size: 64, values: (u, splits) => splits.map(v => v === null ? null : options.text(v)) },
        ],
        series: [
            { label: 'Time', value: (u, t) => t === null ? '–' : new Date(t * 1000).toTimeString().slice(0, 8) },
            ...names.map((label, i) => ({
                label, width: 1.5, stroke: () => css(['--a', '--b', '--c'][i]),
                dash: [[], [6, 3], [2, 3]][i], points: { size: 4 },
                value: (u, v) => v === null ? '–' : options.text(v),
            })),
        ],
    }, [[], ...names.map(() => [])], figure);

    const image = plot.root.querySelector('.u-wrap');
    image.setAttribute('role', 'img');
    new ResizeObserver(() => {
        if (figure.clientWidth && figure.clientWidth !== plot.width) {
            plot.setSize({ width: figure.clientWidth, height: 190 });
        }
    }).observe(figure);

    return {
        plot,
        set(data) {
            plot.setData(data);
            if (plot.cursor.idx == null) {
                plot.setLegend({ idx: data[0].length - 1 });
            }
            image.setAttribute('aria-label', title + ', last values: '
                + names.map((name, i) => {
                    const last = data[i + 1].filter(v => v !== null).pop();
                    return `${name} ${last === undefined ? 'none' : options.text(last)}`;
                }).join(', '));
        },
    };
}

const powers = (u, min, max) => {
    const low = min === null ? -5 : Math.floor(Math.log10(min));
    const high = min === null ? 0 : Math.ceil(Math.log10(max));
    return [10 ** low, 10 ** Math.max(high, low + 1)];
};
const fromZero = (u, min, max) => [0, Math.max(max * 1.1, 1)];

const QUANTILES = [0.5, 0.95, 0.99];
const latency = { scale: { distr: 3, range: powers }, text: duration };
const charts = {
    requests: chart('Requests a second, by who answered', ['upstream', 'cache', 'gateway (refused or failed)'],
                    { scale: { range: fromZero }, text: rate }),
    hits: chart('Answers from the cache', ['from cache'], { scale: { range: () => [0, 100] }, text: v => fine.format(v) + ' %' }),
    gateway: chart("Latency: the gateway's own", ['p50', 'p95', 'p99'], latency),
    upstream: chart('Latency: upstream', ['p50', 'p95', 'p99'], latency),
};

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    Object.values(charts).forEach(c => c.plot.redraw());
});


// The past: what was counted in each second, by the gateway's clock

let past = new Map();

function remember(status) {
    if (past.size && status.second < Math.max(...past.keys())) {
        past = new Map();                       // the machine was restarted
    }
    for (const second of status.history) {
        past.set(second.second, second);
    }
    for (const second of past.keys()) {
        if (second < status.second - HISTORY) {
            past.delete(second);
        }
    }
}

// All that was counted in the last n seconds that are over, or until so many seconds ago.

function recent(status, n, ago = 0) {
    const total = { gateway: 0, upstream: 0, cache: 0, refusals: {}, durations: { gateway: [], upstream: [] } };
    for (let s = status.second - n; s < status.second - ago; s++) {
        const second = past.get(s);
        if (second) {
            SOURCES.forEach(source => { total[source] += second[source]; });
            Object.entries(second.refusals).forEach(([cause, count]) => {
                total.refusals[cause] = (total.refusals[cause] || 0) + count;
            });
            ['gateway', 'upstream'].forEach(part => add(total.durations[part], second.durations[part]));
        }
    }
    return total;
}

// How long a part takes, p95: in the last minute, and usually, which is what one in four of the
// minutes before had or less; so a slow time is not usual before it has lasted for ten minutes.

function pace(status, part) {
    const p95 = (n, ago) => {
        const counts = recent(status, n, ago).durations[part];
        return sum(counts) < FEW ? null : quantile(status.bounds, counts, 0.95);
    };
    const before = [];
    for (let ago = 60; ago < HISTORY; ago += 60) {
        before.push(p95(ago + 60, ago));
    }
    const known = before.filter(v => v !== null).sort((a, b) => a - b);
    const usual = known.length ? known[Math.floor(known.length / 4)] : null;
    const now = p95(60, 0);
    const slower = usual !== null && now >= NOTABLE[part] && now >= 2 * usual;
    return { now, usual, slow: slower || now > SLOW[part] };
}

function paceNote({ now, usual, slow }) {
    return now === null ? 'too few to judge'
        : slow ? `slow: p95 usually ${duration(usual)}` : usual === null ? 'not slow' : 'as usual';
}

function draw(status) {
    const now = Date.now() / 1000 - status.second;
    const x = [], lines = { upstream: [], cache: [], gateway: [] }, hits = [];
    const times = { gateway: [[], [], []], upstream: [[], [], []] };
    const window = { gateway: [], upstream: [] };       // counts of ten seconds

    for (let s = status.second - HISTORY; s < status.second; s++) {
        const second = past.get(s), left = past.get(s - 10);
        x.push(now + s);
        SOURCES.forEach(source => lines[source].push(second ? second[source] : 0));
        const answered = second ? second.cache + second.upstream : 0;
        hits.push(answered ? 100 * second.cache / answered : null);
        for (const part of ['gateway', 'upstream']) {
            if (second) {
                add(window[part], second.durations[part]);
            }
            if (left && s - 10 >= status.second - HISTORY) {
                add(window[part], left.durations[part], -1);
            }
            QUANTILES.forEach((q, i) => times[part][i].push(second ? quantile(status.bounds, window[part], q) : null));
        }
    }
    charts.requests.set([x, lines.upstream, lines.cache, lines.gateway]);
    charts.hits.set([x, hits]);
    charts.gateway.set([x, ...times.gateway]);
    charts.upstream.set([x, ...times.upstream]);
}


// The last minute of what has no history: an answer from each ten seconds

let before = [];

function earlier(status) {
    if (!before.length || status.second - before[before.length - 1].second >= 10) {
        before.push(status);
    }
    while (before.length > 1 && before[1].second <= status.second - 60) {
        before.shift();
    }
    return before[0];
}

function perSecond(status, then, counted) {
    return status.second > then.second ? rate(counted / (status.second - then.second)) : '–';
}

// The limit of a tenant that is nearest, and how much of it is used.

const nearest = limits => Object.entries(limits || {}).sort((a, b) => b[1].used - a[1].used)[0];

function limitCell(limits) {
    const found = nearest(limits);
    if (!found) {
        return limits ? 'none' : '–';
    }
    const [name, limit] = found;
    const of = limit.rate ? `${limit.rate}, burst ${number.format(limit.burst)}` : `${number.format(limit.burst)} in flight`;
    return { part: limit.used, bad: limit.used >= NEAR,
             text: `${share(limit.used, 1)} of ${of}${name === 'default' || !limit.rate ? '' : ` (${name})`}` };
}

// What a tenant was refused for: "rate-limited 12 (write)", with the limit that refused most.

const LIMITED = ['rate-limited', 'token-rate-limited', 'project-rate-limited', 'too-many-at-once'];

function whyRefused(refusals, limits) {
    const [most] = Object.entries(limits).filter(l => l[1]).sort((a, b) => b[1] - a[1])[0] || [];
    return causes(refusals).split(', ').map(cause => most && LIMITED.includes(cause.split(' ')[0]) ? `${cause} (${most})` : cause).join(', ');
}

// A limit in words, as far as the gateway has the tenant's record.

function limitWords(limits, name) {
    const limit = (limits || {})[name];
    return name === 'token' || name === 'project' ? `the limit of its ${name}`
        : name === 'concurrency' ? `its limit of ${limit ? number.format(limit.burst) + ' ' : ''}requests in flight`
        : `its limit${limit ? ` of ${limit.rate}, burst ${number.format(limit.burst)}` : ''}${name === 'default' ? '' : ` for ${name}`}`;
}

// What a cause means, where its name does not say who has to do something.

const MEANS = {
    'unknown-operation': "Ampersand's API has no operation with that path",
    'operation-not-granted': 'its grants do not have that operation',
    'other-project': 'it asks for a project that is not its own',
    'unknown-token': 'the token was never issued, is revoked, or has expired',
    'no-token': 'no token was sent',
};

const tenantName = id => id === '' ? '(not identified)' : id;

function tenants(status, then) {
    return Object.entries(status.tenants).map(([id, now]) => {
        const was = then.tenants[id] || { refusals: {}, limitRefusals: {} };
        const sources = {}, refusals = {}, limits = {};
        SOURCES.forEach(source => { sources[source] = grown(now[source], was[source]); });
        Object.keys(now.refusals).forEach(cause => { refusals[cause] = grown(now.refusals[cause], was.refusals[cause]); });
        Object.keys(now.limitRefusals).forEach(name => { limits[name] = grown(now.limitRefusals[name], was.limitRefusals[name]); });
        return { id, now, sources, recent: all(sources), total: all(now), refusals, limits,
                 refused: sum(Object.values(refusals)), refusedEver: sum(Object.values(now.refusals)) };
    }).filter(t => t.total).sort((a, b) => b.recent - a.recent || b.total - a.total || (a.id < b.id ? -1 : 1));
}

function filtered(name, list, matches) {
    const words = $(name + '-filter').value.trim().toLowerCase();
    const found = list.filter(item => matches(item).toLowerCase().includes(words));
    write($(name + '-count'), `${Math.min(found.length, SHOWN)} of ${list.length} shown`);
    return found.slice(0, SHOWN);
}

function showTenants(status, then, list) {
    rows('tenant-table', filtered('tenant', list, t => tenantName(t.id) + ' ' + causes(t.now.refusals)).map(t => [
        tenantName(t.id),
        perSecond(status, then, t.recent),
        limitCell(t.now.limits),
        share(t.sources.cache, t.sources.cache + t.sources.upstream),
        { text: number.format(t.refused), bad: t.refused > 0 },
        t.refused ? whyRefused(t.refusals, t.limits) : whyRefused(t.now.refusals, t.now.limitRefusals),
        number.format(t.total),
        number.format(t.refusedEver),
    ]), [2, 5]);
}

function expiry(at) {
    const days = (at - Date.now() / 1000) / 86400;
    return days < 0 ? 'a token has expired' : days < 1 ? 'a token expires within a day' : `a token expires in ${Math.floor(days)} days`;
}

// What of tenants needs somebody soon: [tenant, what, what to do]

function care(list) {
    const found = [];
    for (const { id, now: tenant } of list) {
        if (tenant.keyUsable === false) {
            found.push([id, 'no Ampersand key that opens', `ampctl key list ${id}`]);
        }
        if (tenant.tokenExpires - Date.now() / 1000 < SOON) {
            found.push([id, expiry(tenant.tokenExpires), `ampctl token list ${id}`]);
        }
        if (tenant.cooldown) {
            found.push([id, `Ampersand asked it to wait, ${number.format(tenant.cooldown)} s are left`, `ampctl cooldown list`]);
        }
    }
    return found;
}

function showCare(list) {
    const found = care(list);
    rows('care', (found.length ? found : [['None', '', '']]).slice(0, SHOWN), [1, 2]);
}

function showOperations(status, then) {
    const list = Object.entries(status.operations).map(([id, now]) => {
        const was = then.operations[id] || {};
        const sources = {};
        SOURCES.forEach(source => { sources[source] = grown(now[source], was[source]); });
        return { id, now, sources, recent: all(sources), total: all(now) };
    }).sort((a, b) => b.recent - a.recent || b.total - a.total || (a.id < b.id ? -1 : 1));

    rows('operation-table', filtered('operation', list, o => o.id).map(o => [
        o.id,
        perSecond(status, then, o.recent),
        share(o.sources.cache, o.sources.cache + o.sources.upstream),
        number.format(o.total),
        number.format(o.now.statuses['4xx'] || 0),
        { text: number.format(o.now.statuses['5xx'] || 0), bad: o.now.statuses['5xx'] > 0 },
    ]));
}

// What upstream's answers, and calls to Redis, took since then.

function upstreamTimes(status, then, api) {
    const counts = answer => {
        const total = [];
        answer.durations.filter(d => d.part === 'upstream' && d.api === api).forEach(d => add(total, d.counts));
        return total;
    };
    const old = counts(then);
    return counts(status).map((n, i) => grown(n, old[i]));
}

const redisTimes = (status, then, what) => status.redis[what].map((n, i) => grown(n, then.redis[what][i]));

// How requests to an API failed since then, and how many were sent.

function failures(status, then, api) {
    const now = status.upstream[api], was = then.upstream[api];
    const errors = {};
    Object.keys(now.errors).forEach(kind => { errors[kind] = grown(now.errors[kind], was.errors[kind]); });
    return { errors, sent: grown(now.connections.new, was.connections.new) + grown(now.connections.reused, was.connections.reused) };
}

function showUpstream(status, then) {
    rows('upstream', APIS.map(api => {
        const now = status.upstream[api];
        const took = upstreamTimes(status, then, api);
        const { errors } = failures(status, then, api);
        const suspended = status[`upstream_${api}_suspended`];
        return [
            api,
            suspended ? { text: 'suspended', bad: true } : 'working',
            perSecond(status, then, sum(took)),
            ...QUANTILES.map(q => duration(quantile(status.bounds, took, q))),
            share(now.connections.reused, now.connections.reused + now.connections.new),
            { text: causes(errors) || '0', bad: sum(Object.values(errors)) > 0 },
            causes(now.errors) || '0',
        ];
    }));
}

function showRedis(status, then) {
    const took = what => QUANTILES.map(q => duration(quantile(status.bounds, redisTimes(status, then, what), q))).join(' / ');
    const nodes = Object.entries(status.redisNodes).map(([name, links]) =>
        `${name}: ${Object.entries(links).filter(l => l[1]).map(([state, n]) => `${n} ${state}`).join(', ')}`);
    const more = name => number.format(grown(status[name], then[name])) + ' / ' + number.format(status[name]);
    terms('redis', [
        ['Links up', `${status.redis_links_up} of ${status.redis_links}`, status.redis_links_up < status.redis_links],
        ['Links by server', nodes.join('; ') || 'none', Object.values(status.redisNodes).some(links => links.down)],
        ['Events', status.redis_events_up ? 'subscribed' : 'not subscribed', !status.redis_events_up],
        ['Limits', status.limits_degraded ? 'held without Redis' : 'leased', status.limits_degraded],
        ['Look-ups, last minute: p50 / p95 / p99', took('lookup')],
        ['Leases, last minute: p50 / p95 / p99', took('lease')],
        ['Times that events may have been missed', more('events_missed_total')],
        ['Zone used', share(status.zone_size_bytes - status.zone_free_bytes, status.zone_size_bytes)],
        ['Events received: last minute / ever', more('events_total')],
        ['Commands', more('redis_commands_total')],
        ['Lost links and failed attempts', more('redis_failures_total')],
        ['Replies that came too late', more('redis_timeouts_total')],
        ['Look-ups', more('lookups_total')],
        ['Look-ups without an answer', more('lookup_failures_total')],
    ]);
}

// What needs attention: [kind, text], what is wrong now before what will be

function attention(status, then, list, paces) {
    const found = [];
    broken(status, then, list, (when, text) => when && found.push(['Broken', text]));
    refused(list, text => found.push(['Refused', text]));
    slow(status, then, paces, text => found.push(['Slow', text]));
    soon(list, text => found.push(['Soon', text]));
    announce(found);
}

function broken(status, then, list, say) {
    const grew = name => grown(status[name], then[name]);
    const down = Object.entries(status.redisNodes).filter(([, links]) => links.down).map(([name]) => name);

    APIS.forEach(api => {
        say(status[`upstream_${api}_suspended`], `Upstream: the host of the ${api} API failed and is suspended`);
        const { sent, errors } = failures(status, then, api);
        const n = sum(Object.values(errors));
        say(n >= FEW / 2 && n >= sent * FAILING && !status[`upstream_${api}_suspended`],
            `Upstream: requests to the ${api} API fail, in the last minute ${causes(errors)}`);
    });
    say(status.redis_links_up < status.redis_links || status.redis_degraded,
        'Redis, or a part of it, is out of reach' + (down.length ? ': ' + down.slice(0, 5).join(', ') : ''));
    say(down.length && !status.redis_degraded && status.redis_links_up === status.redis_links,
        `A server of Redis or a Sentinel is out of reach: ${down.slice(0, 5).join(', ')}`);
    say(!status.redis_events_up, 'Changes made with ampctl do not arrive: not subscribed to events');
    say(status.limits_degraded, 'Limits are held without Redis');
    say(grew('events_missed_total'), 'The subscription to events was lost for a while: records are read again');
    say(grew('zone_evictions_total') || grew('zone_no_memory_total'), 'ampersand_zone is too small: tenants in use are evicted');
    say(grew('stale_tenants_served_total'), 'Tenants are served by records that could not be read again');
    list.filter(t => t.now.keyUsable === false).slice(0, 5)
        .forEach(t => say(true, `Tenant ${t.id} has no Ampersand key that opens`));
    list.filter(t => t.now.cooldown).slice(0, 5)
        .forEach(t => say(true, `Tenant ${t.id} cools down for ${number.format(t.now.cooldown)} s: Ampersand answered 429`));
}

function refused(list, say) {
    const requests = sum(list.map(t => t.recent));
    const part = t => t.refused / (t.id === '' ? requests : t.recent);
    list.filter(t => t.refused && part(t) >= 0.05).sort((a, b) => part(b) - part(a)).slice(0, 5).forEach(t => {
        const [cause] = Object.entries(t.refusals).sort((a, b) => b[1] - a[1])[0];
        const [limit] = Object.entries(t.limits).sort((a, b) => b[1] - a[1])[0] || [];
        say((t.id === '' ? `Clients that were not identified: ${number.format(t.refused)} requests in the last minute`
                         : `Tenant ${t.id}: ${share(t.refused, t.recent)} of its requests, `
                           + `${number.format(t.refused)} of ${number.format(t.recent)} in the last minute`)
            + `, mostly ${cause}` + (MEANS[cause] ? `: ${MEANS[cause]}`
                                     : limit && LIMITED.includes(cause) ? ` by ${limitWords(t.now.limits, limit)}` : ''));
    });
}

function slow(status, then, paces, say) {
    const { gateway, upstream } = paces;
    const times = ({ now, usual }) => `p95 ${duration(now)}` + (usual === null ? '' : `, usually ${duration(usual)}`);
    if (upstream.slow) {
        const [worst] = APIS.map(api => [api, quantile(status.bounds, upstreamTimes(status, then, api), 0.95)])
            .sort((a, b) => b[1] - a[1])[0];
        say(`Upstream, above all the ${worst} API: ${times(upstream)}` + (gateway.slow ? '' : '; the gateway itself is not slow'));
    }
    if (gateway.slow) {
        say(`The gateway itself: ${times(gateway)}` + (upstream.slow ? '' : '; upstream is not slow'));
    }
    for (const [what, name] of [['lookup', 'look-ups of tenants'], ['lease', 'leases of limits']]) {
        const took = redisTimes(status, then, what);
        const p95 = quantile(status.bounds, took, 0.95);
        if (sum(took) >= FEW && p95 > SLOW_REDIS) {
            say(`Redis: p95 of ${name} ${duration(p95)}`);
        }
    }
}

function soon(list, say) {
    list.map(t => [t, nearest(t.now.limits)]).filter(([t, limit]) => limit && limit[1].used >= NEAR && !t.limits[limit[0]])
        .sort((a, b) => b[1][1].used - a[1][1].used).slice(0, 5)
        .forEach(([t, [name, limit]]) => say(`Tenant ${t.id} has used ${share(limit.used, 1)} of ${limitWords(t.now.limits, name)}: it will be refused`));
    list.filter(t => t.now.tokenExpires - Date.now() / 1000 < SOON).slice(0, 5)
        .forEach(t => say(`Tenant ${t.id}: ${expiry(t.now.tokenExpires)}`));
}

// A screen reader says what changed, so nothing else is written.

function announce(found) {
    const ul = $('attention');
    const lines = found.length ? found : [['', 'Nothing: no tenant is refused much, upstream and gateway are not slow']];
    if (lines.map(([kind, text]) => kind + text).join('\n') !== [...ul.children].map(li => li.textContent).join('\n')) {
        ul.replaceChildren(...lines.map(([kind, text]) => {
            const li = document.createElement('li');
            const tag = li.appendChild(document.createElement('span'));
            tag.textContent = kind;
            tag.className = 'kind';
            li.append(text);
            li.classList.toggle('later', kind === 'Soon');
            return li;
        }));
        ul.classList.toggle('fine', !found.length);
    }
}

function show(status) {
    const then = earlier(status), list = tenants(status, then);
    const seconds = recent(status, 10), minute = recent(status, 60), quarter = recent(status, HISTORY);
    const paces = { gateway: pace(status, 'gateway'), upstream: pace(status, 'upstream') };
    const times = part => QUANTILES.map(q => duration(quantile(status.bounds, minute.durations[part], q))).join(' / ');

    write($('about'), `version ${status.version}, one gateway with all its workers`);
    terms('now', [
        ['Requests/s, last 10 s', rate(all(seconds) / 10)],
        ['From cache, last minute', share(minute.cache, minute.cache + minute.upstream)],
        ['Refused or failed, last minute', share(minute.gateway, all(minute)), minute.gateway >= all(minute) / 20 && minute.gateway > 0],
        ["The gateway's own time, last minute: p50 / p95 / p99", times('gateway'), paces.gateway.slow, paceNote(paces.gateway)],
        ['Upstream, last minute: p50 / p95 / p99', times('upstream'), paces.upstream.slow, paceNote(paces.upstream)],
    ]);
    draw(status);
    rows('refusals', Object.entries(quarter.refusals).sort((a, b) => b[1] - a[1])
        .map(([cause, n]) => [cause, number.format(minute.refusals[cause] || 0), number.format(n)]));
    showTenants(status, then, list);
    showCare(list);
    showOperations(status, then);
    showUpstream(status, then);
    showRedis(status, then);
    rows('figures', Object.entries(status).filter(f => typeof f[1] === 'number' && f[0] !== 'second')
        .map(([name, n]) => [name, number.format(n)]));
    attention(status, then, list, paces);
}


// Each second an answer, with the seconds that are not known yet

let last = null, answered = 0, paused = false, busy = false, timer = 0;

async function update() {
    if (busy) {
        return;
    }
    busy = true;
    const began = Date.now();
    const unknown = last ? Math.ceil((began - answered) / 1000) + 5 : HISTORY;
    try {
        const response = await fetch(`?format=json&history=${unknown}`,
                                     { cache: 'no-store', signal: AbortSignal.timeout(10000) });
        if (!response.ok) {
            throw new Error(`status ${response.status}`);
        }
        last = await response.json();
        answered = began;
        remember(last);
        show(last);
    } catch (error) {
        announce([['Broken', `The gateway does not answer (${error.message}); the figures are those of ${answered ? clock(answered / 1000) : 'never'}`]]);
    }
    busy = false;
    if (!paused) {
        timer = setTimeout(update, Math.max(100, began + 1000 - Date.now()));
    }
}

$('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', String(paused));
    clearTimeout(timer);
    if (!paused) {
        update();
    }
});

for (const name of ['tenant', 'operation']) {
    $(name + '-filter').addEventListener('input', () => last && show(last));
}

update();

})();
