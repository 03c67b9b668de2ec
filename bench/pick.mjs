// A pick by each strategy, from candidates that are at work; and what a router adds to it, who looks up the picker of a set of capabilities.
import { decodedSnapshot, encodedSnapshot } from './lib/cluster-data.mjs';
import { isolated } from './lib/isolated.mjs';
import { watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, round } from './lib/stats.mjs';

const SIZES = [10, 1_000, 10_000, 100_000];
const BATCH = 10_000;
const TARGET_NS = 200;
/** Routing keys, and weights of every kind: more than any cache of the processor remembers of the last pick. */
const HASHES = 1 << 16;
const MAX_WEIGHT = 1_000;

export async function run({ rounds, quick }) {
  const results = [];
  const othersUsed = watchOthers();
  const startMs = performance.now();
  for (const instances of SIZES) {
    say(`${instances} instances`);
    results.push({ instances, ...(await isolated(import.meta.url, 'measure', { instances, rounds, ms: quick ? 50 : 300 })) });
  }
  const othersCores = round(othersUsed(performance.now() - startMs), 2);
  const smallest = results[0];
  const largest = results.at(-1);
  const names = Object.keys(largest.strategies);
  const targets = names.map((name) => {
    const { ns } = largest.strategies[name];
    return {
      what: `${name}, ${largest.instances} instances`,
      target: `<= ${TARGET_NS} ns`,
      got: `${ns} ns`,
      met: ns <= TARGET_NS,
    };
  });
  writeResult('pick', { settings: { rounds }, results, othersCores, targets });
  const table = (title, cell) =>
    printTable(
      title,
      ['strategy', ...results.map(({ instances }) => String(instances)), 'growth'],
      names.map((name) => [
        name,
        ...results.map(({ strategies }) => cell(strategies[name])),
        round(cell(largest.strategies[name]) / cell(smallest.strategies[name])),
      ]),
    );
  table('ns per pick, by instances', ({ ns }) => ns);
  table('x round robin in the same round', ({ ratio }) => ratio);
  table('µs to build a picker, nothing kept', ({ buildUs }) => buildUs);
  table('µs to build it anew after one changed its status', ({ rebuildUs }) => rebuildUs);
  printTable(
    'bytes allocated per pick',
    ['strategy', ...results.map(({ instances }) => String(instances))],
    names.map((name) => [name, ...results.map(({ strategies }) => strategies[name].bytes)]),
  );
  printTable(
    'ns to look at the load of one at random and to read the clock; ns for Destinations.resolve + pick by round robin, µs after a change',
    ['instances', 'look ns', 'clock ns', 'resolve ns', 'after a change µs'],
    results.map(({ instances, lookNs, clockNs, resolveNs, changeUs }) => [instances, lookNs, clockNs, resolveNs, changeUs]),
  );
  console.log(`  others used ${othersCores} cores`);
  printTargets(targets);
}

/** In a process of its own. */
export async function measure({ instances, rounds, ms }) {
  const { strategies } = await import('../dist/src/balancer/strategies.js');
  const { systemClock: clock } = await import('../dist/src/core/clock.js');
  const { systemRandom: random } = await import('../dist/src/core/random.js');
  const { view, targets, change, resolve } = await clusterOf(instances, clock, random);
  const names = Object.keys(strategies);
  const hashes = Uint32Array.from({ length: HASHES }, () => Math.random() * 2 ** 32);
  const request = { hash: 0, excluded: undefined };
  let sink = 0;
  const works = Object.fromEntries(
    names.map((name) => {
      const picker = strategies[name](targets(), { random, clock, memory: { turn: 0 }, members: targets() });
      return [name, pickWork(picker, request, hashes)];
    }),
  );
  works.resolve = (picks) => {
    for (let i = 0; i < picks; i++) if (resolve().pick(request) === undefined) sink += 1;
    return sink;
  };
  const loads = targets().map(({ load }) => load);
  works.look = (picks) => {
    // The next one depends on what was seen of the last, as a pick's steps do: else the processor fetches many at once.
    let seen = 0;
    for (let i = 0; i < picks; i++) seen = loads[(hashes[i & (HASHES - 1)] + seen) % instances].inFlight;
    return seen;
  };
  works.clock = (picks) => {
    for (let i = 0; i < picks; i++) sink += clock.monotonicMs();
    return sink;
  };
  for (const work of Object.values(works)) nsPer(work, ms);
  const perRound = Array.from({ length: rounds }, () =>
    Object.fromEntries(Object.entries(works).map(([name, work]) => [name, nsPer(work, ms)])),
  );
  const bytes = Object.fromEntries(names.map((name) => [name, bytesPer(works[name])]));
  const changeUs = median(
    Array.from({ length: 30 }, () => {
      change();
      return usOf(() => resolve().pick(request));
    }),
  );
  const buildTimes = (name) => {
    const build = (memory) => strategies[name](targets(), { random, clock, memory, members: targets() });
    const times = Array.from({ length: instances > 10_000 ? 5 : 20 }, () => {
      const memory = { turn: 0 };
      const buildUs = usOf(() => build(memory));
      change();
      return { buildUs, rebuildUs: usOf(() => build(memory)) };
    });
    return {
      buildUs: round(median(times.map(({ buildUs }) => buildUs))),
      rebuildUs: round(median(times.map(({ rebuildUs }) => rebuildUs))),
    };
  };
  if (view.catalog.size === 0) throw new Error('nobody is there');
  const of = (name) => ({
    ns: round(median(perRound.map((one) => one[name]))),
    ratio: round(median(perRound.map((one) => one[name] / one.round_robin))),
    bytes: bytes[name],
    ...buildTimes(name),
  });
  return {
    lookNs: round(median(perRound.map(({ look }) => look))),
    clockNs: round(median(perRound.map(({ clock: ns }) => ns))),
    resolveNs: round(median(perRound.map(({ resolve: ns }) => ns))),
    changeUs: round(changeUs),
    strategies: Object.fromEntries(names.map((name) => [name, of(name)])),
  };
}

