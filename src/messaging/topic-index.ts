import { ANY_NAME, ANY_NAMES, isTopic } from '../core/topic.js';

/** The place of a pattern's beginning in the trie; `*` and `>` are names like others there, since no topic has them. */
interface Place<T> {
  readonly children: Map<string, Place<T>>;
  /** Of the pattern that ends here: its values, and when each was added. */
  values: Map<T, number> | undefined;
}

/** Topics whose match is remembered; beyond it the memory starts anew, so that made-up topics cost time but no room. */
const MAX_REMEMBERED = 10_000;
const NOBODY: readonly never[] = [];

/**
 * Values by patterns of topics. Asking for a topic that was asked for before is one look into a map; a topic that is new costs a
 * walk over the patterns that share its beginning. Patterns and topics are valid (core/topic.ts): who adds checks.
 */
export class TopicIndex<T> {
  private readonly root: Place<T> = newPlace();
  private readonly byPattern = new Map<string, Map<T, number>>();
  private readonly remembered = new Map<string, readonly T[]>();
  private added = 0;

  /** Does nothing where the pattern has the value already. */
  add(pattern: string, value: T): void {
    let values = this.byPattern.get(pattern);
    if (values === undefined) {
      values = new Map();
      this.byPattern.set(pattern, values);
      this.place(pattern).values = values;
    }
    if (values.has(value)) return;
    this.added += 1;
    values.set(value, this.added);
    this.forget(pattern);
  }

  /** Does nothing where the pattern has no such value. */
  remove(pattern: string, value: T): void {
    const values = this.byPattern.get(pattern);
    if (values?.delete(value) !== true) return;
    if (values.size === 0) {
      this.byPattern.delete(pattern);
      prune(this.root, pattern.split('.'), 0);
    }
    this.forget(pattern);
  }

  /**
   * The values whose patterns match, each once, in the order of being added. The same array until the index changes in what the
   * topic may match, or 10,000 other topics were asked for.
   */
  match(topic: string): readonly T[] {
    return this.remembered.get(topic) ?? this.find(topic);
  }

  /** Every pattern that has values, and these, in the order of being added. */
  *patterns(): IterableIterator<[string, readonly T[]]> {
    for (const [pattern, values] of this.byPattern) yield [pattern, [...values.keys()]];
  }

  private find(topic: string): readonly T[] {
    const found: ReadonlyMap<T, number>[] = [];
    collect(this.root, topic.split('.'), 0, found);
    const values = inOrder(found);
    if (this.remembered.size >= MAX_REMEMBERED) this.remembered.clear();
    this.remembered.set(topic, values);
    return values;
  }

  /** A pattern without wildcards is told of by one topic alone. */
  private forget(pattern: string): void {
    if (isTopic(pattern)) this.remembered.delete(pattern);
    else this.remembered.clear();
  }

  private place(pattern: string): Place<T> {
    let place = this.root;
    for (const name of pattern.split('.')) {
      let child = place.children.get(name);
      if (child === undefined) {
        child = newPlace();
        place.children.set(name, child);
      }
      place = child;
    }
    return place;
  }
}

function newPlace<T>(): Place<T> {
  return { children: new Map(), values: undefined };
}

/** Gathers the values of every pattern below `place` that matches the names from `index` on. */
function collect<T>(place: Place<T>, names: readonly string[], index: number, found: ReadonlyMap<T, number>[]): void {
  const name = names[index];
  if (name === undefined) {
    if (place.values !== undefined) found.push(place.values);
    return;
  }
  const rest = place.children.get(ANY_NAMES)?.values;
  if (rest !== undefined) found.push(rest);
  for (const next of [name, ANY_NAME]) {
    const child = place.children.get(next);
    if (child !== undefined) collect(child, names, index + 1, found);
  }
}

function inOrder<T>(found: readonly ReadonlyMap<T, number>[]): readonly T[] {
  const [first] = found;
  if (first === undefined) return NOBODY;
  if (found.length === 1) return [...first.keys()];
  const entries = found.flatMap((values) => [...values]).sort(([, a], [, b]) => a - b);
  return [...new Set(entries.map(([value]) => value))];
}

/** Takes the pattern's values out, and every place on the way that leads nowhere any more. True: so does this one. */
function prune<T>(place: Place<T>, names: readonly string[], index: number): boolean {
  const name = names[index];
  if (name === undefined) place.values = undefined;
  else {
    const child = place.children.get(name);
    if (child !== undefined && prune(child, names, index + 1)) place.children.delete(name);
  }
  return place.values === undefined && place.children.size === 0;
}
