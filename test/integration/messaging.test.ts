import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { JsonObject } from '../../src/core/json.js';
import { payloadJson } from '../../src/core/payload.js';
import { eventually } from '../support/eventually.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let registry: Role;
let nodes: readonly [Role, Role];
let troupe: TroupeClient;
let ids = 0;

beforeAll(async () => {
  registry = await startRegistry();
  const [gateway, one, two] = await Promise.all([
    startGateway(registry.address),
    startNode('node-1', registry.address),
    startNode('node-2', registry.address),
  ]);
  nodes = [one, two];
  troupe = client(gateway.address);
  await eventually(async () => expect((await troupe.nodes()).filter(({ status }) => status === 2)).toHaveLength(2));
  await troupe.deploy({ id: 'talker', kind: 'talker' }, 'node-1');
}, 30_000);

interface Heard {
  readonly numbers: readonly number[];
  readonly topics: readonly string[];
  readonly aborted: readonly string[];
}

async function tell<T>(what: JsonObject, agentId = 'talker'): Promise<T> {
  return payloadJson((await troupe.run([], what, { agentId })).payload) as T;
}

const heard = (agentId: string) => tell<Heard>({}, agentId);

/** A new listener on each node. */
async function listeners(config: JsonObject = {}, more: JsonObject = {}): Promise<readonly [string, string]> {
  ids += 1;
  const both = ['node-1', 'node-2'].map((nodeId) => ({ nodeId, id: `listener-${ids}-${nodeId}` }));
  for (const { nodeId, id } of both) await troupe.deploy({ id, kind: 'listener', config, ...more }, nodeId);
  return both.map(({ id }) => id) as [string, string];
}

const inOrder = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('agents', () => {
  it('send, ask and stream to agents of their node and of another', async () => {
    for (const [index, to] of (await listeners()).entries()) {
      expect(await tell({ do: 'send', to })).toEqual({ done: 1 });
      expect(await tell({ do: 'request', to, payload: { n: 7 } })).toMatchObject({
        from: to,
        answer: { node: `node-${index + 1}`, n: 7 },
      });
      expect(await tell({ do: 'stream', to, payload: { do: 'parts', parts: 50 } })).toEqual({
        parts: inOrder(50),
        answer: { end: true },
      });
      await eventually(async () => expect((await heard(to)).numbers).toEqual([0]));
    }
  });

  it('get 10,000 messages of one sender in the order of sending', async () => {
    for (const to of await listeners()) {
      expect(await tell({ do: 'send', to, count: 10_000 })).toEqual({ done: 10_000 });
      await eventually(async () => expect((await heard(to)).numbers.length).toBe(10_000));
      expect((await heard(to)).numbers).toEqual(inOrder(10_000));
    }
  });

  it('get large messages among small ones in order, and others are not held up by them', async () => {
    const [, to] = await listeners();
    const [, other] = await listeners();
    const sending = tell({ do: 'send', to, count: 20, large: 3 * 1024 * 1024 });
    const { ms } = await tell<{ ms: number }>({ do: 'request', to: other, payload: {} });
    expect(await sending).toEqual({ done: 20 });
    await eventually(async () => expect((await heard(to)).numbers).toEqual(inOrder(20)));
    expect(ms).toBeLessThan(2_000);
  });

  it('hear of topics, with wildcards, wherever they are', async () => {
    const [one, two] = await listeners({ topics: ['weather.*', 'alarm.>'] });
    const both = { [one]: true, [two]: true };
    for (const topic of ['weather.rome', 'alarm.fire.kitchen']) {
      await eventually(async () => expect(await tell({ do: 'broadcast', topic, payload: { n: 1 } })).toEqual(both));
    }
    expect(await tell({ do: 'broadcast', topic: 'weather', payload: { n: 1 } })).toEqual({});
    expect(await tell({ do: 'broadcast', topic: 'weather.rome.today', payload: { n: 1 } })).toEqual({});
    for (const id of [one, two])
      await eventually(async () =>
        expect(new Set((await heard(id)).topics)).toEqual(new Set(['weather.rome', 'alarm.fire.kitchen'])),
      );
  });

  it('hear that a deadline passed or that nobody waits any more', async () => {
    for (const to of await listeners()) {
      await expect(
        tell({ do: 'request', to, payload: { do: 'wait', ms: 20_000 }, options: { timeoutMs: 100 } }),
      ).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
      });
      await eventually(async () => expect((await heard(to)).aborted).toHaveLength(1));
      expect(await tell({ do: 'cancel', to, payload: { do: 'wait', ms: 20_000 }, ms: 100 })).toEqual({
        end: 'DEADLINE_EXCEEDED/DEADLINE_EXCEEDED',
      });
      await eventually(async () => expect((await heard(to)).aborted).toHaveLength(2));
    }
  });

  it('see the errors of those whom they ask', async () => {
    for (const to of await listeners()) {
      await expect(tell({ do: 'request', to, payload: { do: 'fail' } })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'NO_MODEL',
        message: 'train it first',
        metadata: { model: 'm' },
      });
    }
  });

  it('whose mailboxes are full refuse messages, which may wait for room, and hold up nobody else', async () => {
    const [, quick] = await listeners();
    for (const to of await listeners({ ms: 5 }, { mailboxCapacity: 10 })) {
      const sending = tell<Record<string, number>>({ do: 'send', to, count: 100 });
      const { ms } = await tell<{ ms: number }>({ do: 'request', to: quick, payload: {} });
      const refused = await sending;
      expect(ms).toBeLessThan(500);
      expect(refused.done).toBeGreaterThanOrEqual(10);
      expect(refused['RESOURCE_EXHAUSTED/MAILBOX_FULL']).toBe(100 - (refused.done ?? 0));
      const waiting = await tell({ do: 'send', to, count: 50, options: { waitForRoom: true } });
      expect(waiting).toEqual({ done: 50 });
      await eventually(async () => expect((await heard(to)).numbers.slice(-50)).toEqual(inOrder(50)));
    }
    const letters = await client(nodes[1].address).deadLetters();
    expect(letters.letters[0]).toMatchObject({ reason: 'MAILBOX_FULL', from: 'talker' });
  });

  it('that nobody has are dead letters of who sent', async () => {
    expect(await tell({ do: 'send', to: 'nobody' })).toEqual({ 'NOT_FOUND/UNKNOWN_AGENT': 1 });
    const { letters } = await troupe.deadLetters('node-1');
    expect(letters[0]).toMatchObject({ reason: 'UNKNOWN_AGENT', to: 'nobody' });
  });
});

describe('a node that drains under messages', () => {
  it('loses none that it has taken, and its callers hear of the rest', async () => {
    const node = await startNode('node-3', registry.address);
    await eventually(() => troupe.deploy({ id: 'leaving', kind: 'listener', config: { ms: 1 } }, 'node-3'));
    await eventually(() => tell({ do: 'request', to: 'leaving', payload: {} }));
    const sending = tell<Record<string, number>>({ do: 'send', to: 'leaving', count: 500 });
    const asking = Promise.all(
      inOrder(20).map((n) =>
        tell<object>({ do: 'request', to: 'leaving', payload: { n } }).then(
          () => 'done',
          ({ reason }) => reason,
        ),
      ),
    );
    await sending;
    await node.process.kill('SIGTERM');
    expect(await sending).toEqual({ done: 500 });
    expect(await asking).toEqual(inOrder(20).map(() => 'done'));
    expect(node.process.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
