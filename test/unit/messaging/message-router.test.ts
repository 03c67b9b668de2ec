import { describe, expect, it } from '@jest/globals';
import type { MessageContext } from '../../../src/agent/context.js';
import type { AgentMessage } from '../../../src/agent/messages.js';
import { TroupeError } from '../../../src/core/errors.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { settle } from '../../support/fake-clock.js';
import { MessageCluster, MessageNode } from '../../support/message-nodes.js';

/** An agent that answers what it was asked. */
const ECHO = { concurrency: 100, receive: (message: AgentMessage) => (message.payload.kind === 'empty' ? null : message.text()) };

/** An agent that keeps the texts that it gets, in order. */
function keeper() {
  const got: string[] = [];
  return { got, kind: { mailboxCapacity: 100_000, receive: (message: AgentMessage) => void got.push(message.text()) } };
}

/** An agent that works until it is told to end, or its signal aborts. */
function patient() {
  const begun: string[] = [];
  const aborted: string[] = [];
  const ends: (() => void)[] = [];
  const receive = (message: AgentMessage, ctx: MessageContext) =>
    new Promise((resolve, reject) => {
      begun.push(message.text());
      ends.push(() => resolve(message.text()));
      const onAbort = () => {
        aborted.push((ctx.signal.reason as TroupeError).code);
        reject(ctx.signal.reason);
      };
      // On a busy machine its deadline may have passed when it begins.
      if (ctx.signal.aborted) onAbort();
      else ctx.signal.addEventListener('abort', onAbort);
    });
  return { begun, aborted, ends, kind: { receive } };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: TroupeError) => `${error.code}/${error.reason}`,
  );

describe('messages', () => {
  it('are answered on the same node and on another', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('echo', ECHO);
    for (const node of cluster.nodes) {
      const reply = await node.sender().request('echo', 'hello');
      expect([reply.text(), reply.from]).toEqual(['hello', 'echo']);
      expect(await node.sender().send('echo', 'hello')).toBe(true);
    }
  });

  it('of one sender arrive in order, large and small, here and there', async () => {
    const cluster = await MessageCluster.start(2);
    const { got, kind } = keeper();
    await cluster.node(2).deploy('keeper', kind);
    for (const node of cluster.nodes) {
      got.length = 0;
      const texts = Array.from({ length: 2_000 }, (_, n) => `${n} ${n % 97 === 0 ? 'x'.repeat(200_000) : ''}`);
      const sender = node.sender();
      await Promise.all(texts.map((text) => sender.send('keeper', text)));
      await eventually(() => expect(got.length).toBe(2_000));
      expect(got.map((text) => Number(text.split(' ')[0]))).toEqual(texts.map((_, n) => n));
    }
  });

  it('to an agent that nobody has are refused, and are dead letters; to what is no id as well', async () => {
    const cluster = await MessageCluster.start(1);
    const { deadLetters } = cluster.node(1);
    expect(await codeOf(cluster.node(1).sender().send('nobody', 'x'))).toBe('NOT_FOUND/UNKNOWN_AGENT');
    expect([...deadLetters.youngestFirst()]).toMatchObject([{ reason: 'UNKNOWN_AGENT', to: 'nobody' }]);
    expect(await codeOf(cluster.node(1).sender().request('../x', 'x'))).toMatch('INVALID_ARGUMENT');
  });

  it('of a process that has never seen the cluster are refused: it does not know who is there', async () => {
    const cluster = await MessageCluster.start(0);
    const alone = new MessageNode('alone', cluster);
    cleanUp(() => alone.kill());
    for (const sent of [alone.sender().send('echo', 'x'), alone.sender().broadcast('news', 'x')])
      expect(await codeOf(sent)).toBe('UNAVAILABLE/NOT_JOINED');
  });

  it('to an agent of a node that nobody knows fail at once', async () => {
    const cluster = await MessageCluster.start(1);
    cluster.place('lost', 'node-9');
    const sender = cluster.node(1).sender();
    expect(await codeOf(sender.send('lost', 'x', { timeoutMs: 5_000 }))).toBe('UNAVAILABLE/NOT_CONNECTED');
    expect(await codeOf(sender.send('lost', 'x', { timeoutMs: 5_000 }))).toBe('UNAVAILABLE/NOT_CONNECTED');
    expect(cluster.node(1).router.underWay).toBe(0);
  }, 4_000);

  it('too large for others are refused, and so are answers; the link stays', async () => {
    const cluster = await MessageCluster.start(2);
    const { got, kind } = keeper();
    await cluster.node(2).deploy('keeper', kind);
    await cluster.node(2).deploy('large', { receive: () => 'x'.repeat(20_000_000) });
    const here = cluster.node(1).sender();
    const huge = 'x'.repeat(20_000_000);
    const sent = here.send('keeper', 'before');
    expect(await codeOf(here.send('keeper', huge))).toMatch('INVALID_ARGUMENT');
    expect(await codeOf(cluster.node(2).sender().send('keeper', huge))).toMatch('INVALID_ARGUMENT');
    expect(await codeOf(here.request('large'))).toMatch('UNKNOWN/AGENT_ERROR');
    expect(await sent).toBe(true);
    expect(await here.send('keeper', 'x'.repeat(4_000_000))).toBe(true);
    await eventually(() => expect(got.map(({ length }) => length)).toEqual([6, 4_000_000]));
  });

  it('that cannot be encoded are refused, and do not stop those that come after', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('echo', ECHO);
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    for (const node of cluster.nodes) {
      const sender = node.sender();
      for (const options of [{}, { waitForRoom: true }, { atLeastOnce: true }]) {
        expect(await codeOf(sender.send('echo', cycle, options))).toMatch('INVALID_ARGUMENT');
        expect(await sender.send('echo', 'x', options)).toBe(true);
      }
      expect(await codeOf(sender.request('echo', cycle))).toMatch('INVALID_ARGUMENT');
      expect(node.router.underWay).toBe(0);
    }
  });

  it('do not change when their sender changes what it sent', async () => {
    const cluster = await MessageCluster.start(2);
    const seen: unknown[] = [];
    await cluster.node(2).deploy('keeper', { receive: (message: AgentMessage) => void seen.push(message.json()) });
    for (const node of cluster.nodes) {
      for (const options of [{}, { waitForRoom: true }]) {
        const payload = { n: 1 };
        const sent = [node.sender().send('keeper', payload, options), node.sender().send('keeper', payload, options)];
        payload.n = 2;
        await Promise.all(sent);
      }
    }
    expect(seen).toEqual(Array.from({ length: 8 }, () => ({ n: 1 })));
  });
});

