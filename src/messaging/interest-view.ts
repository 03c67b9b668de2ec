import { INTEREST_PATTERN, INTEREST_SERVICE, type InstanceKey } from '../core/instance.js';
import { patternViolation } from '../core/topic.js';
import type { ClusterView, ViewUpdate } from '../discovery/view.js';
import { TopicIndex } from './topic-index.js';

/** Who wants what, as one instance says. */
interface Claim {
  readonly pattern: string;
  readonly nodeId: string;
}

/** Which nodes and gateways want what is broadcast to a topic, by what this process knows of the cluster. */
export class InterestView {
  private readonly claims = new Map<string, Claim>();
  /** A process may for a moment have registered a pattern twice: instances by pattern and node. */
  private readonly counts = new Map<string, number>();
  private readonly index = new TopicIndex<string>();
  private readonly stopListening: () => void;

  constructor(private readonly view: ClusterView) {
    for (const { instance } of view.catalog.ofService(INTEREST_SERVICE)) this.look(instance);
    this.stopListening = view.onChange((update) => this.take(update));
  }

  /** The ids of those that have subscribers, this process among them, each once. The same array until something changes that may concern the topic. */
  nodesFor(topic: string): readonly string[] {
    return this.index.match(topic);
  }

  /** Every pattern that somebody wants, and the ids of those that do; both in order. */
  topics(): [string, readonly string[]][] {
    return [...this.index.patterns()]
      .map(([pattern, nodeIds]): [string, readonly string[]] => [pattern, [...nodeIds].sort()])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  close(): void {
    this.stopListening();
  }

  private take({ removed, put }: ViewUpdate): void {
    for (const instance of removed) if (instance.service === INTEREST_SERVICE) this.look(instance);
    for (const { instance } of put) if (instance.service === INTEREST_SERVICE) this.look(instance);
  }

  /** Brings what is known of one instance into step with the catalog, whatever happened to it and how often. */
  private look(key: InstanceKey): void {
    const before = this.claims.get(key.id);
    const after = this.claimOf(key);
    if (before?.pattern === after?.pattern && before?.nodeId === after?.nodeId) return;
    if (after === undefined) this.claims.delete(key.id);
    else {
      this.claims.set(key.id, after);
      this.count(after, 1);
    }
    if (before !== undefined) this.count(before, -1);
  }

  /** Nothing where it does not say what is wanted: a registry checks that, but one of another version may not. */
  private claimOf(key: InstanceKey): Claim | undefined {
    const instance = this.view.catalog.get(key)?.instance;
    const pattern = instance?.metadata.get(INTEREST_PATTERN) ?? '';
    if (instance === undefined || instance.nodeId === '' || patternViolation('pattern', pattern) !== undefined) return undefined;
    return { pattern, nodeId: instance.nodeId };
  }

  private count({ pattern, nodeId }: Claim, step: 1 | -1): void {
    const text = `${pattern} ${nodeId}`;
    const count = (this.counts.get(text) ?? 0) + step;
    if (count === 0) {
      this.counts.delete(text);
      this.index.remove(pattern, nodeId);
      return;
    }
    this.counts.set(text, count);
    this.index.add(pattern, nodeId);
  }
}
