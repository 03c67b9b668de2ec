// A pick as the router makes it: the destination of a set of capabilities, then its picker.
import { decodedSnapshot, encodedSnapshot } from './lib/cluster-data.mjs';
import { isolated } from './lib/isolated.mjs';
import { watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, round } from './lib/stats.mjs';

const SIZES = [10, 1_000, 10_000, 100_000];
const STRATEGIES = ['round_robin', 'random', 'least_connections'];
const BATCH = 10_000;
const TARGET_AT = 10_000;
const TARGET_NS = 1_000;

export async function run({ rounds, quick }) {
  const results = [];
  const othersUsed = watchOthers();
  const startMs = performance.now();
  for (const instances of SIZES) {
    say(`${instances} instances`);
    results.push({ instances, ...(await isolated(import.meta.url, 'measure', { instances, rounds, ms: quick ? 50 : 300 })) });
  }
  const othersCores = round(othersUsed(performance.now() - startMs), 2);
  const targets = STRATEGIES.map((strategy) => {
    const { ns } = results.find(({ instances }) => instances === TARGET_AT).strategies[strategy];
    return { what: `${strategy}, ${TARGET_AT} instances`, target: `<= ${TARGET_NS} ns`, got: `${ns} ns`, met: ns <= TARGET_NS };
  });
  writeResult('pick', { settings: { rounds }, results, othersCores, targets });
  printTable(
    'ns per pick: Destinations.resolve + pick (x the next element of an array); rebuild: the first pick after a change',
    ['instances', 'array ns', ...STRATEGIES.flatMap((name) => [name, 'x array', 'rebuild µs'])],
    results.map(({ instances, arrayNs, strategies }) => [
      instances,
      arrayNs,
      ...STRATEGIES.flatMap((name) => [strategies[name].ns, strategies[name].ratio, strategies[name].rebuildUs]),
    ]),
  );
  console.log(`  others used ${othersCores} cores`);
  printTargets(targets);
}

/** In a process of its own. */
export async function measure({ instances, rounds, ms }) {
  const { ClusterView } = await import('../dist/src/discovery/view.js');
  const { Destinations } = await import('../dist/src/upstream/destinations.js');
  const { systemClock } = await import('../dist/src/core/clock.js');
  const { systemRandom } = await import('../dist/src/core/random.js');

  const agents = Math.min(instances, 100);
  const all = await decodedSnapshot(await encodedSnapshot({ nodes: instances / agents, agents, revision: 1n }));
  const view = new ClusterView(systemClock);
  view.reset(all, 1n);
  const destinations = new Destinations(view, systemRandom);
  const capabilities = ['agent-any'];
  const targets = view.catalog.withCapability('agent-any');
  if (targets.length !== instances) throw new Error(`${targets.length} instances instead of ${instances}`);
  // Loads differ, as they do in a cluster at work.
  for (const [index, target] of targets.entries()) target.load.inFlight = (index * 7_919) % 13;

  const request = {};
  let sink = 0;
  const cases = {
    array: (picks) => {
      for (let i = 0; i < picks; i++) sink += targets[i % targets.length].weight;
    },
    ...Object.fromEntries(
      STRATEGIES.map((strategy) => [
        strategy,
        (picks) => {
          for (let i = 0; i < picks; i++) sink += destinations.resolve(capabilities, strategy).picker.pick(request).weight;
        },
      ]),
    ),
  };
  for (const work of Object.values(cases)) nsPer(work, ms);
  const perRound = [];
  for (let i = 0; i < rounds; i++)
    perRound.push(Object.fromEntries(Object.entries(cases).map(([name, work]) => [name, nsPer(work, ms)])));

  let revision = 1n;
  const rebuildUs = (strategy) => {
    const times = [];
    for (let i = 0; i < 30; i++) {
      revision += 1n;
      view.apply([{ kind: 'put', instance: { ...all.at(-1), weight: 1 + (i % 9), revision } }], revision);
      const startMs = performance.now();
      sink += destinations.resolve(capabilities, strategy).picker.pick(request).weight;
      times.push((performance.now() - startMs) * 1000);
    }
    return round(median(times));
  };
  if (sink === 0) throw new Error('nothing was picked');
  return {
    arrayNs: round(median(perRound.map(({ array }) => array))),
    strategies: Object.fromEntries(
      STRATEGIES.map((name) => [
        name,
        {
          ns: round(median(perRound.map((one) => one[name]))),
          ratio: round(median(perRound.map((one) => one[name] / one.array))),
          rebuildUs: rebuildUs(name),
        },
      ]),
    ),
  };
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