describe('requests', () => {
  it('fail, and leave the link, whatever the agent throws or gives', async () => {
    const cluster = await MessageCluster.start(2);
    const trap = {
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested.
      get then(): never {
        throw new Error('trap');
      },
    };
    await cluster.node(2).deploy('textless', {
      receive: () => {
        throw Object.create(null);
      },
    });
    await cluster.node(2).deploy('rejecting', { receive: () => Promise.reject(Object.create(null)) });
    await cluster.node(2).deploy('trap', { receive: () => trap });
    await cluster.node(2).deploy('echo', ECHO);
    for (const node of cluster.nodes) {
      const waiting = [node.sender().request('echo', 'x')];
      for (const id of ['textless', 'rejecting', 'trap'])
        expect(await codeOf(node.sender().request(id, 'x'))).toBe('UNKNOWN/AGENT_ERROR');
      expect((await Promise.all(waiting)).map((reply) => reply.text())).toEqual(['x']);
    }
    expect(cluster.node(2).counts('rejecting')).toMatchObject({ inFlight: 0, handled: 2 });
  });

  it('reach the agent with their deadline and with being called off, and nothing is kept of them', async () => {
    const cluster = await MessageCluster.start(2);
    for (const node of cluster.nodes) {
      const { begun, aborted, kind } = patient();
      const id = `patient-${node.id}`;
      await cluster.node(2).deploy(id, { ...kind, concurrency: 10 });
      expect(await codeOf(node.sender().request(id, 'late', { timeoutMs: 50 }))).toMatch('DEADLINE_EXCEEDED');
      await eventually(() => expect(aborted).toHaveLength(1));
      const caller = new AbortController();
      const asked = codeOf(node.sender().request(id, 'called off', { signal: caller.signal }));
      await eventually(() => expect(begun).toEqual(['late', 'called off']));
      caller.abort();
      expect(await asked).toMatch('CANCELLED');
      await eventually(() => expect(aborted).toHaveLength(2));
      expect(aborted[1]).toBe('CANCELLED');
      await eventually(() => expect(cluster.node(2).counts(id)).toMatchObject({ inFlight: 0 }));
      expect(node.router.underWay).toBe(0);
    }
    expect(cluster.node(2).router.open).toBe(0);
  });

  it('get the errors of agents with code, reason and metadata', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('failing', {
      receive: (message: AgentMessage) => {
        if (message.text() === 'ours')
          throw new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first', { metadata: { model: 'm' } });
        throw new Error('broken');
      },
    });
    for (const node of cluster.nodes) {
      await expect(node.sender().request('failing', 'ours')).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'NO_MODEL',
        message: 'train it first',
        metadata: { model: 'm' },
      });
      await expect(node.sender().request('failing', 'other')).rejects.toMatchObject({ code: 'UNKNOWN', reason: 'AGENT_ERROR' });
    }
  });

  it('of agents that answer each other again and again neither overflow the stack nor hold up others', async () => {
    const cluster = await MessageCluster.start(2);
    const rounds = 20_000;
    const pinger = (other: string) => ({
      concurrency: 10,
      receive: (message: AgentMessage, ctx: MessageContext) => {
        const left = Number(message.text());
        if (left > 0) void ctx.send(other, String(left - 1));
        else void ctx.send('done', 'done');
      },
    });
    const { got, kind } = keeper();
    await cluster.node(1).deploy('ping', pinger('pong'));
    await cluster.node(1).deploy('pong', pinger('ping'));
    await cluster.node(1).deploy('done', kind);
    await cluster.node(1).deploy('echo', ECHO);
    void cluster.node(1).sender().send('ping', String(rounds));
    let turns = 0;
    await eventually(async () => {
      await settle();
      turns += 1;
      expect(got).toEqual(['done']);
    });
    expect(turns).toBeGreaterThan(1);
  });

  it('wait for no answer once their link is cut: the outcome is unknown; what was not written is sent', async () => {
    const cluster = await MessageCluster.start(2);
    const { begun, aborted, kind } = patient();
    await cluster.node(2).deploy('patient', kind);
    const sender = cluster.node(1).sender();
    const asked = codeOf(sender.request('patient', 'x'));
    await eventually(() => expect(begun).toEqual(['x']));
    cluster.proxies[1]?.cut();
    expect(await asked).toBe('ABORTED/OUTCOME_UNKNOWN');
    await eventually(() => expect(aborted).toEqual(['CANCELLED']));
    await cluster.node(2).deploy('echo', ECHO);
    expect((await sender.request('echo', 'again')).text()).toBe('again');
  });

  it('with wait_for_room in their envelope do not wait for room', async () => {
    const cluster = await MessageCluster.start(1);
    const { kind } = patient();
    await cluster.node(1).deploy('busy', { ...kind, mailboxCapacity: 1 });
    const sender = cluster.node(1).sender();
    const ask = () => codeOf(sender.request('busy', 'x', { waitForRoom: true, timeoutMs: 200 } as never));
    expect((await Promise.all([ask(), ask(), ask()]))[2]).toBe('RESOURCE_EXHAUSTED/MAILBOX_FULL');
  });
});

