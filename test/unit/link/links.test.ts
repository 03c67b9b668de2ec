import { describe, expect, it } from '@jest/globals';
import type { AgentMessage } from '../../../src/agent/messages.js';
import type { TroupeError } from '../../../src/core/errors.js';
import { NODE_SERVICE } from '../../../src/core/instance.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { MessageCluster, type MessageNode } from '../../support/message-nodes.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { instanceOf } from '../discovery/instances.js';

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: TroupeError) => `${error.code}/${error.reason}`,
  );

async function twoKeepers() {
  const cluster = await MessageCluster.start(2);
  const got: string[][] = [];
  for (const [index, node] of cluster.nodes.entries()) {
    const texts: string[] = [];
    got.push(texts);
    await node.deploy(`keeper-${index + 1}`, {
      mailboxCapacity: 10_000,
      receive: (message: AgentMessage) => void texts.push(message.text()),
    });
  }
  const [one, two] = [cluster.node(1), cluster.node(2)];
  return {
    cluster,
    got,
    one,
    two,
    toTwo: () => one.sender().send('keeper-2', 'x'),
    toOne: () => two.sender().send('keeper-1', 'x'),
  };
}

/** The second process is reached by another way from now on, and the first one sees that. */
async function move(old: TcpProxy, one: MessageNode): Promise<TcpProxy> {
  const elsewhere = await TcpProxy.start(Reflect.get(old, 'port') as number);
  cleanUp(() => elsewhere.stop());
  const { port, hostname: host } = new URL(elsewhere.endpoint);
  const moved = instanceOf(NODE_SERVICE, 'node-2', { endpoint: { host, port: Number(port) } });
  one.view.apply([{ kind: 'put', instance: moved }], 1_000n);
  return elsewhere;
}

