/**
 * An immutable map by string: `with` gives a changed copy that shares what did not change. A change copies one of many
 * small shards and the array of shards, so among 100,000 entries it costs microseconds, and readers keep a whole snapshot.
 */
export class PersistentMap<V> {
  private static readonly EMPTY = new PersistentMap<never>(
    Array.from({ length: 16 }, () => new Map<string, never>()),
    0,
  );

  private constructor(
    private readonly shards: readonly Map<string, V>[],
    readonly size: number,
  ) {}

  static empty<V>(): PersistentMap<V> {
    return PersistentMap.EMPTY;
  }

  get(key: string): V | undefined {
    return this.shards[shardOf(key, this.shards.length)]?.get(key);
  }

  *values(): IterableIterator<V> {
    for (const shard of this.shards) yield* shard.values();
  }

  *entries(): IterableIterator<[string, V]> {
    for (const shard of this.shards) yield* shard.entries();
  }

  /** A copy with `changes` made: a value puts, undefined removes. */
  with(changes: Iterable<readonly [string, V | undefined]>): PersistentMap<V> {
    const shards = this.shards.slice();
    let size = this.size;
    let isChanged = false;
    for (const [key, value] of changes) {
      const index = shardOf(key, shards.length);
      const shared = this.shards[index];
      let shard = shards[index];
      if (shard === undefined || shard === shared) {
        shard = new Map(shared);
        shards[index] = shard;
      }
      isChanged = true;
      size -= shard.size;
      if (value === undefined) shard.delete(key);
      else shard.set(key, value);
      size += shard.size;
    }
    if (!isChanged) return this;
    return new PersistentMap(size > shards.length * GROW_AT ? grown(shards, size) : shards, size);
  }
}

/** Entries a shard may hold on average before there are more shards. */
const GROW_AT = 64;

function grown<V>(shards: readonly Map<string, V>[], size: number): readonly Map<string, V>[] {
  let count = shards.length;
  while (size > (count * GROW_AT) / 4) count *= 2;
  const more = Array.from({ length: count }, () => new Map<string, V>());
  for (const shard of shards) {
    for (const [key, value] of shard) more[shardOf(key, count)]?.set(key, value);
  }
  return more;
}

/** FNV-1a (draft-eastlake-fnv), `count` a power of two. */
function shardOf(key: string, count: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (count - 1);
}
