import { afterEach, describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { Membership } from '../../../src/discovery/membership.js';
import { ManifestStore } from '../../../src/node/manifest-store.js';
import { AgentNode } from '../../../src/node/node.js';
import { AgentHost } from '../../../src/runtime/host.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { silentPost } from '../../support/silent-post.js';
import { FaultyRegistry } from '../discovery/faulty-registry.js';
import { nodeOf } from '../discovery/instances.js';

const toStop: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});

/** A node in a cluster, whose agents start in 100 ms and tell of it when they stop. */
async function nodeWith() {
  const registry = new FaultyRegistry();
  const { clock } = registry.rig;
  toStop.push(() => registry.stop());
  const stopped: string[] = [];
  const definition = defineAgent({
    kind: 'k',
    capabilities: ['c'],
    start: () => new Promise<void>((resolve) => clock.after(100, resolve)),
    stop: ({ agentId }) => {
      stopped.push(agentId);
    },
    run: () => 'done',
  });
  const logger = silentLogger;
  const host = new AgentHost([definition], { nodeId: 'node-1', clock, logger, post: silentPost });
  const deps = { registry: registry.session, clock, random: seededRandom(testSeed), logger };
  const membership = new Membership(deps, { ttlMs: 10_000, self: nodeOf('node-1') });
  const controller = new AbortController();
  const running = membership.run(controller.signal);
  toStop.push(async () => {
    controller.abort();
    await running;
  });
  await registry.rig.mirror.firstRead;
  await membership.joined;
  const node = new AgentNode({ host, membership, manifests: new ManifestStore(undefined, logger), clock, logger });
  const deploy = () =>
    node.deploy({ id: 'a', kind: 'k' }).then(
      () => 'deployed',
      (error: { reason: string }) => error.reason,
    );
  return { registry, clock, node, host, deploy, stopped };
}

describe('AgentNode', () => {
  it('registers an agent once it has started', async () => {
    const { registry, clock, deploy } = await nodeWith();
    const deployed = deploy();
    await clock.advance(99);
    expect(await registry.listed()).toEqual(['node/node-1 2']);
    await clock.advance(1);
    expect(await deployed).toBe('deployed');
    expect(await registry.listed()).toEqual(['agent/a 2', 'node/node-1 2']);
  });

  // The agent has started after 100 ms; a drain tells its status in 50 ms, and all else at once.
  it.each([
    ['while it starts', 10, 0, 'AGENT_START_FAILED'],
    ['shortly before it has started', 99, 0, 'NODE_DRAINING'],
    ['while it is being registered', 150, 100, 'deployed'],
    ['after it was registered', 150, 0, 'deployed'],
  ])('leaves no agent behind that is deployed as a drain begins: %s', async (_, drainAfterMs, registersInMs, outcome) => {
    const { registry, clock, node, host, deploy, stopped } = await nodeWith();
    registry.fate = (name) => {
      if (name === 'updateInstance') return { answersAfterMs: 50 };
      return name === 'register' ? { arrivesAfterMs: registersInMs } : {};
    };
    const deployed = deploy();
    await clock.advance(drainAfterMs);
    const drained = node.drain(1_000);
    await clock.advance(2_000);
    await drained;
    expect(await deployed).toBe(outcome);
    await clock.advance(40_000);
    expect(await registry.listed()).toEqual(['node/node-1 4']);
    expect(host.size).toBe(0);
    expect(stopped).toEqual(['a']);
  });

  it('leaves no agent behind that is undeployed while it is being registered', async () => {
    const { registry, clock, node, host, deploy, stopped } = await nodeWith();
    registry.fate = (name) => (name === 'register' ? { arrivesAfterMs: 100 } : {});
    const deployed = deploy();
    await clock.advance(150);
    const undeployed = node.undeploy('a', 0);
    await clock.advance(1_000);
    expect(await deployed).toBe('WITHDRAWN');
    expect(await undeployed).toMatchObject({ state: { kind: 'stopped' } });
    expect(await registry.listed()).toEqual(['node/node-1 2']);
    expect(host.size).toBe(0);
    expect(stopped).toEqual(['a']);
  });
});
