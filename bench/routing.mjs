// What a router's accounting costs, in time and in memory, and what its strategies do about a node that is slower than the others.
import { Child } from './lib/child.mjs';
import { decodedSnapshot, encodedSnapshot } from './lib/cluster-data.mjs';
import { isolated } from './lib/isolated.mjs';
import { watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, quantile, round } from './lib/stats.mjs';

const role = (name) => new URL(`./roles/${name}.mjs`, import.meta.url);

const SIZES = [10, 1_000];
const BATCH = 2_000;
/** Their slices are short, so there are many of them. */
const ACCOUNTING_ROUNDS = 15;
const REMEMBERED = 100_000;

const STRATEGIES = ['round_robin', 'least_connections', 'peak_ewma'];
const NODES = 5;
const TASK_MS = 5;
const SLOW_TASK_MS = 100;
const IN_FLIGHT = 8;
const PER_SECOND = 300;

export async function run({ rounds, seconds, warmUpSeconds, quick }) {
  const othersUsed = watchOthers();
  const startMs = performance.now();
  const accounting = [];
  for (const agents of SIZES) accounting.push(await measureAccounting(agents, quick ? 40 : 200));
  const memory = await isolated(import.meta.url, 'remembered', { agents: quick ? REMEMBERED / 10 : REMEMBERED });
  const othersCores = round(othersUsed(performance.now() - startMs), 2);
  printAccounting(accounting, memory, othersCores);

  const slowNode = await measureSlowNode({ rounds, seconds, warmUpSeconds });
  const targets = targetsOf(slowNode);
  const settings = { rounds, seconds, nodes: NODES, taskMs: TASK_MS, slowTaskMs: SLOW_TASK_MS };
  writeResult('routing', { settings, accounting, memory, othersCores, slowNode, targets });
  printSlowNode(slowNode);
  printTargets(targets);
}

/** Routers with health accounting and without, in processes of their own, in turn. */
async function measureAccounting(agents, ms) {
  say(`accounting, ${agents} agents`);
  const variants = { with: true, without: false };
  const children = {};
  try {
    for (const [name, health] of Object.entries(variants)) {
      children[name] = await Child.start(
        role('isolated'),
        { module: import.meta.url, name: 'routes' },
        { execArgv: ['--expose-gc'] },
      );
      await children[name].call('run', { agents, health, ms: ms * 5 });
    }
    const perRound = [];
    for (let i = 0; i < ACCOUNTING_ROUNDS; i++) {
      const measured = {};
      for (const [name, health] of Object.entries(variants))
        measured[name] = await children[name].call('run', { agents, health, ms });
      perRound.push(measured);
    }
    const of = (pick) => round(median(perRound.map(pick)));
    const ratios = perRound.map((one) => one.with.routeNs / one.without.routeNs);
    return {
      agents,
      routeNs: of((one) => one.with.routeNs),
      withoutNs: of((one) => one.without.routeNs),
      differenceNs: of((one) => one.with.routeNs - one.without.routeNs),
      ratio: round(median(ratios)),
      quartiles: [0.25, 0.75].map((q) => round(quantile(ratios, q))),
      healthNs: of((one) => one.with.healthNs),
      loadNs: of((one) => one.with.loadNs),
    };
  } finally {
    for (const child of Object.values(children)) await child.stop();
  }
}

let works;

/** In a process of its own: nanoseconds of a route whose agent answers at once, and of the parts of the accounting alone. */
export async function routes({ agents, health, ms }) {
  works ??= await routeWorks(agents, health);
  return { routeNs: await nsPer(works.route, ms), healthNs: await nsPer(works.health, ms), loadNs: await nsPer(works.load, ms) };
}

async function routeWorks(agents, withHealth) {
  const { HealthTable } = await import('../dist/src/upstream/health-table.js');
  const { Selector } = await import('../dist/src/upstream/selector.js');
  const { Destinations } = await import('../dist/src/upstream/destinations.js');
  const { Router } = await import('../dist/src/upstream/router.js');
  const { SUCCEEDED } = await import('../dist/src/upstream/outcome.js');
  const { DEFAULT_RETRY } = await import('../dist/src/upstream/route-request.js');
  const { systemClock: clock } = await import('../dist/src/core/clock.js');
  const { systemRandom: random } = await import('../dist/src/core/random.js');
  const { view, targets } = await clusterOf(agents, clock);
  const health = withHealth ? new HealthTable({ view, clock, logger }) : NO_HEALTH;
  const destinations = new Destinations({ view, health, clock, random, zone: '' });
  const router = new Router({ selector: new Selector(destinations, health), clock, random });
  const request = {
    capabilities: ['agent-any'],
    agentId: '',
    strategy: 'round_robin',
    hash: undefined,
    idempotent: false,
    deadlineMs: Number.POSITIVE_INFINITY,
    retry: DEFAULT_RETRY,
  };
  const answer = { response: Promise.resolve('done'), cancel: () => undefined };
  const attempt = () => answer;
  let next = 0;
  const nextTarget = () => {
    next = next + 1 === targets.length ? 0 : next + 1;
    return targets[next];
  };
  return {
    route: async (calls) => {
      for (let i = 0; i < calls; i++) await router.route(request, attempt).run();
    },
    health: (calls) => {
      for (let i = 0; i < calls; i++) {
        const target = nextTarget();
        if (health.begin(target)) health.end(target, SUCCEEDED, health.eraOf(target));
      }
    },
    load: (calls) => {
      for (let i = 0; i < calls; i++) {
        const { load } = nextTarget();
        const startedAtMs = clock.monotonicMs();
        load.begin();
        load.end();
        const endedAtMs = clock.monotonicMs();
        load.observe(endedAtMs - startedAtMs, endedAtMs);
      }
    },
  };
}