describe('streams', () => {
  const COUNTER = {
    concurrency: 10,
    receive: async (message: AgentMessage, ctx: MessageContext) => {
      for (let n = 0; n < Number(message.text()); n++) await ctx.emit({ n });
      return 'end';
    },
  };

  it('give all parts in order, then the answer', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('counter', COUNTER);
    for (const node of cluster.nodes) {
      const stream = node.sender().stream('counter', '100');
      const numbers: number[] = [];
      let next = await stream.next();
      for (; next.done !== true; next = await stream.next()) {
        numbers.push(next.value.json<{ n: number }>().n);
        expect(next.value.from).toBe('counter');
      }
      expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => n));
      expect(next.value.text()).toBe('end');
    }
  });

  it('lose no part that the agent did not wait for', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('hasty', {
      receive: (_message: AgentMessage, ctx: MessageContext) => {
        for (let n = 0; n < 10; n++) void ctx.emit(n);
        return 'end';
      },
    });
    for (const node of cluster.nodes) {
      const numbers: unknown[] = [];
      for await (const part of node.sender().stream('hasty')) numbers.push(part.json());
      expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  });

  it('fail where the agent does not wait and is too far ahead', async () => {
    const cluster = await MessageCluster.start(2);
    let aborted = 0;
    await cluster.node(2).deploy('hasty', {
      receive: (_message: AgentMessage, ctx: MessageContext) => {
        ctx.signal.addEventListener('abort', () => (aborted += 1));
        for (let n = 0; n < 1_000; n++) void ctx.emit(n);
        return 'end';
      },
    });
    const read = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    for (const node of cluster.nodes)
      await expect(read(node.sender().stream('hasty'))).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'STREAM_OVERFLOW',
      });
    expect(aborted).toBe(2);
  });

  it('let an agent whose reader is never heard of again go on at the deadline', async () => {
    const cluster = await MessageCluster.start(2);
    let ended = 0;
    await cluster.node(2).deploy('counter', {
      receive: async (_message: AgentMessage, ctx: MessageContext) => {
        for (let n = 0; n < 20; n++) await ctx.emit(n);
        ended += 1;
      },
    });
    const router = cluster.node(1).router as unknown as { demand: () => void; abandon: () => void };
    router.demand = () => undefined;
    router.abandon = () => undefined;
    const stream = cluster.node(1).sender().stream('counter', 'x', { timeoutMs: 300 });
    await stream.next();
    await eventually(() => expect(ended).toBe(1));
  });

  it('let the agent be 16 parts ahead, and tell it when the reader leaves', async () => {
    const cluster = await MessageCluster.start(2);
    for (const node of cluster.nodes) {
      let emitted = 0;
      let aborted = 0;
      const id = `endless-${node.id}`;
      await cluster.node(2).deploy(id, {
        receive: async (_message: AgentMessage, ctx: MessageContext) => {
          ctx.signal.addEventListener('abort', () => (aborted += 1));
          for (; !ctx.signal.aborted; emitted++) await ctx.emit(emitted);
        },
      });
      const stream = node.sender().stream(id);
      await stream.next();
      await eventually(() => expect(emitted).toBe(16));
      for (let n = 0; n < 7; n++) await stream.next();
      await eventually(() => expect(emitted).toBe(24));
      await stream.return(undefined as never);
      await eventually(() => expect(aborted).toBe(1));
      expect(node.router.underWay).toBe(0);
    }
  });

  it('of an agent that has moved get all their parts, and can be called off', async () => {
    const cluster = await MessageCluster.start(3);
    let aborted = 0;
    await cluster.node(3).start('moved', {
      concurrency: 10,
      receive: async (message: AgentMessage, ctx: MessageContext) => {
        ctx.signal.addEventListener('abort', () => (aborted += 1));
        if (message.text() === 'wait') await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
        return COUNTER.receive(message, ctx);
      },
    });
    // The first still believes that it is at the second.
    cluster.place('moved', 'node-2', [cluster.node(1)]);
    cluster.place('moved', 'node-3', [cluster.node(2), cluster.node(3)]);
    let parts = 0;
    for await (const _part of cluster.node(1).sender().stream('moved', '100', { timeoutMs: 3_000 })) parts += 1;
    expect(parts).toBe(100);
    cluster.place('moved', 'node-2', [cluster.node(1)]);
    const caller = new AbortController();
    const asked = codeOf(cluster.node(1).sender().request('moved', 'wait', { signal: caller.signal }));
    await eventually(() => expect(cluster.node(3).counts('moved')).toMatchObject({ inFlight: 1 }));
    caller.abort();
    expect(await asked).toMatch('CANCELLED');
    await eventually(() => expect(aborted).toBe(1));
  });
});

