import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { type Exit, ROOT, startTroupe } from '../support/processes.js';
import { client, freePort, isAlive, launch } from '../support/roles.js';

/** `troupe dev` and `troupe demo` as built, and what wrong usage gets. What the documents tell newcomers to do is in test/docs. */

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = join(ROOT, 'dist', 'src', 'app', 'main.js');
const BUF = join(ROOT, 'node_modules', '.bin', 'buf');

function run(file: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd: ROOT, timeout: 20_000, env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

const troupe = (...args: readonly string[]) => run(process.execPath, [MAIN, ...args]);

/** As grpcurl would: types by reflection. */
const curl = (address: string, method: string, data: object) =>
  run(BUF, ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-d', JSON.stringify(data), `http://${address}/${method}`]);

interface Dev {
  readonly address: string;
  readonly pids: readonly number[];
  readonly pid: (id: string) => number;
  readonly stop: (signal: NodeJS.Signals) => Promise<Exit | undefined>;
}

async function startDev(...args: readonly string[]): Promise<Dev> {
  const dev = startTroupe(['dev', '--port', '0', '--node-port', '0', '--registry-port', '0', ...args]);
  const line = await dev.ready();
  expect(line).toMatchObject({ event: 'ready', role: 'dev' });
  const processes = line.processes as { id: string; role: string; pid: number; grpc: string }[];
  expect(processes.map(({ role }) => role)).toEqual(['registry', 'node', 'node', 'node', 'gateway']);
  const pids = processes.map(({ pid }) => pid);
  expect(new Set(pids).size).toBe(5);
  return {
    address: String(line.grpc),
    pids,
    pid: (id) => processes.find((one) => one.id === id)?.pid ?? 0,
    stop: (signal) => dev.kill(signal),
  };
}

const nobodyIsLeft = (pids: readonly number[]) =>
  eventually(() => expect(pids.filter(isAlive)).toEqual([]), { timeoutMs: 15_000 });

describe('troupe dev', () => {
  let dev: Dev;
  beforeAll(async () => {
    dev = await startDev();
  });

  it('answers a client that knows nothing but the address', async () => {
    const task = { required_capabilities: ['data_processing'], payload: { json: { path: 'examples/data/sales.csv' } } };
    const answered = await curl(dev.address, 'troupe.v1.Tasks/Run', { task });
    expect(JSON.parse(answered.stdout)).toMatchObject({
      result: { state: 'TASK_STATE_COMPLETED', payload: { json: { rows: 500 } } },
    });
    const streamed = await curl(dev.address, 'troupe.v1.Tasks/RunStream', { task });
    expect(streamed.stdout).toMatch(/accepted[\s\S]*routed[\s\S]*chunk[\s\S]*result/);
    const health = await curl(dev.address, 'grpc.health.v1.Health/Check', {});
    expect(JSON.parse(health.stdout)).toEqual({ status: 'SERVING' });
  });

  it('says what is wrong with a task, field by field', async () => {
    const refused = await curl(dev.address, 'troupe.v1.Tasks/Run', { task: { id: '../x', required_capabilities: [] } });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('invalid_argument');
    expect(refused.stderr).toMatch(/task\.id[\s\S]*task\.required_capabilities/);
    const unknown = await troupe('run', 'juggling', '--address', dev.address);
    expect(unknown.code).toBe(4);
    expect(unknown.stderr).toMatch(/^error: no agent offers "juggling".*\(NOT_FOUND NO_AGENT\)\n/);
  });

  it('shows who is there', async () => {
    const nodes = await troupe('nodes', '--address', dev.address);
    expect(nodes.stdout.split('\n')[0]).toMatch(/^ID +ADDRESS +STATUS/);
    const agents = await troupe('agents', '--address', dev.address, '--output', 'json');
    expect((JSON.parse(agents.stdout) as { id: string }[]).map(({ id }) => id)).toEqual([
      'ai-1',
      'code-1',
      'data-1',
      'data-2',
      'test-1',
    ]);
  });

  it('starts a node again that was killed, with its agents', async () => {
    const cluster = client(dev.address);
    const [{ nodeId } = { nodeId: '' }] = (await cluster.instances({ service: 'agent' })).filter(({ id }) => id === 'test-1');
    const before = (await cluster.nodes()).find(({ id }) => id === nodeId)?.incarnation ?? 0n;
    process.kill(dev.pid(nodeId), 'SIGKILL');
    await eventually(
      async () => {
        const instances = await cluster.instances();
        const node = instances.find(({ id, service }) => service === 'node' && id === nodeId);
        expect((node?.incarnation ?? 0n) > before).toBe(true);
        expect(instances.find(({ id }) => id === 'test-1')?.nodeId).toBe(nodeId);
        await cluster.run('testing', { path: 'examples/data/stack.test.mjs' });
      },
      { timeoutMs: 20_000 },
    );
  });
});

describe('what troupe dev leaves behind', () => {
  it('is nothing after Ctrl-C', async () => {
    const dev = await startDev('--no-deploy');
    expect(await dev.stop('SIGINT')).toEqual({ code: 0, signal: null });
    await nobodyIsLeft(dev.pids);
  });

  it('is nothing after a kill -9 of itself', async () => {
    const dev = await startDev('--no-deploy');
    await dev.stop('SIGKILL');
    await nobodyIsLeft(dev.pids);
  });
});

describe('roles started by hand', () => {
  it('find each other, the registry last', async () => {
    const registryPort = await freePort();
    const registry = `127.0.0.1:${registryPort}`;
    const gateway = launch('gateway', ['--id', 'gateway', '--registry', registry]);
    const agents = join(ROOT, 'examples', 'agents', 'hello.mjs');
    const node = launch('node', ['--id', 'node-1', '--registry', registry, '--agents', agents]);
    launch('registry', ['--port', String(registryPort)]);
    const [line] = await Promise.all([gateway.ready(), node.ready()]);
    const cluster = client(String(line.grpc));
    await eventually(() => cluster.deploy({ id: 'greeter-1', kind: 'greeter' }));
    expect((await cluster.run('greeting', 'Ada')).json()).toMatchObject({ greeting: 'Hello, Ada!' });
  });

  it('tell NOT_SERVING until they are ready', async () => {
    const port = await freePort();
    launch('gateway', ['--port', String(port), '--registry', `127.0.0.1:${await freePort()}`]);
    await eventually(async () => {
      const { stdout } = await curl(`127.0.0.1:${port}`, 'grpc.health.v1.Health/Check', {});
      expect(JSON.parse(stdout)).toEqual({ status: 'NOT_SERVING' });
    });
  });
});

describe('wrong usage', () => {
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['an unknown option', ['dev', '--nodez', '3'], 2, /^error: unknown option '--nodez'/],
    ['an unknown command', ['rum'], 2, /^error: unknown command 'rum'.*run/],
    ['a port that is none', ['gateway', '--port', '70000'], 2, /--port.*0 to 65535/],
    ['a registry that is no address', ['node', '--registry', 'nowhere'], 2, /"nowhere" is not host:port/],
    [
      'a module that is not there',
      ['node', '--agents', './nope.mjs'],
      2,
      /^error: --agents \.\/nope\.mjs: there is no such file/,
    ],
    ['a module without agents', ['node', '--agents', './package.json'], 1, /^error: --agents/],
    [
      'an etcd that is not there',
      ['registry', '--port', '0', '--store', 'etcd', '--etcd', '127.0.0.1:1'],
      3,
      /no etcd answers at 127\.0\.0\.1:1/,
    ],
    ['nobody at the address', ['nodes', '--address', '127.0.0.1:1'], 3, /cannot connect to 127\.0\.0\.1:1/],
    ['etcd without --store etcd', ['registry', '--etcd', '127.0.0.1:2379'], 2, /--store etcd/],
  ];

  it.each(cases)('%s gives one line that says what to do', async (_, args, code, message) => {
    const ran = await troupe(...args);
    const errors = ran.stderr.split('\n').filter((line) => line.startsWith('error: '));
    expect({ code: ran.code, errors: errors.length }).toEqual({ code, errors: 1 });
    expect(errors[0]).toMatch(message);
    expect(ran.stderr).not.toMatch(/^\s+at /m);
  });

  it('a port in use is told', async () => {
    const first = launch('registry', []);
    const port = String((await first.ready()).grpc).split(':')[1] ?? '';
    const second = await troupe('registry', '--port', port);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^error: cannot listen on 127\.0\.0\.1:\d+: the port is in use/m);
  });
});

describe('troupe demo', () => {
  it('tells nine steps in plain lines, and ends with 0', async () => {
    const demo = startTroupe(['demo']);
    expect(await demo.exit).toEqual({ code: 0, signal: null });
    const steps = demo.lines.filter((line) => line.startsWith('✔'));
    expect(steps).toHaveLength(9);
    expect(demo.lines.join('\n')).toContain('all 60 completed');
  }, 60_000);

  it('fails when it is interrupted, and leaves nothing behind', async () => {
    const demo = startTroupe(['demo']);
    await eventually(() => expect(demo.lines.some((line) => line.includes('Start 3 nodes'))).toBe(true), { timeoutMs: 20_000 });
    const pids = demo.lines.flatMap((line) => /process (\d+)/.exec(line)?.[1] ?? []).map(Number);
    expect((await demo.kill('SIGINT'))?.code).not.toBe(0);
    await nobodyIsLeft(pids);
  }, 60_000);
});
