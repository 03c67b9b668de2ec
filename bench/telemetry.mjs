// What telemetry costs Tasks.Run through a router to an agent on another node: metrics, and metrics with traces, over none at all. All routers are in
// one process, all agents' nodes in another, and short slices of tasks take turns: what the machine and a process do to one way they do to all.
import { setTimeout as delay } from 'node:timers/promises';
import { Child } from './lib/child.mjs';
import { cores, watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, medianWithin, round } from './lib/stats.mjs';

const PAYLOAD_BYTES = 100;
const SLICE_TASKS = 2_000;
/** Spans of a slice have left before its CPU time is read: more often than they would by themselves, which is each 5 s. */
const EXPORT_EVERY_MS = 500;
const SETTLE_MS = 600;
const role = (name) => new URL(`./roles/${name}.mjs`, import.meta.url);

/** A collector gets metrics as well, so there are no traces without. */
const WAYS = {
  off: { metrics: false, traceRatio: 0 },
  metrics: { metrics: true, traceRatio: 0 },
  'metrics, traces at 1 %': { metrics: true, traceRatio: 0.01 },
  'metrics, traces of all': { metrics: true, traceRatio: 1 },
};

export async function run({ slices, warmUpSeconds, inFlight }) {
  const children = [];
  const start = async (name, params) => {
    const child = await Child.start(role(name), params);
    children.push(child);
    return child;
  };
  try {
    const sink = await start('otlp-sink');
    const load = await start('load');
    const { cases, nodes } = await clusters(start, sink);
    say(`warming up, ${warmUpSeconds} s each, twice`);
    for (const { target } of [...cases, ...cases]) await load.call('run', { target, inFlight: 64, seconds: warmUpSeconds });

    const results = [];
    for (const flight of inFlight) {
      const others = watchOthers();
      let ownUs = 0;
      const perSlice = [];
      for (let i = 0; i < slices; i++) {
        const measured = {};
        // The other way round in every second slice, so that a machine that grows busier wrongs nobody.
        for (const { name, target } of i % 2 === 0 ? cases : cases.toReversed()) {
          await delay(SETTLE_MS);
          const before = await cpuOf(...nodes, load);
          const result = await load.call('run', { target, inFlight: flight, most: SLICE_TASKS });
          if (result.errors > 0) throw new Error(`${name}: ${result.errors} calls failed: ${result.firstError}`);
          await delay(SETTLE_MS);
          const used = (await cpuOf(...nodes, load)).map((us, index) => us - before[index]);
          const [router, agents, client] = used.map((us) => us / result.calls);
          measured[name] = { ...result, nodesUs: router + agents, allUs: router + agents + client };
          ownUs += used.reduce((sum, us) => sum + us, 0);
        }
        perSlice.push(measured);
      }
      const busy = round(others(ownUs / 1000));
      const offUs = round(median(perSlice.map(({ off }) => off.nodesUs)));
      say(`${flight} in flight: others took ${busy} cores; a task without telemetry ${offUs} µs of CPU in both nodes`);
      const byWay = Object.fromEntries(cases.map(({ name }) => [name, ratios(perSlice, name)]));
      results.push({ inFlight: flight, others: busy, offUs, byWay });
    }
    const targets = targetsOf(results);
    const sinkBytes = await sink.call('taken');
    const settings = { slices, tasks: SLICE_TASKS, payloadBytes: PAYLOAD_BYTES };
    writeResult('telemetry', { settings, results, sinkBytes, targets });
    for (const { inFlight: flight, byWay } of results) {
      printTable(
        `Tasks.Run, ${PAYLOAD_BYTES} bytes, ${flight} in flight, x without telemetry (${cores()} cores; medians of ${slices} slices and what they lie between with 95 %)`,
        ['telemetry', 'CPU, both nodes', 'CPU, client too', 'throughput', 'p50'],
        Object.entries(byWay).map(([name, { nodes: ofNodes, all, throughput, p50 }]) => [
          name,
          ...[ofNodes, all, throughput, p50].map(text),
        ]),
      );
    }
    printTargets(targets);
  } finally {
    for (const child of children.reverse()) await child.stop();
  }
}

/** Microseconds of CPU that processes have used. */
function cpuOf(...processes) {
  return Promise.all(processes.map((each) => each.cpu()));
}

/** For each way a registry, a router and an agent's node of its own, so that no task crosses to another way. */
async function clusters(start, sink) {
  const told = [];
  for (const { metrics, traceRatio } of Object.values(WAYS)) {
    const registry = await start('registry');
    told.push({
      registry: registry.info.address,
      ...(metrics ? { opsPort: 0 } : {}),
      ...(traceRatio > 0 ? { otlpEndpoint: sink.info.endpoint, traceRatio } : {}),
    });
  }
  const process = (more) => start('nodes', { all: told.map((each) => ({ ...each, ...more })), exportEveryMs: EXPORT_EVERY_MS });
  const agents = await process({ id: 'bench-agents', agents: ['echo-1'] });
  const routers = await process({ id: 'bench-router', agents: [] });
  const content = 'x'.repeat(PAYLOAD_BYTES);
  const { RunRequest } = await import('../dist/src/gen/troupe/v1/tasks.js');
  const task = { requiredCapabilities: ['echo'], payload: { content: { $case: 'text', value: content } } };
  const request = RunRequest.encode(RunRequest.fromPartial({ task })).finish();
  const cases = Object.keys(WAYS).map((name, index) => {
    const address = routers.info.addresses[index];
    return { name, target: { kind: 'raw', address, path: '/troupe.v1.Tasks/Run', request, text: content } };
  });
  return { cases, nodes: [routers, agents] };
}

/** Over the way without telemetry, slice by slice: the median, and between what it lies. */
function ratios(perSlice, name) {
  const of = (pick) =>
    medianWithin(perSlice.map((measured) => pick(measured[name]) / pick(measured.off))).map((each) => round(each));
  return {
    nodes: of(({ nodesUs }) => nodesUs),
    all: of(({ allUs }) => allUs),
    throughput: of(({ perSecond }) => perSecond),
    p50: of(({ p50Ms }) => p50Ms),
  };
}

const text = ([low, middle, high]) => `${middle} (${low} to ${high})`;

function targetsOf(results) {
  const many = results.find(({ inFlight }) => inFlight === 64);
  if (many === undefined) return [];
  return ['metrics', 'metrics, traces at 1 %'].map((name) => {
    const [low, got, high] = many.byWay[name].throughput;
    return { what: `${name}, 64 in flight`, target: '>= 0.95 x', got: `${got} x (${low} to ${high})`, met: got >= 0.95 };
  });
}
