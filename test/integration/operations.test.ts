import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { INSTRUMENTS, type Instrument, prometheusName } from '../../src/telemetry/instruments.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { ROOT, startTroupe, type TestProcess } from '../support/processes.js';
import { client, freePort, launch, startGateway, startNode, startRegistry, startRole } from '../support/roles.js';
import { runTroupe } from '../support/run-command.js';

const MAIL = join(ROOT, 'test', 'support', 'agents', 'mail.mjs');

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function ask(ops: string, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${ops}${path}`, { method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text }));
    });
    request.on('error', reject);
  });
}

async function opsOf(process: TestProcess): Promise<string> {
  return String((await process.ready()).ops);
}

/** The metrics that a scrape shows, with the names of their labels. */
function families(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line);
    if (match === null) continue;
    const [, name = '', labels = ''] = match;
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const names = found.get(base) ?? new Set<string>();
    for (const [, label] of labels.matchAll(/([a-z_]+)="/g)) if (label !== undefined && label !== 'le') names.add(label);
    found.set(base, names);
  }
  return found;
}

describe('the operations port', () => {
  it('says that a process is alive, and whether it is ready: not without its registry', async () => {
    const port = await freePort();
    const opsPort = await freePort();
    const waiting = launch('node', ['--id', 'node-2', '--registry', `127.0.0.1:${port}`, '--ops-port', String(opsPort)]);
    const ops = `127.0.0.1:${opsPort}`;
    await eventually(async () => expect((await ask(ops, '/health')).status).toBe(200));
    expect(await ask(ops, '/ready')).toMatchObject({ status: 503, type: 'application/json' });
    const registry = launch('registry', ['--port', String(port)]);
    await registry.ready();
    await waiting.ready();
    const { status, text } = await ask(ops, '/ready');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      status: 'ready',
      role: 'node',
      id: 'node-2',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it('answers HEAD, ignores a query, and refuses what it does not have', async () => {
    const ops = await opsOf((await startRegistry()).process);
    expect(await ask(ops, '/health?verbose=1')).toMatchObject({ status: 200 });
    expect(await ask(ops, '/health', 'HEAD')).toMatchObject({ status: 200, text: '' });
    expect(await ask(ops, '/metrics', 'POST')).toMatchObject({ status: 405 });
    const missing = await ask(ops, '/debug');
    expect(missing.status).toBe(404);
    expect(missing.text).toContain('/health, /ready and /metrics');
  });

  it('says of a process that drains that it is not ready, and goes on to answer until it ends', async () => {
    const registry = await startRegistry();
    const node = await startNode('node-1', registry.address);
    const ops = await opsOf(node.process);
    const troupe = client(node.address);
    await troupe.deploy({ id: 'work-1', kind: 'worker' });
    const working = troupe.run('work', { ms: 3_000 });
    await eventually(async () => expect((await ask(ops, '/metrics')).text).toContain('troupe_node_tasks_in_flight 1'));
    const ended = node.process.kill('SIGTERM');
    await eventually(async () => expect((await ask(ops, '/ready')).status).toBe(503));
    expect((await ask(ops, '/health')).status).toBe(200);
    await working;
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('says of a node that was drained by a call that it is not ready', async () => {
    const registry = await startRegistry();
    const node = await startNode('node-1', registry.address);
    const ops = await opsOf(node.process);
    await client(node.address).drain('node-1');
    expect(await ask(ops, '/ready')).toMatchObject({ status: 503 });
    expect(await ask(ops, '/health')).toMatchObject({ status: 200 });
  });

  it('that is in use ends the process where it was asked for, naming the option', async () => {
    const ops = await opsOf((await startRegistry()).process);
    const port = ops.split(':')[1] ?? '';
    const args = ['registry', '--port', '0', '--ops-port', port];
    const { code, stderr } = await runTroupe(args);
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on ${ops}: the operations port is in use; give another --ops-port (TROUPE_OPS_PORT)`);
    expect(stderr).toContain('PORT_IN_USE');
  });

  it('that nobody asked for goes elsewhere, with a warning, where it is in use', async () => {
    const taker = createServer();
    // Somebody else on this machine may have it already: that will do.
    await new Promise<void>((resolve) => taker.once('error', () => resolve()).listen(9464, '127.0.0.1', resolve));
    cleanUp(() => new Promise((resolve) => taker.close(resolve)));
    const registry = startTroupe(['registry', '--port', '0', '--log-level', 'warn'], { env: { TROUPE_OPS_PORT: undefined } });
    const ops = await opsOf(registry);
    expect(ops).toMatch(/^127\.0\.0\.1:(?!9464$)\d+$/);
    expect(await ask(ops, '/ready')).toMatchObject({ status: 200 });
    await eventually(() => expect(registry.stderr).toContain('the default operations port is in use; took a free one'));
  });

  it('can be off, as can the metrics', async () => {
    const off = await startRole('registry', ['--ops-port', 'off']);
    expect(await off.process.ready()).not.toHaveProperty('ops');
    const silent = await startRole('registry', ['--no-metrics']);
    const ops = await opsOf(silent.process);
    expect(await ask(ops, '/metrics')).toMatchObject({ status: 404, text: expect.stringContaining('metrics are off') });
    expect(await ask(ops, '/ready')).toMatchObject({ status: 200 });
  });
});