describe('agents that move', () => {
  it('get what was sent to where they were, and answer to who asked', async () => {
    const cluster = await MessageCluster.start(3);
    await cluster.node(3).start('echo', ECHO);
    cluster.place('echo', 'node-2', [cluster.node(1)]);
    cluster.place('echo', 'node-3', [cluster.node(2)]);
    const sender = cluster.node(1).sender();
    expect((await sender.request('echo', 'x')).text()).toBe('x');
    // It has learned from the answer.
    const before = cluster.node(2).links.to('node-1').isUp;
    expect((await sender.request('echo', 'y')).text()).toBe('y');
    expect(before).toBe(true);
  });

  it('to the node of who asks answer all the same', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(1).start('echo', ECHO);
    cluster.place('echo', 'node-1', [cluster.node(2)]);
    // The first is told last, and its own agent is not there yet when the request leaves.
    await cluster.node(1).stop('echo');
    cluster.place('echo', 'node-2', [cluster.node(1)]);
    const asked = cluster.node(1).sender().request('echo', 'x', { timeoutMs: 3_000 });
    const sent = cluster.node(1).sender().send('echo', 'x', { timeoutMs: 3_000 });
    await cluster.node(1).start('echo', ECHO);
    expect((await asked).text()).toBe('x');
    expect(await sent).toBe(true);
    expect(cluster.node(1).router.underWay).toBe(0);
  });

  it('are waited for while they end here and begin there: nothing is lost or comes twice', async () => {
    const cluster = await MessageCluster.start(3);
    const { got, kind } = keeper();
    await cluster.node(2).deploy('keeper', kind);
    const sends: Promise<unknown>[] = [];
    const send = (count: number) => {
      for (const node of cluster.nodes)
        for (let n = 0; n < count; n++) sends.push(node.sender(node.id).send('keeper', `${node.id} ${sends.length}`));
    };
    send(100);
    await Promise.all(sends);
    const stopping = cluster.node(2).stop('keeper');
    send(10);
    cluster.remove('keeper', [cluster.node(2)]);
    await stopping;
    send(10);
    cluster.remove('keeper');
    send(10);
    const starting = cluster.node(3).start('keeper', { ...kind, start: () => new Promise((resolve) => setTimeout(resolve, 50)) });
    send(10);
    await starting;
    send(10);
    cluster.place('keeper', 'node-3');
    send(10);
    expect(await Promise.all(sends.map(codeOf))).toEqual(sends.map(() => 'done'));
    expect(new Set(got).size).toBe(sends.length);
    expect(got.length).toBe(sends.length);
  });

  it('are not looked for in circles', async () => {
    const cluster = await MessageCluster.start(3);
    cluster.place('ghost', 'node-2', [cluster.node(1), cluster.node(3)]);
    cluster.place('ghost', 'node-3', [cluster.node(2)]);
    await expect(cluster.node(1).sender().request('ghost', 'x', { timeoutMs: 3_000 })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'FORWARD_CYCLE',
      metadata: { visited_nodes: 'node-2, node-3, node-2' },
    });
    expect(await codeOf(cluster.node(1).sender().send('ghost', 'x', { timeoutMs: 3_000 }))).toBe(
      'FAILED_PRECONDITION/FORWARD_CYCLE',
    );
  });

  it('to a node that is not reached refuse what was sent on', async () => {
    const cluster = await MessageCluster.start(3);
    cluster.place('moved', 'node-2', [cluster.node(1)]);
    cluster.place('moved', 'node-3', [cluster.node(2)]);
    cluster.proxies[2]?.refuse();
    expect(await codeOf(cluster.node(1).sender().send('moved', 'x', { timeoutMs: 4_000 }))).toBe('UNAVAILABLE/NOT_CONNECTED');
    expect(cluster.node(2).deadLetters.total).toBe(1);
  });
});

