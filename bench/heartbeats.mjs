// 1,000 nodes with 100 agents each on one registry and one etcd: what staying alive costs, and how soon a change is seen.
import { Child } from './lib/child.mjs';
import { startEtcd } from './lib/etcd.mjs';
import { cores, cpuMsOf, rssMiBOf, watchOthers } from './lib/machine.mjs';
import { printTable, printTargets, say, writeResult } from './lib/report.mjs';
import { quantile, round } from './lib/stats.mjs';

const DRIVERS = 2;
const TTL_SECONDS = 10;
const WATCHERS = 20;
const ETCD_CHANGES = 100;
const ECHO_SECONDS = 3;
const SETTLE_MS = 5_000;
const CPU_TARGET = 15;
const SEEN_TARGET_MS = 250;
const role = (name) => new URL(`./roles/${name}.mjs`, import.meta.url);

export async function run({ nodes, agents, steadySeconds, quick }) {
  if (cpuMsOf(process.pid) === undefined) throw new Error('this bench reads /proc: it needs Linux');
  const children = [];
  const start = async (name, params) => {
    const child = await Child.start(role(name), params);
    children.push(child);
    return child;
  };
  const etcd = await startEtcd();
  try {
    const echoUs = await echoCost(start);
    const etcdWatch = await etcdLatency(etcd.client);
    const registry = await start('registry', { etcd: etcd.endpoint });
    const emptyMiB = rssMiBOf(registry.pid);
    const watchers = await start('watchers', { registry: registry.info.address });
    const drivers = [];
    for (let i = 0; i < DRIVERS; i++) {
      const own = Array.from({ length: nodes }, (_, node) => node).filter((node) => node % DRIVERS === i);
      drivers.push(
        await start('simulated-nodes', { registry: registry.info.address, nodes: own, agents, ttlSeconds: TTL_SECONDS }),
      );
    }
    const all = (method, params) => Promise.all(drivers.map((driver) => driver.call(method, params, 600_000)));

    say(`registering ${nodes} nodes with ${agents} agents each`);
    const joinStartMs = performance.now();
    const before = cpuMsOf(registry.pid);
    await all('join');
    const joinSeconds = (performance.now() - joinStartMs) / 1000;
    const registering = {
      seconds: round(joinSeconds),
      instancesPerSecond: Math.round((nodes * (agents + 1)) / joinSeconds),
      registryCpuUsPerInstance: round(((cpuMsOf(registry.pid) - before) * 1000) / (nodes * (agents + 1))),
    };
    await pause(SETTLE_MS);
    const warningsUntil = { registering: await warningsOf(all) };

    const context = { registry, etcd, drivers, all, echoUs, seconds: steadySeconds };
    say(`renewals only, ${steadySeconds} s`);
    const renewals = await steady(context);
    const snapshot = await watchers.call('snapshot');
    say(`a change seen by ${WATCHERS} watchers`);
    const changes = quick ? 20 : 100;
    const fewWatch = await watchers.call('latency', { watchers: WATCHERS, changes });

    const { revision } = await watchers.call('stats');
    await all('watch', { fromRevision: revision });
    await pause(SETTLE_MS);
    say(`every node watches too, ${steadySeconds} s`);
    const watched = await steady(context);
    const manyWatch = await watchers.call('latency', { watchers: WATCHERS, changes });

    warningsUntil.end = await warningsOf(all);
    const [first] = (await all('counts')).flatMap(({ firstWarning }) => firstWarning ?? []);
    if (first !== undefined) say(`the first warning of a node: ${first}`);
    const result = {
      settings: { nodes, agents, ttlSeconds: TTL_SECONDS, steadySeconds, watchers: WATCHERS },
      baseline: {
        echoServerUsPerCall: round(echoUs),
        etcdPutToWatchP50Ms: round(etcdWatch.p50Ms),
        etcdPutToWatchP99Ms: round(etcdWatch.p99Ms),
      },
      registering,
      steady: { renewals, 'renewals, every node watches': watched },
      seen: {
        [`${WATCHERS} watchers`]: latency(fewWatch, etcdWatch),
        [`${WATCHERS} beside ${nodes}`]: latency(manyWatch, etcdWatch),
      },
      snapshot: { ms: round(snapshot.ms), MiB: round(snapshot.bytes / 2 ** 20) },
      registryMiB: { empty: round(emptyMiB), full: round(rssMiBOf(registry.pid)) },
      warnings: { registering: warningsUntil.registering, after: warningsUntil.end - warningsUntil.registering },
    };
    const targets = targetsOf(result);
    writeResult('heartbeats', { ...result, targets });
    print(result, targets);
  } finally {
    for (const child of children.reverse()) await child.stop();
    await etcd.stop();
  }
}

