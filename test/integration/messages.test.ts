import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { TopicMessage } from '../../src/client/messages.js';
import { MessagingDefinition } from '../../src/gen/troupe/v1/messaging.js';
import { openChannel } from '../../src/rpc/channels.js';
import { createClient } from '../../src/rpc/client.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

const MAIL_AGENTS = join(ROOT, 'test', 'support', 'agents', 'mail.mjs');

let registry: Role;
let nodes: readonly [Role, Role];
let gateway: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  registry = await startRegistry();
  const [first, second, third] = await Promise.all([
    startNode('node-1', registry.address, '--agents', MAIL_AGENTS),
    startNode('node-2', registry.address, '--agents', MAIL_AGENTS),
    startGateway(registry.address),
  ]);
  nodes = [first, second];
  gateway = third;
  troupe = client(gateway.address);
  await eventually(() => troupe.deploy({ id: 'keeper-1', kind: 'keeper' }, 'node-1'));
  await eventually(() => troupe.deploy({ id: 'keeper-2', kind: 'keeper' }, 'node-2'));
  await Promise.all(['clumsy', 'deaf'].map((kind) => troupe.deploy({ id: `${kind}-1`, kind }, 'node-2')));
}, 30_000);

interface Seen {
  readonly kind: string;
  readonly id: string;
  readonly from: string;
  readonly topic: string;
  readonly headers: Record<string, string>;
  readonly text: string;
}

const list = async (agent: string) => (await troupe.request(agent, 'list')).json<Seen[]>();
const textsOf = async (agent: string) => (await list(agent)).map(({ text }) => text);
/** A name that no other test has. */
let count = 0;
function unique(name: string): string {
  count += 1;
  return `${name}-${count}`;
}

/** The same, asked of every process that carries messages: that of the agent, another node's, and the gateway's. */
const askers = () => [...nodes, gateway].map(({ id, address }) => ({ id, asker: client(address) }));

