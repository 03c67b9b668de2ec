// Requests and answers, and broadcasts, between processes on loopback: peers beside one another.
import { Child } from './lib/child.mjs';
import { cores, watchOthers } from './lib/machine.mjs';
import { startNats } from './lib/nats.mjs';
import { startPeer } from './lib/peers.mjs';
import { freePorts } from './lib/ports.mjs';
import { printTable, say, writeResult } from './lib/report.mjs';
import { median, round } from './lib/stats.mjs';

const SHAPES = [
  { inFlight: 1, payloadBytes: 100 },
  { inFlight: 64, payloadBytes: 100 },
  { inFlight: 512, payloadBytes: 100 },
  { inFlight: 64, payloadBytes: 1024 },
  { inFlight: 64, payloadBytes: 16 * 1024 },
];
const OPEN_LOOP = { perSecond: 20_000, payloadBytes: 100 };
const OPEN_LOOP_SECONDS = 5;
const BROADCAST = { inFlight: 1024, payloadBytes: 100 };
const REQUESTS_BASE = 'raw-unary';
const BROADCAST_BASE = 'nats';

/**
 * The cases. `peer(host)` gives what `startPeer` needs for it; `host.nats()` is the nats-server of all. A case that cannot keep up with
 * the open loop says so by itself: `openLoop: false` spares it the try.
 */
const CASES = [
  {
    name: REQUESTS_BASE,
    openLoop: false,
    peer: () => ({ role: 'raw-unary', serverRole: 'raw-server', requests: true }),
  },
  {
    name: 'raw-stream',
    peer: () => ({ role: 'raw-stream', requests: true }),
  },
  {
    name: 'tuned-stream',
    peer: () => ({ role: 'tuned-stream', requests: true, broadcasts: true }),
  },
  {
    name: 'troupe',
    peer: async (host) => ({
      role: 'troupe-agents',
      options: { registry: await host.registry() },
      requests: true,
      broadcasts: true,
    }),
  },
  {
    name: 'troupe-connect',
    openLoop: false,
    peer: async (host) => ({
      role: 'troupe-connect',
      options: { registry: await host.registry(), router: await host.router() },
      requests: true,
    }),
  },
  {
    name: 'moleculer-tcp',
    peer: () => ({ role: 'moleculer', link: tcpLink, requests: true, broadcasts: true }),
  },
  {
    name: 'moleculer-nats',
    peer: async (host) => ({ role: 'moleculer', ...(await byNats(host)), requests: true, broadcasts: true }),
  },
  {
    name: 'nats',
    peer: async (host) => ({ role: 'nats', ...(await byNats(host, 'bench.each')), requests: true, broadcasts: true }),
  },
  {
    name: 'nats-fan-out',
    peer: async (host) => ({ role: 'nats', ...(await byNats(host, 'bench.one', true)), broadcasts: true }),
  },
];

/** Moleculer's nodes find each other by a list of addresses: what it finds them by otherwise, UDP multicast, is not for all machines. */
async function tcpLink(ids) {
  const ports = await freePorts(ids.length);
  return { urls: ids.map((id, i) => `tcp://127.0.0.1:${ports[i]}/${id}`) };
}

async function byNats(host, subject, fanOut = false) {
  const { address, pid } = await host.nats();
  return { brokerPid: pid, options: { broker: address, subject, fanOut } };
}

export async function run({ rounds, seconds, warmUpSeconds, inFlight, cases: names, quick }) {
  const children = [];
  const start = async (module, params) => {
    const child = await Child.start(module, params);
    children.push(child);
    return child;
  };
  let nats;
  let registry;
  let router;
  const host = {
    router: async () => {
      const params = { id: 'bench-router', registry: await host.registry(), agents: [] };
      router ??= start(new URL('./roles/node.mjs', import.meta.url), params);
      return (await router).info.address;
    },
    registry: () => {
      registry ??= start(new URL('./roles/registry.mjs', import.meta.url), {}).then(({ info }) => info.address);
      return registry;
    },
    nats: () => {
      nats ??= startNats();
      return nats;
    },
  };
  try {
    const cases = [];
    for (const one of selected(names)) cases.push({ ...one, ...(await startPeer(start, await one.peer(host))) });
    const able = (method) => cases.filter((one) => one[method] !== undefined);
    const requests = able('run');
    const atRate = requests.filter(({ openLoop = true }) => openLoop);
    const broadcasts = able('broadcast');

    say(`warming up, ${warmUpSeconds} s each`);
    for (const one of requests) await checked(one, 'run', { inFlight: 64, payloadBytes: 100, seconds: warmUpSeconds });
    const results = { requests: [], openLoop: {}, broadcast: {} };
    const figure = { requests: ({ perSecond }) => `${Math.round(perSecond)}/s`, openLoop: ({ p99Ms }) => `${p99Ms} ms` };
    for (const shape of SHAPES.filter((each) => inFlight.includes(each.inFlight))) {
      const title = `${shape.payloadBytes} bytes, ${shape.inFlight} in flight`;
      const perRound = await interleaved(title, requests, rounds, figure.requests, (one) =>
        measure(one, 'run', { ...shape, seconds }),
      );
      results.requests.push({ ...shape, cases: digest(requests, perRound, REQUESTS_BASE) });
    }
    const openLoop = { ...OPEN_LOOP, seconds: quick ? seconds : OPEN_LOOP_SECONDS };
    const rate = await interleaved('open loop', atRate, rounds, figure.openLoop, (one) => measure(one, 'runAt', openLoop));
    results.openLoop = digest(atRate, rate);

    say(`warming up broadcasts, ${warmUpSeconds} s each`);
    for (const one of broadcasts) await one.broadcast({ ...BROADCAST, seconds: warmUpSeconds });
    const perRound = await interleaved('broadcast', broadcasts, rounds, figure.requests, (one) =>
      measure(one, 'broadcast', { ...BROADCAST, seconds }),
    );
    results.broadcast = digest(broadcasts, perRound, BROADCAST_BASE);

    const settings = { rounds, seconds, openLoop, broadcast: BROADCAST, natsServer: (await nats)?.version };
    writeResult('messaging', { settings, ...results });
    print(results, settings);
  } finally {
    for (const child of children.reverse()) await child.stop();
    await (await nats)?.stop();
  }
}

