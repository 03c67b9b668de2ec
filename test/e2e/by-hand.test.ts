import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { startEtcd, type TestEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { ROOT, startTroupe, type TestProcess } from '../support/processes.js';
import {
  client,
  freePort,
  isAlive,
  launch,
  PROBE_AGENTS,
  roleOf,
  startGateway,
  startNode,
  startRegistry,
} from '../support/roles.js';
import { runTroupe } from '../support/run-command.js';

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'troupe-e2e-'));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A module of agents with this text. */
async function moduleOf(text: string): Promise<string> {
  // Below the package, so that it finds `troupe`.
  const directory = await mkdtemp(join(ROOT, 'dist', 'e2e-'));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'agents.mjs');
  await writeFile(path, text);
  return path;
}

describe('a registry on etcd, two nodes and a gateway', () => {
  let etcd: TestEtcd;
  beforeAll(async () => {
    etcd = await startEtcd();
  }, 30_000);

  const ORDERS = [
    ['registry', 'node-1', 'node-2', 'gateway'],
    ['gateway', 'node-1', 'node-2', 'registry'],
    ['node-2', 'registry', 'gateway', 'node-1'],
  ] as const;

  it.each(ORDERS.map((order) => [order.join(', '), order] as const))('find each other when started as %s', async (_, order) => {
    const registryPort = String(await freePort());
    const registry = ['--registry', `127.0.0.1:${registryPort}`];
    const start = {
      registry: () =>
        launch('registry', [
          '--port',
          registryPort,
          '--store',
          'etcd',
          '--etcd',
          etcd.endpoint,
          '--prefix',
          `/order-${order[0]}`,
        ]),
      'node-1': () => launch('node', ['--id', 'node-1', '--agents', PROBE_AGENTS, ...registry]),
      'node-2': () => launch('node', ['--id', 'node-2', '--agents', PROBE_AGENTS, ...registry]),
      gateway: () => launch('gateway', ['--id', 'gateway', ...registry]),
    };
    const started = new Map<string, TestProcess>();
    for (const name of order) {
      const process = start[name]();
      started.set(name, process);
      // Each is well under way before the next is started.
      if (name === 'registry') await process.ready();
      else
        await eventually(
          () => {
            if (process.lines.length === 0 && process.logs.length === 0) throw new Error(`${name} has said nothing`);
          },
          { timeoutMs: 10_000 },
        );
    }
    const roles = await Promise.all([...started.values()].map(roleOf));
    const gateway = roles.find(({ id }) => id === 'gateway');
    const troupe = client(gateway?.address ?? '');
    for (const id of ['node-1', 'node-2'])
      await eventually(() => troupe.deploy({ id: `echo-${id}`, kind: 'echo' }, id), { timeoutMs: 10_000 });
    const places = new Set<string>();
    for (let n = 0; n < 4; n++) places.add((await troupe.run('echo', n)).nodeId);
    expect([...places].sort()).toEqual(['node-1', 'node-2']);
  });
});

describe('a node that is killed and started again', () => {
  it('has its agents again, from its data directory', async () => {
    const registry = await startRegistry();
    const dataDir = await scratch();
    const first = await startNode('node-1', registry.address, '--data-dir', dataDir);
    const troupe = client((await startGateway(registry.address)).address);
    await eventually(() => troupe.deploy({ id: 'echo-1', kind: 'echo', capabilities: ['remembering'] }, 'node-1'));
    expect(await readdir(dataDir)).toEqual(['echo-1.json']);
    await first.process.kill('SIGKILL');
    // An unreadable manifest does not keep the others away.
    await writeFile(join(dataDir, 'broken.json'), '{"id":');
    const again = await startNode('node-1', registry.address, '--data-dir', dataDir, '--port', String(first.port));
    const { pid } = (await eventually(() => troupe.run('remembering', 1))).json<{ pid: number }>();
    expect(pid).toBe(again.process.pid);
    await troupe.undeploy('echo-1');
    expect(await readdir(dataDir)).toEqual(['broken.json']);
  });

  it('has an agent of its own of each kind that it is told, and none of a kind that it is not told any more', async () => {
    const registry = await startRegistry();
    const dataDir = await scratch();
    const troupe = client((await startGateway(registry.address)).address);
    const agents = async () => (await troupe.instances({ service: 'agent' })).map(({ id }) => id);
    const first = await startNode('node-1', registry.address, '--data-dir', dataDir, '--deploy-kinds', 'echo');
    await eventually(async () => expect(await agents()).toEqual(['echo-node-1']));
    await troupe.deploy({ id: 'echo-by-hand', kind: 'echo' }, 'node-1');
    expect(await readdir(dataDir)).toEqual(['echo-by-hand.json']);
    await first.process.kill('SIGTERM');
    await startNode('node-1', registry.address, '--data-dir', dataDir);
    await eventually(async () => expect(await agents()).toEqual(['echo-by-hand']));
  });
});