describe('careful sends', () => {
  it('wait for room, in order, and are no dead letters when they get it', async () => {
    const cluster = await MessageCluster.start(2);
    for (const node of cluster.nodes) {
      const got: string[] = [];
      const id = `slow-${node.id}`;
      await cluster.node(2).deploy(id, {
        mailboxCapacity: 2,
        receive: async (message: AgentMessage) => {
          await settle();
          got.push(message.text());
        },
      });
      const sender = node.sender();
      const sent = Array.from({ length: 50 }, (_, n) => sender.send(id, String(n), { waitForRoom: true }));
      expect(await Promise.all(sent.map(codeOf))).toEqual(sent.map(() => 'done'));
      await eventually(() => expect(got).toEqual(sent.map((_, n) => String(n))));
    }
    for (const node of cluster.nodes) expect(node.deadLetters.total).toBe(0);
  });

  it('that find no room in time are dead letters of their sender', async () => {
    const cluster = await MessageCluster.start(2);
    const { kind } = patient();
    await cluster.node(2).deploy('busy', { ...kind, mailboxCapacity: 1 });
    const sender = cluster.node(1).sender();
    await sender.send('busy', '1');
    await sender.send('busy', '2');
    expect(await codeOf(sender.send('busy', '3'))).toBe('RESOURCE_EXHAUSTED/MAILBOX_FULL');
    expect(cluster.node(2).deadLetters.total).toBe(1);
    const waited = sender.send('busy', '4', { waitForRoom: true, timeoutMs: 200 });
    expect(await codeOf(waited)).toMatch(/DEADLINE_EXCEEDED|MAILBOX_FULL/);
    expect([cluster.node(1).deadLetters.total, cluster.node(2).deadLetters.total]).toEqual([1, 1]);
  });

  it('sent again are got once by each receiver', async () => {
    const cluster = await MessageCluster.start(2);
    const one = keeper();
    const two = keeper();
    await cluster.node(2).deploy('one', one.kind);
    await cluster.node(2).deploy('two', two.kind);
    for (const node of cluster.nodes) {
      const sender = node.sender(node.id);
      const options = { atLeastOnce: true, id: 'order/17' };
      for (const to of ['one', 'two', 'one', 'two']) expect(await sender.send(to, node.id, options)).toBe(true);
    }
    expect([one.got, two.got]).toEqual([
      ['node-1', 'node-2'],
      ['node-1', 'node-2'],
    ]);
  });

  it('sent at least once are acknowledged when the mailbox has them, not while they wait for room', async () => {
    const cluster = await MessageCluster.start(2);
    const { begun, kind } = patient();
    await cluster.node(2).deploy('busy', { ...kind, mailboxCapacity: 1 });
    for (const node of cluster.nodes) {
      const options = { atLeastOnce: true, waitForRoom: true, timeoutMs: 300 };
      const sent = ['a', 'b', 'c'].map((text) => codeOf(node.sender(`${text}-${node.id}`).send('busy', text, options)));
      const ends = await Promise.all(sent);
      const taken = ends.filter((end) => end === 'done').length;
      expect(taken).toBe(node.id === 'node-1' ? 2 : 0);
    }
    expect(begun).toHaveLength(1);
  });

  it('over a link that is cut again and again arrive once and in order', async () => {
    const cluster = await MessageCluster.start(2);
    const { got, kind } = keeper();
    await cluster.node(2).deploy('keeper', kind);
    const sender = cluster.node(1).sender();
    const sends: Promise<string>[] = [];
    for (let n = 0; n < 300; n++) {
      sends.push(codeOf(sender.send('keeper', String(n), { atLeastOnce: true, timeoutMs: 20_000 })));
      if (n % 10 === 0) await sends.at(-1);
      if (n % 60 === 30) cluster.proxies[1]?.cut();
    }
    expect(await Promise.all(sends)).toEqual(sends.map(() => 'done'));
    expect(got).toEqual(sends.map((_, n) => String(n)));
  });
});

