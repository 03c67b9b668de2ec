import { beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../src/core/clock.js';
import { GATEWAY_SERVICE, NODE_SERVICE } from '../../src/core/instance.js';
import { systemRandom } from '../../src/core/random.js';
import { runGroup } from '../../src/core/run-group.js';
import { Membership } from '../../src/discovery/membership.js';
import { feedView } from '../../src/discovery/registry-feed.js';
import { RegistrySession } from '../../src/discovery/registry-session.js';
import { ClusterView } from '../../src/discovery/view.js';
import { Interest } from '../../src/messaging/interest.js';
import { InterestView } from '../../src/messaging/interest-view.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { recordingLogger } from '../support/recording-logger.js';
import { client, type Role, startRegistry } from '../support/roles.js';
import { instanceOf } from '../unit/discovery/instances.js';

let registry: Role;

beforeAll(async () => {
  registry = await startRegistry();
}, 30_000);

/** A process of the cluster, but for its services: joins, and follows the registry. */
async function member(service: string, id: string, port: number) {
  const session = new RegistrySession([registry.address]);
  const deps = { registry: session, clock: systemClock, random: systemRandom, logger: recordingLogger() };
  const self = instanceOf(service, id, { endpoint: { host: '127.0.0.1', port } });
  const membership = new Membership(deps, { ttlMs: 2_000, self });
  const view = new ClusterView(systemClock);
  const life = new AbortController();
  const stay = (signal: AbortSignal) => membership.run(signal);
  const follow = (signal: AbortSignal) => feedView({ ...deps, view, isRecovering: () => false }, signal);
  const running = runGroup([stay, follow], life.signal);
  const interest = new Interest({ membership, ...deps });
  const known = new InterestView(view);
  /** Falls silent, as a process does that is killed. */
  const die = async () => {
    life.abort();
    await running;
  };
  cleanUp(async () => {
    known.close();
    await interest.close();
    await membership.release();
    await die();
    session.close();
  });
  await membership.joined;
  await view.inStepOnce;
  return { id, membership, interest, known, die };
}

describe('interest', () => {
  it('of each is known to all, and ends with the lease, whether it is given back or expires', async () => {
    const one = await member(NODE_SERVICE, 'one', 7_001);
    const two = await member(GATEWAY_SERVICE, 'two', 7_002);
    const watcher = await member(NODE_SERVICE, 'watcher', 7_003);
    await Promise.all([one.interest.want('orders.*'), one.interest.want('>'), two.interest.want('orders.created')]);
    for (const { known } of [one, two, watcher]) {
      await eventually(() => expect([...known.nodesFor('orders.created')].sort()).toEqual(['one', 'two']));
      await eventually(() => expect(known.nodesFor('orders.created.again')).toEqual(['one']));
    }
    await one.membership.release();
    await eventually(() => expect(watcher.known.topics()).toEqual([['orders.created', ['two']]]));
    await two.die();
    await eventually(() => expect(watcher.known.nodesFor('orders.created')).toEqual([]), { timeoutMs: 10_000 });
  });

  it('in many topics is known soon and gone soon, and is no node and no agent', async () => {
    const one = await member(NODE_SERVICE, 'many', 7_004);
    const two = await member(NODE_SERVICE, 'other', 7_005);
    const topics = Array.from({ length: 1_000 }, (_, index) => `many.${index}`);
    await Promise.all(topics.map((topic) => one.interest.want(topic)));
    const seen = () => two.known.topics().filter(([, nodes]) => nodes.includes('many')).length;
    await eventually(() => expect(seen()).toBe(1_000));
    const before = two.known.nodesFor('many.999');
    for (const topic of topics.slice(0, 999)) one.interest.unwant(topic);
    await eventually(() => expect(seen()).toBe(1));
    expect(two.known.nodesFor('many.999')).toBe(before);
    const troupe = client(registry.address);
    expect((await troupe.nodes()).map(({ id }) => id)).toEqual(expect.arrayContaining(['many', 'other']));
    expect((await troupe.nodes()).every(({ service }) => service === 'node')).toBe(true);
    const { services, capabilities } = await troupe.stats();
    expect(capabilities).toEqual([]);
    expect(services.find(({ service }) => service === 'interest')).toMatchObject({ instances: 1, failing: 0, reporting: 0 });
  });
});
