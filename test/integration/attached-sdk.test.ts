import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { AttachOptions } from '../../src/client/attach-options.js';
import type { TroupeClient } from '../../src/client/client.js';
import { TroupeError } from '../../src/core/errors.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { Load } from '../support/load.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';
import { TcpProxy } from '../support/tcp-proxy.js';

let gateway: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  const registry = await startRegistry();
  [, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
  troupe = client(gateway.address);
  await eventually(async () => expect((await troupe.nodes()).length).toBe(1));
}, 30_000);

let agents = 0;

async function attach(options: Partial<AttachOptions> = {}, through = client(gateway.address)) {
  agents += 1;
  const id = `attached-${agents}`;
  const capability = `ability-${agents}`;
  const agent = await eventually(() =>
    through.attachAgent({ id, capabilities: [capability], run: (task) => `${task.text()}!`, ...options }),
  );
  await eventually(async () => expect((await troupe.instances({ service: 'agent' })).map((each) => each.id)).toContain(agent.id));
  return { agent, id, capability };
}

describe('an agent that is attached by the SDK', () => {
  it('does tasks, and gives parts of its answer', async () => {
    const { agent, id, capability } = await attach({
      run: async (task, ctx) => {
        for (const word of task.text().split(' ')) await ctx.emit(word);
        await ctx.progress(1, 'all');
        return { agent: ctx.agentId, node: ctx.nodeId, hasTime: ctx.remainingMs() > 0 };
      },
    });
    expect(agent).toMatchObject({ id, nodeId: 'node-1' });
    const events = [];
    for await (const event of troupe.runStream(capability, 'a b c')) events.push(event);
    expect(events.map(({ kind }) => kind)).toEqual(['accepted', 'routed', 'chunk', 'chunk', 'chunk', 'progress', 'result']);
    const last = events.at(-1);
    expect(last?.kind === 'result' && last.result.json()).toEqual({ agent: id, node: 'node-1', hasTime: true });
  });

  it('streams many parts, as fast as they are read', async () => {
    const { capability } = await attach({
      run: async (_task, ctx) => {
        for (let n = 0; n < 300; n++) await ctx.emit({ n });
        return 'done';
      },
    });
    const numbers: unknown[] = [];
    for await (const event of troupe.runStream(capability)) if (event.kind === 'chunk') numbers.push(event.payload);
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, n) => ({ kind: 'json', json: { n } })));
  });

  it('answers messages, talks to others as itself, and hears what is broadcast', async () => {
    const heard: unknown[] = [];
    const { id: first } = await attach({
      topics: ['greetings'],
      receive: (message) => {
        heard.push([message.from, message.topic, message.text()]);
        return message.kind === 'request' ? `hello ${message.from}` : undefined;
      },
    });
    const { agent, id } = await attach({ receive: () => undefined });
    expect((await agent.request(first, 'hi')).text()).toBe(`hello ${id}`);
    expect(await agent.send(first, 'bye')).toBe(true);
    expect([...(await agent.broadcast('greetings', 'all'))]).toEqual([[first, true]]);
    await eventually(() =>
      expect(heard).toEqual([
        [id, '', 'hi'],
        [id, '', 'bye'],
        [id, 'greetings', 'all'],
      ]),
    );
    await expect(agent.request('nobody', 'hi')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('asks for answers in parts, as fast as it reads them, and calls them off', async () => {
    let emitted = 0;
    let reason: unknown;
    const { id: teller } = await attach({
      receive: async (message, ctx) => {
        const most = message.json<number>();
        for (emitted = 0; emitted < most && !ctx.signal.aborted; emitted++) await ctx.emit(emitted);
        reason = ctx.signal.reason;
        if (most === 7) throw new TroupeError('FAILED_PRECONDITION', 'ENOUGH', 'seven are too many');
        return 'that is all';
      },
    });
    const relay = await attach({
      run: async (task, ctx) => {
        const reading = ctx.stream(teller, task.json());
        for (;;) {
          const { done, value } = await reading.next();
          if (done) return value.text();
          await ctx.emit(value.json());
        }
      },
    });
    const chunks: unknown[] = [];
    for await (const event of troupe.runStream(relay.capability, 100)) {
      if (event.kind === 'chunk') chunks.push(event.payload);
      if (event.kind === 'result') expect(event.result.text()).toBe('that is all');
    }
    expect(chunks).toEqual(Array.from({ length: 100 }, (_, n) => ({ kind: 'json', json: n })));

    const read: unknown[] = [];
    const failing = async () => {
      for await (const part of relay.agent.stream(teller, 7)) read.push(part.json());
    };
    await expect(failing()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ENOUGH' });
    expect(read).toEqual([0, 1, 2, 3, 4, 5, 6]);

    for await (const part of relay.agent.stream(teller, 1_000_000)) if (part.json() === 20) break;
    await eventually(() => expect(reason).toMatchObject({ code: 'CANCELLED' }));
    expect(emitted).toBeLessThan(200);
    await expect(relay.agent.stream(teller, 1, { signal: AbortSignal.abort() }).next()).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('subscribes and unsubscribes while it is attached, also over a lost connection and at another node', async () => {
    const own = await startRegistry();
    const [door] = await Promise.all([startGateway(own.address), ...['a', 'b'].map((id) => startNode(id, own.address))]);
    const proxy = await TcpProxy.start(door.port);
    cleanUp(() => proxy.stop());
    const caller = client(door.address);
    await eventually(async () => expect((await caller.nodes()).filter(({ status }) => status === 2)).toHaveLength(2));
    const agent = await client(new URL(proxy.endpoint).host).attachAgent({
      id: 'listener',
      topics: ['always'],
      receive: () => undefined,
    });
    const hears = async (...topics: string[]) => {
      for (const topic of ['always', 'news.eu', 'sports'])
        await eventually(async () => {
          const receipts = topics.includes(topic) ? [['listener', true]] : [];
          expect([...(await caller.broadcast(topic, 'x'))]).toEqual(receipts);
        });
    };
    await hears('always');
    const news = await agent.subscribe('news.*');
    await hears('always', 'news.eu');
    proxy.cut();
    await agent.subscribe('sports');
    await hears('always', 'news.eu', 'sports');
    news.cancel();
    const home = agent.nodeId;
    await caller.drain(home);
    await eventually(() => expect(agent.nodeId).not.toBe(home));
    await hears('always', 'sports');
    await expect(agent.subscribe('a..b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await agent.close();
    await expect(agent.subscribe('late')).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect((await caller.attachAgent({ id: 'deaf' })).subscribe('x')).rejects.toMatchObject({ reason: 'NO_RECEIVE' });
  });

  it('is told that nobody waits any more', async () => {
    let reason: unknown;
    const { capability } = await attach({
      run: (_task, ctx) =>
        new Promise((resolve) => {
          ctx.signal.addEventListener('abort', () => {
            reason = ctx.signal.reason;
            resolve('too late');
          });
        }),
    });
    const controller = new AbortController();
    const result = troupe.run(capability, 'x', { signal: controller.signal });
    result.catch(() => undefined);
    await eventually(async () =>
      expect(await troupe.agentsOf('node-1')).toContainEqual(expect.objectContaining({ inFlight: 1 })),
    );
    controller.abort();
    await expect(result).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(reason).toMatchObject({ code: 'CANCELLED' }));
  });

  it('survives a lost connection: what it works on is answered, once', async () => {
    const proxy = await TcpProxy.start(gateway.port);
    cleanUp(() => proxy.stop());
    let runs = 0;
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { capability } = await attach(
      {
        concurrency: 2,
        run: async (task) => {
          runs += 1;
          await finished;
          return task.text();
        },
      },
      client(new URL(proxy.endpoint).host),
    );
    const results = [troupe.run(capability, 'one'), troupe.run(capability, 'two')];
    await eventually(() => expect(runs).toBe(2));
    proxy.cut();
    finish();
    expect((await Promise.all(results)).map((result) => result.text())).toEqual(['one', 'two']);
    expect(runs).toBe(2);
    expect((await troupe.run(capability, 'three')).text()).toBe('three');
  });

  it('goes to another node when its own drains; where there are two of them, nothing fails', async () => {
    const own = await startRegistry();
    const [door] = await Promise.all([startGateway(own.address), ...['a', 'b'].map((id) => startNode(id, own.address))]);
    const caller = client(door.address);
    await eventually(async () => expect((await caller.nodes()).filter(({ status }) => status === 2)).toHaveLength(2));
    const options = { id: 'mover', replica: true, capabilities: ['moving'], concurrency: 10, run: () => 'moved' };
    const agents = [await caller.attachAgent(options)];
    while (new Set(agents.map(({ nodeId }) => nodeId)).size < 2) agents.push(await caller.attachAgent(options));
    const [agent] = agents;
    const home = agent?.nodeId ?? '';
    await eventually(async () => expect((await caller.run('moving')).text()).toBe('moved'));
    const load = new Load(4, () => caller.run('moving'));
    await eventually(() => expect(load.succeeded).toBeGreaterThan(50));
    await caller.drain(home);
    await eventually(() => expect(agent?.nodeId).not.toBe(home));
    const before = load.succeeded;
    await eventually(() => expect(load.succeeded).toBeGreaterThan(before + 50));
    expect((await load.stop()).failures).toEqual({});
    await eventually(async () =>
      expect((await caller.run('moving', 'y', { agentId: agent?.id ?? '' })).nodeId).toBe(agent?.nodeId),
    );
  });

  it('fails none of its own requests when its node is told to end', async () => {
    const own = await startRegistry();
    const [door, ...nodes] = await Promise.all([
      startGateway(own.address),
      ...['first', 'second', 'third'].map((id) => startNode(id, own.address)),
    ]);
    const through = client(door.address);
    await eventually(async () => expect((await through.nodes()).filter(({ status }) => status === 2)).toHaveLength(3));
    const asker = await through.attachAgent({ id: 'asker', receive: () => undefined });
    const answerer = await eventually(async () => {
      const agent = await through.attachAgent({
        id: 'answerer',
        replica: true,
        concurrency: 100,
        receive: async (message) => {
          await delay(message.json<number>());
          return 'answered';
        },
      });
      expect(agent.nodeId).not.toBe(asker.nodeId);
      return agent;
    });
    const home = nodes.find(({ id }) => id === asker.nodeId);
    const load = new Load(8, () => asker.request(answerer.id, 20));
    const long = Array.from({ length: 20 }, () => asker.request(answerer.id, 2_000));
    await eventually(() => expect(load.succeeded).toBeGreaterThan(50));
    expect(await home?.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect((await Promise.all(long)).map((answer) => answer.text())).toEqual(new Array(20).fill('answered'));
    await eventually(() => expect(asker.nodeId).not.toBe(home?.id));
    const before = load.succeeded;
    await eventually(() => expect(load.succeeded).toBeGreaterThan(before + 50));
    expect((await load.stop()).failures).toEqual({});
  });

  it('leaves in order: it finishes what it has', async () => {
    let finish: (() => void) | undefined;
    const { agent, capability } = await attach({
      run: () =>
        new Promise((resolve) => {
          finish = () => resolve('finished');
        }),
    });
    const result = troupe.run(capability);
    await eventually(() => expect(finish).toBeDefined());
    const closing = agent.close();
    finish?.();
    expect((await result).text()).toBe('finished');
    await closing;
    await agent.closed;
  });

  it('is told why it is kept out', async () => {
    const { id } = await attach();
    await expect(client(gateway.address).attachAgent({ id, receive: () => undefined })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(client(gateway.address).attachAgent({ id: '../x', receive: () => undefined })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client(gateway.address).attachAgent({ id: 'x', capabilities: ['x'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('run'),
    });
  });
});