describe('the metrics of a cluster', () => {
  it('are those that are named, with their labels, and all that are named come up', async () => {
    const registry = await startRegistry();
    const gateway = await startGateway(registry.address);
    const node = await startNode('node-1', registry.address, '--agents', MAIL);
    const troupe = client(gateway.address);
    await troupe.deploy({ id: 'keeper-1', kind: 'keeper' });
    await troupe.deploy({ id: 'clumsy-1', kind: 'clumsy' });
    await troupe.deploy({ id: 'echo-1', kind: 'echo' });
    await troupe.deploy({ id: 'broken-1', kind: 'broken' });
    await troupe.run('echo', 1);
    for await (const _ of troupe.runStream('echo', 1));
    await troupe.send('keeper-1', 'x');
    await troupe.send('clumsy-1', 'x');
    await troupe.request('keeper-1', 'y');
    await troupe.broadcast('orders.new', 'z');
    const all = new Map<string, Set<string>>();
    const roles = [registry, gateway, node];
    const known = new Map<string, Instrument>(Object.values(INSTRUMENTS).map((each) => [prometheusName(each), each]));
    await eventually(async () => {
      // An agent whose tasks fail opens its circuit.
      await troupe.run([], 1, { agentId: 'broken-1' }).catch(() => undefined);
      await troupe.run([]).catch(() => undefined);
      for (const { process } of roles) {
        const { status, type, text } = await ask(await opsOf(process), '/metrics');
        expect(status).toBe(200);
        expect(type).toContain('version=0.0.4');
        for (const [name, labels] of families(text)) all.set(name, new Set([...(all.get(name) ?? []), ...labels]));
      }
      expect([...all.keys()].sort()).toEqual([...known.keys()].sort());
    });
    for (const [name, labels] of all)
      expect([name, [...labels].sort()]).toEqual([name, [...(known.get(name)?.labels ?? [])].sort()]);
  });

  it('count a try that streams by how the stream ends', async () => {
    const registry = await startRegistry();
    const node = await startNode('node-1', registry.address);
    const troupe = client(node.address);
    await troupe.deploy({ id: 'streamer-1', kind: 'streamer' });
    await troupe.deploy({ id: 'ticker-1', kind: 'ticker' });
    for await (const _ of troupe.runStream('streaming', { chunks: 3 }));
    for await (const { kind } of troupe.runStream('tick', null, { resumeWindowMs: 0 })) if (kind === 'chunk') break;
    await eventually(async () => {
      const { text } = await ask(await opsOf(node.process), '/metrics');
      expect(text).toContain('troupe_task_attempts_total{capability="streaming",outcome="completed"} 1');
      expect(text).toContain('troupe_task_attempts_total{capability="tick",outcome="canceled"} 1');
      expect(text).not.toContain('{capability="tick",outcome="completed"}');
      expect(text).toContain('troupe_task_duration_seconds_count{capability="tick",code="CANCELLED"} 1');
    });
  });

  it('count no names that callers make up', async () => {
    const registry = await startRegistry();
    const node = await startNode('node-1', registry.address);
    const troupe = client(node.address);
    const made = Array.from({ length: 50 }, (_, index) => `made-up-${index}`);
    await Promise.all(made.map((name) => troupe.run(name).catch(() => undefined)));
    await troupe.deploy({ id: 'echo-1', kind: 'echo' });
    await troupe.run('made-up', 'x', { fallbackCapability: 'echo' });
    const { text } = await ask(await opsOf(node.process), '/metrics');
    expect(text).toContain('troupe_task_duration_seconds_count{capability="unknown",code="NOT_FOUND"} 50');
    expect(text).toContain('troupe_task_duration_seconds_count{capability="unknown",code="OK"} 1');
    expect(text).not.toContain('made-up');
  });
});

describe('an error that nothing in an agent catches', () => {
  it('ends its node, and the log says so with its stack', async () => {
    const registry = await startRegistry();
    const node = await startNode('node-1', registry.address);
    const troupe = client(node.address);
    await troupe.deploy({ id: 'careless-1', kind: 'careless' });
    await troupe.run('carelessness').catch(() => undefined);
    expect(await node.process.exit).toEqual({ code: 1, signal: null });
    const line = node.process.stderr.split('\n').find((each) => each.includes('nobody waited for me')) ?? '';
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      msg: 'an error that nothing caught ends the process',
      origin: 'unhandledRejection',
      error: { stack: expect.stringContaining('probe.mjs') },
    });
  });
});
