import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { ROOT, startProcess, type TestProcess } from '../support/processes.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';
import { type Ran, runCommand } from '../support/run-command.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { python } from './toolchains.js';

const EXAMPLES = join(ROOT, 'examples', 'python');
const { interpreter, env } = python();

const agentOf = (id: string, address: string): TestProcess =>
  startProcess(interpreter, [join(EXAMPLES, 'agent.py'), '--id', id, '--address', address], { env });
const clientOf = (address: string, ...args: string[]): Promise<Ran> =>
  runCommand(interpreter, [join(EXAMPLES, 'client.py'), '--address', address, ...args], { env });
const events = ({ stdout }: Ran) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event !== 'attached');

describe('programs in Python, made from the .proto files alone', () => {
  let registry: Role;
  let gateway: Role;
  let troupe: TroupeClient;

  beforeAll(async () => {
    registry = await startRegistry();
    [gateway] = await Promise.all([startGateway(registry.address), startNode('node-1', registry.address)]);
    troupe = client(gateway.address);
    await eventually(async () => expect(await troupe.nodes()).toHaveLength(1));
  }, 30_000);

  async function attach(id: string, address = gateway.address): Promise<TestProcess> {
    const agent = agentOf(id, address);
    await agent.event(({ event }) => event === 'attached');
    await eventually(async () => expect((await troupe.instances({ service: 'agent' })).map((each) => each.id)).toContain(id));
    return agent;
  }

  it('an agent does tasks, streams, fails in its own words, and heeds when nobody waits', async () => {
    const agent = await attach('reverser');
    expect((await troupe.run('reversing', 'one two', { agentId: 'reverser' })).text()).toBe('eno owt');
    const parts: string[] = [];
    const text = Array.from({ length: 40 }, (_, n) => `w${n}`).join(' ');
    for await (const event of troupe.runStream('reversing', text, { agentId: 'reverser' }))
      if (event.kind === 'chunk' && event.payload.kind === 'text') parts.push(event.payload.text);
    expect(parts).toEqual(Array.from({ length: 40 }, (_, n) => `${n}`.split('').reverse().join('').concat('w')));
    await expect(troupe.run('reversing', ' ', { agentId: 'reverser' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'there is nothing to reverse',
    });
    const controller = new AbortController();
    const slow = troupe.run('reversing', 'a b c', {
      agentId: 'reverser',
      labels: { pause_ms: '60000' },
      signal: controller.signal,
    });
    slow.catch(() => undefined);
    await eventually(async () =>
      expect(await troupe.agentsOf('node-1')).toContainEqual(expect.objectContaining({ inFlight: 1 })),
    );
    controller.abort();
    await agent.event(({ event }) => event === 'cancelled');
  });

  it('an agent answers requests, and gets messages and broadcasts', async () => {
    const agent = await attach('talker');
    expect((await troupe.request('talker', 'hello')).text()).toBe('0 tasks done; you said: hello');
    expect(await troupe.send('talker', 'a note')).toBe(true);
    expect(await agent.event(({ event, topic }) => event === 'message' && topic === '')).toMatchObject({ text: 'a note' });
    expect((await troupe.broadcast('reversing.news', 'news')).get('talker')).toBe(true);
    expect(await agent.event(({ topic }) => topic === 'reversing.news')).toMatchObject({ text: 'news' });
  });

  it('an agent whose connection breaks comes back, and answers what it had begun', async () => {
    const proxy = await TcpProxy.start(gateway.port);
    cleanUp(() => proxy.stop());
    await attach('survivor', new URL(proxy.endpoint).host);
    const options = { agentId: 'survivor', labels: { pause_ms: '150' } };
    const results = ['a b c', 'd e f'].map((text) => troupe.run('reversing', text, options));
    await eventually(async () =>
      expect(await troupe.agentsOf('node-1')).toContainEqual(
        expect.objectContaining({ inFlight: 2, manifest: expect.objectContaining({ id: 'survivor' }) }),
      ),
    );
    proxy.cut();
    expect((await Promise.all(results)).map((result) => result.text())).toEqual(['a b c', 'd e f']);
  });

  it('an agent leaves in order when it is told to', async () => {
    const agent = await attach('leaver');
    expect(await agent.kill('SIGTERM')).toMatchObject({ code: 0 });
    await eventually(async () =>
      expect((await troupe.instances({ service: 'agent' })).map((each) => each.id)).not.toContain('leaver'),
    );
  });

  it('a client runs tasks, asks and broadcasts over one stream', async () => {
    await attach('worker');
    const ran = await clientOf(gateway.address, 'run', 'reversing', 'one two', 'three', '--stream');
    expect(ran).toMatchObject({ code: 0 });
    const results = events(ran).filter(({ event }) => event === 'result');
    expect(results.map(({ number, text }) => [number, text]).sort()).toEqual([
      [1, 'eno owt'],
      [2, 'eerht'],
    ]);
    expect(events(ran).filter(({ event, number }) => event === 'chunk' && number === 1)).toMatchObject([
      { text: 'eno' },
      { text: 'owt' },
    ]);
    const asked = await clientOf(gateway.address, 'request', 'worker', 'hi');
    expect(events(asked)).toMatchObject([{ event: 'answer', agent: 'worker', text: expect.stringContaining('you said: hi') }]);
    const told = await clientOf(gateway.address, 'broadcast', 'reversing.news', 'hi');
    expect(events(told)).toMatchObject([{ event: 'delivered', to: expect.arrayContaining(['worker']) }]);
    const failed = await clientOf(gateway.address, 'request', 'nobody', 'hi');
    expect(failed.code).toBe(1);
    expect(events(failed)).toMatchObject([{ event: 'error', code: 5 }]);
  });

  it('a client hears what is broadcast', async () => {
    const listener = startProcess(
      interpreter,
      [join(EXAMPLES, 'client.py'), '--address', gateway.address, 'listen', 'weather.>'],
      { env },
    );
    const { id } = await listener.event(({ event }) => event === 'attached');
    expect((await troupe.broadcast('weather.today', 'sunny')).get(String(id))).toBe(true);
    expect(await listener.event(({ event }) => event === 'message')).toMatchObject({ topic: 'weather.today', text: 'sunny' });
  });
});