describe('what is wrong is told in one line, with the right exit code', () => {
  const THROWS = `throw new Error('no GPU here');`;
  const TWICE = `
    import { defineAgent } from 'troupe';
    const agent = { kind: 'same', capabilities: ['x'], run: () => 1 };
    export const one = defineAgent(agent);
    export const two = defineAgent(agent);`;
  const INVALID = `
    import { defineAgent } from 'troupe';
    export default defineAgent({ kind: 'No Kind', capabilities: [], run: 1 });`;

  const oneLine = (stderr: string) => {
    const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    expect(lines.filter((line) => line.startsWith('error: '))).toHaveLength(1);
    expect(lines.length).toBeLessThanOrEqual(2);
    expect(stderr).not.toMatch(/^\s+at /m);
    return lines[0] ?? '';
  };

  it.each([
    ['throws when it is loaded', THROWS, /no GPU here/],
    ['cannot be parsed', 'export default {', /agents\.mjs: /],
    ['has two agents of one kind', TWICE, /two of the loaded agents are of kind "same"/],
    ['has an agent with every field wrong', INVALID, /kind: .*capabilities: .*run: /],
  ])('a module of agents that %s', async (_, text, message) => {
    const module = await moduleOf(text);
    const ran = await runTroupe(['node', '--port', '0', '--agents', module]);
    expect(oneLine(ran.stderr)).toMatch(message);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code: 1, stdout: '' });
  });

  it('a module of agents that `troupe dev` cannot load: once, not once for each node', async () => {
    const ran = await runTroupe([
      'dev',
      '--port',
      '0',
      '--node-port',
      '0',
      '--registry-port',
      '0',
      '--agents',
      await moduleOf(THROWS),
    ]);
    expect(oneLine(ran.stderr)).toMatch(/no GPU here/);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code: 1, stdout: '' });
  });

  it('a port of `troupe dev` that is in use, and nothing of it goes on', async () => {
    const other = await startRegistry();
    const ran = await runTroupe(['dev', '--port', String(other.port), '--node-port', '0', '--registry-port', '0', '--no-deploy']);
    const errors = ran.stderr.split('\n').filter((line) => line.startsWith('error: '));
    expect(errors).toEqual([expect.stringMatching(/the port is in use/)]);
    expect(ran.code).not.toBe(0);
    expect((await client(other.address).instances()).map(({ id }) => id)).toEqual([]);
  });

  it('an etcd that is not there, soon', async () => {
    const port = await freePort();
    const ran = await runTroupe(['registry', '--port', '0', '--store', 'etcd', '--etcd', `127.0.0.1:${port}`]);
    expect(oneLine(ran.stderr)).toMatch(new RegExp(`no etcd answers at 127.0.0.1:${port}`));
    expect(ran.code).toBe(3);
    expect(ran.ms).toBeLessThan(10_000);
  });

  it('an etcd that is frozen, soon', async () => {
    const etcd = await startEtcd();
    await etcd.pause();
    const ran = await runTroupe(['registry', '--port', '0', '--store', 'etcd', '--etcd', etcd.endpoint]);
    await etcd.resume();
    expect(oneLine(ran.stderr)).toMatch(/no etcd answers at/);
    expect(ran.code).toBe(3);
    expect(ran.ms).toBeLessThan(10_000);
  });

  it.each([
    ['an option that no role has', ['gateway', '--colour', 'red'], 2, /unknown option '--colour'/],
    ['a lease of one second', ['node', '--lease-ttl', '1'], 2, /--lease-ttl.*2 to 600/],
    ['a registry without a port', ['gateway', '--registry', 'localhost'], 2, /"localhost" is not host:port/],
    ['an empty registry', ['gateway', '--registry', ''], 2, /is not host:port/],
    ['an id with a slash', ['node', '--id', 'a/b'], 2, /--id/],
    ['an address that nobody has', ['gateway', '--port', '0', '--host', '192.0.2.1'], 1, /cannot listen on 192\.0\.2\.1/],
    ['a data directory that is a file', ['node', '--port', '0', '--data-dir', 'package.json/x'], 1, /data directory.*--data-dir/],
    ['a kind of its own that it does not have', ['node', '--deploy-kinds', 'x'], 2, /--deploy-kinds: "x" is no kind/],
    ['a task for a cluster that is not there', ['run', 'x', '--address', '127.0.0.1:1'], 3, /cannot connect to 127\.0\.0\.1:1/],
    ['a task that names nobody', ['run'], 2, /say what the agent must be able to do/],
  ] as const)('%s', async (_, args, code, message) => {
    const ran = await runTroupe(args);
    expect(oneLine(ran.stderr)).toMatch(message);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
  });

  it('what a cluster refuses', async () => {
    const registry = await startRegistry();
    const { address } = await startGateway(registry.address);
    for (const [args, message] of [
      [['run', 'juggling'], /no agent offers "juggling".*\(NOT_FOUND NO_AGENT\)/],
      [['deploy', 'juggler'], /no node has agent kind "juggler".*\(NOT_FOUND UNKNOWN_KIND\)/],
      [['undeploy', 'nobody'], /no agent "nobody" in the cluster.*\(NOT_FOUND UNKNOWN_AGENT\)/],
      [['drain', 'nowhere'], /no node "nowhere" in the cluster.*\(NOT_FOUND UNKNOWN_NODE\)/],
    ] as const) {
      const ran = await runTroupe([...args, '--address', address]);
      expect(oneLine(ran.stderr)).toMatch(message);
      expect(ran.code).toBe(4);
    }
    await registry.process.kill('SIGKILL');
    const away = await runTroupe(['stats', '--address', address]);
    expect(oneLine(away.stderr)).toMatch(/the registry is not reached now/);
    expect(away.code).toBe(3);
  });
});

