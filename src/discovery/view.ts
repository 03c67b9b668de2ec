import { Load } from '../balancer/load.js';
import type { Clock } from '../core/clock.js';
import { type Instance, type InstanceKey, instanceKeyText } from '../core/instance.js';
import { Catalog, type CatalogChange } from './catalog.js';

/** An instance that this process may call, and what this process has under way there. */
export interface Target {
  readonly key: string;
  readonly instance: Instance;
  readonly load: Load;
  readonly weight: number;
  readonly zone: string;
}

export type ViewChange =
  | { readonly kind: 'put'; readonly instance: Instance }
  | { readonly kind: 'removed'; readonly key: InstanceKey };

/** What a change of the view did. */
export interface ViewUpdate {
  readonly removed: readonly Instance[];
  /** New or changed, as they are now. */
  readonly put: readonly Target[];
  /** Those of `put` that are new. */
  readonly added: ReadonlySet<Target>;
}

export interface ViewStatus {
  readonly revision: bigint;
  readonly instances: number;
  /** Since it was last known to be in step with the store; Infinity when it never was. */
  readonly ageMs: number;
  readonly stale: boolean;
}

/** Older than this, a view counts as cut off: three progress messages missed. */
export const STALE_AFTER_MS = 6_000;

/**
 * What a node or gateway knows of the cluster. It serves what it knew while the registry is away, and tells how old that is.
 */
export class ClusterView {
  private current = Catalog.empty<Target>();
  private inStepAtMs = Number.NEGATIVE_INFINITY;
  private readonly listeners = new Set<(update: ViewUpdate) => void>();

  /** Resolves when the view is in step with the store for the first time. */
  readonly inStepOnce: Promise<void>;
  private onInStep: () => void = () => undefined;

  constructor(private readonly clock: Clock) {
    this.inStepOnce = new Promise((resolve) => {
      this.onInStep = resolve;
    });
  }

  get catalog(): Catalog<Target> {
    return this.current;
  }

  /** The revision after which a watch continues; 0n: from the beginning. */
  get revision(): bigint {
    return this.current.revision;
  }

  /** Whether this process knows who is in the cluster, as it was at some time. */
  get hasSeenCluster(): boolean {
    return this.revision > 0n;
  }

  /** Replaces everything. What stays keeps its load. */
  reset(instances: readonly Instance[], revision: bigint): void {
    const coming = new Set(instances.map(instanceKeyText));
    const gone: ViewChange[] = [...this.current.all()]
      .filter(({ key }) => !coming.has(key))
      .map(({ instance }) => ({ kind: 'removed', key: instance }));
    this.apply([...gone, ...instances.map((instance) => ({ kind: 'put', instance }) as const)], revision);
  }

  apply(changes: readonly ViewChange[], revision: bigint): void {
    const before = this.current;
    const put: Target[] = [];
    const added = new Set<Target>();
    const made = changes.map((change): CatalogChange<Target> => {
      if (change.kind !== 'put') return change;
      const known = this.target(change.instance);
      put.push(known);
      if (before.get(change.instance) === undefined) added.add(known);
      return { kind: 'put', known };
    });
    this.current = before.with(made, revision);
    if (this.listeners.size === 0) return;
    const removed = changes.flatMap((change) => (change.kind === 'removed' ? (before.get(change.key)?.instance ?? []) : []));
    for (const listener of this.listeners) listener({ removed, put, added });
  }

  /** Notes that the view was in step with the store `ageMs` ago. */
  inStep(ageMs: number): void {
    this.inStepAtMs = Math.max(this.inStepAtMs, this.clock.monotonicMs() - ageMs);
    this.onInStep();
  }

  status(): ViewStatus {
    const ageMs = this.clock.monotonicMs() - this.inStepAtMs;
    return { revision: this.current.revision, instances: this.current.size, ageMs, stale: ageMs > STALE_AFTER_MS };
  }

  /** Calls back after every change with what it did. Returns how to call that off. */
  onChange(listener: (update: ViewUpdate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Resolves when `holds` is true of the view, with false when it is not within `timeoutMs`. */
  until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (held: boolean) => {
        stopListening();
        cancel();
        resolve(held);
      };
      const stopListening = this.onChange(() => {
        if (holds()) end(true);
      });
      const cancel = this.clock.after(timeoutMs, () => end(false));
    });
  }

  private target(instance: Instance): Target {
    const before = this.current.get(instance);
    const load = before?.instance.incarnation === instance.incarnation ? before.load : new Load();
    return { key: instanceKeyText(instance), instance, load, weight: instance.weight, zone: instance.zone };
  }
}
