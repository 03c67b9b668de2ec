import type { Subscription } from '../agent/messages.js';
import { invalidFields } from '../core/errors.js';
import { patternViolation } from '../core/topic.js';
import type { Recipient } from '../runtime/delivery.js';
import { TopicIndex } from './topic-index.js';

/** What this process wants, as the cluster knows it. */
export interface ProcessInterest {
  /** Resolves when the cluster knows. @throws UNAVAILABLE */
  want(pattern: string): Promise<void>;
  unwant(pattern: string): void;
}

/** What others want. */
export interface OthersInterest {
  /** Processes with subscribers, this one perhaps among them. */
  nodesFor(topic: string): readonly string[];
}

/** Who subscribes to what: here by name, elsewhere by process. */
export class Subscriptions {
  private readonly index = new TopicIndex<Recipient>();
  /** How often each has subscribed to a pattern. */
  private readonly counts = new Map<string, Map<Recipient, number>>();

  constructor(
    private readonly own: ProcessInterest,
    private readonly others: OthersInterest,
  ) {}

  /** @throws INVALID_ARGUMENT, UNAVAILABLE */
  async add(pattern: string, recipient: Recipient): Promise<Subscription> {
    const wrong = patternViolation('topic', pattern);
    if (wrong !== undefined) throw invalidFields([wrong]);
    this.count(pattern, recipient, 1);
    let isThere = true;
    const cancel = () => {
      if (!isThere) return;
      isThere = false;
      this.count(pattern, recipient, -1);
      this.own.unwant(pattern);
    };
    try {
      await this.own.want(pattern);
    } catch (error) {
      if (isThere) this.count(pattern, recipient, -1);
      isThere = false;
      throw error;
    }
    return { pattern, cancel };
  }

  /** Whoever subscribes twice gets each message once, until both have ended. */
  private count(pattern: string, recipient: Recipient, step: 1 | -1): void {
    const counts = this.counts.get(pattern) ?? new Map<Recipient, number>();
    this.counts.set(pattern, counts);
    const count = (counts.get(recipient) ?? 0) + step;
    if (count > 0) {
      counts.set(recipient, count);
      this.index.add(pattern, recipient);
      return;
    }
    counts.delete(recipient);
    if (counts.size === 0) this.counts.delete(pattern);
    this.index.remove(pattern, recipient);
  }

  /** Those of this process who want what is broadcast to `topic`. */
  here(topic: string): readonly Recipient[] {
    return this.index.match(topic);
  }

  nodesFor(topic: string): readonly string[] {
    return this.others.nodesFor(topic);
  }
}
