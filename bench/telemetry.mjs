// What telemetry costs Tasks.Run through a router to an agent on another node: metrics, and metrics with traces, over none at all.
import { Child } from './lib/child.mjs';
import { cores } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { quantile, round } from './lib/stats.mjs';

const PAYLOAD_BYTES = 100;
const role = (name) => new URL(`./roles/${name}.mjs`, import.meta.url);

/** A collector gets metrics as well, so there are no traces without. */
const WAYS = {
  off: { metrics: false, traceRatio: 0 },
  metrics: { metrics: true, traceRatio: 0 },
  'metrics, traces at 1 %': { metrics: true, traceRatio: 0.01 },
  'metrics, traces of all': { metrics: true, traceRatio: 1 },
};

export async function run({ rounds, seconds, warmUpSeconds, inFlight }) {
  const children = [];
  const start = async (name, params) => {
    const child = await Child.start(role(name), params);
    children.push(child);
    return child;
  };
  try {
    const sink = await start('otlp-sink');
    const load = await start('load');
    const cases = [];
    for (const [name, telemetry] of Object.entries(WAYS)) cases.push(await cluster(start, name, telemetry, sink));
    say(`warming up, ${warmUpSeconds} s each`);
    for (const { target } of cases) await load.call('run', { target, inFlight: 64, seconds: warmUpSeconds });

    const results = [];
    for (const flight of inFlight) {
      const perRound = [];
      for (let i = 0; i < rounds; i++) {
        const measured = {};
        // The other way round in every second round, so that a machine that grows busier wrongs nobody.
        for (const one of i % 2 === 0 ? cases : cases.toReversed()) {
          const before = await cpuOf(one);
          const result = await load.call('run', { target: one.target, inFlight: flight, seconds });
          if (result.errors > 0) throw new Error(`${one.name}: ${result.errors} calls failed: ${result.firstError}`);
          measured[one.name] = { ...result, cpuUs: ((await cpuOf(one)) - before) / result.calls };
        }
        perRound.push(measured);
        say(
          `${flight} in flight, round ${i + 1}: ${cases.map(({ name }) => `${name} ${Math.round(measured[name].perSecond)}/s`).join(', ')}`,
        );
      }
      results.push({ inFlight: flight, ...Object.fromEntries(cases.map(({ name }) => [name, ratios(perRound, name)])) });
    }
    const targets = targetsOf(results);
    const sinkBytes = await sink.call('taken');
    writeResult('telemetry', { settings: { rounds, seconds, payloadBytes: PAYLOAD_BYTES }, results, sinkBytes, targets });
    for (const { inFlight: flight, ...byWay } of results) {
      printTable(
        `Tasks.Run, ${PAYLOAD_BYTES} bytes, ${flight} in flight, x without telemetry (${cores()} cores; medians and quartiles)`,
        ['telemetry', 'throughput', 'p50', 'p99', 'CPU, both nodes'],
        Object.entries(byWay).map(([name, { throughput, p50, p99, cpu }]) => [name, ...[throughput, p50, p99, cpu].map(text)]),
      );
    }
    printTargets(targets);
  } finally {
    for (const child of children.reverse()) await child.stop();
  }
}

/** CPU time of the router and the agent's node, together. */
async function cpuOf({ nodes }) {
  const used = await Promise.all(nodes.map((node) => node.cpu()));
  return used.reduce((sum, us) => sum + us, 0);
}

/** A registry, a router and an agent's node of their own, so that no task crosses to another way. */
async function cluster(start, name, { metrics, traceRatio }, sink) {
  const registry = await start('registry');
  const told = {
    registry: registry.info.address,
    ...(metrics ? { opsPort: 0 } : {}),
    ...(traceRatio > 0 ? { otlpEndpoint: sink.info.endpoint, traceRatio } : {}),
  };
  const agent = await start('node', { ...told, id: 'bench-agents', agents: ['echo-1'] });
  const router = await start('node', { ...told, id: 'bench-router', agents: [] });
  const text = 'x'.repeat(PAYLOAD_BYTES);
  const { RunRequest } = await import('../dist/src/gen/troupe/v1/tasks.js');
  const task = { requiredCapabilities: ['echo'], payload: { content: { $case: 'text', value: text } } };
  const request = RunRequest.encode(RunRequest.fromPartial({ task })).finish();
  const target = { kind: 'raw', address: router.info.address, path: '/troupe.v1.Tasks/Run', request, text };
  return { name, target, nodes: [router, agent] };
}

/** Over the way without telemetry, round by round: quartiles. */
function ratios(perRound, name) {
  const of = (pick) => {
    const all = perRound.map((measured) => pick(measured[name]) / pick(measured.off));
    return [0.25, 0.5, 0.75].map((q) => round(quantile(all, q)));
  };
  return {
    throughput: of(({ perSecond }) => perSecond),
    p50: of(({ p50Ms }) => p50Ms),
    p99: of(({ p99Ms }) => p99Ms),
    cpu: of(({ cpuUs }) => cpuUs),
  };
}

const text = ([low, middle, high]) => `${middle} (${low} to ${high})`;

function targetsOf(results) {
  const many = results.find(({ inFlight }) => inFlight === 64);
  if (many === undefined) return [];
  return ['metrics', 'metrics, traces at 1 %'].map((name) => {
    const got = many[name].throughput[1];
    return { what: `${name}, 64 in flight`, target: '>= 0.95 x', got: `${got} x`, met: got >= 0.95 };
  });
}