/** Takes the place of a HealthTable, and knows nothing. */
const NO_HEALTH = {
  revision: 0,
  allWell: true,
  isUsable: () => true,
  isShut: () => false,
  whyNot: () => undefined,
  begin: () => true,
  eraOf: () => 0,
  end: () => undefined,
};

const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };

/** In a process of its own: bytes that a router keeps of an agent, and how long the comparison of success rates stops it. */
export async function remembered({ agents }) {
  const { HealthTable } = await import('../dist/src/upstream/health-table.js');
  const { Load } = await import('../dist/src/balancer/load.js');
  const { SUCCEEDED } = await import('../dist/src/upstream/outcome.js');
  const { systemClock } = await import('../dist/src/core/clock.js');
  let aheadMs = 0;
  const clock = { ...systemClock, monotonicMs: () => performance.now() + aheadMs };
  const { view, targets } = await clusterOf(agents, clock);
  const health = new HealthTable({ view, clock, logger });
  const call = (target) => {
    if (!health.begin(target)) throw new Error('a circuit is open');
    target.load.begin();
    target.load.end();
    target.load.observe(5, clock.monotonicMs());
    health.end(target, SUCCEEDED, health.eraOf(target));
  };
  // The first of all makes the code and the tables.
  call(targets[0]);
  const bytesOf = (work) => {
    const before = heapUsed();
    const kept = work();
    const bytes = (heapUsed() - before) / agents;
    return { bytes, kept };
  };
  const called = bytesOf(() => targets.forEach(call));
  aheadMs = 5_000;
  const startMs = performance.now();
  call(targets[0]);
  const sweepMs = performance.now() - startMs;
  const swept = bytesOf(() => undefined);
  const loads = bytesOf(() => targets.map(() => new Load()));
  if (loads.kept.length !== agents) throw new Error('loads are missing');
  return {
    agents,
    calledBytes: Math.round(called.bytes),
    sweptBytes: Math.round(called.bytes + swept.bytes),
    // Less the list that holds them.
    loadBytes: Math.round(loads.bytes - 8),
    sweepMs: round(sweepMs),
  };
}

async function clusterOf(agents, clock) {
  const { ClusterView } = await import('../dist/src/discovery/view.js');
  const onEach = Math.min(100, Math.ceil(Math.sqrt(agents) / 2));
  const all = await decodedSnapshot(await encodedSnapshot({ nodes: Math.ceil(agents / onEach), agents: onEach, revision: 1n }));
  const view = new ClusterView(clock);
  view.reset(all, 1n);
  return { view, targets: view.catalog.withCapability('agent-any').slice(0, agents) };
}