describe(`links (seed ${testSeed})`, () => {
  it('that both ends open at once: one is left, and nothing is lost', async () => {
    const { cluster, got, toOne, toTwo } = await twoKeepers();
    const random = seededRandom(testSeed);
    for (let round = 1; round <= 15; round++) {
      const sends: Promise<unknown>[] = [];
      const ways = random.next() < 0.5 ? [toOne, toTwo] : [toTwo, toOne];
      for (const way of ways) {
        sends.push(codeOf(way()), codeOf(way()));
        if (random.next() < 0.5) await new Promise((resolve) => setTimeout(resolve, random.next() * 4));
      }
      expect(await Promise.all(sends)).toEqual(['done', 'done', 'done', 'done']);
      expect(got.map(({ length }) => length)).toEqual([round * 2, round * 2]);
      const connections = () => cluster.proxies.reduce((sum, { connections: open }) => sum + open, 0);
      const before = connections();
      expect(before).toBeGreaterThan(0);
      for (const proxy of cluster.proxies) proxy.cut();
      await eventually(() => expect(cluster.nodes.some((node, index) => node.links.to(`node-${2 - index}`).isUp)).toBe(false));
    }
  });

  it('that cannot be opened refuse what waits, and soon work again when they can', async () => {
    const { cluster, toTwo } = await twoKeepers();
    cluster.proxies[1]?.refuse();
    expect(await Promise.all([toTwo(), toTwo()].map(codeOf))).toEqual(['UNAVAILABLE/NOT_CONNECTED', 'UNAVAILABLE/NOT_CONNECTED']);
    cluster.proxies[1]?.accept();
    await eventually(async () => expect(await codeOf(toTwo())).toBe('done'));
  });

  it('to another process than is wanted are refused', async () => {
    const { cluster, one, toTwo } = await twoKeepers();
    const [mine] = [Number(new URL(cluster.proxies[0]?.endpoint ?? '').port)];
    const wrong = instanceOf(NODE_SERVICE, 'node-2', { endpoint: { host: '127.0.0.1', port: mine } });
    one.view.apply([{ kind: 'put', instance: wrong }], 1_000n);
    expect(await codeOf(toTwo())).toBe('UNAVAILABLE/NOT_CONNECTED');
  });

  it('to who drains take nothing new, and are told so also when they are opened later', async () => {
    const { one, two, toTwo } = await twoKeepers();
    expect(await codeOf(toTwo())).toBe('done');
    void two.links.drain();
    await eventually(async () => expect(await codeOf(toTwo())).toBe('UNAVAILABLE/NODE_DRAINING'));
    const other = await twoKeepers();
    void other.one.links.drain();
    expect(await codeOf(other.toTwo())).toBe('done');
    await eventually(async () => expect(await codeOf(other.toOne())).toBe('UNAVAILABLE/NODE_DRAINING'));
    expect(one.links.to('node-2').isUp).toBe(true);
  });

  it('to who has drained and is back under its name work again', async () => {
    const { two, toTwo } = await twoKeepers();
    expect(await codeOf(toTwo())).toBe('done');
    void two.links.drain();
    await eventually(async () => expect(await codeOf(toTwo())).toBe('UNAVAILABLE/NODE_DRAINING'));
    (two.links as unknown as { ending: boolean }).ending = false;
    (two.links.to('node-1') as unknown as { isEnding: boolean }).isEnding = false;
    two.links.finish();
    await eventually(async () => expect(await codeOf(toTwo())).toBe('done'));
  });

  it('to who drained where it was, and is elsewhere now, work at once', async () => {
    const { cluster, one, two, toTwo } = await twoKeepers();
    expect(await codeOf(toTwo())).toBe('done');
    void two.links.drain();
    await eventually(async () => expect(await codeOf(toTwo())).toBe('UNAVAILABLE/NODE_DRAINING'));
    (two.links.to('node-1') as unknown as { isEnding: boolean }).isEnding = false;
    (two.links as unknown as { ending: boolean }).ending = false;
    await move(cluster.proxies[1] as TcpProxy, one);
    expect(await codeOf(toTwo())).toBe('done');
  });

  it.each(['is there', 'is being opened'])(
    'to who is elsewhere now, and was not seen to leave, are opened there: the old one %s',
    async (how) => {
      const { cluster, one, toTwo } = await twoKeepers();
      const old = cluster.proxies[1] as TcpProxy;
      if (how === 'is there') expect(await codeOf(toTwo())).toBe('done');
      old.freeze();
      const caught = codeOf(toTwo());
      const elsewhere = await move(old, one);
      expect(await codeOf(toTwo())).toBe('done');
      // What had been sent may have arrived; what had not goes to where it is.
      expect(await caught).toBe(how === 'is there' ? 'ABORTED/OUTCOME_UNKNOWN' : 'done');
      expect(elsewhere.connections).toBe(1);
    },
  );

  it('to who left the cluster end at once; those that come back find a link again', async () => {
    const { cluster, one, two, toTwo, toOne } = await twoKeepers();
    await two.deploy('silent', { receive: () => new Promise(() => undefined) });
    const asked = codeOf(one.sender().request('silent', 'x'));
    expect(await codeOf(toOne())).toBe('done');
    const { endpoint } = one.view.catalog.get({ service: NODE_SERVICE, id: 'node-2' })?.instance ?? {
      endpoint: { host: '', port: 0 },
    };
    await eventually(() => expect(two.counts('silent')).toMatchObject({ inFlight: 1 }));
    cluster.lose('node-2', [one]);
    expect(await asked).toBe('ABORTED/OUTCOME_UNKNOWN');
    one.view.apply([{ kind: 'put', instance: instanceOf(NODE_SERVICE, 'node-2', { endpoint }) }], 2_000n);
    // Both at once: the one that never left remembers links that the other has forgotten.
    await eventually(async () => expect(await Promise.all([codeOf(toTwo()), codeOf(toOne())])).toEqual(['done', 'done']));
  });
});
