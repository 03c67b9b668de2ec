// Programs attached to one node: what each costs in memory, and how soon all are back when all lose their streams at once.
import { Child } from './lib/child.mjs';
import { rssMiBOf, watchOthers } from './lib/machine.mjs';
import { printTable, say, writeResult } from './lib/report.mjs';
import { round } from './lib/stats.mjs';

const SETTLE_MS = 4_000;
const HERD = 1_000;
const role = (name) => new URL(`./roles/${name}.mjs`, import.meta.url);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function run({ programs, quick }) {
  if (rssMiBOf(process.pid) === undefined) throw new Error('this bench reads /proc: it needs Linux');
  const others = watchOthers();
  const herd = Math.min(HERD, programs);
  const rows = [];
  for (const [name, open] of [
    ['plain streams', (driver) => driver.call('plain', { count: programs })],
    ['clients', (driver) => driver.call('attach', { count: programs, agents: false })],
    ['agents', (driver) => driver.call('attach', { count: programs, agents: true })],
  ]) {
    say(`${programs} ${name}`);
    rows.push({ name, ...(await costOf(open, programs, quick ? 1_000 : SETTLE_MS)) });
  }
  say(`${herd} clients that come back at once`);
  const back = await herdOf(herd);
  const result = { programs, memory: rows, herd: back, othersCores: round(others(0)) };
  writeResult('attached', result);
  printTable(
    `${programs} programs on one node`,
    ['', 'attached in s', 'node before, MiB', 'after', 'KiB each'],
    rows.map(({ name, seconds, beforeMiB, afterMiB, kibEach }) => [name, seconds, beforeMiB, afterMiB, kibEach]),
  );
  say(
    `${back.back} of ${herd} clients were back ${round(back.ms)} ms after all streams broke${back.error ? `; ${back.error}` : ''}`,
  );
}

/** What `open` costs a node of its own. */
function costOf(open, count, settleMs) {
  return withNode(async (node, driver) => {
    await pause(settleMs);
    const beforeMiB = rssMiBOf(node.pid);
    const startMs = performance.now();
    await open(driver);
    const seconds = (performance.now() - startMs) / 1000;
    await pause(settleMs);
    const afterMiB = rssMiBOf(node.pid);
    return {
      seconds: round(seconds),
      beforeMiB: round(beforeMiB),
      afterMiB: round(afterMiB),
      kibEach: round(((afterMiB - beforeMiB) * 1024) / count),
    };
  });
}

function herdOf(count) {
  return withNode(async (_node, driver) => {
    await driver.call('attach', { count, agents: false });
    return driver.call('herd');
  });
}

async function withNode(work) {
  const children = [];
  const start = async (name, params) => {
    const child = await Child.start(role(name), params);
    children.push(child);
    return child;
  };
  try {
    const registry = await start('registry');
    const node = await start('node', { id: 'bench-node', registry: registry.info.address, agents: [] });
    return await work(node, await start('attached-programs', { address: node.info.address }));
  } finally {
    for (const child of children.reverse()) await child.stop();
  }
}
