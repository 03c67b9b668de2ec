import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { ComposeRun } from './compose-run.js';
import { imageUnderTest } from './image-under-test.js';

const START_MS = 180_000;
const AGENTS = '/agents/agents.mjs';

const { config } = imageUnderTest();
let cluster: ComposeRun;

beforeAll(async () => {
  cluster = new ComposeRun({
    binds: [{ source: join(ROOT, 'test', 'image', 'agents.mjs'), destination: AGENTS, readOnly: true }],
    env: { TROUPE_AGENTS: `examples/agents/hello.mjs,examples/agents/notes.mjs,${AGENTS}` },
  });
  await cluster.up();
  for (const node of ['node-1', 'node-2']) {
    const deployed = await cluster.troupe('gateway', 'deploy', 'greeter', '--id', `greeter-${node}`, '--node', node);
    expect(deployed).toMatchObject({ code: 0 });
  }
}, START_MS);

afterAll(async () => {
  await cluster?.down();
}, START_MS);

const graceMs = (name: string) => Number.parseInt(cluster.services.get(name)?.stop_grace_period ?? '', 10) * 1000;

describe('the services of docker-compose.yml', () => {
  test('are two registries, two nodes and a gateway, all of which know each other', async () => {
    const { stdout } = await cluster.troupe('gateway', 'nodes', '--output', 'json');
    expect(JSON.stringify(JSON.parse(stdout))).toEqual(
      expect.stringMatching(/node-1:8765.*node-2:8766|node-2:8766.*node-1:8765/),
    );
    const stats = await cluster.troupe('gateway', 'stats');
    expect(stats).toMatchObject({ code: 0 });
  });

  test('run tasks on agents of the examples, for the command in a container and for one beside them', async () => {
    const within = await cluster.troupe('gateway', 'run', 'greeting', '--text', 'Ada');
    expect(within).toMatchObject({ code: 0, stdout: expect.stringContaining('Hello, Ada!') });
    const beside = cluster.runOnce('run', 'greeting', '--text', 'Bob', '--address', 'gateway:8080').process;
    expect(await beside.exit).toEqual({ code: 0, signal: null });
    expect(beside.lines.join('\n')).toContain('Hello, Bob!');
  });

  test('pass the health check of the image as well as that of the file, and a check of nothing fails', async () => {
    const [, ...check] = config.Healthcheck.Test;
    for (const name of ['registry-1', 'registry-2', 'node-1', 'node-2', 'gateway']) {
      expect(await cluster.container(name).exec(check)).toMatchObject({ code: 0 });
    }
    const nowhere = await cluster.container('node-1').exec([...check.slice(0, -1), '/nowhere']);
    expect(nowhere.code).toBe(1);
  });

  test('give their metrics at the operations port', async () => {
    for (const name of ['registry-1', 'node-2', 'gateway']) {
      const response = await fetch(`http://${cluster.network.addressOf(name)}:9464/metrics`);
      expect(await response.text()).toContain(`troupe_build_info{`);
    }
  });
});

describe('a container', () => {
  const write = (path: string) =>
    `try { require('fs').writeFileSync(${JSON.stringify(path)}, ''); console.log('written') } catch (error) { console.log(error.code) }`;

  test('can write to its data and to /tmp, and to nothing else', async () => {
    const attempt = async (path: string) => (await cluster.container('node-1').exec(['node', '-e', write(path)])).stdout.trim();
    expect(await attempt('/data/probe')).toBe('written');
    expect(await attempt('/tmp/probe')).toBe('written');
    for (const path of ['/probe', '/opt/troupe/probe', '/opt/troupe/dist/src/app/main.js', '/usr/local/bin/probe', '/etc/passwd'])
      expect(await attempt(path)).toBe('EROFS');
  });

  test('runs the role itself as its first process, without root, rights, or a way to get any', async () => {
    const { stdout } = await cluster
      .container('node-1')
      .exec([
        'node',
        '-p',
        "fs = require('fs'); JSON.stringify([fs.readFileSync('/proc/1/cmdline', 'utf8').split('\\0'), fs.readFileSync('/proc/1/status', 'utf8')])",
      ]);
    const [command, status] = JSON.parse(stdout) as [string[], string];
    expect(command.slice(0, 3)).toEqual(['node', '/usr/local/bin/troupe', 'node']);
    expect(status).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, 'm'));
  });

  test('has no shell', async () => {
    expect(await cluster.container('gateway').exec(['sh', '-c', 'true'])).toMatchObject({ code: 255 });
  });

  test('of a command that waits ends when it is told to', async () => {
    const listening = cluster.runOnce('listen', 'orders.*', '--address', 'gateway:8080', '--output', 'json');
    await eventually(async () => {
      const { stdout } = await cluster.troupe('gateway', 'topics', '--output', 'json');
      expect(stdout).toContain('orders.*');
    });
    const { code, ms } = await listening.stop('SIGTERM');
    expect(code).toBe(130);
    expect(ms).toBeLessThan(5_000);
  });
});

describe('SIGTERM', () => {
  test('lets a node finish what it works on, ends it with 0 within the grace, and it comes back with its agents', async () => {
    expect(await cluster.troupe('gateway', 'deploy', 'slow', '--id', 'slow-1', '--node', 'node-2')).toMatchObject({ code: 0 });
    const task = cluster.runOnce(
      'run',
      'slow',
      '--text',
      '2000',
      '--stream',
      '--output',
      'json',
      '--address',
      'gateway:8080',
    ).process;
    await task.line((line) => line.includes('begun'));
    const ended = await cluster.container('node-2').stop();
    expect(ended.code).toBe(0);
    expect(ended.ms).toBeLessThan(graceMs('node-2'));
    expect(await task.exit).toEqual({ code: 0, signal: null });
    expect(task.lines.join('\n')).toContain('"done":true');

    await cluster.start('node-2');
    await eventually(async () => {
      const { stdout } = await cluster.troupe('gateway', 'run', 'greeting', '--text', 'Eve', '--agent', 'greeter-node-2');
      expect(stdout).toContain('Hello, Eve!');
    });
  });

  test('ends every role with 0 within the grace', async () => {
    for (const name of ['gateway', 'node-1', 'node-2', 'registry-2', 'registry-1']) {
      const { code, ms } = await cluster.container(name).stop();
      expect({ name, code }).toEqual({ name, code: 0 });
      expect(ms).toBeLessThan(graceMs(name));
    }
    await cluster.up();
  });
});