/** What nodes complained of so far: renewals without an answer, leases and watches lost. */
async function warningsOf(all) {
  return (await all('counts')).reduce((sum, { warnings, watchErrors }) => sum + warnings + watchErrors, 0);
}

/** CPU of a grpc-js server for one echo, 64 in flight: what a message costs at the least. */
async function echoCost(start) {
  const raw = await start('raw-server');
  const load = await start('load');
  const target = { kind: 'raw', address: raw.info.address, path: '/bench.Echo/Echo', request: Buffer.alloc(20) };
  await load.call('run', { target, inFlight: 64, seconds: ECHO_SECONDS });
  const before = await raw.cpu();
  const { calls } = await load.call('run', { target, inFlight: 64, seconds: ECHO_SECONDS });
  return ((await raw.cpu()) - before) / calls;
}

/** From a put to its event at one watcher, straight at etcd. */
async function etcdLatency(client) {
  const watcher = await client.watch().key('bench-latency').create();
  const times = [];
  for (let i = 0; i < ETCD_CHANGES; i++) {
    const seen = new Promise((resolve) => watcher.once('put', resolve));
    const sentMs = performance.now();
    await client.put('bench-latency').value(String(i));
    await seen;
    times.push(performance.now() - sentMs);
  }
  await watcher.cancel();
  return { p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

/** A steady state for `seconds`. */
async function steady({ registry, etcd, drivers, all, echoUs, seconds }) {
  const pids = { registry: registry.pid, etcd: etcd.pid };
  const everybody = [registry.pid, etcd.pid, ...drivers.map(({ pid }) => pid)];
  const cpu = () => everybody.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const othersUsed = watchOthers();
  const startMs = performance.now();
  const ownBefore = cpu();
  const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuMsOf(pid)]));
  const countsBefore = await all('counts');
  const revisionBefore = await revisionOf(etcd.client);
  await pause(seconds * 1000);
  const revisionAfter = await revisionOf(etcd.client);
  const countsAfter = await all('counts');
  const elapsedMs = performance.now() - startMs;
  const percent = (name) => round(((cpuMsOf(pids[name]) - before[name]) / elapsedMs) * 100);
  const registryCpuMs = cpuMsOf(pids.registry) - before.registry;
  const difference = (name) =>
    countsAfter.reduce((sum, one) => sum + one[name], 0) - countsBefore.reduce((sum, one) => sum + one[name], 0);
  const renewals = difference('renewals');
  const messages = renewals + difference('watchMessages');
  return {
    renewalsPerSecond: round((renewals * 1000) / elapsedMs),
    messagesPerSecond: round((messages * 1000) / elapsedMs),
    leasesHeld: countsAfter.reduce((sum, { held }) => sum + held, 0),
    keysWritten: Number(revisionAfter - revisionBefore),
    registryCpuPercent: percent('registry'),
    etcdCpuPercent: percent('etcd'),
    registryUsPerMessage: round((registryCpuMs * 1000) / messages),
    ratioToEcho: round((registryCpuMs * 1000) / messages / echoUs),
    registryMiB: round(rssMiBOf(pids.registry)),
    etcdMiB: round(rssMiBOf(pids.etcd)),
    othersCores: round(othersUsed(cpu() - ownBefore), 2),
  };
}

