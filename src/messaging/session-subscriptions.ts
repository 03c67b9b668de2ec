import type { Subscription } from '../agent/messages.js';
import { invalidFields, TroupeError } from '../core/errors.js';
import { topicViolations } from './session-hello.js';

/** Topics that one program may subscribe to. */
const MAX_SUBSCRIPTIONS = 1_000;
/** Changes that may be under way. */
const MAX_CHANGES = 100;

/** What a program subscribes to; its changes are made one after the other. */
export class SessionSubscriptions {
  private readonly subscriptions = new Map<string, Subscription>();
  private changes: Promise<void> = Promise.resolve();
  private underWay = 0;
  private isClosed = false;
  /** Whether the program has ever changed what hello said. */
  hasChanged = false;

  constructor(private readonly subscribe: (pattern: string) => Promise<Subscription>) {}

  get topics(): string[] {
    return [...this.subscriptions.keys()].sort();
  }

  /** Resolves when the cluster knows. @throws INVALID_ARGUMENT (also before the promise), RESOURCE_EXHAUSTED, UNAVAILABLE. */
  change(subscribe: readonly string[], unsubscribe: readonly string[]): Promise<void> {
    const violations = [
      ...topicViolations('subscriptions.subscribe', subscribe),
      ...topicViolations('subscriptions.unsubscribe', unsubscribe),
    ];
    if (violations.length > 0) throw invalidFields(violations);
    if (this.underWay >= MAX_CHANGES)
      throw new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_CHANGES', `${MAX_CHANGES} changes of subscriptions are under way`);
    this.underWay += 1;
    const change = this.changes
      .then(() => this.make(subscribe, unsubscribe))
      .finally(() => {
        this.underWay -= 1;
      });
    this.changes = change.catch(() => undefined);
    return change;
  }

  close(): void {
    this.isClosed = true;
    for (const subscription of this.subscriptions.values()) subscription.cancel();
    this.subscriptions.clear();
  }

  private async make(subscribe: readonly string[], unsubscribe: readonly string[]): Promise<void> {
    for (const pattern of unsubscribe) {
      this.subscriptions.get(pattern)?.cancel();
      this.subscriptions.delete(pattern);
    }
    const fresh = [...new Set(subscribe)].filter((pattern) => !this.subscriptions.has(pattern));
    if (this.subscriptions.size + fresh.length > MAX_SUBSCRIPTIONS)
      throw new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_TOPICS', `at most ${MAX_SUBSCRIPTIONS} topics can be subscribed to`);
    const outcomes = await Promise.allSettled(
      fresh.map(async (pattern) => {
        const subscription = await this.subscribe(pattern);
        if (this.isClosed) subscription.cancel();
        else this.subscriptions.set(pattern, subscription);
      }),
    );
    // What could be made stays.
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}
