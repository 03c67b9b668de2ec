// What a node or gateway knows of 1,000 nodes with 100 agents each: the time to take in a change, and what it weighs.
import { decodedSnapshot, encodedSnapshot, KINDS } from './lib/cluster-data.mjs';
import { isolated } from './lib/isolated.mjs';
import { watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, quantile, round } from './lib/stats.mjs';

const NODES = 1_000;
const AGENTS = 100;
const TARGET_MS = 1;
/** What a change costs depends on how many agents offer the same capability: its list is copied. */
const SHARED_BY_MANY = `a capability for each ${(NODES * AGENTS) / KINDS}`;
const SHARED_BY_ALL = `one for all ${NODES * AGENTS}`;

export async function run({ rounds, quick }) {
  const othersUsed = watchOthers();
  const startMs = performance.now();
  const perRound = [];
  for (let i = 0; i < rounds; i++) {
    say(`round ${i + 1}`);
    const params = { changes: quick ? 200 : 2_000 };
    const many = await isolated(import.meta.url, 'measure', { ...params, common: false });
    const all = await isolated(import.meta.url, 'measure', { ...params, common: true });
    perRound.push({ ...many, changes: { ...named(many.changes, SHARED_BY_MANY), ...named(all.changes, SHARED_BY_ALL) } });
  }
  const othersCores = round(othersUsed(performance.now() - startMs), 2);
  const of = (pick) => round(median(perRound.map(pick)));
  const changes = Object.fromEntries(
    Object.keys(perRound[0].changes).map((kind) => [
      kind,
      {
        p50Us: of((one) => one.changes[kind].p50Us),
        p99Us: of((one) => one.changes[kind].p99Us),
        ratio: of((one) => one.changes[kind].p50Us / one.copyUs),
      },
    ]),
  );
  const figures = Object.fromEntries(Object.keys(perRound[0].figures).map((name) => [name, of((one) => one.figures[name])]));
  const copyUs = of((one) => one.copyUs);
  const targets = [SHARED_BY_MANY, SHARED_BY_ALL].flatMap((shape) =>
    ['p50Us', 'p99Us'].map((figure) => {
      const [kind, times] = Object.entries(changes)
        .filter(([name]) => name.startsWith(shape))
        .reduce((worst, one) => (one[1][figure] > worst[1][figure] ? one : worst));
      const ms = times[figure] / 1000;
      return {
        what: `${figure.slice(0, 3)}, ${kind}`,
        target: `<= ${TARGET_MS} ms`,
        got: `${round(ms)} ms`,
        met: ms <= TARGET_MS,
      };
    }),
  );
  writeResult('view', { settings: { rounds, nodes: NODES, agents: AGENTS }, changes, figures, copyUs, othersCores, targets });
  printTable(
    `a change among ${NODES} nodes x ${AGENTS} agents (x copying an array of ${(NODES * AGENTS) / KINDS}: ${copyUs} µs)`,
    ['change', 'p50 µs', 'p99 µs', 'x copy'],
    Object.entries(changes).map(([kind, { p50Us, p99Us, ratio }]) => [kind, p50Us, p99Us, ratio]),
  );
  printTable('a whole snapshot, and memory', ['what', ''], Object.entries(figures));
  console.log(`  others used ${othersCores} cores`);
  printTargets(targets);
}

function named(changes, shape) {
  return Object.fromEntries(Object.entries(changes).map(([kind, times]) => [`${shape}: ${kind}`, times]));
}

/** In a process of its own. `common`: all agents offer one capability besides that of their kind. */
export async function measure({ changes, common }) {
  const { ClusterView } = await import('../dist/src/discovery/view.js');
  const { systemClock } = await import('../dist/src/core/clock.js');
  const { WatchResponse } = await import('../dist/src/gen/troupe/v1/registry.js');
  const { instanceFromMessage, instanceToMessage } = await import('../dist/src/rpc/codec/instance.js');

  // What is only run once runs warm: a small cluster goes first.
  const small = await decodedSnapshot(await encodedSnapshot({ nodes: 20, agents: AGENTS, revision: 1n }));
  for (let i = 0; i < 20; i++) new ClusterView(systemClock).reset(small, 1n);

  const parts = await encodedSnapshot({ nodes: NODES, agents: AGENTS, revision: 1n, common });
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const count = NODES * (AGENTS + 1);
  const empty = memory();
  const decodeStartMs = performance.now();
  const all = await decodedSnapshot(parts);
  const decodeMs = performance.now() - decodeStartMs;
  const decoded = memory();
  const view = new ClusterView(systemClock);
  const resetStartMs = performance.now();
  view.reset(all, 1n);
  const resetMs = performance.now() - resetStartMs;
  const indexed = memory();
  const againStartMs = performance.now();
  view.reset(all, 2n);
  const againMs = performance.now() - againStartMs;

  let revision = 2n;
  const agentsOnly = all.slice(NODES);
  const pickAgent = (i) => agentsOnly[(i * 7_919) % agentsOnly.length];
  const timed = (prepare, act = (change) => view.apply([change], revision)) => {
    const times = [];
    for (let i = 0; i < changes; i++) {
      revision += 1n;
      const change = prepare(i);
      const startMs = performance.now();
      act(change);
      times.push((performance.now() - startMs) * 1000);
    }
    return { p50Us: median(times), p99Us: quantile(times, 0.99) };
  };
  const kinds = {
    'agent changed': (i) => ({ kind: 'put', instance: { ...pickAgent(i), weight: 1 + (i % 9), revision } }),
    'agent removed': (i) => ({ kind: 'removed', key: pickAgent(i) }),
    'agent added': (i) => ({ kind: 'put', instance: { ...pickAgent(i), revision } }),
    'node changed': (i) => ({ kind: 'put', instance: { ...all[i % NODES], weight: 1 + (i % 9), revision } }),
  };
  const results = {};
  for (const [name, prepare] of Object.entries(kinds)) {
    results[name] = timed(prepare);
    if (view.catalog.size !== (name === 'agent removed' ? count - changes : count))
      throw new Error(`${name}: ${view.catalog.size} instances`);
  }
  results['agent changed, from the wire'] = timed(
    (i) =>
      Buffer.from(
        WatchResponse.encode({
          event: {
            $case: 'changes',
            value: {
              revision,
              changes: [
                { change: { $case: 'put', value: instanceToMessage({ ...pickAgent(i), weight: 1 + (i % 9), revision }) } },
              ],
            },
          },
        }).finish(),
      ),
    (encoded) => {
      const { value } = WatchResponse.decode(encoded).event;
      view.apply(
        value.changes.map(({ change }) => ({ kind: 'put', instance: instanceFromMessage(change.value) })),
        revision,
      );
    },
  );
  const list = view.catalog.withCapability('kind-0');
  const copies = timed(
    () => list,
    (array) => array.slice(),
  );
  return {
    changes: results,
    copyUs: copies.p50Us,
    figures: {
      instances: count,
      'snapshot on the wire, bytes per instance': bytes / count,
      'snapshot decoded, ms': decodeMs,
      'snapshot indexed, ms': resetMs,
      'the same snapshot again, ms': againMs,
      'memory per instance decoded, bytes': (decoded - empty) / count,
      'memory per instance decoded and indexed, bytes': (indexed - empty) / count,
      'memory of all, MiB': (indexed - empty) / 2 ** 20,
    },
  };
}

/** Bytes in use after everything that is not is gone. */
function memory() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