async function revisionOf(client) {
  const { header } = await client.kv.range({ key: Buffer.from('\0'), count_only: true });
  return BigInt(header.revision);
}

function latency({ updateP50Ms, seenP50Ms, seenP99Ms, seenMaxMs }, { p50Ms }) {
  return {
    updateP50Ms: round(updateP50Ms),
    seenP50Ms: round(seenP50Ms),
    seenP99Ms: round(seenP99Ms),
    seenMaxMs: round(seenMaxMs),
    ratioToEtcd: round(seenP50Ms / p50Ms),
  };
}

function targetsOf({ settings, steady: states, seen }) {
  const targets = [];
  for (const [name, { keysWritten, leasesHeld, registryCpuPercent }] of Object.entries(states)) {
    targets.push({ what: `${name}: keys written`, target: '0', got: String(keysWritten), met: keysWritten === 0 });
    targets.push({
      what: `${name}: leases held`,
      target: String(settings.nodes),
      got: String(leasesHeld),
      met: leasesHeld === settings.nodes,
    });
    targets.push({
      what: `${name}: CPU of the registry`,
      target: `<= ${CPU_TARGET} % of a core`,
      got: `${registryCpuPercent} %`,
      met: registryCpuPercent <= CPU_TARGET,
    });
  }
  for (const [name, { seenP99Ms }] of Object.entries(seen))
    targets.push({
      what: `a change seen, ${name}, p99`,
      target: `<= ${SEEN_TARGET_MS} ms`,
      got: `${seenP99Ms} ms`,
      met: seenP99Ms <= SEEN_TARGET_MS,
    });
  return targets;
}

function print({ settings, baseline, registering, steady: states, seen, snapshot, registryMiB, warnings }, targets) {
  const { nodes, agents } = settings;
  console.log(`\n${nodes} nodes x ${agents} agents, leases of ${settings.ttlSeconds} s (${cores()} cores)`);
  console.log(
    `  registered in ${registering.seconds} s: ${registering.instancesPerSecond} instances/s, ${registering.registryCpuUsPerInstance} µs of the registry's CPU each`,
  );
  console.log(
    `  a snapshot of everything reaches a watcher in ${snapshot.ms} ms (${snapshot.MiB} MiB); the registry takes ${registryMiB.full} MiB (empty: ${registryMiB.empty})`,
  );
  console.log(`  warnings of nodes: ${warnings.registering} while they registered, ${warnings.after} after`);
  printTable(
    `steady for ${settings.steadySeconds} s (x echo: CPU per message against a grpc-js server's per unary echo, ${baseline.echoServerUsPerCall} µs)`,
    [
      'state',
      'renewals/s',
      'messages/s',
      'keys written',
      'registry %',
      'etcd %',
      'µs/message',
      'x echo',
      'registry MiB',
      'etcd MiB',
      'others, cores',
    ],
    Object.entries(states).map(([name, one]) => [
      name,
      one.renewalsPerSecond,
      one.messagesPerSecond,
      one.keysWritten,
      one.registryCpuPercent,
      one.etcdCpuPercent,
      one.registryUsPerMessage,
      one.ratioToEcho,
      one.registryMiB,
      one.etcdMiB,
      one.othersCores,
    ]),
  );
  printTable(
    `ms from UpdateInstance to its change (x etcd: p50 against put to watch at etcd itself, ${baseline.etcdPutToWatchP50Ms} ms)`,
    ['watchers', 'answer p50', 'seen p50', 'seen p99', 'seen max', 'x etcd'],
    Object.entries(seen).map(([name, one]) => [
      name,
      one.updateP50Ms,
      one.seenP50Ms,
      one.seenP99Ms,
      one.seenMaxMs,
      one.ratioToEtcd,
    ]),
  );
  printTargets(targets);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