/** The cases of these names, and those that all are compared with. */
function selected(names) {
  if (names === undefined) return CASES;
  const unknown = names.filter((name) => !CASES.some((one) => one.name === name));
  if (unknown.length > 0)
    throw new RangeError(`there is no case ${unknown.join(', ')}; there are ${CASES.map(({ name }) => name).join(', ')}`);
  return CASES.filter(({ name }) => [REQUESTS_BASE, BROADCAST_BASE, ...names].includes(name));
}

/** All cases in each round, the other way round in every second one, so that a machine that grows busier wrongs nobody. */
async function interleaved(title, cases, rounds, figure, work) {
  const perRound = [];
  for (let i = 0; i < rounds; i++) {
    const measured = {};
    for (const one of i % 2 === 0 ? cases : cases.toReversed()) measured[one.name] = await work(one);
    perRound.push(measured);
    say(`${title}, round ${i + 1}: ${cases.map(({ name }) => `${name} ${figure(measured[name])}`).join(', ')}`);
  }
  return perRound;
}

async function checked({ name, ...one }, method, load) {
  const result = await one[method](load);
  if (result.errors > 0) throw new Error(`${name}: ${result.errors} requests failed: ${result.firstError}`);
  return result;
}

async function measure(one, method, load) {
  const othersUsed = watchOthers();
  const before = await one.cpuMs();
  const result = await checked(one, method, load);
  const usedMs = (await one.cpuMs()) - before;
  return { ...result, cpuUsPerCall: (usedMs * 1000) / result.calls, othersCores: othersUsed(usedMs) };
}

/** Medians of the rounds; ratios to the case `base` are taken in each round first. */
function digest(cases, perRound, base) {
  const ratio = (pick) => (one, measured) => pick(one) / pick(measured[base]);
  return Object.fromEntries(
    cases.map(({ name }) => {
      const of = (pick) => round(median(perRound.map((measured) => pick(measured[name], measured))));
      const has = (field) => perRound.every((measured) => measured[name][field] !== undefined);
      const figures = { perSecond: Math.round(median(perRound.map((measured) => measured[name].perSecond))) };
      if (has('p50Ms')) Object.assign(figures, { p50Ms: of((one) => one.p50Ms), p99Ms: of((one) => one.p99Ms) });
      if (base !== undefined) {
        figures.throughputRatio = of(ratio(({ perSecond }) => perSecond));
        figures.cpuRatio = of(ratio(({ cpuUsPerCall }) => cpuUsPerCall));
      }
      if (perRound.some((measured) => measured[name].overloaded)) figures.overloaded = true;
      return [name, { ...figures, cpuUsPerCall: of((one) => one.cpuUsPerCall), othersCores: of((one) => one.othersCores) }];
    }),
  );
}

function print({ requests, openLoop, broadcast }, { openLoop: load, natsServer }) {
  const machine = `${cores()} cores; medians${natsServer === undefined ? '' : `; ${natsServer}`}`;
  for (const { inFlight, payloadBytes, cases } of requests)
    printTable(
      `requests, ${payloadBytes} bytes, ${inFlight} in flight (${machine})`,
      ['case', 'requests/s', `x ${REQUESTS_BASE}`, 'p50 ms', 'p99 ms', 'CPU µs', `x ${REQUESTS_BASE} CPU`, 'others, cores'],
      Object.entries(cases).map(([name, one]) => [
        name,
        one.perSecond,
        one.throughputRatio,
        one.p50Ms,
        one.p99Ms,
        one.cpuUsPerCall,
        one.cpuRatio,
        one.othersCores,
      ]),
    );
  printTable(
    `open loop, ${load.perSecond} requests/s, ${load.payloadBytes} bytes (${machine})`,
    ['case', 'p50 ms', 'p99 ms', 'CPU µs', 'others, cores', ''],
    Object.entries(openLoop).map(([name, one]) => [
      name,
      one.p50Ms,
      one.p99Ms,
      one.cpuUsPerCall,
      one.othersCores,
      one.overloaded ? 'OVERLOADED' : '',
    ]),
  );
  printTable(
    `broadcast to 100 subscribers in 4 processes, ${BROADCAST.payloadBytes} bytes (${machine})`,
    ['case', 'deliveries/s', `x ${BROADCAST_BASE}`, 'CPU µs', `x ${BROADCAST_BASE} CPU`, 'others, cores'],
    Object.entries(broadcast).map(([name, one]) => [
      name,
      one.perSecond,
      one.throughputRatio,
      one.cpuUsPerCall,
      one.cpuRatio,
      one.othersCores,
    ]),
  );
}
