import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { systemRandom } from '../../../src/core/random.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { OutcomeEnvelope, TaskEnvelope } from '../../../src/gen/troupe/internal/v1/link.js';
import { Links } from '../../../src/link/links.js';
import type { PeerHandlers } from '../../../src/link/peer.js';
import { ChannelPool } from '../../../src/rpc/channels.js';
import { encodeMessage } from '../../../src/rpc/encode.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../discovery/instances.js';

/** Notes the ids of the tasks and outcomes that come. */
async function start(nodeId: string, port = 0) {
  const came: number[] = [];
  const handlers: PeerHandlers = {
    envelope: () => undefined,
    task: (_, { id }) => came.push(id),
    outcome: (_, { id }) => came.push(id),
    broken: () => undefined,
    unsent: () => undefined,
  };
  const view = new ClusterView(systemClock);
  const channels = new ChannelPool();
  const server = new RpcServer({ logger: silentLogger });
  const links = new Links({ nodeId, channels, view, clock: systemClock, random: systemRandom, logger: silentLogger }, handlers);
  links.mount(server);
  const bound = await server.listen('127.0.0.1', port);
  const stop = async () => {
    links.close();
    channels.close();
    await server.shutdown(0);
  };
  cleanUp(stop);
  const knows = (id: string, at: number) =>
    view.apply([{ kind: 'put', instance: nodeOf(id, { endpoint: { host: '127.0.0.1', port: at } }) }], view.revision + 1n);
  return { links, came, port: bound, stop, knows };
}

const task = (id: number) =>
  encodeMessage(TaskEnvelope, { id, content: { $case: 'cancel', value: {} }, traceparent: '', tracestate: '', baggage: '' });

function reasonOf(work: () => unknown): string {
  try {
    work();
    return 'sent';
  } catch (error) {
    return error instanceof TroupeError ? error.reason : String(error);
  }
}

describe('a process that drains', () => {
  it('has all that others sent before they knew once its drain is over, and gets nothing new', async () => {
    const [node, router] = await Promise.all([start('node'), start('router')]);
    router.knows('node', node.port);
    const peer = router.links.to('node');
    peer.sendTask(1, task(1));
    await eventually(() => expect(node.came).toEqual([1]));
    let sent = 1;
    const large = encodeMessage(OutcomeEnvelope, {
      id: 2,
      outcome: { $case: 'error', value: { code: 2, message: 'x'.repeat(3_000_000), details: [] } },
    });
    peer.answerTask(2, large);
    const drained = node.links.drain();
    let refusal = 'sent';
    while (refusal === 'sent') {
      for (let n = 0; n < 100 && refusal === 'sent'; n++) {
        refusal = reasonOf(() => peer.sendTask(3 + n, task(3 + n)));
        if (refusal === 'sent') sent += 1;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(refusal).toBe('NODE_DRAINING');
    await drained;
    expect(node.came).toHaveLength(sent + 1);
    expect(node.came).toContain(2);
  });

  it('tells those as well that it comes to have a link with after that', async () => {
    const [node, router] = await Promise.all([start('node'), start('router')]);
    node.knows('router', router.port);
    await node.links.drain();
    node.links.to('router').sendTask(1, task(1));
    await eventually(() => expect(reasonOf(() => router.links.to('node').sendTask(2, task(2)))).toBe('NODE_DRAINING'));
  });

  it('gets new things again in its next life, where it comes back before anybody learned that it left', async () => {
    const [node, router] = await Promise.all([start('node'), start('router')]);
    router.knows('node', node.port);
    router.links.to('node').sendTask(1, task(1));
    await eventually(() => expect(node.came).toEqual([1]));
    await node.links.drain();
    await eventually(() => expect(reasonOf(() => router.links.to('node').sendTask(2, task(2)))).toBe('NODE_DRAINING'));
    await node.stop();
    const again = await start('node', node.port);
    await eventually(() => {
      reasonOf(() => router.links.to('node').sendTask(3, task(3)));
      expect(again.came.length).toBeGreaterThan(0);
    });
  });
});

describe('what is said about one task', () => {
  it('keeps its order also where a part of it is large', async () => {
    const [node, router] = await Promise.all([start('node'), start('router')]);
    router.knows('node', node.port);
    const peer = router.links.to('node');
    peer.sendTask(1, task(1));
    await eventually(() => expect(node.came).toEqual([1]));
    const event = (id: number, bytes: number) =>
      encodeMessage(OutcomeEnvelope, {
        id,
        outcome: { $case: 'error', value: { code: 2, message: 'x'.repeat(bytes), details: [] } },
      });
    peer.answerTask(7, event(7, 500_000));
    peer.answerTask(7, event(7, 1));
    peer.answerTask(8, event(8, 1));
    peer.answerTask(7, event(7, 2));
    await eventually(() => expect(node.came).toHaveLength(5));
    expect(node.came).toEqual([1, 8, 7, 7, 7]);
  });
});