describe('broadcasts', () => {
  it('reach all that want them, but not their sender, and tell what became of them', async () => {
    const cluster = await MessageCluster.start(3);
    const keepers = [keeper(), keeper(), keeper()];
    for (const [index, { kind }] of keepers.entries())
      await cluster.nodes[index]?.deploy(`k${index + 1}`, {
        ...kind,
        topics: [index === 0 ? 'orders.*' : index === 1 ? 'orders.>' : 'orders.new'],
      });
    const sender = cluster.node(1).sender('k1');
    expect(new Map(await sender.broadcast('orders.new', 'a'))).toEqual(
      new Map([
        ['k2', true],
        ['k3', true],
      ]),
    );
    expect(new Map(await cluster.node(3).sender().broadcast('orders.new', 'b'))).toEqual(
      new Map([
        ['k1', true],
        ['k2', true],
        ['k3', true],
      ]),
    );
    expect(new Map(await cluster.node(2).sender().broadcast('orders.new.eu', 'c'))).toEqual(new Map([['k2', true]]));
    expect((await cluster.node(2).sender().broadcast('nothing', 'd')).size).toBe(0);
    await eventually(() => expect(keepers.map(({ got }) => got)).toEqual([['b'], ['a', 'b', 'c'], ['a', 'b']]));
  });

  it('give each subscriber a message of its own', async () => {
    const cluster = await MessageCluster.start(2);
    const seen: unknown[] = [];
    const receive = (message: AgentMessage) => {
      const content = message.json<{ n: number }>();
      seen.push(content.n);
      content.n += 1;
    };
    for (const id of ['a', 'b']) await cluster.node(2).deploy(id, { receive, topics: ['numbers'] });
    for (const node of cluster.nodes) await node.sender().broadcast('numbers', { n: 1 });
    expect(seen).toEqual([1, 1, 1, 1]);
  });

  it('come to who subscribed twice until both have ended', async () => {
    const cluster = await MessageCluster.start(1);
    const got: string[] = [];
    const subscriptions: { cancel(): void }[] = [];
    await cluster.node(1).deploy('twice', {
      receive: async (message: AgentMessage, ctx: MessageContext) => {
        if (message.text() === 'subscribe') subscriptions.push(await ctx.subscribe('a'));
        else got.push(message.text());
      },
    });
    const sender = cluster.node(1).sender();
    await sender.request('twice', 'subscribe');
    await sender.request('twice', 'subscribe');
    await sender.broadcast('a', '1');
    subscriptions[0]?.cancel();
    subscriptions[0]?.cancel();
    await sender.broadcast('a', '2');
    subscriptions[1]?.cancel();
    await sender.broadcast('a', '3');
    expect(got).toEqual(['1', '2']);
  });

  it('to a node that is not reached name it as silent', async () => {
    const cluster = await MessageCluster.start(2);
    await cluster.node(2).deploy('k', { ...keeper().kind, topics: ['a'] });
    cluster.proxies[1]?.refuse();
    const message = { from: 'x', to: '', topic: 'a', content: { kind: 'empty' }, id: '', headers: new Map() } as const;
    const rest = { deadlineMs: Date.now() + 3_000, waitForRoom: false, atLeastOnce: false, demand: 0 };
    const { silentNodes } = await cluster.node(1).router.broadcast({ ...message, ...rest });
    expect(silentNodes).toEqual(['node-2']);
  });
});