function heapUsed() {
  for (let i = 0; i < 3; i++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

async function nsPer(work, ms) {
  const startMs = performance.now();
  let done = 0;
  let elapsedMs = 0;
  while (elapsedMs < ms) {
    await work(BATCH);
    done += BATCH;
    elapsedMs = performance.now() - startMs;
  }
  return (elapsedMs * 1e6) / done;
}

/** Five nodes, one of them slow, and a router for each strategy, so that none learns from the calls of another. */
async function measureSlowNode({ rounds, seconds, warmUpSeconds }) {
  const children = [];
  const start = async (name, params) => {
    const child = await Child.start(role(name), params);
    children.push(child);
    return child;
  };
  try {
    const registry = (await start('registry')).info.address;
    const workers = [];
    for (let i = 1; i <= NODES; i++)
      workers.push(await start('worker', { id: `bench-worker-${i}`, registry, taskMs: i === 1 ? SLOW_TASK_MS : TASK_MS }));
    const load = await start('load');
    const targets = {};
    for (const strategy of STRATEGIES) {
      const { address } = (await start('node', { id: `bench-${strategy.replace('_', '-')}`, registry, agents: [] })).info;
      targets[strategy] = async (kind) => ({
        kind: 'raw',
        address,
        path: '/troupe.v1.Tasks/Run',
        request: await taskFor(kind, strategy),
      });
    }
    const cases = ['wide', 'narrow'].flatMap((kind) => ['closed', 'open'].map((loop) => ({ kind, loop })));
    say(`slow node: warming up, ${warmUpSeconds} s each`);
    for (const strategy of STRATEGIES)
      for (const kind of ['wide', 'narrow'])
        await load.call('run', { target: await targets[strategy](kind), inFlight: IN_FLIGHT, seconds: warmUpSeconds });

    const perRound = cases.map(() => []);
    for (let i = 0; i < rounds; i++) {
      for (const [index, { kind, loop }] of cases.entries()) {
        const measured = {};
        for (const strategy of STRATEGIES)
          measured[strategy] = await slice({ load, workers, target: await targets[strategy](kind), kind, loop, seconds });
        perRound[index].push(measured);
        say(
          `${kind}, ${loop} loop, round ${i + 1}: p99 ${STRATEGIES.map((name) => `${name} ${measured[name].p99Ms} ms`).join(', ')}`,
        );
      }
    }
    return cases.map((one, index) => ({ ...one, strategies: digest(perRound[index]) }));
  } finally {
    for (const child of children.reverse()) await child.stop();
  }
}

async function taskFor(kind, strategy) {
  const { RunRequest } = await import('../dist/src/gen/troupe/v1/tasks.js');
  const { strategyToMessage } = await import('../dist/src/rpc/codec/strategy.js');
  const task = { requiredCapabilities: [kind], strategy: strategyToMessage(strategy) };
  return RunRequest.encode(RunRequest.fromPartial({ task })).finish();
}

async function slice({ load, workers, target, kind, loop, seconds }) {
  const othersUsed = watchOthers();
  const all = [load, ...workers];
  const cpu = async () => (await Promise.all(all.map((child) => child.cpu()))).reduce((sum, us) => sum + us / 1000, 0);
  const handled = () => Promise.all(workers.map(async (worker) => (await worker.call('handled'))[kind]));
  const [cpuBefore, before] = [await cpu(), await handled()];
  const result =
    loop === 'closed'
      ? await load.call('run', { target, inFlight: IN_FLIGHT, seconds })
      : await load.call('runAt', { target, perSecond: PER_SECOND, seconds });
  const [cpuAfter, after] = [await cpu(), await handled()];
  const done = after.map((count, index) => count - before[index]);
  const slowShare = done[0] / done.reduce((sum, count) => sum + count, 0);
  return { ...result, slowShare, othersCores: othersUsed(cpuAfter - cpuBefore) };
}

function digest(perRound) {
  return Object.fromEntries(
    STRATEGIES.map((strategy) => {
      const of = (pick) => round(median(perRound.map((measured) => pick(measured[strategy], measured.round_robin))));
      return [
        strategy,
        {
          perSecond: of((one) => one.perSecond),
          throughputRatio: of((one, base) => one.perSecond / base.perSecond),
          p50Ms: of((one) => one.p50Ms),
          p99Ms: of((one) => one.p99Ms),
          p99Ratio: of((one, base) => one.p99Ms / base.p99Ms),
          slowShare: of((one) => one.slowShare),
          errors: perRound.reduce((sum, measured) => sum + measured[strategy].errors, 0),
          othersCores: of((one) => one.othersCores),
        },
      ];
    }),
  );
}

function targetsOf(slowNode) {
  return slowNode.flatMap(({ kind, loop, strategies }) =>
    STRATEGIES.slice(1).map((name) => {
      const { p99Ratio } = strategies[name];
      return {
        what: `${name}, ${kind}, ${loop} loop: p99`,
        target: '< 1 x round robin',
        got: `${p99Ratio} x`,
        met: p99Ratio < 1,
      };
    }),
  );
}

function printAccounting(accounting, memory, othersCores) {
  printTable(
    'ns of a route whose agent answers at once, with the accounting of breakers and outliers and without; and of its parts alone',
    ['agents', 'with', 'without', 'difference', 'ratio (quartiles)', 'begin + end', 'Load'],
    accounting.map(({ agents, routeNs, withoutNs, differenceNs, ratio, quartiles, healthNs, loadNs }) => [
      agents,
      routeNs,
      withoutNs,
      differenceNs,
      `${ratio} (${quartiles.join(' to ')})`,
      healthNs,
      loadNs,
    ]),
  );
  printTable(
    'what a router keeps of agents that it has called',
    ['agents', 'bytes each', 'after a comparison', 'Load, called or not', 'the comparison, ms'],
    [[memory.agents, memory.calledBytes, memory.sweptBytes, memory.loadBytes, memory.sweepMs]],
  );
  console.log(`  others used ${othersCores} cores`);
}

function printSlowNode(slowNode) {
  for (const { kind, loop, strategies } of slowNode) {
    printTable(
      `${NODES} nodes, one takes ${SLOW_TASK_MS} ms a task where the others take ${TASK_MS}; ${kind === 'wide' ? 'all tasks at once' : 'one task at a time, 20 wait'}; ${loop === 'closed' ? `${IN_FLIGHT} in flight` : `${PER_SECOND} a second`}`,
      ['strategy', 'calls/s', 'x round robin', 'p50 ms', 'p99 ms', 'x round robin', 'slow share %', 'errors', 'others, cores'],
      STRATEGIES.map((name) => {
        const one = strategies[name];
        return [
          name,
          one.perSecond,
          one.throughputRatio,
          one.p50Ms,
          one.p99Ms,
          one.p99Ratio,
          round(one.slowShare * 100),
          one.errors,
          one.othersCores,
        ];
      }),
    );
  }
}
