import type { Clock } from '../core/clock.js';
import { type Instance, type InstanceKey, instanceKeyText } from '../core/instance.js';
import type { ClusterView, ViewChange } from './view.js';

/** How often is looked whether the recovery is over. */
const LOOK_EVERY_MS = 500;

/**
 * Lets a view keep what is removed while the control plane recovers: leases expired only because nobody could renew them, and their
 * holders, who are well, register again in a moment. Who does not is removed when the recovery is over.
 */
export class HeldRemovals {
  private readonly held = new Map<string, InstanceKey>();
  private cancelLook: (() => void) | undefined;

  constructor(
    private readonly view: ClusterView,
    private readonly clock: Clock,
    private readonly isRecovering: () => boolean,
  ) {}

  /** As ClusterView.apply. */
  apply(changes: readonly ViewChange[], revision: bigint): void {
    const hold = this.isRecovering();
    const now = changes.filter((change) => {
      const key = change.kind === 'put' ? change.instance : change.key;
      if (change.kind === 'removed' && hold) this.held.set(instanceKeyText(key), key);
      else this.held.delete(instanceKeyText(key));
      return change.kind === 'put' || !hold;
    });
    this.view.apply(now, revision);
    this.look();
  }

  /** As ClusterView.reset. */
  reset(instances: readonly Instance[], revision: bigint): void {
    const coming = new Set(instances.map(instanceKeyText));
    const gone = [...this.view.catalog.all()].filter(({ key }) => !coming.has(key));
    this.apply(
      [
        ...gone.map(({ instance }) => ({ kind: 'removed', key: instance }) as const),
        ...instances.map((instance) => ({ kind: 'put', instance }) as const),
      ],
      revision,
    );
  }

  close(): void {
    this.cancelLook?.();
    this.cancelLook = undefined;
  }

  private look(): void {
    if (this.held.size === 0 || this.cancelLook !== undefined) return;
    this.cancelLook = this.clock.after(LOOK_EVERY_MS, () => {
      this.cancelLook = undefined;
      if (!this.isRecovering())
        this.apply(
          [...this.held.values()].map((key) => ({ kind: 'removed', key })),
          this.view.revision,
        );
      this.look();
    });
  }
}
