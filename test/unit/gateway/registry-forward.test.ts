import { beforeEach, describe, expect, it } from '@jest/globals';
import { deadlineExceeded } from '../../../src/core/errors.js';
import { AGENT_SERVICE, NODE_SERVICE } from '../../../src/core/instance.js';
import { RegistrySession } from '../../../src/discovery/registry-session.js';
import { ClusterView } from '../../../src/discovery/view.js';
import { registryForward } from '../../../src/gateway/registry-forward.js';
import { ListInstancesRequest, type ListInstancesResponse } from '../../../src/gen/troupe/v1/registry.js';
import { cleanUp } from '../../support/clean-up.js';
import { FakeClock } from '../../support/fake-clock.js';
import { instanceOf } from '../discovery/instances.js';
import { ServedRegistry } from '../discovery/served-registry.js';
import { callOf } from '../registry/registry-rig.js';

let registry: ServedRegistry;
let clock: FakeClock;
let view: ClusterView;

beforeEach(async () => {
  registry = await new ServedRegistry().start();
  clock = new FakeClock();
  view = new ClusterView(clock);
  cleanUp(() => registry.stop());
});

/** What a gateway that knows `view` answers. */
function lister(addresses = [registry.address]) {
  const session = new RegistrySession(addresses);
  cleanUp(() => session.close());
  const handlers = registryForward(session, view, clock);
  return async (request: Partial<ListInstancesRequest> = {}, timeoutMs = Number.POSITIVE_INFINITY) => {
    const call = Object.create(callOf(new AbortController().signal), { deadlineMs: { value: clock.now() + timeoutMs } });
    return (await handlers.listInstances(ListInstancesRequest.fromPartial(request), call)) as ListInstancesResponse;
  };
}

function knows(): void {
  const instances = [instanceOf(NODE_SERVICE, 'node-1'), instanceOf(AGENT_SERVICE, 'b'), instanceOf(AGENT_SERVICE, 'a')];
  view.reset(instances, 7n);
  view.inStep(0);
}

const idsOf = ({ instances }: ListInstancesResponse) => instances.map(({ id }) => id);

describe('ListInstances of a gateway', () => {
  it('is answered by the registry as long as that is there', async () => {
    knows();
    expect(idsOf(await lister()())).toEqual([]);
  });

  it('is answered by what the gateway knew, with its age, while no registry is', async () => {
    knows();
    const list = lister();
    await registry.goAway();
    await clock.advance(42_000);
    const all = await list();
    expect(idsOf(all)).toEqual(['a', 'b', 'node-1']);
    expect(all).toMatchObject({ revision: 7n, age: { seconds: 42n }, nextPageToken: '' });
    const page = await list({ service: AGENT_SERVICE, pageSize: 1 });
    expect(idsOf(page)).toEqual(['a']);
    expect(idsOf(await list({ service: AGENT_SERVICE, pageToken: page.nextPageToken }))).toEqual(['b']);
    await expect(list({ service: '../x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  describe('while a replica does not answer', () => {
    let others: ServedRegistry[];
    let asked: number;
    const addresses = () => [registry, ...others].map(({ address }) => address);
    const late = async () => {
      asked += 1;
      await clock.advance(2_000);
      throw deadlineExceeded('too late');
    };

    beforeEach(async () => {
      knows();
      asked = 0;
      others = await Promise.all([1, 2].map(() => new ServedRegistry().start()));
      cleanUp(() => Promise.all(others.map((other) => other.stop())));
    });

    it('is answered by the next, which is asked from then on', async () => {
      const frozen = () => {
        asked += 1;
        return new Promise<never>(() => undefined);
      };
      registry.overrides = { listInstances: frozen };
      const list = lister(addresses());
      expect(idsOf(await list())).toEqual([]);
      expect(idsOf(await list())).toEqual([]);
      expect(asked).toBe(1);
    });

    it('is answered by what the gateway knew where the next does not answer either', async () => {
      for (const each of [registry, ...others]) each.overrides = { listInstances: late };
      expect(idsOf(await lister(addresses())())).toEqual(['a', 'b', 'node-1']);
      expect(asked).toBe(2);
    });

    it('is answered by what the gateway knew where there is no other', async () => {
      registry.overrides = { listInstances: late };
      expect(idsOf(await lister()())).toEqual(['a', 'b', 'node-1']);
      expect(asked).toBe(1);
    });

    it('is answered by what the gateway knew where the caller has no time for the next, which the following call asks', async () => {
      registry.overrides = { listInstances: late };
      const list = lister(addresses());
      expect(idsOf(await list({}, 3_000))).toEqual(['a', 'b', 'node-1']);
      expect(idsOf(await list({}, 3_000))).toEqual([]);
      expect(asked).toBe(1);
    });
  });

  it('is refused where neither is there: a gateway that has never seen the cluster', async () => {
    const list = lister();
    await registry.goAway();
    await expect(list()).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'REGISTRY_UNAVAILABLE', retryAfterMs: 1_000 });
  });
});