describe('what agents send while they handle a message', () => {
  it('shows in a signal that is first looked at when it has come to its end', async () => {
    const cluster = await MessageCluster.start(1);
    const node = cluster.node(1);
    const aborted: boolean[] = [];
    let goOn: () => void = () => undefined;
    let begun = 0;
    await node.deploy('worker', {
      receive: async (_message: AgentMessage, ctx: MessageContext) => {
        begun += 1;
        await new Promise<void>((resolve) => (goOn = resolve));
        aborted.push(ctx.signal.aborted);
      },
    });
    await node.sender().send('worker', 'x');
    await eventually(() => expect(begun).toBe(1));
    await node.stop('worker', 0);
    goOn();
    await eventually(() => expect(aborted).toEqual([true]));
  });

  it('is bounded by the deadline of a request, but not by that of a message that nobody waits for', async () => {
    const cluster = await MessageCluster.start(2);
    const remaining: number[] = [];
    const ends: string[] = [];
    await cluster.node(2).deploy('echo', ECHO);
    await cluster.node(1).deploy('worker', {
      receive: async (message: AgentMessage, ctx: MessageContext) => {
        remaining.push(ctx.remainingMs());
        await new Promise((resolve) => setTimeout(resolve, 60));
        ends.push(`${message.kind} ${ctx.signal.aborted} ${await codeOf(ctx.send('echo', 'x'))}`);
      },
    });
    const sender = cluster.node(2).sender();
    await sender.send('worker', 'x', { timeoutMs: 50 });
    await eventually(() => expect(ends).toEqual(['send false done']));
    await codeOf(sender.request('worker', 'x', { timeoutMs: 50 }));
    await eventually(() => expect(ends[1]).toBe('request true DEADLINE_EXCEEDED/DEADLINE_EXCEEDED'));
    expect(remaining[0]).toBe(Number.POSITIVE_INFINITY);
    expect(remaining[1]).toBeLessThanOrEqual(50);
  });
});
