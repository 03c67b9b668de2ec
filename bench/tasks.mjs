// Tasks.Run through a node to an agent on another node, against a raw grpc-js unary echo between two processes.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Child } from './lib/child.mjs';
import { cores, watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { median, quantile, round } from './lib/stats.mjs';

const PAYLOAD_BYTES = 100;
/** As `routed`, by the other checkout that `--against` names. */
const OTHER = 'other';
const role = (name, folder = import.meta.url) => new URL(`./roles/${name}.mjs`, folder);

export async function run({ rounds, seconds, warmUpSeconds, inFlight, profile, against }) {
  const children = [];
  const start = async (name, params, options, folder) => {
    const child = await Child.start(role(name, folder), params, options);
    children.push(child);
    return child;
  };
  try {
    const raw = await start('raw-server');
    const registry = await start('registry');
    const inCluster = { registry: registry.info.address };
    const agent = await start('node', { ...inCluster, id: 'bench-agents', agents: ['echo-1'] }, profiled(profile, 'agent'));
    const router = await start('node', { ...inCluster, id: 'bench-router', agents: [] }, profiled(profile, 'router'));
    const load = await start('load');
    const other =
      against === undefined ? undefined : await startOther(start, pathToFileURL(resolve(against, 'bench', 'run.mjs')));

    const text = 'x'.repeat(PAYLOAD_BYTES);
    const task = { path: '/troupe.v1.Tasks/Run', request: await runRequest(text), text };
    const cases = [
      {
        name: 'raw',
        target: { kind: 'raw', address: raw.info.address, path: '/bench.Echo/Echo', request: Buffer.from(text) },
        behind: { server: raw },
      },
      { name: 'routed', target: { kind: 'raw', address: router.info.address, ...task }, behind: { router, agent } },
      // Two checkouts are compared by `routed` alone: the rounds are shorter, so there can be more of them.
      ...(other === undefined
        ? [
            { name: 'direct', target: { kind: 'raw', address: agent.info.address, ...task }, behind: { agent } },
            { name: 'sdk', target: { kind: 'sdk', address: router.info.address, ...task }, behind: { router, agent } },
          ]
        : [{ name: OTHER, target: { kind: 'raw', address: other.router.info.address, ...task }, behind: other }]),
    ];
    say(`warming up, ${warmUpSeconds} s each`);
    for (const { target } of cases) {
      await untilServed(load, target);
      await load.call('run', { target, inFlight: 64, seconds: warmUpSeconds });
    }

    const results = [];
    const comparisons = [];
    for (const flight of inFlight) {
      const perRound = [];
      for (let i = 0; i < rounds; i++) {
        const measured = {};
        // The other way round in every second round, so that a machine that grows busier wrongs nobody.
        for (const one of i % 2 === 0 ? cases : cases.toReversed())
          measured[one.name] = await measure(load, one, flight, seconds);
        perRound.push(measured);
        say(
          `${flight} in flight, round ${i + 1}: ${cases.map(({ name }) => `${name} ${Math.round(measured[name].perSecond)}/s`).join(', ')}`,
        );
      }
      results.push({ inFlight: flight, ...digest(cases, perRound) });
      if (other !== undefined) comparisons.push({ inFlight: flight, ...compare(perRound) });
    }
    const targets = targetsOf(results);
    writeResult('tasks', { settings: { rounds, seconds, payloadBytes: PAYLOAD_BYTES }, results, comparisons, targets });
    print(results, targets);
    if (other !== undefined) printComparisons(comparisons);
  } finally {
    // The registry after those who say goodbye to it.
    for (const child of children.reverse()) await child.stop();
  }
}

/** The same roles from another checkout. */
async function startOther(start, folder) {
  const registry = await start('registry', undefined, undefined, folder);
  const inCluster = { registry: registry.info.address };
  const agent = await start('node', { ...inCluster, id: 'other-agents', agents: ['echo-1'] }, undefined, folder);
  const router = await start('node', { ...inCluster, id: 'other-router', agents: [] }, undefined, folder);
  return { router, agent };
}

function profiled(folder, name) {
  if (folder === undefined) return {};
  mkdirSync(folder, { recursive: true });
  return { execArgv: ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`, `--cpu-prof-name=${name}.cpuprofile`] };
}

async function runRequest(text) {
  const { RunRequest } = await import('../dist/src/gen/troupe/v1/tasks.js');
  return RunRequest.encode(
    RunRequest.fromPartial({
      task: { requiredCapabilities: ['echo'], payload: { content: { $case: 'text', value: text } } },
    }),
  ).finish();
}

/** A router learns of an agent a moment after it was deployed. */
async function untilServed(load, target) {
  for (let tries = 0; tries < 50; tries++) {
    const { errors } = await load.call('run', { target, inFlight: 1, seconds: 0.1 });
    if (errors === 0) return;
  }
  const { firstError } = await load.call('run', { target, inFlight: 1, seconds: 0.1 });
  throw new Error(`${target.address} does not serve: ${firstError}`);
}

async function measure(load, { target, behind }, inFlight, seconds) {
  const processes = { client: load, ...behind };
  const othersUsed = watchOthers();
  const before = await cpuOf(processes);
  const result = await load.call('run', { target, inFlight, seconds });
  const after = await cpuOf(processes);
  if (result.errors > 0) throw new Error(`${result.errors} calls failed: ${result.firstError}`);
  const used = Object.fromEntries(Object.keys(processes).map((name) => [name, after[name] - before[name]]));
  const cpuUsPerCall = Object.fromEntries(Object.entries(used).map(([name, us]) => [name, us / result.calls]));
  const othersCores = othersUsed(Object.values(used).reduce((sum, us) => sum + us / 1000, 0));
  return { ...result, cpuUsPerCall, othersCores };
}

async function cpuOf(processes) {
  return Object.fromEntries(await Promise.all(Object.entries(processes).map(async ([name, child]) => [name, await child.cpu()])));
}

/** Medians of the rounds; ratios and differences are taken in each round first. */
function digest(cases, perRound) {
  const of = (name, pick) => median(perRound.map((round_) => pick(round_[name], round_.raw)));
  return Object.fromEntries(
    cases.map(({ name, behind }) => [
      name,
      {
        perSecond: Math.round(of(name, (one) => one.perSecond)),
        throughputRatio: round(of(name, (one, raw) => one.perSecond / raw.perSecond)),
        p50Ms: round(of(name, (one) => one.p50Ms)),
        p99Ms: round(of(name, (one) => one.p99Ms)),
        addedP50Ms: round(of(name, (one, raw) => one.p50Ms - raw.p50Ms)),
        p99Ratio: round(of(name, (one, raw) => one.p99Ms / raw.p99Ms)),
        cpuUsPerCall: Object.fromEntries(
          ['client', ...Object.keys(behind)].map((part) => [part, round(of(name, (one) => one.cpuUsPerCall[part]))]),
        ),
        /** All processes together, against all of raw: what throughput comes to where the cores are the limit. */
        cpuRatio: round(of(name, (one, raw) => sum(one.cpuUsPerCall) / sum(raw.cpuUsPerCall))),
        othersCores: round(
          of(name, (one) => one.othersCores),
          2,
        ),
      },
    ]),
  );
}

/** This checkout over the other one, round by round: the median, and the quartiles as how far the rounds differ. */
function compare(perRound) {
  const of = (pick) => {
    const ratios = perRound.map((measured) => pick(measured.routed) / pick(measured[OTHER]));
    return [0.25, 0.5, 0.75].map((q) => round(quantile(ratios, q)));
  };
  return {
    throughput: of(({ perSecond }) => perSecond),
    p50: of(({ p50Ms }) => p50Ms),
    p99: of(({ p99Ms }) => p99Ms),
    routerCpu: of(({ cpuUsPerCall }) => cpuUsPerCall.router),
    agentCpu: of(({ cpuUsPerCall }) => cpuUsPerCall.agent),
    allCpu: of(({ cpuUsPerCall }) => sum(cpuUsPerCall)),
  };
}

function printComparisons(comparisons) {
  printTable(
    'this checkout over the other, medians of the rounds (and quartiles)',
    ['in flight', 'throughput', 'p50', 'p99', 'CPU: router', "agent's node", 'all'],
    comparisons.map(({ inFlight, ...ratios }) => [
      inFlight,
      ...Object.values(ratios).map(([low, middle, high]) => `${middle} (${low} to ${high})`),
    ]),
  );
}

function sum(parts) {
  return Object.values(parts).reduce((total, part) => total + part, 0);
}

function targetsOf(results) {
  const at = (flight) => results.find(({ inFlight }) => inFlight === flight)?.routed;
  const targets = [];
  const [one, many] = [at(1), at(64)];
  if (many !== undefined)
    targets.push({
      what: 'throughput, 64 in flight',
      target: '>= 0.5 x raw',
      got: `${many.throughputRatio} x`,
      met: many.throughputRatio >= 0.5,
    });
  if (one !== undefined)
    targets.push({
      what: 'added p50, 1 in flight',
      target: '<= 0.5 ms',
      got: `${one.addedP50Ms} ms`,
      met: one.addedP50Ms <= 0.5,
    });
  return targets;
}

function print(results, targets) {
  for (const { inFlight, ...byCase } of results) {
    printTable(
      `Tasks.Run, ${PAYLOAD_BYTES} bytes, ${inFlight} in flight (${cores()} cores; medians)`,
      ['case', 'calls/s', 'x raw', 'p50 ms', '+ p50 ms', 'p99 ms', 'x raw p99', 'CPU µs/call', 'x raw CPU', 'others, cores'],
      Object.entries(byCase).map(([name, one]) => [
        name,
        one.perSecond,
        one.throughputRatio,
        one.p50Ms,
        one.addedP50Ms,
        one.p99Ms,
        one.p99Ratio,
        Object.entries(one.cpuUsPerCall)
          .map(([part, us]) => `${part} ${Math.round(us)}`)
          .join(', '),
        one.cpuRatio,
        one.othersCores,
      ]),
    );
  }
  printTargets(targets);
}