describe('Send', () => {
  it('reaches an agent from any process, with all that was said', async () => {
    for (const { id, asker } of askers()) {
      const text = unique(id);
      expect(await asker.send('keeper-1', text, { id: text, headers: { ticket: '42' } })).toBe(true);
      const seen = (await list('keeper-1')).find((each) => each.text === text);
      expect(seen).toMatchObject({ kind: 'send', id: text, topic: '', headers: { ticket: '42' }, text });
      expect(seen?.from).toMatch(/^client-/);
    }
  });

  it('answers where the agent is not, or takes no messages', async () => {
    for (const { asker } of askers()) {
      await expect(asker.send('nobody', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT' });
      await expect(asker.send('deaf-1', 'x')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NO_RECEIVE' });
      await expect(asker.send('node-1', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });

  it('is refused where the mailbox is full, and waits for room where it may', async () => {
    for (const nodeId of ['node-1', 'node-2']) {
      const id = unique('narrow');
      await troupe.deploy({ id, kind: 'narrow' }, nodeId);
      await troupe.send(id, '1');
      await troupe.send(id, '2');
      const asker = client(nodes[0].address);
      await expect(asker.send(id, '3')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MAILBOX_FULL' });
      await expect(asker.send(id, '4', { waitForRoom: true, timeoutMs: 200 })).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
      });
      const waiting = asker.send(id, '5', { waitForRoom: true, timeoutMs: 20_000 });
      await troupe.undeploy(id, 0);
      await expect(waiting).rejects.toMatchObject({
        reason: expect.stringMatching(/^(UNKNOWN_AGENT|AGENT_NOT_RUNNING|AGENT_STOPPED)$/),
      });
    }
  }, 30_000);

  it('at least once comes once', async () => {
    const text = unique('once');
    await troupe.send('keeper-2', text, { atLeastOnce: true, id: text });
    expect((await textsOf('keeper-2')).filter((each) => each === text)).toHaveLength(1);
  });

  it('keeps the order of one sender to one receiver, as long as it waits for each', async () => {
    const name = unique('order');
    for (let n = 0; n < 50; n++) await troupe.send('keeper-2', `${name} ${n}`);
    const seen = (await textsOf('keeper-2')).filter((text) => text.startsWith(`${name} `));
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => `${name} ${n}`));
  });

  it('carries 3 MiB', async () => {
    const bytes = new Uint8Array(3 * 1024 * 1024).fill(120);
    for (const { asker } of askers()) {
      const answer = (await asker.request('keeper-2', bytes, { timeoutMs: 20_000 })).json<Seen>();
      expect(answer.text).toHaveLength(bytes.length);
    }
  }, 60_000);
});

describe('Request', () => {
  it('is answered from any process', async () => {
    for (const { asker } of askers()) {
      const answer = await asker.request('keeper-1', 'ping', { headers: { a: 'b' } });
      expect(answer.from).toBe('keeper-1');
      expect(answer.json()).toMatchObject({ kind: 'request', headers: { a: 'b' }, text: 'ping' });
    }
  });

  it("ends with the agent's own error", async () => {
    for (const { asker } of askers())
      await expect(asker.request('keeper-1', 'fail')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NO_MODEL' });
  });

  it('tells the agent when nobody waits any more: its caller cancelled, or its time is over', async () => {
    const [late, cancelled] = [unique('late'), unique('cancelled')];
    const narrow = async () => (await troupe.request('keeper-2', 'narrow')).json<{ begun: string[]; stopped: string[] }>();
    const [first, second] = [unique('narrow'), unique('narrow')];
    await Promise.all([first, second].map((id) => troupe.deploy({ id, kind: 'narrow' }, 'node-2')));
    await expect(troupe.request(first, late, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await eventually(async () => expect((await narrow()).stopped).toContain(`${late}: DEADLINE_EXCEEDED`));
    const controller = new AbortController();
    const asked = troupe.request(second, cancelled, { signal: controller.signal });
    asked.catch(() => undefined);
    await eventually(async () => expect((await narrow()).begun).toContain(cancelled));
    controller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(async () => expect((await narrow()).stopped).toContain(`${cancelled}: CANCELLED`));
    await Promise.all([first, second].map((id) => troupe.undeploy(id, 0)));
  }, 20_000);

  it('has the trace of its call', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect((await troupe.request('keeper-2', 'x', { traceparent })).json<Seen>().headers).toEqual({ traceparent });
  });
});

describe('Broadcast', () => {
  it('reaches all who subscribe, wherever they are, and tells so', async () => {
    for (const { id, asker } of askers()) {
      const text = unique(id);
      const receipts = await eventually(async () => {
        const told = await asker.broadcast('orders.created', text);
        expect([...told].sort()).toEqual([
          ['keeper-1', true],
          ['keeper-2', true],
        ]);
        return told;
      });
      expect(receipts.silentNodes).toEqual([]);
      for (const keeper of ['keeper-1', 'keeper-2'])
        expect(await list(keeper)).toContainEqual(expect.objectContaining({ topic: 'orders.created', text }));
    }
  });

  it('to a topic that nobody wants reaches nobody', async () => {
    expect([...(await troupe.broadcast('orders.eu.created', 'x'))]).toEqual([]);
    expect([...(await troupe.broadcast('nothing', 'x'))]).toEqual([]);
  });

  it('tells who refused it', async () => {
    const id = unique('narrow');
    await troupe.deploy({ id, kind: 'narrow' }, 'node-2');
    await eventually(async () => expect((await troupe.broadcast('narrow', 'x')).size).toBe(1));
    await eventually(async () => expect([...(await troupe.broadcast('narrow', 'x'))]).toEqual([[id, false]]));
    await troupe.undeploy(id, 0);
  });
});

describe('Subscribe', () => {
  /** What comes to a subscriber, from when the cluster knows of it. */
  async function listen(address: string, ...topics: string[]) {
    const listener = client(address);
    const got: TopicMessage[] = [];
    const controller = new AbortController();
    let id = '';
    const ended = new Promise<void>((resolve, reject) => {
      const read = async () => {
        const onSubscribed = (given: string) => {
          id = given;
        };
        for await (const message of listener.subscribe(topics, { signal: controller.signal, onSubscribed })) got.push(message);
      };
      read().then(resolve, reject);
    });
    ended.catch(() => undefined);
    cleanUp(() => controller.abort());
    await eventually(() => expect(id).not.toBe(''));
    return { got, id, stop: () => controller.abort(), ended };
  }

  it('gives what is broadcast at any process, once, in the order of its sender', async () => {
    const topic = unique('subscribe');
    const listeners = await Promise.all([...nodes, gateway].map(({ address }) => listen(address, `${topic}.*`, `${topic}.>`)));
    for (const { id, asker } of askers()) {
      await eventually(async () => expect((await asker.broadcast(`${topic}.${id}`, 'warm')).size).toBe(listeners.length));
      for (const { got } of listeners) got.length = 0;
      for (let n = 0; n < 20; n++)
        expect([...(await asker.broadcast(`${topic}.x`, String(n))).values()]).toEqual([true, true, true]);
      for (const { got } of listeners)
        await eventually(() =>
          expect(got.filter((message) => message.topic === `${topic}.x`).map((message) => message.text())).toEqual(
            Array.from({ length: 20 }, (_, n) => String(n)),
          ),
        );
    }
  }, 30_000);

  it('is in the list of topics as long as it is there', async () => {
    const topic = unique('listed');
    const wanted = async () => (await troupe.topics()).filter(({ pattern }) => pattern.startsWith(topic));
    const { stop } = await listen(nodes[1].address, topic, `${topic}.>`);
    await eventually(async () =>
      expect(await wanted()).toEqual([
        { pattern: topic, nodeIds: ['node-2'] },
        { pattern: `${topic}.>`, nodeIds: ['node-2'] },
      ]),
    );
    stop();
    await eventually(async () => expect(await wanted()).toEqual([]));
    expect((await troupe.topics()).map(({ pattern }) => pattern)).toEqual(expect.arrayContaining(['news.>', 'orders.*']));
  });

  it('of a reader that does not read refuses what it has no room for, and others get theirs', async () => {
    const topic = unique('slow');
    const channel = openChannel(nodes[0].address);
    cleanUp(() => channel.close());
    const slow = createClient(MessagingDefinition, channel)
      .subscribe({ topics: [topic] })
      [Symbol.asyncIterator]();
    const first = await slow.next();
    const slowId = first.value?.event?.$case === 'subscribed' ? first.value.event.value.id : '';
    const other = await listen(nodes[1].address, topic);
    const large = 'x'.repeat(1024 * 1024);
    const refused = await eventually(
      async () => {
        const receipts = await troupe.broadcast(topic, large);
        expect(receipts.get(other.id)).toBe(true);
        expect(receipts.get(slowId)).toBe(false);
        return receipts;
      },
      { timeoutMs: 20_000 },
    );
    expect(refused.silentNodes).toEqual([]);
    const { letters } = await troupe.deadLetters('node-1');
    expect(letters.find(({ to }) => to === slowId)).toMatchObject({ topic, reason: 'MAILBOX_FULL', nodeId: 'node-1' });
    await slow.return?.();
  }, 40_000);

  it('ends with DRAINING where its process ends', async () => {
    const leaving = await startNode('node-3', registry.address);
    const { ended } = await listen(leaving.address, 'anything');
    const gone = leaving.process.kill('SIGTERM');
    await expect(ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await gone)?.code).toBe(0);
  }, 30_000);
});

describe('dead letters', () => {
  const find = async (nodeId: string, text: string) =>
    (await troupe.deadLetters(nodeId)).letters.filter(({ payload }) => payload.kind === 'text' && payload.text === text);

  it('of what is for nobody are kept where it was sent', async () => {
    for (const { id, asker } of askers()) {
      const text = unique('nobody');
      await asker.send('nobody', text, { id: text }).catch(() => undefined);
      expect(await find(id, text)).toMatchObject([{ nodeId: id, to: 'nobody', messageId: text, reason: 'UNKNOWN_AGENT' }]);
      const { letters } = await asker.deadLetters();
      expect(letters[0]?.text()).toBe(text);
    }
  });

  it('of what an agent failed at are kept where the agent is', async () => {
    const text = unique('slip');
    await troupe.send('clumsy-1', text);
    await eventually(async () => expect(await find('node-2', text)).toMatchObject([{ to: 'clumsy-1', reason: 'DROPPED_IT' }]));
  });

  it('of what waited for an agent that ended are kept', async () => {
    const id = unique('narrow');
    await troupe.deploy({ id, kind: 'narrow' }, 'node-1');
    const [first, second] = [unique('waits'), unique('waits')];
    await troupe.send(id, first);
    await troupe.send(id, second);
    await troupe.undeploy(id, 0);
    await eventually(async () => expect(await find('node-1', second)).toMatchObject([{ to: id, topic: '' }]));
  });

  it('of another process are for a gateway to fetch, of none for nobody', async () => {
    await expect(client(nodes[0].address).deadLetters('node-2')).rejects.toMatchObject({ reason: 'UNKNOWN_NODE' });
    await expect(troupe.deadLetters('node-9')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_NODE' });
    const own = (await troupe.deadLetters('gateway')).total;
    expect((await troupe.deadLetters()).total).toBe(own);
  });
});