describe('a role', () => {
  it('heeds a signal that comes while it starts', async () => {
    const agents = await moduleOf(`
      import { defineAgent } from 'troupe';
      process.kill(process.pid, 'SIGTERM');
      export default defineAgent({ kind: 'x', capabilities: ['x'], run: () => 'done' });
    `);
    const node = startTroupe(['node', '--port', '0', '--ops-port', '0', '--registry', '127.0.0.1:1', '--agents', agents]);
    expect(await node.exit).toEqual({ code: 0, signal: null });
    expect(node.stderr).toMatch(/"stopped"/);
  });
});

describe('troupe demo', () => {
  it('fails where a step fails, and leaves nothing behind', async () => {
    // The nodes of the third step get a directory each: here there is no place for it.
    const demo = startTroupe(['demo'], { env: { TMPDIR: join(await scratch(), 'not-there') } });
    const { code } = await demo.exit;
    expect(code).toBe(1);
    expect(demo.lines.filter((line) => line.startsWith('✔'))).toHaveLength(2);
    expect(demo.lines.find((line) => line.startsWith('✖'))).toMatch(/3\. Start 3 nodes/);
    expect(`${demo.lines.join('\n')}${demo.stderr}`).toMatch(/ENOENT/);
    const pids = demo.lines.flatMap((line) => /process (\d+)/.exec(line)?.[1] ?? []).map(Number);
    expect(pids).toHaveLength(2);
    await eventually(() => expect(pids.filter(isAlive)).toEqual([]));
  });
});