/** A function of its own for each picker, as each call site of a router sees one kind of picker most of the time. */
function pickWork(picker, request, hashes) {
  return new Function(
    'picker',
    'request',
    'hashes',
    `let next = 0;
     return (picks) => {
       let sink = 0;
       for (let i = 0; i < picks; i++) {
         request.hash = hashes[next];
         next = (next + 1) & ${HASHES - 1};
         if (picker.pick(request) === undefined) sink += 1;
       }
       return sink;
     };`,
  )(picker, request, hashes);
}

/** So many agents of every weight and state of load that share a capability, in a view. */
export async function clusterOf(instances, clock, random) {
  const { ClusterView } = await import('../dist/src/discovery/view.js');
  const { Destinations } = await import('../dist/src/upstream/destinations.js');
  const { HealthTable } = await import('../dist/src/upstream/health-table.js');
  const { silentLogger } = await import('../dist/src/telemetry/logger.js');
  const agents = Math.min(instances, 100);
  const all = (await decodedSnapshot(await encodedSnapshot({ nodes: instances / agents, agents, revision: 1n }))).map(
    (instance, index) => ({ ...instance, weight: 1 + ((index * 7_919) % MAX_WEIGHT) }),
  );
  const view = new ClusterView(clock);
  view.reset(all, 1n);
  const targets = () => view.catalog.withCapability('agent-any');
  if (targets().length !== instances) throw new Error(`${targets().length} instances instead of ${instances}`);
  for (const [index, { load, weight }] of targets().entries()) {
    const nowMs = clock.monotonicMs();
    // As much as its weight says, more or less; half of them have told of others, who do as much again.
    const calls = Math.floor(weight / 100) + ((index * 7_919) % 3);
    for (let i = 0; i < calls; i++) load.begin();
    load.observe(1 + ((index * 104_729) % 997) / 10, nowMs);
    if (index % 2 === 0) load.report({ inFlight: 2 * calls, queued: 0, limit: 0, eventLoopDelayMs: 1, cpu: 0.5 }, nowMs);
  }
  let revision = 1n;
  const change = () => {
    revision += 1n;
    view.apply([{ kind: 'put', instance: { ...all.at(-1), metadata: new Map(), revision } }], revision);
  };
  const health = new HealthTable({ view, clock, logger: silentLogger });
  const destinations = new Destinations({ view, health, clock, random, zone: '' });
  return { view, targets, change, resolve: () => destinations.resolve(['agent-any'], 'round_robin').picker };
}

function usOf(work) {
  const startMs = performance.now();
  work();
  return (performance.now() - startMs) * 1_000;
}

/** Nanoseconds for one, over batches that take `ms` together. */
function nsPer(work, ms) {
  const startMs = performance.now();
  let done = 0;
  let elapsedMs = 0;
  while (elapsedMs < ms) {
    work(BATCH);
    done += BATCH;
    elapsedMs = performance.now() - startMs;
  }
  return (elapsedMs * 1e6) / done;
}

/** Bytes of heap for one: the middle of batches small enough that no collection falls into one. */
function bytesPer(work) {
  return round(
    median(
      Array.from({ length: 21 }, () => {
        globalThis.gc();
        const before = process.memoryUsage().heapUsed;
        work(BATCH);
        return (process.memoryUsage().heapUsed - before) / BATCH;
      }),
    ),
    2,
  );
}
