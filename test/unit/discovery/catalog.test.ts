import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AGENT_SERVICE, type Instance, instanceKeyText } from '../../../src/core/instance.js';
import { Catalog, type CatalogChange } from '../../../src/discovery/catalog.js';
import { agentOf, instanceOf, nodeOf } from './instances.js';

interface Entry {
  readonly instance: Instance;
}

const put = (instance: Instance): CatalogChange<Entry> => ({ kind: 'put', known: { instance } });
const remove = (service: string, id: string): CatalogChange<Entry> => ({ kind: 'removed', key: { service, id } });

const CAPABILITIES = ['x', 'y', 'z', 'w'];
const NODES = ['node-1', 'node-2', 'node-3'];
const SERVICES = [AGENT_SERVICE, 'node', 'other'];

const service = fc.oneof(
  { weight: 4, arbitrary: fc.constant(AGENT_SERVICE) },
  { weight: 1, arbitrary: fc.constantFrom('node', 'other') },
);
const id = fc.integer({ min: 0, max: 30 }).map((number) => `i${number}`);
const change: fc.Arbitrary<CatalogChange<Entry>> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .record({ service, id, capabilities: fc.subarray(CAPABILITIES), nodeId: fc.constantFrom(...NODES) })
      .map(({ service: name, id: itsId, ...more }) => put(instanceOf(name, itsId, more))),
  },
  { weight: 1, arbitrary: fc.tuple(service, id).map(([name, itsId]) => remove(name, itsId)) },
);

/** The same, without any index. */
function applied(model: ReadonlyMap<string, Entry>, changes: readonly CatalogChange<Entry>[]): ReadonlyMap<string, Entry> {
  const next = new Map(model);
  for (const each of changes) {
    if (each.kind === 'put') next.set(instanceKeyText(each.known.instance), each.known);
    else next.delete(instanceKeyText(each.key));
  }
  return next;
}

function check(catalog: Catalog<Entry>, model: ReadonlyMap<string, Entry>): void {
  const all = [...model.values()];
  const agents = all.filter(({ instance }) => instance.service === AGENT_SERVICE);
  const byKey = (entries: Iterable<Entry>) => [...entries].map(({ instance }) => instanceKeyText(instance)).sort();
  expect(catalog.size).toBe(model.size);
  expect(byKey(catalog.all())).toEqual([...model.keys()].sort());
  for (const entry of all) expect(catalog.get(entry.instance)).toBe(entry);
  for (const name of SERVICES) {
    const mine = all.filter(({ instance }) => instance.service === name);
    expect(byKey(catalog.ofService(name))).toEqual(byKey(mine));
    expect(new Map(catalog.serviceSizes()).get(name) ?? 0).toBe(mine.length);
  }
  for (const capability of CAPABILITIES) {
    const offering = agents.filter(({ instance }) => instance.capabilities.includes(capability));
    const sorted = offering.sort((a, b) => (a.instance.id < b.instance.id ? -1 : 1));
    expect(catalog.withCapability(capability)).toEqual(sorted);
    catalog.withCapability(capability).forEach((entry, index) => {
      expect(entry).toBe(sorted[index]);
    });
  }
  expect([...catalog.capabilityNames()].sort()).toEqual(
    [...new Set(agents.flatMap(({ instance }) => instance.capabilities))].sort(),
  );
  for (const node of NODES) expect(catalog.agentsOn(node)).toBe(agents.filter(({ instance }) => instance.nodeId === node).length);
}

describe('Catalog', () => {
  it('is what a list of all would be after any changes, with every index; earlier ones stay as they were', () => {
    const batches = fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 12 });
    fc.assert(
      fc.property(batches, (given) => {
        let catalog = Catalog.empty<Entry>();
        let model: ReadonlyMap<string, Entry> = new Map();
        const history = [{ catalog, model }];
        given.forEach((changes, index) => {
          catalog = catalog.with(changes, BigInt(index + 1));
          model = applied(model, changes);
          expect(catalog.revision).toBe(BigInt(index + 1));
          history.push({ catalog, model });
        });
        for (const then of history) check(then.catalog, then.model);
      }),
      { numRuns: 200 },
    );
  });

  it('is right however many change at once', () => {
    const model = new Map<string, Entry>();
    let catalog = Catalog.empty<Entry>();
    for (const size of [1, 4, 5, 100, 1_000, 3]) {
      const changes = Array.from({ length: size }, (_, i) =>
        i % 7 === 3
          ? remove(AGENT_SERVICE, `a${i}`)
          : put(agentOf(`a${i}`, CAPABILITIES.slice(0, (i % 4) + 1), { nodeId: 'node-2' })),
      );
      catalog = catalog.with(changes, 1n);
      for (const [key, entry] of applied(model, changes)) model.set(key, entry);
      for (const each of changes) if (each.kind === 'removed') model.delete(instanceKeyText(each.key));
      check(catalog, model);
    }
  });

  it('keeps the list of a capability as long as none of its agents changed', () => {
    const first = Catalog.empty<Entry>().with(
      [put(agentOf('a', ['x'])), put(agentOf('b', ['y'])), put(nodeOf('n', { capabilities: ['x'] }))],
      1n,
    );
    const second = first.with([put(agentOf('b', ['y', 'z'])), put(nodeOf('n', { status: 'stopping', capabilities: ['x'] }))], 2n);
    expect(second.withCapability('x')).toBe(first.withCapability('x'));
    expect(second.withCapability('y')).not.toBe(first.withCapability('y'));
    expect(second.withCapability('none')).toBe(first.withCapability('other'));
  });

  it('counts an agent that moves where it is now', () => {
    const first = Catalog.empty<Entry>().with([put(agentOf('a', ['x']))], 1n);
    const moved = first.with([remove(AGENT_SERVICE, 'a'), put(agentOf('a', ['x'], { nodeId: 'node-2' }))], 2n);
    expect([moved.agentsOn('node-1'), moved.agentsOn('node-2'), moved.size]).toEqual([0, 1, 1]);
  });
});
