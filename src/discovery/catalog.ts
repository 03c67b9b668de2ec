import { AGENT_SERVICE, type Instance, type InstanceKey } from '../core/instance.js';
import { PersistentMap } from '../core/persistent-map.js';

/** Something known about one instance: the instance, and whatever its user keeps beside it. */
export interface Known {
  readonly instance: Instance;
}

export type CatalogChange<K extends Known> =
  | { readonly kind: 'put'; readonly known: K }
  | { readonly kind: 'removed'; readonly key: InstanceKey };

/**
 * Who is in the cluster at one revision: immutable, so a reader keeps a consistent picture for as long as it likes.
 * Indexed by service and id, and for agents by capability and by node.
 */
export class Catalog<K extends Known> {
  private constructor(
    readonly revision: bigint,
    private readonly services: PersistentMap<PersistentMap<K>>,
    private readonly capabilities: PersistentMap<readonly K[]>,
    private readonly nodes: PersistentMap<number>,
    readonly size: number,
  ) {}

  static empty<K extends Known>(): Catalog<K> {
    return new Catalog(
      0n,
      PersistentMap.empty<PersistentMap<K>>(),
      PersistentMap.empty<readonly K[]>(),
      PersistentMap.empty<number>(),
      0,
    );
  }

  get(key: InstanceKey): K | undefined {
    return this.services.get(key.service)?.get(key.id);
  }

  /** The instances of a service, in no order. */
  *ofService(service: string): IterableIterator<K> {
    yield* this.services.get(service)?.values() ?? [];
  }

  *all(): IterableIterator<K> {
    for (const service of this.services.values()) yield* service.values();
  }

  /** Every service that has instances, and how many. */
  *serviceSizes(): IterableIterator<[string, number]> {
    for (const [service, instances] of this.services.entries()) yield [service, instances.size];
  }

  /** Agents that offer a capability, by id. The same array as long as none of them changed. */
  withCapability(capability: string): readonly K[] {
    return this.capabilities.get(capability) ?? NONE;
  }

  *capabilityNames(): IterableIterator<string> {
    for (const [name] of this.capabilities.entries()) yield name;
  }

  /** How many agents a node hosts. */
  agentsOn(nodeId: string): number {
    return this.nodes.get(nodeId) ?? 0;
  }

  /** A catalog with `changes` made, in their order. */
  with(changes: readonly CatalogChange<K>[], revision: bigint): Catalog<K> {
    const services = new Map<string, Map<string, K | undefined>>();
    const offers = new Map<string, Map<string, K | undefined>>();
    const hosted = new Map<string, number>();
    let size = this.size;
    for (const change of changes) {
      const key = change.kind === 'put' ? change.known.instance : change.key;
      const edits = bucket(services, key.service);
      const before = edits.has(key.id) ? edits.get(key.id) : this.get(key);
      const after = change.kind === 'put' ? change.known : undefined;
      edits.set(key.id, after);
      size += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      if (key.service !== AGENT_SERVICE) continue;
      for (const capability of before?.instance.capabilities ?? []) bucket(offers, capability).set(key.id, undefined);
      for (const capability of after?.instance.capabilities ?? []) bucket(offers, capability).set(key.id, after);
      count(hosted, before, -1);
      count(hosted, after, 1);
    }
    return new Catalog(
      revision,
      this.services.with(
        mapped(services, (service, edits) => nonEmpty((this.services.get(service) ?? PersistentMap.empty<K>()).with(edits))),
      ),
      this.capabilities.with(mapped(offers, (capability, edits) => merge(this.withCapability(capability), edits))),
      this.nodes.with(mapped(hosted, (node, difference) => this.agentsOn(node) + difference || undefined)),
      size,
    );
  }
}

const NONE: readonly never[] = [];
/** So many edits are made one by one, each copying the array; more are merged in one pass. */
const FEW = 4;

function bucket<V>(buckets: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let found = buckets.get(key);
  if (found === undefined) {
    found = new Map();
    buckets.set(key, found);
  }
  return found;
}

function count(hosted: Map<string, number>, known: Known | undefined, step: number): void {
  if (known !== undefined) hosted.set(known.instance.nodeId, (hosted.get(known.instance.nodeId) ?? 0) + step);
}

function* mapped<A, B>(
  entries: Iterable<readonly [string, A]>,
  map: (key: string, value: A) => B,
): IterableIterator<[string, B]> {
  for (const [key, value] of entries) yield [key, map(key, value)];
}

function nonEmpty<V>(map: PersistentMap<V>): PersistentMap<V> | undefined {
  return map.size === 0 ? undefined : map;
}

/** A sorted list with edits made; undefined when nothing is left. */
function merge<K extends Known>(list: readonly K[], edits: ReadonlyMap<string, K | undefined>): readonly K[] | undefined {
  const merged = edits.size <= FEW ? mergeFew(list, edits) : mergeMany(list, edits);
  return merged.length === 0 ? undefined : merged;
}

function mergeFew<K extends Known>(list: readonly K[], edits: ReadonlyMap<string, K | undefined>): readonly K[] {
  const merged = list.slice();
  for (const [id, known] of edits) {
    const index = lowerBound(merged, id);
    const found = merged[index]?.instance.id === id ? 1 : 0;
    if (known !== undefined && found === 1) merged[index] = known;
    else if (known !== undefined) merged.splice(index, 0, known);
    else merged.splice(index, found);
  }
  return merged;
}

/** One pass over the list, in the order of the edits: sorting the whole of a long list anew costs a hundred times as much. */
function mergeMany<K extends Known>(list: readonly K[], edits: ReadonlyMap<string, K | undefined>): readonly K[] {
  const merged: K[] = [];
  let next = 0;
  for (const [id, known] of [...edits].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (let old = list[next]; old !== undefined && old.instance.id < id; old = list[next]) {
      merged.push(old);
      next += 1;
    }
    if (list[next]?.instance.id === id) next += 1;
    if (known !== undefined) merged.push(known);
  }
  for (; next < list.length; next++) merged.push(list[next] as K);
  return merged;
}

/** Where `id` is or belongs in a list by id. */
function lowerBound(list: readonly Known[], id: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const known = list[middle];
    if (known !== undefined && known.instance.id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
